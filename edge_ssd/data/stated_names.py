"""Label files of one image each that name another image of the folder than their own name does."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePath

from edge_ssd.console.counts import count
from edge_ssd.data.annotations import ImageAnnotations
from edge_ssd.data.dataset import Problem
from edge_ssd.data.file_index import FileIndex, path_parts
from edge_ssd.data.file_tree import FileTree

__all__ = ["check_stated_names"]


def check_stated_names(tree: FileTree, index: FileIndex, images: Iterable[ImageAnnotations]) -> list[Problem]:
    """Return a notice if label files name another existing image than the one that is used, or none.

    The name of the file decides: images are often renamed together with their label files, while the name inside stays.
    But where that is the name of another image, one of the two may be wrong.
    """
    differing = [
        image
        for image in images
        if image.stem is not None
        and image.path is not None
        and (parts := path_parts(image.file_name))
        and PurePath(parts[-1]).stem != image.path.stem
        and index.find(image.file_name, image.label_file, image.split).path not in (None, image.path)
    ]
    if not differing:
        return []
    first = differing[0]
    assert first.path is not None
    fact = f"{count(len(differing), 'label file', 'names', 'name')} another image than the one of their own name"
    example = f"{tree.relative(first.label_file)}, which names {first.file_name[:80]!r}"
    message = f"{fact}, such as {example}: read as of {first.path.name}; rename the files if that is wrong"
    return [Problem(tree.root, message, doubt="files")]
