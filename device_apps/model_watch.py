"""Replacement of the model while the camera runs, when its file changes.

A thread looks at the file once a second. A file that has stayed the same for one of these periods is read, checked
against the digests in it, loaded and tested there; then the loop exchanges the models between two frames. So no frame
waits for the loading, and a file that is only half written is never used.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from device_apps.daemon_thread import DaemonThread
from device_apps.follows_model import FollowsModel
from device_apps.results import FrameResult
from edge_ssd.console.text import printable
from edge_ssd.errors import EdgeSSDError, SettingError
from edge_ssd.runtime.bundle import Bundle, read_bundle

if TYPE_CHECKING:
    from edge_ssd.network import InputSpec
    from edge_ssd.runtime.detector import Detector

__all__ = ["ModelUser", "ModelWatch", "followers_of", "short_digest"]

_log = logging.getLogger(__name__)

_PERIOD_S = 1.0
_STOP_S = 2.0  # A look at a file on a lost network disk may take minutes.


class ModelUser(NamedTuple):
    """Detector whose model is replaced, and what depends on its labels."""

    detector: Detector
    followers: Sequence[FollowsModel] = ()


class ModelWatch:
    """Sink that replaces the model when its file has changed; a context manager.

    The new model is used by all or by none: when one of the users cannot go on with it, the old one stays, which is
    logged, as every other fault is, once for each change of the file.

    Args:
        detector: has the model, read from a file.
        users: returns what uses it now.
        period_s: seconds between two looks at the file.

    Raises:
        SettingError: the model was not read from a file that can change.
    """

    finished = False

    def __init__(
        self, detector: Detector, users: Callable[[], Iterable[ModelUser]], period_s: float = _PERIOD_S
    ) -> None:
        if not os.path.isfile(detector.bundle.source):  # noqa: PTH113
            raise SettingError(f"--watch-model: {detector.bundle.source} is not a file; name one with --model FILE")
        self._path = os.path.abspath(detector.bundle.source)  # noqa: PTH100 (a link is followed at each look)
        self._detector = detector
        self._users = users
        self._period_s = period_s
        self._loaded: Detector | None = None  # Set by the thread, taken by the loop.
        self._stop = threading.Event()
        self._thread = DaemonThread(self._watch, "model watch")

    def write(self, result: FrameResult) -> None:
        self.idle()

    def idle(self) -> None:
        """Exchange the models if a new one is loaded."""
        loaded = self._loaded
        if loaded is not None:
            self._exchange(loaded)
            self._loaded = None
            loaded.close()

    def __enter__(self) -> ModelWatch:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join(_STOP_S)

    def _watch(self) -> None:
        known: tuple[int, ...] | None = None  # The file that was read last.
        before: tuple[int, ...] | None = None
        while not self._stop.is_set():
            now = _identity(self._path)
            if now is not None and now == before and now != known and self._loaded is None:
                known = now
                self._load()
            before = now
            self._stop.wait(self._period_s)

    def _load(self) -> None:
        start = time.monotonic()
        try:
            bundle = read_bundle(self._path)
            if bundle.sha256 == self._detector.bundle.sha256:
                return
            loaded = self._detector.share()
            loaded.replace_model(bundle)
        except MemoryError:
            self._stay(f"{self._path}: there is not enough memory to load it")
        except (EdgeSSDError, OSError) as error:
            self._stay(str(error))
        else:
            _log.debug("%s: loaded and tested in %.2f s", self._path, time.monotonic() - start)
            self._loaded = loaded

    def _exchange(self, new: Detector) -> None:
        users = [ModelUser(self._detector), *self._users()]
        before = self._detector.share()
        try:
            _check_input(self._detector, new)
            for user in users:
                for follower in user.followers:
                    follower.check_labels(new.labels)
            for user in users:
                user.detector.replace_model(new)
        except EdgeSSDError as error:
            for user in users:
                user.detector.replace_model(before)  # Settings that were chosen are unchanged.
            self._stay(f"{self._path}: {error}")
        else:
            for user in users:
                for follower in user.followers:
                    follower.model_replaced(new.labels)
            _log.info("%s: the new model is in use: %s", self._path, _describe(new.bundle))
        finally:
            before.close()

    def _stay(self, problem: str) -> None:
        _log.warning("%s; the former model stays in use", printable(problem))


def followers_of(*parts: object) -> list[FollowsModel]:
    """Return those parts of a pipeline that depend on the labels of the model."""
    return [part for part in parts if isinstance(part, FollowsModel)]


def short_digest(bundle: Bundle) -> str:
    """Return the beginning of the SHA-256 of a model's file, which tells models of one file name apart."""
    return bundle.sha256[:12]


def _identity(path: str) -> tuple[int, ...] | None:
    """Return what changes when a file is replaced or written; None if it is missing."""
    try:
        stat = os.stat(path)  # noqa: PTH116
    except OSError:
        return None
    return stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns


def _check_input(old: Detector, new: Detector) -> None:
    """Raise SettingError for another input: sources deliver images that are reduced for the old one."""
    before, now = old.network.input, new.network.input
    if (before.size, before.resize, before.resampling) != (now.size, now.resize, now.resampling):
        raise SettingError(
            f"its input is {_input(now)}, and images are read for {_input(before)}; start the program again to use it"
        )


def _input(spec: InputSpec) -> str:
    return f"{spec.height}x{spec.width} ({spec.resize}, {spec.resampling})"


def _describe(bundle: Bundle) -> str:
    return (
        f"{printable(bundle.name)}, SHA-256 {short_digest(bundle)}, classes {printable(', '.join(bundle.labels[:10]))}"
    )
