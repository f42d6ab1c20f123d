"""Progress of work whose steps cannot be counted: what is done, and for how long."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable

from edge_ssd.console.durations import format_seconds
from edge_ssd.console.status_line import StatusLine, shows_progress

__all__ = ["Activity"]

# Short work shows nothing; on a terminal the time is then updated every second.
_FIRST_SECONDS, _REDRAW_SECONDS, _LOG_SECONDS = 1.0, 1.0, 10.0


class Activity:
    """Line on standard error while its context is entered: ``loading TensorFlow, 4 s``.

    On a terminal one line is redrawn every second, from the first second on. Elsewhere (a log file, a pipe) a line is
    written every ten seconds. Nothing is shown while the logger ``edge_ssd`` is set to WARNING or higher, as
    ``--quiet`` does. A thread draws, since the work itself does not return in between.

    Args:
        label: the activity ("loading TensorFlow").
        line: where to draw.
        clock: returns seconds.

    Attributes:
        step: what is done at present, shown after the label; "" for nothing. May be set at any time.
    """

    def __init__(self, label: str, line: StatusLine | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._label = label
        self._line = StatusLine(sys.stderr) if line is None else line
        self._clock = clock
        self._started = clock()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self._is_drawn = False
        self.step = ""

    def __enter__(self) -> Activity:
        if shows_progress():
            self._thread = threading.Thread(target=self._run, name="activity", daemon=True)
            self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()
        if self._is_drawn and self._line.on_terminal:
            self.step = ""
            self.draw()
            self._line.end()

    def stop(self) -> None:
        """End the thread; what it drew stays, for a line that another one continues."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()

    def draw(self) -> None:
        """Draw the line now."""
        step = f": {self.step}" if self.step else ""
        self._is_drawn = True
        self._line.draw(f"{self._label}{step}, {format_seconds(self._clock() - self._started)}")

    def _run(self) -> None:
        wait = _FIRST_SECONDS if self._line.on_terminal else _LOG_SECONDS
        while not self._ended.wait(wait):
            self.draw()
            wait = _REDRAW_SECONDS if self._line.on_terminal else _LOG_SECONDS
