"""Object detector: a model in memory, and settings with which it is run on images."""

from __future__ import annotations

import inspect
import os
import threading
import time
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple, NoReturn

import numpy as np

from edge_ssd.checks import as_size, shortened
from edge_ssd.console.text import shown_name
from edge_ssd.errors import BackendError, BundleError, SettingError
from edge_ssd.network import InputSpec, Network
from edge_ssd.runtime.bundle import Bundle, BundleSource, read_bundle
from edge_ssd.runtime.detections import Detections
from edge_ssd.runtime.image_input import Color, ImageLike, as_rgb, as_source
from edge_ssd.runtime.interpreter import Backend
from edge_ssd.runtime.loaded_model import InterpreterOptions, LoadedModel, closed_error, load_model
from edge_ssd.runtime.preprocess import read_reduced
from edge_ssd.runtime.resize import HALVE_BILINEAR, ImageArray, Resize, opencv_resize
from edge_ssd.runtime.resize_opencv import require_opencv
from edge_ssd.runtime.selftest_result import SelfTestResult
from edge_ssd.runtime.settings import ClassesLike, CountLike, FlagLike, FractionLike, Settings, ThresholdLike
from edge_ssd.runtime.tiles import Tiles, merge_tiles

__all__ = ["Detector", "ModelLike", "SelfTestResult"]

ModelLike = BundleSource | Bundle
"""A bundle: path, name of a shipped model, bytes, object with ``read_bytes()``, or read already."""

_SETTINGS = ("score_threshold", "iou_threshold", "max_detections", "classes", "class_agnostic")


class _State(NamedTuple):
    """Model and settings, which change together: a call uses one state from its start to its end."""

    model: LoadedModel
    settings: Settings


class Detector:
    """Object detector that runs a bundle on images.

    Thread-safe: concurrent calls wait for each other, since an interpreter runs one image at a time. For parallel
    inference create one detector per thread, and after a fork one in the new process: the parent's raises BackendError
    there.

    Attributes:
        timings: seconds of the last call in "preprocess", "invoke" and "postprocess".
    """

    __slots__ = ("__weakref__", "_change_lock", "_process", "_resize", "_state", "_tiles", "timings")

    def __init__(
        self,
        model: ModelLike,
        score_threshold: float | Mapping[str, float] | None = None,
        iou_threshold: float | None = None,
        max_detections: int | None = None,
        classes: Iterable[str] | None = None,
        num_threads: int | None = None,
        backend: Backend = "auto",
        class_agnostic: bool = False,
        delegate: str | os.PathLike[str] | None = None,
        delegate_options: Mapping[str, str | int | float] | None = None,
        resize: Resize | None = None,
        tiles: Tiles | str | None = None,
    ) -> None:
        """Load a model.

        Args:
            model: a bundle made with ``edge-ssd convert``: its path, its bytes, a traversable of
                :mod:`importlib.resources`, the result of :func:`read_bundle`, or the name of a shipped one ("banana",
                "small", "nano").
            score_threshold: minimum score, 0–1, or a mapping of labels to minimum scores; missing labels have the
                bundle's. None: the bundle's.
            iou_threshold: a box is dropped if its IoU with a better one is greater, 0–1. None: the bundle's.
            max_detections: maximum number per image, the best are kept. None: the bundle's.
            classes: labels to detect. None: all.
            num_threads: of the interpreter. None: one per processor that the process may use, at most four.
            backend: "ai-edge-litert", "tflite-runtime", or "auto" for the first that works.
            class_agnostic: suppress across classes: one class per box.
            delegate: shared library of an external delegate, by path or by a name that the system's loader finds. It is
                machine code: load only libraries that you trust. Operators that it does not support run on the CPU; if
                it cannot be used at all, loading fails.
            delegate_options: options of the delegate, see its documentation.
            resize: called with a uint8 image [H, W, 3] and the target (height, width), returns the resized image.
                None: the method that the network was trained with, see :mod:`edge_ssd.runtime.resize`.
            tiles: detect in overlapping parts of the image as well, for small objects: "2x2" (columns x rows),
                "640x480px" (width x height of a tile), or :class:`Tiles`. Each tile costs a detection.

        Raises:
            BundleError: the file is missing, damaged, or not a bundle.
            BackendError: no interpreter on this machine can run it; the message names what to install.
            SettingError: an invalid argument.
        """
        bundle = model if isinstance(model, Bundle) else read_bundle(model)
        if resize is not None:
            _check_resize(resize)
        settings = Settings.from_metadata(bundle.details).changed(
            bundle.details, score_threshold, iou_threshold, max_detections, classes, class_agnostic
        )
        parts = _as_tiles(tiles)
        loaded = load_model(bundle, InterpreterOptions(num_threads, backend, delegate, delegate_options))
        self._set_up(_State(loaded, settings), resize, parts)

    def _set_up(self, state: _State, resize: Resize | None, tiles: Tiles | None) -> None:
        self._process = os.getpid()
        self._state = state
        self._change_lock = threading.Lock()  # of changes of the state, for which no call waits
        self._resize = resize
        self._tiles = tiles
        self.timings: dict[str, float] = {}

    if not TYPE_CHECKING:  # pyright would take every attribute for one that can be set

        def __setattr__(self, name: str, value: object) -> None:
            try:
                object.__setattr__(self, name, value)
            except AttributeError:
                raise AttributeError(_refused(self, name)) from None

    def __repr__(self) -> str:
        height, width = self.network.input.size
        classes = "1 class" if len(self.labels) == 1 else f"{len(self.labels)} classes"
        threads = "1 thread" if self.num_threads == 1 else f"{self.num_threads} threads"
        more = f", delegate {self.delegate!r}" if self.delegate else ""
        if self._state.model.interpreter is None:
            more += ", closed"
        return f"<Detector {self.bundle.source!r}: {classes}, input {height}x{width}, {self.backend}, {threads}{more}>"

    @property
    def bundle(self) -> Bundle:
        """The model, read and checked."""
        return self._state.model.bundle

    @property
    def backend(self) -> str:
        """Name of the interpreter's package."""
        return self._state.model.backend

    @property
    def num_threads(self) -> int:
        """Number of the interpreter's threads."""
        return self._state.model.num_threads

    @property
    def delegate(self) -> str | None:
        """Library of the external delegate, or None."""
        return self._state.model.delegate

    @property
    def tiles(self) -> Tiles | None:
        """Division of each image into tiles, or None."""
        return self._tiles

    @property
    def reduced_input(self) -> InputSpec | None:
        """Input for which a source may reduce its images, since no more is needed; None if tiles need all pixels."""
        return self.network.input if self._tiles is None else None

    @property
    def labels(self) -> tuple[str, ...]:
        """Class names; class id ``i`` is ``labels[i]``."""
        return self.bundle.labels

    @property
    def network(self) -> Network:
        return self.bundle.network

    @property
    def score_thresholds(self) -> dict[str, float]:
        """Label → minimum score of a detection of that class; a copy."""
        model, settings = self._state
        return dict(zip(model.bundle.labels, settings.score_thresholds, strict=True))

    @property
    def min_score_threshold(self) -> float:
        """Minimum of :attr:`score_thresholds`, equal to the threshold of every class if they share one."""
        return min(self._state.settings.score_thresholds)

    @property
    def iou_threshold(self) -> float:
        return self._state.settings.iou_threshold

    @property
    def max_detections(self) -> int:
        return self._state.settings.max_detections

    @property
    def classes(self) -> tuple[str, ...]:
        """Labels that are detected."""
        model, settings = self._state
        labels = model.bundle.labels
        return labels if settings.classes is None else tuple(labels[i] for i in settings.classes)

    @property
    def class_agnostic(self) -> bool:
        return self._state.settings.class_agnostic

    def configure(
        self,
        score_threshold: ThresholdLike = ...,
        iou_threshold: FractionLike = ...,
        max_detections: CountLike = ...,
        classes: ClassesLike = ...,
        class_agnostic: FlagLike = ...,
    ) -> None:
        """Change settings; arguments as for the constructor, where None restores the default.

        Arguments that are left out stay unchanged, as do the classes that a mapping of thresholds leaves out. The
        change is atomic: a :meth:`detect` in another thread finishes with the settings that it started with. An invalid
        value raises SettingError and changes nothing.
        """
        self._require_own_process()
        with self._change_lock:
            model, settings = self._require_open()
            self._state = _State(
                model,
                settings.changed(
                    model.bundle.details, score_threshold, iou_threshold, max_detections, classes, class_agnostic
                ),
            )

    def share(
        self,
        score_threshold: float | Mapping[str, float] | None = None,
        iou_threshold: float | None = None,
        max_detections: int | None = None,
        classes: Iterable[str] | None = None,
        class_agnostic: bool = False,
        tiles: Tiles | str | None = None,
    ) -> Detector:
        """Return a detector with settings of its own that runs on the interpreter of this one, such as for each camera.

        The model is in memory once. Detectors that share an interpreter wait for each other; it is freed when all of
        them are closed. Arguments and errors as for the constructor.
        """
        self._require_own_process()
        model = self._require_open().model
        details = model.bundle.details
        settings = Settings.from_metadata(details).changed(
            details, score_threshold, iou_threshold, max_detections, classes, class_agnostic
        )
        other = object.__new__(type(self))
        other._set_up(_State(model, settings), self._resize, _as_tiles(tiles))
        return other

    def replace_model(self, model: ModelLike | Detector) -> None:
        """Go on with another model, without a pause: it is loaded, checked and tested before it is used.

        A :meth:`detect` in another thread finishes with the model that it started with, and waits for nothing; later
        ones use the new model. The options of the interpreter stay, and so do the settings that were chosen; the others
        are the new model's. Both models are in memory until the last call with the old one has ended. After an error
        the detector goes on with the model that it has.

        Detectors that share the interpreter of this one (:meth:`share`) keep the old model.
        ``other.replace_model(detector)`` makes such a detector share the new one.

        Args:
            model: as for the constructor; or another detector, whose model and interpreter are then shared as
                :meth:`share` does, without a test.

        Raises:
            BundleError: the file is missing, damaged or not a bundle, or its self-test fails.
            BackendError: no interpreter on this machine can run it, or a detector is closed.
            SettingError: ``model`` is none of these, or has no class of a name that is chosen in the settings.
        """
        self._require_own_process()
        self._require_open()  # before the slow steps
        if isinstance(model, Detector):
            model._require_own_process()
            loaded = model._require_open().model
        else:
            bundle = model if isinstance(model, Bundle) else read_bundle(model)
            self._state.settings.for_model(bundle.details)  # before the slow steps
            loaded = load_model(bundle, self._state.model.options)
            result = loaded.selftest()
            if not result.passed:
                raise BundleError(
                    f"{shown_name(bundle.source)}: its self-test fails: {result.problem}; convert it again"
                )
        with self._change_lock:
            self._require_open()
            self._state = _State(loaded, self._state.settings.for_model(loaded.bundle.details))

    def detect(
        self, image: ImageLike, image_size: tuple[int, int] | None = None, *, color: Color = "rgb"
    ) -> Detections:
        """Detect objects in one image.

        Args:
            image: a uint8 array [H, W, 3] of any size, a Pillow image, the path of an image file, or its content: bytes
                or a binary file object.
            image_size: (height, width) of the upright image that ``image`` was reduced from, as cameras and decoders
                do: boxes are in its pixels. None: the size of ``image``.
            color: order of an array's channels: "bgr" for frames of OpenCV.

        Returns:
            Boxes in pixels of the image, clipped to it, best first. The EXIF orientation of a file or Pillow image is
            applied first. JPEG files are decoded at the size that the network needs.

        Raises:
            ImageError: not a valid image.
            SettingError: an invalid ``image_size`` or ``color``.
            BackendError: after :meth:`close`, and in a process that was forked from that of the detector.
        """
        self._require_own_process()
        state = self._state
        if image_size is not None:
            image_size = as_size("image_size", image_size)
        if not isinstance(image, np.ndarray) and color == "rgb":
            image = as_source(image)
            if self._may_reduce() and isinstance(image, (str, os.PathLike, bytes)):
                image, size = read_reduced(image, state.model.bundle.network.input)
                image_size = image_size or size
        pixels = as_rgb(image, color)
        if self._tiles is None:
            detections, self.timings = state.model.detect(pixels, state.settings, self._resize, image_size)
            return detections
        return self._detect_in_tiles(state, self._tiles, pixels, image_size)

    def selftest(self) -> SelfTestResult:
        """Detect in the embedded image and compare with the embedded detections.

        Every box must be found with its class, IoU ≥ 0.9 and a score within 0.05, and no other; boxes that score at
        most 0.05 above the self-test's threshold are exempt. Settings are the bundle's, not those of :meth:`configure`.
        """
        self._require_own_process()
        return self._state.model.selftest()

    def close(self) -> None:
        """Free the interpreter. Closing twice is allowed; every other use afterwards raises BackendError.

        In a process that was forked from that of the detector, nothing happens: the interpreter is not usable there.
        """
        if os.getpid() != self._process:
            return
        with self._change_lock:
            self._state = self._state._replace(model=self._state.model.closed())

    def __enter__(self) -> Detector:
        self._require_open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Detector cannot be copied or pickled; make another from the same bundle where it is needed")

    def _require_open(self) -> _State:
        """Return model and settings; raise BackendError after :meth:`close`."""
        if self._state.model.interpreter is None:
            raise closed_error()
        return self._state

    def _require_own_process(self) -> None:
        """Raise BackendError in another process than the detector's, where its locks may be held for ever."""
        if os.getpid() != self._process:
            raise BackendError(
                f"this detector was made in process {self._process} and cannot be used in process {os.getpid()}, which "
                "was forked from it: make a detector in each process, such as in the initializer of a pool"
            )

    def _may_reduce(self) -> bool:
        """Return whether a JPEG file may be decoded at a reduced size."""
        return self._tiles is None and (self._resize is None or self._resize in HALVE_BILINEAR)

    def _detect_in_tiles(
        self, state: _State, tiles: Tiles, image: ImageArray, image_size: tuple[int, int] | None
    ) -> Detections:
        model, settings = state
        parts, seconds = [], dict.fromkeys(("preprocess", "invoke", "postprocess"), 0.0)
        places = tiles.divide(image.shape[:2])
        for tile in places:
            part = image[tile.top : tile.bottom, tile.left : tile.right]
            detections, timings = model.detect(part, settings, self._resize)
            parts.append(detections)
            for stage, value in timings.items():
                seconds[stage] += value
        start = time.perf_counter()
        merged = merge_tiles(
            parts, places, image.shape[:2], settings.iou_threshold, settings.max_detections, settings.class_agnostic
        )
        if image_size is not None:
            merged = merged.scaled(image_size)
        seconds["postprocess"] += time.perf_counter() - start
        self.timings = seconds
        return merged


def _as_tiles(tiles: Tiles | str | None) -> Tiles | None:
    return tiles if tiles is None or isinstance(tiles, Tiles) else Tiles.parse(tiles)


def _check_resize(resize: Resize) -> None:
    """Raise SettingError if ``resize`` cannot be called with an image and a size, or needs OpenCV and it is missing."""
    if not _takes_two_arguments(resize):
        raise SettingError(f"resize must be a function of an image and (height, width), got {shortened(resize)}")
    if resize is opencv_resize:
        require_opencv()


def _takes_two_arguments(function: object) -> bool:
    try:
        inspect.signature(function).bind(None, None)  # type: ignore[arg-type]
    except ValueError:  # a function that does not state its arguments
        return True
    except TypeError:  # not callable, or other arguments
        return False
    return True


def _refused(detector: Detector, name: str) -> str:
    """Return why an attribute cannot be set, and what to do."""
    if name in _SETTINGS:
        return f"settings are changed with configure({name}=...)"
    if hasattr(type(detector), name):
        return f"{name} of a Detector cannot be changed; make another Detector"
    from edge_ssd.console.suggestions import did_you_mean

    return f"a Detector has no attribute {name!r}{did_you_mean(name, _SETTINGS)}; change settings with configure(...)"
