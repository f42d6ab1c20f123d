"""From what the label files say to a data set: find each picture, check each box against it.

Dropped or mended, and reported as a :class:`~edge_ssd.data.dataset.Problem`: a box of no area, reversed, not
finite or outside its picture (one that is partly outside is clipped); a picture that cannot be read; a picture
none of whose boxes is left (it would teach that its object is background). A picture that is absent stops
everything: part of the data set is missing.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edge_ssd.boxes import clip_boxes
from edge_ssd.data.dataset import Problem, Sample
from edge_ssd.data.records import RawObject, Record
from edge_ssd.errors import DataError

__all__ = ["assemble", "picture_size"]

_EXIF_ORIENTATION = 0x0112
_PNG_EXIF = frozenset({"exif", "Raw profile type exif", "XML:com.adobe.xmp"})
_TURNED_SIDEWAYS = frozenset({5, 6, 7, 8})


def picture_size(path: Path) -> tuple[int, int]:
    """(height, width) of a picture as it is seen, from its header alone: EXIF orientation is respected.

    Raises OSError or ValueError for a file that is no picture, or of more pixels than Pillow takes for sane.
    """
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            with Image.open(path) as image:
                width, height = image.size
                # For a PNG without EXIF in its header Pillow would decode every pixel, to see whether some follows.
                known = image.format != "PNG" or not _PNG_EXIF.isdisjoint(image.info)
                orientation = image.getexif().get(_EXIF_ORIENTATION) if known else None
        # SyntaxError is what some of Pillow's readers raise for a broken header.
        except (Image.DecompressionBombError, Image.DecompressionBombWarning, SyntaxError) as error:
            raise ValueError(str(error)) from None
    return (width, height) if orientation in _TURNED_SIDEWAYS else (height, width)


def assemble(records: Sequence[Record], class_id_of: Sequence[int]) -> tuple[tuple[Sample, ...], tuple[Problem, ...]]:
    """Check ``records`` against their pictures.

    Args:
        records: of one format's reader.
        class_id_of: the class id of each ``RawObject.class_index``.

    Raises DataError for a picture that is absent.
    """
    samples: list[Sample] = []
    problems: list[Problem] = []
    for record in records:
        path = _find(record, problems)
        try:
            height, width = picture_size(path)
        except (OSError, ValueError) as error:
            problems.append(Problem(path, f"not a readable picture ({_reason(error, path)}); dropped"))
            continue
        _check_size(record, (height, width), path, problems)
        boxes, class_ids = [], []
        for found in record.objects:
            box, fault = _check_box(found.box_xyxy, height, width)
            if fault:
                problems.append(Problem(record.label_file, f"{_where(found, path)}: {fault}"))
            if box is not None:
                boxes.append(box)
                class_ids.append(class_id_of[found.class_index])
        if record.objects and not boxes:
            problems.append(Problem(path, "none of its boxes is usable; picture dropped"))
            continue
        samples.append(
            Sample(path, np.array(boxes, np.float32).reshape(-1, 4), np.array(class_ids, np.int64), (height, width))
        )
    return tuple(samples), tuple(problems)


def _find(record: Record, problems: list[Problem]) -> Path:
    """The record's picture, by its exact name; failing that, whatever the case of its letters."""
    for folder in record.folders:
        path = (folder.find_stem(record.stem) if record.stem else None) or folder.find(record.name)
        if path is not None:
            return path
    for folder in record.folders:
        path = folder.find_any_case(record.name)
        if path is not None:
            problems.append(Problem(record.label_file, f"names {record.name!r}, which is {path.name!r} on disk; used"))
            return path
    places = " or ".join(str(folder.path) for folder in record.folders) or "any folder of pictures"
    raise DataError(
        f"{record.label_file}: picture {record.name!r} is not in {places}: "
        "complete the data set (fetch or unpack it again), or remove its label"
    )


def _check_size(record: Record, size: tuple[int, int], path: Path, problems: list[Problem]) -> None:
    if record.stated_size is not None and record.stated_size != size:
        height, width = record.stated_size
        problems.append(
            Problem(
                record.label_file,
                f"was made for {path.name} at {width}×{height}, which now is {size[1]}×{size[0]}: its boxes are kept "
                "but may be misplaced; label it again",
            )
        )


def _check_box(
    box_xyxy: tuple[float, float, float, float], height: int, width: int
) -> tuple[tuple[float, float, float, float] | None, str]:
    """The box as it can be used (None: it cannot), and what was wrong with it ("": nothing)."""
    text = f"box ({', '.join(f'{side:g}' for side in box_xyxy)})"
    if not all(math.isfinite(side) for side in box_xyxy):
        return None, f"{text} is not finite; dropped"
    xmin, ymin, xmax, ymax = box_xyxy
    if xmax < xmin or ymax < ymin:
        return None, f"{text} is reversed (xmin {xmin:g} to xmax {xmax:g}, ymin {ymin:g} to ymax {ymax:g}); dropped"
    if xmax == xmin or ymax == ymin:
        return None, f"{text} has no area; dropped"
    if xmin >= 0 and ymin >= 0 and xmax <= width and ymax <= height:
        return box_xyxy, ""
    left, top, right, bottom = (float(side) for side in clip_boxes(box_xyxy, height, width))
    if right <= left or bottom <= top:
        return None, f"{text} lies outside the picture of {width}×{height}; dropped"
    return (left, top, right, bottom), f"{text} reaches outside the picture of {width}×{height}; clipped"


def _where(found: RawObject, path: Path) -> str:
    return f"{found.where}, {path.name}"


def _reason(error: Exception, path: Path) -> str:
    """The error in words, without the path that the message begins with anyway."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error).replace(str(path), path.name)
