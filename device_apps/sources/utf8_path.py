"""File names that are not UTF-8, for libraries that take only UTF-8."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

__all__ = ["utf8_path"]


@contextlib.contextmanager
def utf8_path(path: Path) -> Iterator[str]:
    """Yield an absolute name of a file in UTF-8, which is valid inside the context: its own, or that of a link to it.

    OpenCV ends the process (SIGSEGV) for other names, as old cameras and other languages' systems write them. The file
    may be missing, to be created under this name.
    """
    raw = os.fsencode(path.absolute())
    try:
        yield raw.decode("utf-8")
        return
    except UnicodeDecodeError:
        pass
    with tempfile.TemporaryDirectory(prefix="edge-ssd-") as folder:
        # The suffix names the format.
        link = Path(folder, "video" + os.fsencode(path.suffix).decode("ascii", "ignore"))
        link.symlink_to(path.absolute())
        yield str(link)
