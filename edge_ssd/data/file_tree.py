"""Listing of a dataset's files: once, without hidden files and without what is no file."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable
from pathlib import Path, PurePath

from edge_ssd.errors import DataError
from edge_ssd.runtime.image_file import IMAGE_SUFFIXES

__all__ = ["FileTree"]

# Folders that systems and label tools make beside the files of their user. Names with a leading dot are left out too.
_SYSTEM_FOLDERS = frozenset({"__MACOSX", "@eaDir", "$RECYCLE.BIN", "System Volume Information", "__pycache__"})
_MAX_FILES = 5_000_000

_Identity = tuple[int, int]  # device and inode


class FileTree:
    """The files below a folder, by suffix.

    Hidden files and folders (``.ipynb_checkpoints``, macOS's ``._name``) are left out, and the paths ``without``.
    Links are followed, except to a folder that contains the dataset or the link, and from a linked folder to one that
    is listed already.

    Attributes:
        root: the folder.
        special: paths that are neither files nor folders, such as named pipes and devices, reading one of which may
            never end, and links to themselves.

    Raises:
        DataError: the folder cannot be listed, or has more than 5 million files.
    """

    def __init__(self, root: Path, without: Collection[Path] = ()) -> None:
        self.root = root
        self._without = frozenset(without)
        self.special: list[Path] = []
        self._by_suffix: dict[str, list[Path]] = {}
        self._folders: list[Path] = []
        self._count = 0
        self._listed: set[_Identity] = set()
        self._walk(root, _containing(root))

    @property
    def is_empty(self) -> bool:
        """Whether there is no file that is not hidden."""
        return not self._by_suffix

    def files(self, *suffixes: str) -> list[Path]:
        """Return the files with one of these suffixes (".xml"; any case), folder by folder, sorted by name."""
        lists = [self._by_suffix[suffix] for suffix in suffixes if suffix in self._by_suffix]
        return list(lists[0]) if len(lists) == 1 else sorted(path for paths in lists for path in paths)

    def matching(self, pattern: re.Pattern[str]) -> list[Path]:
        """Return the files in whose name a pattern is found, folder by folder, sorted by name."""
        return sorted(path for paths in self._by_suffix.values() for path in paths if pattern.search(path.name))

    def images(self) -> list[Path]:
        """Return the files with the suffix of an image."""
        return self.files(*sorted(IMAGE_SUFFIXES))

    def folders(self) -> list[Path]:
        """Return the root and all folders below it, each before those in it."""
        return self._folders

    def folder_parts(self, path: Path) -> tuple[str, ...]:
        """Return the names of the folders from the root to a file, without both; none for a file elsewhere."""
        root = self.root.parts
        return path.parent.parts[len(root) :] if path.parts[: len(root)] == root else ()

    def relative(self, path: Path) -> str:
        """Return a path relative to the root, "." for the root itself, for messages; a path elsewhere as it is."""
        return path.relative_to(self.root).as_posix() if path.is_relative_to(self.root) else path.as_posix()

    def describe_folders(self, paths: Iterable[Path]) -> str:
        """Return the different folders of files, relative to the root, for messages: "train/images and val/images"."""
        names = [self.relative(folder) for folder in dict.fromkeys(path.parent for path in paths)]
        if len(names) > 3:
            names = [*names[:2], f"{len(names) - 2} other folders"]
        return " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))

    def _walk(self, folder: Path, parents: frozenset[_Identity], in_link: bool = False) -> None:
        """List a folder, unless it is one of ``parents``, which are the folders that contain it or a link to it."""
        try:
            status = folder.stat()
            with os.scandir(folder) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
        except OSError as error:
            raise DataError(f"{folder}: cannot be read ({error.strerror or error}): check its permissions") from None
        identity = (status.st_dev, status.st_ino)
        if identity in parents:  # a link to a folder that contains it
            return
        self._listed.add(identity)
        self._folders.append(folder)
        subfolders: list[tuple[Path, bool]] = []
        for entry in entries:
            if entry.name.startswith(".") or entry.name in _SYSTEM_FOLDERS:
                continue
            path = folder / entry.name
            if path in self._without:
                continue
            is_file, is_folder = _kind(entry)
            if is_file:
                self._by_suffix.setdefault(PurePath(entry.name).suffix.lower(), []).append(path)
                self._count += 1
            elif is_folder:
                subfolders.append((path, entry.is_symlink()))
            elif is_folder is None or path.exists():  # a broken link is a missing file
                self.special.append(path)
        if self._count > _MAX_FILES:
            advice = "give the folder of one dataset, without links to other folders"
            raise DataError(f"{self.root}: over {_MAX_FILES} files, the last of them in {folder}: {advice}")
        for path, is_link in subfolders:
            if not is_link:
                self._walk(path, parents | {identity}, in_link)
            elif not in_link or _identity(path) not in self._listed:
                self._walk(path, parents | {identity} | _containing(path), in_link=True)


def _kind(entry: os.DirEntry[str]) -> tuple[bool, bool | None]:
    """Return whether an entry is a file, and whether it is a folder: None, as of a link to itself, if unknown."""
    try:
        is_file = entry.is_file()
        return is_file, not is_file and entry.is_dir()
    except OSError:
        return False, None


def _identity(folder: Path) -> _Identity | None:
    try:
        status = folder.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _containing(folder: Path) -> frozenset[_Identity]:
    """Return the folders that contain a folder, whose path may have links."""
    found = (_identity(parent) for parent in folder.resolve().parents)
    return frozenset(identity for identity in found if identity is not None)
