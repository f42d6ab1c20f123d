"""edge_ssd.console.progress: one line that is redrawn on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import io
import logging
import sys
import time
from collections.abc import Callable

import pytest
from clocks import Clock

from edge_ssd.console import activity as activity_module
from edge_ssd.console.activity import Activity
from edge_ssd.console.durations import format_seconds
from edge_ssd.console.logs import log_to_stderr
from edge_ssd.console.progress import Progress
from edge_ssd.console.status_line import StatusLine
from edge_ssd.console.text import print_text


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
        for done in range(11):
            clock.now = float(done)
            progress(done, 40)
        clock.now = 10.01
        progress(11, 40)  # too soon to redraw
        clock.now = 40.0
        progress(40, 40)
    shown = stream.getvalue().split("\r")
    assert shown[10].rstrip() == "drawing  25% [######..................] 10/40 images, 30 s left"
    assert "11/40" not in stream.getvalue()
    assert shown[-1].endswith("\n")
    assert shown[-1].startswith("drawing 100% [########################] 40/40 images, 40 s")
    # A shorter line is padded so that nothing of a longer one before it stays.
    lengths = [len(line.rstrip("\n")) for line in shown[1:]]
    assert len("drawing 100% [########################] 40/40 images, 40 s") < lengths[-3] == lengths[-2]


def test_remaining_time_needs_three_steps_and_two_seconds_after_the_first() -> None:
    stream, clock = Terminal(), Clock()
    with Progress("training", "steps", stream, clock) as progress:
        # The first step compiles the network: it takes a minute, the others a second.
        for done, seconds in ((0, 0.0), (1, 60.0), (2, 61.0), (3, 62.0), (4, 63.0), (5, 64.0)):
            clock.now = seconds
            progress(done, 100)
    shown = stream.getvalue().split("\r")
    assert not any("left" in line for line in shown if "1/100" in line or "2/100" in line or "3/100" in line)
    assert "4/100 steps, 1 min 36 s left" in shown[4]
    assert "5/100 steps, 1 min 35 s left" in shown[5]
    stream, clock = Terminal(), Clock()
    with Progress("reading", "images", stream, clock) as progress:
        for done in range(20):  # many steps, in less than two seconds
            clock.now = done * 0.1
            progress(done, 1000)
    assert "left" not in stream.getvalue()


def test_remaining_time_starts_again_with_another_part_of_the_work() -> None:
    stream, clock = Terminal(), Clock()
    with Progress("reading", "images", stream, clock) as progress:
        for second in range(10):
            clock.now = float(second)
            progress(100 * second, 900)
        for second in range(5):  # the second folder is read ten times slower
            clock.now = 10.0 + second
            progress(10 * second, 100)
    assert "40/100 images, 6 s left" in stream.getvalue()


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
        for second in range(11):
            clock.now = float(second)
            progress(80_000_000 + second * 1_000_000, 100_000_000)
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


def wait_until(condition: Callable[[], bool]) -> None:
    for _ in range(1000):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError


def test_activity_shows_step_and_seconds_on_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(activity_module, "_FIRST_SECONDS", 0.0)
    monkeypatch.setattr(activity_module, "_REDRAW_SECONDS", 0.01)
    stream, clock = Terminal(), Clock()
    with Activity("converting", StatusLine(stream), clock) as activity:
        activity.step, clock.now = "rounding the weights (3 of 6)", 12.0
        wait_until(lambda: "\rconverting: rounding the weights (3 of 6), 12 s" in stream.getvalue())
    assert stream.getvalue().split("\r")[-1].split() == ["converting,", "12", "s"]
    assert stream.getvalue().endswith("\n")


def test_short_or_quiet_activity_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Terminal()
    with Activity("converting", StatusLine(stream)):
        pass
    monkeypatch.setattr(activity_module, "_FIRST_SECONDS", 0.0)
    with log_to_stderr(logging.WARNING), Activity("converting", StatusLine(stream)):
        time.sleep(0.02)
    assert stream.getvalue() == ""


def test_activity_without_terminal_writes_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(activity_module, "_LOG_SECONDS", 0.01)
    stream = io.StringIO()
    with Activity("converting", StatusLine(stream), Clock()):
        wait_until(lambda: len(stream.getvalue()) > 30)
    assert set(stream.getvalue().splitlines()) == {"converting, 0 s"}


def test_progress_shows_time_until_first_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(activity_module, "_FIRST_SECONDS", 0.0)
    stream, clock = Terminal(), Clock()
    with Progress("training", "steps", stream, clock) as progress:
        wait_until(lambda: "\rtraining, 0 s" in stream.getvalue())
        clock.now = 20.0
        progress(1, 2)
        shown = stream.getvalue()
        time.sleep(0.02)
        assert stream.getvalue() == shown
    assert "\rtraining  50% [############............] 1/2 steps" in shown
    assert stream.getvalue().count("\n") == 1


def test_messages_and_results_are_written_above_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    stream, clock = Terminal(), Clock()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(sys, "stdout", stream)
    with log_to_stderr(logging.INFO), Progress("drawing", "images", clock=clock) as progress:
        clock.now = 1.0
        progress(1, 2)
        logging.getLogger("edge_ssd").warning("a message")
        print_text("a result")
    line = "drawing  50% [############............] 1/2 images"
    erased = f"\r{' ' * len(line)}\r"
    expected = f"\r{line}{erased}edge-ssd: warning: a message\n{line}{erased}a result\n{line}"
    assert stream.getvalue() == f"{expected}\r{line}\n"


def test_progress_survives_closed_stream() -> None:
    stream = Terminal()
    with Progress("drawing", stream=stream, clock=Clock()) as progress:
        stream.close()
        progress(1, 2)
