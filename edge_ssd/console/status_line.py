"""The last line of a terminal, which progress redraws: logs and results are written above it."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections.abc import Iterator
from typing import TextIO

__all__ = ["StatusLine", "above_status_line", "shows_progress"]

# A thread may draw while another one logs.
_lock = threading.RLock()
_shown: StatusLine | None = None


def shows_progress() -> bool:
    """Return whether progress is shown: not with ``--quiet``, which sets the level of the logger."""
    return logging.getLogger("edge_ssd").level <= logging.INFO


class StatusLine:
    """One line on ``stream`` that is drawn again in place; without a terminal, each drawing is a line of its own."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._text = ""
        self.on_terminal = stream.isatty()

    def draw(self, text: str) -> None:
        """Show ``text`` in place of what was drawn before, cut off at the width of the terminal."""
        global _shown
        with _lock:
            if not self.on_terminal:
                self._write(f"{text}\n")
                return
            text = text[: self._columns()]
            self._write("\r" + text.ljust(len(self._text)))  # spaces overwrite a longer text
            self._text, _shown = text, self

    def end(self) -> None:
        """Keep the line as it is; what follows is written below it."""
        global _shown
        with _lock:
            if self.on_terminal and self._text:
                self._write("\n")
            self._text = ""
            if _shown is self:
                _shown = None

    def erase(self) -> None:
        """Remove the line from the terminal."""
        with _lock:
            if self._text:
                self._write("\r" + " " * len(self._text) + "\r")

    def redraw(self) -> None:
        """Draw the line again after :meth:`erase`."""
        with _lock:
            self._write(self._text)

    def _write(self, text: str) -> None:
        # Progress is no result: a closed terminal or a full disk must not end the work.
        with contextlib.suppress(OSError, ValueError):
            self._stream.write(text)
            self._stream.flush()

    def _columns(self) -> int | None:
        try:
            columns = os.get_terminal_size(self._stream.fileno()).columns
        except (OSError, ValueError):
            return None
        return columns - 1 if columns > 0 else None  # Some terminals wrap when the last column is filled.


@contextlib.contextmanager
def above_status_line(stream: TextIO) -> Iterator[None]:
    """Write to ``stream`` without mixing with the status line, if both are on a terminal."""
    with _lock:
        line = _shown if _shown is not None and _is_terminal(stream) else None
        if line is not None:
            line.erase()
        try:
            yield
        finally:
            if line is not None:
                with contextlib.suppress(OSError, ValueError):
                    stream.flush()
                line.redraw()


def _is_terminal(stream: TextIO) -> bool:
    try:
        return stream.isatty()
    except ValueError:  # closed
        return False
