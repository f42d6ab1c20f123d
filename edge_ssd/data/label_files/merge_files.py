"""Images that several label files of a dataset label."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from edge_ssd.console.counts import count
from edge_ssd.data.annotations import ImageAnnotations
from edge_ssd.data.dataset import Problem

__all__ = ["drop_repeated_images"]


def drop_repeated_images(images: Iterable[ImageAnnotations]) -> tuple[list[ImageAnnotations], list[Problem]]:
    """Return the images without those that an earlier label file in the same folder labels, and notices of these.

    A label tool may have exported the same images several times, and in several forms.
    """
    kept: list[ImageAnnotations] = []
    first: dict[tuple[Path, str, str], Path] = {}
    repeated: Counter[tuple[Path, Path]] = Counter()
    for image in images:
        path = first.setdefault((image.label_file.parent, image.split, image.file_name), image.label_file)
        if path == image.label_file:
            kept.append(image)
        else:
            repeated[image.label_file, path] += 1
    notices = [
        Problem(
            path,
            f"the labels of {count(number, 'image')} that {other.name} labels too are not used: remove one file",
        )
        for (path, other), number in repeated.items()
    ]
    return kept, notices
