"""Image files that are in several splits under different names."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from edge_ssd.console.counts import count
from edge_ssd.data.dataset import Problem
from edge_ssd.data.file_digest import file_digest

__all__ = ["check_copies"]

_TAIL_BYTES = 4096

_Image = tuple[str, Path]  # split and path


def check_copies(root: Path, splits: Mapping[str, Sequence[Path]]) -> list[Problem]:
    """Return a problem for each pair of splits that share images, by the bytes of their files.

    Only files of equal size and equal last 4 KB, in different splits, are read in full.

    Args:
        splits: split → its image files, the most important first.
    """
    images = [(split, path) for split, paths in splits.items() for path in paths]
    groups: list[list[_Image]] = [images]
    for key in (_size, _tail, file_digest):
        groups = [own for group in groups for own in _divide(group, key)]
    pairs: dict[tuple[str, str], list[tuple[Path, Path]]] = {}
    for group in groups:
        first_split, first = group[0]
        for split, path in group:
            if split != first_split:
                pairs.setdefault((first_split, split), []).append((first, path))
    return [
        Problem(
            root,
            f"{count(len(copies), 'image')} of {split}: copies of images of {first_split}, such as "
            f"{_relative(copies[0][1], root)} of {_relative(copies[0][0], root)}: results on them are too high; remove "
            "them from one split",
        )
        for (first_split, split), copies in pairs.items()
    ]


def _relative(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)


def _divide(group: Iterable[_Image], key: Callable[[Path], object]) -> list[list[_Image]]:
    """Return the images whose keys are equal, without groups of a single split and unreadable files."""
    groups: dict[object, list[_Image]] = {}
    for split, path in group:
        groups.setdefault(key(path), []).append((split, path))
    return [own for value, own in groups.items() if value is not None and len({split for split, _ in own}) > 1]


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None


def _tail(path: Path) -> bytes | None:
    try:
        with path.open("rb") as file:
            file.seek(-min(_TAIL_BYTES, file.seek(0, os.SEEK_END)), os.SEEK_END)
            return file.read(_TAIL_BYTES)
    except OSError:
        return None
