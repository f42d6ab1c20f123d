"""Messages that libraries write to standard error from C++, which a command hides."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import threading
from collections.abc import Iterator

__all__ = ["hidden_in_this_process", "hide_native_messages"]

_is_hiding = False
_lock = threading.Lock()  # Of the descriptor: a second thread would restore the file of the first.


@contextlib.contextmanager
def hidden_in_this_process() -> Iterator[None]:
    """Make :func:`hide_native_messages` hide while the context is entered; a program's own standard error is kept."""
    global _is_hiding
    before, _is_hiding = _is_hiding, True
    try:
        yield
    finally:
        _is_hiding = before


@contextlib.contextmanager
def hide_native_messages(start: bytes = b"INFO: ") -> Iterator[None]:
    """Drop the lines with this start that are written to file descriptor 2; write all others when the context ends.

    ai-edge-litert writes "INFO: ..." for each model, and has no setting for it; nor has OpenCV for what it writes about
    each WebM file. Only a command hides them, since the descriptor belongs to the whole process.
    """
    if not _is_hiding:
        yield
        return
    with contextlib.ExitStack() as stack:
        stack.enter_context(_lock)
        try:
            held = stack.enter_context(tempfile.TemporaryFile())
            terminal = os.dup(2)
        except OSError:  # no standard error, or no folder for temporary files
            yield
            return
        stack.callback(os.close, terminal)
        if sys.stderr is not None:
            sys.stderr.flush()
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(terminal, 2)
            held.seek(0)
            kept = [line for line in held if not line.startswith(start)]
            with contextlib.suppress(OSError):
                os.write(2, b"".join(kept))
