"""Search for files by the names that label files give them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Literal
from urllib.parse import unquote

from edge_ssd.data.file_tree import FileTree
from edge_ssd.data.split_names import split_from_folders

__all__ = ["FileIndex", "Found", "path_parts"]

# Names that folders of images usually have, in lower case.
_IMAGE_FOLDERS = frozenset(
    {"images", "image", "jpegimages", "img", "imgs", "image_2", "data", "frames", "photos", "pictures"}
)

How = Literal["exact", "case", "suffix", "upload"]


@dataclass(frozen=True)
class Found:
    """Result of a search.

    Attributes:
        path: the file; None if there is none, or if several fit equally well.
        how: "exact", or what differs from the stated name: letter "case", the "suffix", or what an "upload" added.
        equal: the files that fit equally well, if these are several.
    """

    path: Path | None
    how: How = "exact"
    equal: tuple[Path, ...] = ()


class FileIndex:
    """Files by name, wherever they are below a dataset's root.

    Of several files with the stated name, the one is found that also has the stated folders, that is in a folder of the
    label file's split, whose folders are most like those of the label file or usual for images, and that is least
    deep, in this order.
    """

    def __init__(self, tree: FileTree, paths: Iterable[Path]) -> None:
        self._tree = tree
        self._by_name: dict[str, list[Path]] = {}
        self._by_stem: dict[str, list[Path]] = {}
        self._folders: dict[Path, tuple[tuple[str, ...], str]] = {}  # folder → its names below the root, its split
        for path in paths:
            self._by_name.setdefault(_normalize(path.name), []).append(path)
            self._by_stem.setdefault(_normalize(path.stem), []).append(path)
            if path.parent not in self._folders:
                names = tree.folder_parts(path)
                self._folders[path.parent] = names, split_from_folders(names)
        self._splits = {split for _, split in self._folders.values()}

    def find(self, name: str, label_file: Path, split: str = "") -> Found:
        """Return the file of a stated name or path.

        A path from another machine may have backslashes and start anywhere, and a tool that stores uploaded images may
        have encoded the name (``%20``), appended a query (``?token=…``) or put a hash of eight digits before it. A name
        without a suffix fits files with any suffix.

        Args:
            label_file: the file that states the name.
            split: the split that this file belongs to, or "". Files in a folder of another split do not fit if the
                split has a folder of its own, unless the stated path names that folder.
        """
        parts = path_parts(name)
        if not parts:
            return Found(None)
        same = self._by_name.get(_normalize(parts[-1]), [])
        exact = [path for path in same if path.name == parts[-1]]
        found = self._choose(exact, parts, label_file, split)
        if found is None:
            found = self._choose(same, parts, label_file, split, "case")
        if found is None:
            found = self._find_uploaded(name, label_file, split)
        return found or self._find_other_suffix(parts, label_file, split)

    def find_stem(self, stem: str, name: str, label_file: Path, split: str = "") -> Found:
        """Return the file with this name before the suffix; of several in a folder, the one called ``name`` or first.

        Other arguments are those of :meth:`find`.
        """
        same = self._by_stem.get(_normalize(stem), [])
        exact = [path for path in same if path.stem == stem]
        how: How = "exact" if exact else "case"
        return self._choose(_one_per_folder(exact or same, name), (), label_file, split, how) or Found(None)

    def _find_uploaded(self, name: str, label_file: Path, split: str) -> Found | None:
        query = re.search(r"[?&](?:d|path|file)=([^&#]+)", name)  # as of a file server: …/?d=folder/a.jpg
        for text in (query[1] if query else "", re.sub(r"[?#].*$", "", name)):
            parts = path_parts(unquote(text))
            for last in (parts[-1], re.sub(r"^[0-9a-f]{8}[-_]", "", parts[-1])) if parts else ():
                same = [path for path in self._by_name.get(_normalize(last), []) if path.name == last]
                found = self._choose(same, (*parts[:-1], last), label_file, split, "upload")
                if found is not None:
                    return found
        return None

    def _find_other_suffix(self, parts: Sequence[str], label_file: Path, split: str) -> Found:
        name = PurePath(parts[-1])
        # The dot of "img.2024.05" starts no suffix: such a name is a stem as a whole.
        for stem, how in ((name.name, "exact"), (name.stem, "suffix")):
            same = self._by_stem.get(_normalize(stem), [])
            found = self._choose(_one_per_folder(same, name.name), (*parts[:-1], stem), label_file, split, how)  # type: ignore[arg-type]
            if found is not None:
                return found
        return Found(None)

    def _choose(
        self, paths: Sequence[Path], parts: Sequence[str], label_file: Path, split: str, how: How = "exact"
    ) -> Found | None:
        """Return the best of ``paths`` for a stated path of ``parts``; None if none fits."""
        if split and split in self._splits:
            paths = [path for path in paths if self._fits_split(path, parts, split)]
        if len(paths) < 2:
            return Found(paths[0], how) if paths else None
        near = self._tree.folder_parts(label_file)
        ranks = [self._rank(path, parts, near, split) for path in paths]
        best = max(ranks)
        equal = tuple(path for path, rank in zip(paths, ranks, strict=True) if rank == best)
        return Found(equal[0], how) if len(equal) == 1 else Found(None, how, equal)

    def _fits_split(self, path: Path, parts: Sequence[str], split: str) -> bool:
        names, own = self._folders[path.parent]
        return own in ("", split) or (len(parts) > 1 and names[-1:] == tuple(parts[-2:-1]))

    def _rank(
        self, path: Path, parts: Sequence[str], near: Sequence[str], split: str
    ) -> tuple[int, bool, int, int, int]:
        names, own = self._folders[path.parent]
        stated = _common_prefix(parts[-2::-1], names[::-1])
        other = sum(name not in near and name.lower() not in _IMAGE_FOLDERS for name in names)
        return stated, bool(split) and own == split, len(set(near) & set(names)), -other, -len(names)


def path_parts(name: str) -> tuple[str, ...]:
    """Return the components of a POSIX or Windows path, without drive, root, "." and ".."."""
    parts = re.split(r"[/\\]+", re.sub(r"^[A-Za-z]:", "", name))
    return tuple(part for part in parts if part not in ("", ".", ".."))


def _one_per_folder(paths: Sequence[Path], name: str) -> list[Path]:
    """Return of several files in a folder the one called ``name``, or else the first."""
    chosen: dict[Path, Path] = {}
    for path in paths:
        if path.name == name or path.parent not in chosen:
            chosen[path.parent] = path
    return list(chosen.values())


def _common_prefix(first: Sequence[str], second: Sequence[str]) -> int:
    count = 0
    for one, other in zip(first, second, strict=False):
        if one != other:
            break
        count += 1
    return count


def _normalize(name: str) -> str:
    # macOS stores é as e and a combining accent, other systems as one character.
    return unicodedata.normalize("NFC", name).casefold()
