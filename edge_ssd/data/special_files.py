"""What a folder has beside files and folders: named pipes, sockets, devices and the like, which are not read."""

from __future__ import annotations

import dataclasses
import stat
from collections.abc import Sequence
from pathlib import Path, PurePath

from edge_ssd.data.annotations import ImageAnnotations
from edge_ssd.data.dataset import Problem
from edge_ssd.data.file_tree import FileTree

__all__ = ["mark_special_files", "report_special_files"]

_KINDS = ((stat.S_ISFIFO, "a named pipe"), (stat.S_ISSOCK, "a socket"))


def report_special_files(tree: FileTree) -> list[Problem]:
    """Return a problem with the number of special files, or none."""
    if not tree.special:
        return []
    count, example = len(tree.special), tree.special[0]
    noun = "named pipes, sockets, devices or links to themselves" if count > 1 else ""
    kind = f"are {noun}" if noun else f"is {_kind(example)}"
    return [Problem(example, f"{count} {'entries' if count > 1 else 'entry'} of the folder {kind}: not read")]


def _kind(path: Path) -> str:
    try:
        mode = path.stat().st_mode
    except OSError:
        return "a link that leads nowhere"
    return next((name for is_kind, name in _KINDS if is_kind(mode)), "a device")


def mark_special_files(tree: FileTree, images: Sequence[ImageAnnotations]) -> list[ImageAnnotations]:
    """Return the images; one that is missing because it is no regular file gets a fault that states it."""
    names = {path.name for path in tree.special}
    return [
        dataclasses.replace(image, fault=f"image {image.file_name!r} is no regular file")
        if image.path is None and names and PurePath(image.file_name).name in names
        else image
        for image in images
    ]
