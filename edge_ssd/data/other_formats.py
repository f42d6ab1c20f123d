"""Other label formats of a folder than the one that is read, as of a dataset whose format changed halfway."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from edge_ssd.console.counts import count
from edge_ssd.data.annotations import ImageAnnotations
from edge_ssd.data.dataset import Problem
from edge_ssd.data.file_tree import FileTree
from edge_ssd.data.formats.registry import LABEL_FORMATS
from edge_ssd.data.locate_images import LocatedImages, locate_images
from edge_ssd.errors import DataError

__all__ = ["find_labeled_images", "find_more_complete", "mark_labeled_by_others", "report_other_formats"]

# A format is read in place of another one if it labels so many times as many images.
_MORE = 1.5


def find_labeled_images(tree: FileTree, others: Sequence[str], located: LocatedImages) -> dict[str, frozenset[Path]]:
    """Return the images that have objects in each of other formats, if images of the folder have none in ``located``.

    Parsing another format takes as long as parsing this one, and tells nothing where every image has objects.
    """
    if not others or _with_objects(located).issuperset(tree.images()):
        return {}
    labeled = {}
    for name in others:
        try:
            labeled[name] = _with_objects(locate_images(tree, LABEL_FORMATS[name].parse(tree)))
        except DataError:
            labeled[name] = frozenset()
    return labeled


def find_more_complete(located: LocatedImages, labeled: Mapping[str, frozenset[Path]]) -> str | None:
    """Return the format that labels far more images than the one of ``located``, or None."""
    own = len(_with_objects(located))
    better = [name for name, images in labeled.items() if len(images) > _MORE * own]
    return max(better, key=lambda name: len(labeled[name]), default=None)


def mark_labeled_by_others(located: LocatedImages, labeled: Mapping[str, Collection[Path]]) -> LocatedImages:
    """Return the images with a fault in each that has no objects, but has some in another format: no background."""
    own = _with_objects(located)
    titles = {path: LABEL_FORMATS[name].TITLE for name, paths in labeled.items() for path in paths if path not in own}
    splits = {
        split: tuple(
            dataclasses.replace(image, fault=f"no objects in these labels, but in those of {titles[image.path]}")
            if image.path in titles and not image.boxes and not image.fault
            else image
            for image in images
        )
        for split, images in located.splits.items()
    }
    return dataclasses.replace(located, splits=splits)


def report_other_formats(
    tree: FileTree,
    used: str,
    others: Sequence[str],
    images: Sequence[ImageAnnotations],
    labeled: Mapping[str, Collection[Path]],
) -> list[Problem]:
    """Return a notice of the formats that a folder could be read as, with the images that only these have; or none.

    Args:
        used, others: keys of :data:`edge_ssd.data.formats.registry.LABEL_FORMATS`.
        images: the annotations of all splits, read as ``used``.
        labeled: the result of :func:`find_labeled_images`.
    """
    if not others:
        return []
    read, *possible = (f"{name} ({LABEL_FORMATS[name].TITLE})" for name in (used, *others))
    own = {image.path for image in images if image.path is not None and not image.fault}
    facts = []
    for name in others:
        number = len(set(labeled.get(name, ())) - own)
        facts += [f"{name} has labels of {count(number, 'more image')}"] if number else []
    more = f" ({', '.join(facts)})" if facts else ""
    message = f"read as {read}; it could also be {', '.join(possible)}: choose with --format{more}"
    return [Problem(tree.root, message, doubt="format")]


def _with_objects(located: LocatedImages) -> frozenset[Path]:
    images = (image for images in located.splits.values() for image in images)
    return frozenset(image.path for image in images if image.path is not None and image.boxes)
