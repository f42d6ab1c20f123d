"""Other label formats of a folder than the one that is read, as of a dataset whose format changed halfway."""

from __future__ import annotations

from collections.abc import Sequence

from edge_ssd.console.counts import count
from edge_ssd.data.annotations import ImageAnnotations
from edge_ssd.data.dataset import Problem
from edge_ssd.data.file_tree import FileTree
from edge_ssd.data.formats.registry import LABEL_FORMATS
from edge_ssd.data.locate_images import locate_images
from edge_ssd.errors import DataError

__all__ = ["report_other_formats"]


def report_other_formats(
    tree: FileTree, used: str, others: Sequence[str], images: Sequence[ImageAnnotations]
) -> list[Problem]:
    """Return a notice of the formats that a folder could be read as, with the images that only these have; or none.

    Args:
        used, others: keys of :data:`edge_ssd.data.formats.registry.LABEL_FORMATS`.
        images: the annotations of all splits, read as ``used``.
    """
    if not others:
        return []
    read, *possible = (f"{name} ({LABEL_FORMATS[name].TITLE})" for name in (used, *others))
    own = {image.path.name for image in images if image.path is not None}
    facts = []
    # Parsing another format takes as long as parsing this one, and tells nothing of images that have labels.
    has_more = not own.issuperset(path.name for path in tree.images())
    for name in others if has_more else ():
        number = len(_labeled_images(tree, name) - own)
        facts += [f"{name} has labels of {count(number, 'more image')}"] if number else []
    more = f" ({', '.join(facts)})" if facts else ""
    message = f"read as {read}; it could also be {', '.join(possible)}: choose with --format{more}"
    return [Problem(tree.root, message, doubt="format")]


def _labeled_images(tree: FileTree, name: str) -> set[str]:
    """Return the names of the images that have objects in a format; none if it cannot be read."""
    try:
        located = locate_images(tree, LABEL_FORMATS[name].parse(tree))
    except DataError:
        return set()
    images = (image for images in located.splits.values() for image in images)
    return {image.path.name for image in images if image.path is not None and image.boxes}
