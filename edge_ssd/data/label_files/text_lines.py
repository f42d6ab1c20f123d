"""Text files with one entry per line: lists of images, and class names such as ``classes.txt``."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from edge_ssd.errors import DataError

__all__ = ["read_class_names", "read_lines", "read_numbered_lines"]


def read_lines(path: Path, content: str) -> list[str]:
    """Return the stripped non-empty lines of UTF-8 text; a DataError says that ``content`` ("path") is expected."""
    return [line for _, line in read_numbered_lines(path, content)]


def read_numbered_lines(path: Path, content: str) -> list[tuple[int, str]]:
    """Return the number, from 1, of each line of :func:`read_lines`, and the line."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read ({error}): expected one {content} per line, in UTF-8") from None
    return [(number, line.strip()) for number, line in enumerate(lines, 1) if line.strip()]


def read_class_names(paths: Iterable[Path]) -> list[str] | None:
    """Return the class names, by id, in the first existing file, or None; raise DataError unless they are distinct."""
    for path in paths:
        if path.is_file():
            names = read_lines(path, "class name")
            if not names or len(set(names)) != len(names):
                raise DataError(f"{path}: expected class names, one per line and without repetition, got {names!r}")
            return names
    return None
