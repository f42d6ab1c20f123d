"""Names of image files in a dataset that is written."""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath

__all__ = ["folder_names", "unique_names"]

# Line breaks of any kind, surrogates (bytes that are not UTF-8), and what other systems take for a part of a path.
_NOT_PORTABLE = re.compile("[\x00-\x1f\x7f\x85\u2028\u2029\ud800-\udfff\ufffe\uffff\\\\:/]")


def unique_names(paths: Sequence[Path], roots: Sequence[Path], by_stem: bool) -> list[str]:
    """Return a file name for each image, different for all of them also where letter case does not count.

    A name is kept unless several images have it. These get the name of their dataset in front if they are from
    several, then the names of the folders by which they differ, and a number where that is not enough.

    Args:
        roots: the folders of the datasets that the images are from.
        by_stem: whether names must differ before the suffix.
    """
    datasets = [next((index for index, root in enumerate(roots) if path.is_relative_to(root)), -1) for path in paths]
    titles = folder_names(roots)
    prefixes: list[tuple[str, ...]] = [()] * len(paths)
    for group in _collisions(_join(paths, prefixes), by_stem):
        if len({datasets[index] for index in group}) > 1:
            for index in group:
                prefixes[index] = (titles[datasets[index]],) if datasets[index] >= 0 else ()
    for group in _collisions(_join(paths, prefixes), by_stem):
        for index, folders in zip(group, _distinguish([paths[index].parent.parts for index in group]), strict=True):
            prefixes[index] += folders
    names = _join(paths, prefixes)
    taken: set[str] = set()
    for index in sorted(range(len(names)), key=lambda index: len(prefixes[index])):  # a name that is kept comes first
        names[index] = next(name for name in _numbered(names[index]) if _key(name, by_stem) not in taken)
        taken.add(_key(names[index], by_stem))
    return names


def folder_names(folders: Sequence[Path]) -> list[str]:
    """Return the names of folders, or of their parents where folders have the same name."""
    parts = [folder.resolve().parts for folder in folders]
    names = [path[-1] for path in parts]
    if len(set(names)) < len(names):
        names = ["_".join(path) for path in _distinguish(parts)]
    return names


def _join(paths: Sequence[Path], prefixes: Sequence[tuple[str, ...]]) -> list[str]:
    return [_portable("_".join((*prefix, path.name))) for path, prefix in zip(paths, prefixes, strict=True)]


def _portable(name: str) -> str:
    """Return a name that label files can state and every system can store, also without its suffix."""
    path = PurePath(_NOT_PORTABLE.sub("_", name))
    stem = path.stem.strip()
    return f"{'_' if not stem or stem.startswith('.') else ''}{stem}{path.suffix.strip()}"


def _collisions(names: Sequence[str], by_stem: bool) -> list[list[int]]:
    groups: dict[str, list[int]] = {}
    for index, name in enumerate(names):
        groups.setdefault(_key(name, by_stem), []).append(index)
    return [group for group in groups.values() if len(group) > 1]


def _key(name: str, by_stem: bool) -> str:
    return unicodedata.normalize("NFC", PurePath(name).stem if by_stem else name).casefold()


def _distinguish(folders: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Return for each path the fewest names, without those at the end that all have, by which the paths differ."""
    if len(set(folders)) < 2:
        return [()] * len(folders)
    common = 0
    while len({names[-1 - common : len(names) - common] for names in folders}) == 1:
        common += 1
    rest = [names[: len(names) - common] for names in folders]
    count = 1
    while len({names[-count:] for names in rest}) < len(set(folders)):
        count += 1
    return [names[-count:] for names in rest]


def _numbered(name: str) -> Iterator[str]:
    yield name
    path = PurePath(name)
    for number in itertools.count(2):
        yield f"{path.stem}_{number}{path.suffix}"
