"""edge_ssd.console.progress: one line that is redrawn on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import io
import logging

import pytest
from clocks import Clock

from edge_ssd.console.logs import log_to_stderr
from edge_ssd.console.progress import Progress, format_seconds


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (-3, "0 s"), (59.4, "59 s"), (60, "1 min 00 s"), (125, "2 min 05 s"), (3725, "1 h 02 min")],
)
def test_format_seconds(seconds: float, text: str) -> None:
    assert format_seconds(seconds) == text


def test_progress_redraws_one_line_with_remaining_time() -> None:
    stream, clock = Terminal(), Clock()
    with Progress("drawing", "images", stream, clock) as progress:
        progress(0, 40)
        clock.now = 10.0
        progress(10, 40)
        clock.now = 10.01
        progress(11, 40)  # too soon to redraw
        clock.now = 40.0
        progress(40, 40)
    shown = stream.getvalue().split("\r")
    assert shown[1] == "drawing  25% [######..................] 10/40 images, 30 s left"
    assert "11/40" not in stream.getvalue()
    assert shown[-1].endswith("\n")
    assert shown[-1].startswith("drawing 100% [########################] 40/40 images, 40 s")
    # A shorter line is padded so that nothing of a longer one before it stays.
    lengths = [len(line.rstrip("\n")) for line in shown[1:]]
    assert len("drawing 100% [########################] 40/40 images, 40 s") < lengths[0] == lengths[1]


def test_progress_without_terminal_writes_a_line_every_ten_seconds() -> None:
    stream, clock = io.StringIO(), Clock()
    with Progress("fetching", "bytes", stream, clock) as progress:
        for second in range(26):
            clock.now = float(second)
            progress(second * 1_000_000, 50_000_000)
    lines = stream.getvalue().splitlines()
    assert lines == [
        "fetching  20% [####....................] 10.0/50.0 MB, 40 s left",
        "fetching  40% [#########...............] 20.0/50.0 MB, 30 s left",
    ]


def test_progress_of_resumed_work_and_unknown_total() -> None:
    stream, clock = Terminal(), Clock()
    with Progress("fetching", "bytes", stream, clock) as progress:
        progress(80_000_000, 100_000_000)
        clock.now = 10.0
        progress(90_000_000, 100_000_000)
    assert "90% [#####################...] 90.0/100.0 MB, 10 s left" in stream.getvalue()
    stream = Terminal()
    with Progress("fetching", "bytes", stream, clock) as progress:
        progress(5_000_000, None)
    assert stream.getvalue() == "\rfetching 5.0 MB\n"


def test_progress_ends_line_on_error_and_shows_nothing_without_work() -> None:
    stream = Terminal()
    progress = Progress("drawing", stream=stream)

    def fail() -> None:
        with progress:
            progress(1, 2)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert stream.getvalue().endswith("\n")
    stream = Terminal()
    with Progress("drawing", stream=stream):
        pass
    assert stream.getvalue() == ""


def test_quiet_shows_no_progress() -> None:
    stream = Terminal()
    with log_to_stderr(logging.WARNING), Progress("drawing", stream=stream, clock=Clock()) as progress:
        progress(1, 2)
    assert stream.getvalue() == ""
