"""Waiting for a source that is not there yet."""

from __future__ import annotations

import threading
from contextlib import ExitStack

import pytest

from device_apps.sources import open_with_retry as first_open
from device_apps.sources.frames import Source
from device_apps.sources.image_folder import ImageFolderSource
from device_apps.sources.open_with_retry import open_with_retry
from edge_ssd.errors import SettingError, SourceError


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_FIRST_WAIT_S", "_LONGEST_WAIT_S", "_SLICE_S"):
        monkeypatch.setattr(first_open, name, 0.001)


class Late:
    """Makes a source that cannot be entered the first times."""

    def __init__(self, *errors: str) -> None:
        self.errors = list(errors)
        self.made = 0

    def __call__(self) -> Source:
        self.made += 1
        if self.errors:
            raise SourceError(self.errors.pop(0))
        return ImageFolderSource([], "there")


def enter(
    late: Late, retries: int | None = None, stop: threading.Event | None = None
) -> tuple[Source | None, list[str]]:
    lines: list[str] = []
    with ExitStack() as stack:
        source = open_with_retry(
            late,
            stack,
            stop=stop or threading.Event(),
            notice=lines.append,
            waiting=lambda line: None,
            retries=retries,
        )
    return source, lines


def test_a_source_that_is_there() -> None:
    source, lines = enter(Late())
    assert source is not None
    assert (source.name, lines) == ("there", [])


def test_it_is_tried_until_it_is_there_and_each_reason_is_said_once() -> None:
    late = Late("no camera", "no camera", "no permission", "no camera")
    source, lines = enter(late)
    assert source is not None
    assert late.made == 5
    assert lines == [f"{why}; trying again until it is there" for why in ("no camera", "no permission", "no camera")]


def test_retries_are_counted() -> None:
    with pytest.raises(SourceError, match="third"):
        enter(Late("first", "second", "third", "fourth"), retries=2)
    with pytest.raises(SourceError, match="first"):
        enter(Late("first"), retries=0)


def test_other_errors_are_raised_at_once() -> None:
    class Wrong(Late):
        def __call__(self) -> Source:
            raise SettingError("only cameras have a width")

    with pytest.raises(SettingError):
        enter(Wrong())


def test_stop_ends_the_wait() -> None:
    stop = threading.Event()

    class Stopping(Late):
        def __call__(self) -> Source:
            stop.set()
            raise SourceError("no camera")

    assert enter(Stopping(), stop=stop)[0] is None
