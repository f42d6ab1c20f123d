"""Folder that one program at a time writes to."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from device_apps.sinks import make_folder
from edge_ssd.errors import EdgeSSDError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

__all__ = ["locked_folder"]


@contextlib.contextmanager
def locked_folder(folder: Path) -> Iterator[None]:
    """Create a folder if necessary, and keep other programs out of this context for it, where the system has locks.

    Raises EdgeSSDError if another program is in it, or if the folder cannot be written.
    """
    make_folder(folder)
    with contextlib.ExitStack() as stack:
        if fcntl is not None:
            with contextlib.suppress(OSError):  # A file system without locks.
                descriptor = os.open(folder, os.O_RDONLY)
                stack.callback(os.close, descriptor)
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    raise EdgeSSDError(
                        f"{folder}: another edge-ssd writes to this folder; end it, or name another folder"
                    ) from None
        yield
