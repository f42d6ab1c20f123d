"""``classes.txt``: the names of class numbers, a name a line, number 0 first."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from edge_ssd.errors import DataError

__all__ = ["read_class_names"]


def read_class_names(paths: Iterable[Path]) -> list[str] | None:
    """The names in the first of ``paths`` that is there, or None; raises DataError where it holds none."""
    for path in paths:
        if path.is_file():
            try:
                names = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
            except (OSError, UnicodeDecodeError) as error:
                raise DataError(f"{path}: cannot be read ({error}): write one class name a line, UTF-8") from None
            if not names or len(set(names)) != len(names):
                raise DataError(f"{path}: must hold class names, one a line and each once, got {names!r}")
            return names
    return None
