"""Images that an earlier export of the same project labels too, by the date in the names of the files."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from edge_ssd.console.counts import count
from edge_ssd.data.annotations import ImageAnnotations
from edge_ssd.data.dataset import Problem

__all__ = ["drop_older_exports"]

# "project-7-at-2024-05-01-10-30-1a2b3c4d", as Label Studio names an export.
_EXPORT = re.compile(r"(.*?[-_]at[-_])\d{4}-\d\d-\d\d")


def drop_older_exports(images: Iterable[ImageAnnotations]) -> tuple[list[ImageAnnotations], list[Problem]]:
    """Return the images without those that a later export of the project labels with objects, and notices of these.

    ``images`` are in the order of their files, the latest first. Files without a date are all used.
    """
    kept: list[ImageAnnotations] = []
    first: dict[tuple[Path, str, str, str], Path] = {}
    repeated: Counter[tuple[Path, Path]] = Counter()
    for image in images:
        path, export = image.label_file, _EXPORT.match(image.label_file.name)
        key = (path.parent, export[1] if export else path.name, image.split, image.file_name)
        if first.get(key, path) != path:
            repeated[path, first[key]] += 1
            continue
        kept.append(image)
        if image.boxes or image.fault:
            first[key] = path
    notices = [
        Problem(
            path,
            f"the labels of {count(number, 'image')} that {other.name} labels too are not used: remove one file",
        )
        for (path, other), number in repeated.items()
    ]
    return kept, notices
