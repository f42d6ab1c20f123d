"""Opening a source that is not available yet."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
from processes import FAKE, run_python

from device_apps.sources.frames import Source
from device_apps.sources.image_folder import ImageFolderSource
from device_apps.sources.open_with_retry import open_with_retry
from edge_ssd.errors import SettingError, SourceError


class Unavailable:
    """Returns a source after raising an error for each of the given reasons."""

    def __init__(self, *reasons: str, error: type[Exception] = SourceError) -> None:
        self.errors = [error(reason) for reason in reasons]
        self.made = 0

    def __call__(self) -> Source:
        self.made += 1
        if self.errors:
            raise self.errors.pop(0)
        return ImageFolderSource([], "available")


def enter(make: Unavailable, retries: int | None = None, stop: threading.Event | None = None) -> Source | None:
    with ExitStack() as stack:
        return open_with_retry(
            make,
            stack,
            stop=stop or threading.Event(),
            on_wait=lambda status: None,
            retries=retries,
            pause=lambda attempt: 0.001,
        )


def test_available_source_is_opened_without_a_message(caplog: pytest.LogCaptureFixture) -> None:
    source = enter(Unavailable())
    assert source is not None
    assert (source.name, caplog.messages) == ("available", [])


def test_source_is_retried_and_each_new_reason_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    unavailable = Unavailable("no camera", "no camera", "no permission", "no camera")
    assert enter(unavailable) is not None
    assert unavailable.made == 5
    reasons = ("no camera", "no permission", "no camera")
    assert caplog.messages == [f"{reason}; retrying until it is available" for reason in reasons]


def test_last_error_is_raised_after_the_retries() -> None:
    with pytest.raises(SourceError, match="third"):
        enter(Unavailable("first", "second", "third", "fourth"), retries=2)
    with pytest.raises(SourceError, match="first"):
        enter(Unavailable("first"), retries=0)


def test_other_errors_are_raised_immediately() -> None:
    with pytest.raises(SettingError):
        enter(Unavailable("only cameras have a width", error=SettingError))


def test_stop_ends_the_wait() -> None:
    stop = threading.Event()

    class Stopping(Unavailable):
        def __call__(self) -> Source:
            stop.set()
            return super().__call__()

    assert enter(Stopping("no camera"), stop=stop) is None


def test_waiting_ends_at_the_deadline_with_the_reason() -> None:
    start = time.monotonic()

    def fail() -> Source:
        raise SourceError("no camera at /dev/video0")

    with ExitStack() as stack, pytest.raises(SourceError, match="no camera at /dev/video0"):
        open_with_retry(fail, stack, stop=threading.Event(), on_wait=lambda line: None, deadline=start + 0.3)
    assert time.monotonic() - start >= 0.3


def test_camera_that_waits_ends_after_its_duration(tmp_path: Path) -> None:
    missing = tmp_path / "clip.mp4"
    done = run_python(FAKE, "camera", "--headless", "--wait", "--duration", "0.5", "--source", missing, timeout=60)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith(f"edge-ssd: error: {missing}: no such source")
