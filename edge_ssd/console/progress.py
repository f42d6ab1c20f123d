"""Progress bar on standard error with the remaining time; without a terminal, a line every ten seconds."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TextIO

from edge_ssd.console.activity import Activity
from edge_ssd.console.durations import format_seconds
from edge_ssd.console.status_line import StatusLine, shows_progress

__all__ = ["Progress", "ProgressCallback", "no_progress"]

ProgressCallback = Callable[[int, int | None], None]
"""Function that is called with (units done, units in total or None if unknown), such as a :class:`Progress`."""

_REDRAW_SECONDS = 0.1
_LOG_SECONDS = 10.0
_BAR_CELLS = 24
# The remaining time is unknown before this many updates and seconds; a few fast or slow steps say nothing.
_MIN_UPDATES, _MIN_SECONDS = 3, 2.0


class Progress:
    """Progress bar: call ``progress(done, total)`` at every step; drawing is rate-limited.

    On a terminal one line is redrawn at most ten times a second. Elsewhere (a log file, a pipe) a line is written
    every ten seconds, so that short work writes nothing. Until the first step has ended, the time is shown. Nothing is
    shown while the logger ``edge_ssd`` is set to WARNING or higher, as ``--quiet`` does. Use it as a context manager,
    which ends the line also after an exception.

    The remaining time follows from the speed since the first step has ended, which is slow where it compiles a model or
    fills a cache. It is shown after three further steps and two seconds.

    Args:
        label: the activity ("drawing").
        unit: what is counted ("images"); "bytes" are shown as MB.
        stream, clock: where to draw (None: standard error), and a function that returns seconds.
    """

    def __init__(
        self, label: str, unit: str = "", stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._label = label
        self._unit = unit
        self._status = StatusLine(sys.stderr if stream is None else stream)
        self._clock = clock
        self._started = self._last_shown = clock()
        self._first_done: int | None = None
        self._measured_from: tuple[int, float] | None = None  # units done and time when the first step had ended
        self._updates = 0  # since then
        self._state: tuple[int, int | None] | None = None
        self._before_first = Activity(label, self._status, clock)
        self._quiet = not shows_progress()

    def __call__(self, done: int, total: int | None) -> None:
        """Report that ``done`` of ``total`` (None: unknown) units are done."""
        if self._quiet:
            return
        now = self._clock()
        if self._state is None:
            self._before_first.stop()
        if self._first_done is None or (self._state is not None and done < self._state[0]):
            # Resumed work does not start at 0: the speed is that of this run. Another part of the work may start at 0.
            self._first_done, self._started = done, now
            self._measured_from, self._updates = None, 0
        elif self._measured_from is None:
            if done > self._first_done:
                self._measured_from = (done, now)
        elif done > self._measured_from[0]:
            self._updates += 1
        self._state = (done, total)
        if now - self._last_shown >= (_REDRAW_SECONDS if self._status.on_terminal else _LOG_SECONDS):
            self._last_shown = now
            self._show(now)

    def __enter__(self) -> Progress:
        self._before_first.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        if self._state is None:
            self._before_first.__exit__(*exception)
        if self._status.on_terminal and self._state is not None:
            self._show(self._clock())
            self._status.end()

    def _show(self, now: float) -> None:
        assert self._state is not None
        self._status.draw(self._line(*self._state, now))

    def _line(self, done: int, total: int | None, now: float) -> str:
        bar = ""
        duration = ""
        if total:
            fraction = min(max(done / total, 0.0), 1.0)
            filled = int(fraction * _BAR_CELLS)
            bar = f" {fraction:4.0%} [{'#' * filled}{'.' * (_BAR_CELLS - filled)}]"
            if done >= total:
                duration = f", {format_seconds(now - self._started)}"
            elif self._measured_from is not None and self._updates >= _MIN_UPDATES:
                first, start = self._measured_from
                if now - start >= _MIN_SECONDS:
                    duration = f", {format_seconds((now - start) * (total - done) / (done - first))} left"
        return f"{self._label}{bar} {self._amount(done, total)}{duration}"

    def _amount(self, done: int, total: int | None) -> str:
        if self._unit == "bytes":
            return f"{done / 1e6:.1f}" + (f"/{total / 1e6:.1f} MB" if total else " MB")
        return f"{done}" + (f"/{total}" if total else "") + (f" {self._unit}" if self._unit else "")


def no_progress(done: int, total: int | None) -> None:
    """Ignore progress: the default of functions that take a :data:`ProgressCallback`."""
