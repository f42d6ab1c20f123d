"""From what the label files say to a data set: find each picture, check each box against it.

Dropped or mended, and reported as a :class:`~edge_ssd.data.dataset.Problem`: a box of no area, reversed, not
finite, outside its picture (one that is partly outside is clipped) or labelled twice; a picture that cannot be read
or is labelled twice; a picture none of whose boxes is left (it would teach that its object is background). A picture
that is absent stops everything, since part of the data set is missing, unless the caller is only looking.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge_ssd.data.dataset import Problem, Sample
from edge_ssd.data.formats.annotations import ImageAnnotations
from edge_ssd.errors import DataError

__all__ = ["Header", "assemble", "picture_size", "read_header"]

_EXIF_ORIENTATION = 0x0112
_PNG_EXIF = frozenset({"exif", "Raw profile type exif", "XML:com.adobe.xmp"})
_TURNED_SIDEWAYS = frozenset({5, 6, 7, 8})
# Labels with decimals are rounded: less than this many pixels past the edge is no fault.
_ROUNDING = 0.5


@dataclass(frozen=True)
class Header:
    """What a picture file says of itself: size as it is seen, Pillow's name of its format, EXIF orientation."""

    size: tuple[int, int]
    format: str
    orientation: int


def read_header(path: Path) -> Header:
    """Read a picture's header and none of its pixels; EXIF orientation is respected.

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
                name = image.format or ""
        # SyntaxError is what some of Pillow's readers raise for a broken header.
        except (Image.DecompressionBombError, Image.DecompressionBombWarning, SyntaxError) as error:
            raise ValueError(str(error)) from None
    size = (width, height) if orientation in _TURNED_SIDEWAYS else (height, width)
    return Header(size, name, orientation if isinstance(orientation, int) else 1)


def picture_size(path: Path) -> tuple[int, int]:
    """(height, width) of a picture as it is seen; raises as :func:`read_header` does."""
    return read_header(path).size


def assemble(
    records: Sequence[ImageAnnotations],
    class_id_of: Sequence[int | None],
    incomplete: bool = False,
    progress: Callable[[int, int | None], None] | None = None,
) -> tuple[tuple[Sample, ...], tuple[Problem, ...]]:
    """Check ``records`` against their pictures.

    Args:
        records: of one format's reader.
        class_id_of: the class id of each ``RawObject.class_index``; None for a class that is not wanted.
        incomplete: report absent pictures as problems.

    Raises DataError for a picture that is absent, without ``incomplete``.
    """
    samples: list[Sample] = []
    problems: list[Problem] = []
    labelled_by: dict[Path, Path] = {}
    for number, record in enumerate(records, 1):
        if progress is not None:
            progress(number, len(records))
        path = _find(record, problems)
        if path is None:
            problems.append(_absent(record))
            if not incomplete:
                raise DataError(str(problems[-1]))
            continue
        if path in labelled_by:
            problems.append(
                Problem(record.label_file, f"labels {path.name}, as {labelled_by[path]} does already; dropped")
            )
            continue
        labelled_by[path] = record.label_file
        try:
            size = picture_size(path)
        except (OSError, ValueError) as error:
            problems.append(Problem(path, f"not a readable picture ({_reason(error, path)}); dropped"))
            continue
        _check_size(record, size, path, problems)
        sample, faults = _sample(record, path, size, class_id_of)
        problems.extend(faults)
        if sample is not None:
            samples.append(sample)
    return tuple(samples), tuple(problems)


def _sample(
    record: ImageAnnotations, path: Path, size: tuple[int, int], class_id_of: Sequence[int | None]
) -> tuple[Sample | None, list[Problem]]:
    """The record's boxes that can be used, and what is wrong with the others. None where there should be some."""
    height, width = size
    unit = (width, height, width, height) if record.relative else (1, 1, 1, 1)
    problems: list[Problem] = []
    rows: dict[tuple[float, ...], str] = {}
    wanted = False
    for found in record.objects:
        class_id = class_id_of[found.class_index]
        if class_id is None:
            continue
        wanted = True
        stated = tuple(side * scale for side, scale in zip(found.box_xyxy, unit, strict=True))
        box, fault = _check_box(stated, height, width)
        if box is not None and (row := (class_id, *box)) not in rows:
            rows[row] = found.where
        elif box is not None:
            fault = f"{_text(stated)} is the same as {rows[row]}; dropped"
        if fault:
            problems.append(Problem(record.label_file, f"{found.where}, {path.name}: {fault}"))
    if wanted and not rows:
        problems.append(Problem(path, "none of its boxes is usable; picture dropped"))
        return None, problems
    table = np.array(list(rows), np.float64).reshape(-1, 5)
    return Sample(path, table[:, 1:].astype(np.float32), table[:, 0].astype(np.int64), size), problems


def _find(record: ImageAnnotations, problems: list[Problem]) -> Path | None:
    """The record's picture, by its exact name; failing that, by one that looks alike."""
    for folder in record.folders:
        path = (folder.find_stem(record.stem) if record.stem else None) or folder.find(record.name)
        if path is not None:
            return path
    for folder in record.folders:
        path = folder.find_alike(record.name)
        if path is not None:
            problems.append(Problem(record.label_file, f"names {record.name!r}, which is {path.name!r} on disk; used"))
            return path
    return None


def _absent(record: ImageAnnotations) -> Problem:
    places = " or ".join(str(folder.path) for folder in record.folders) or "any folder of pictures"
    return Problem(
        record.label_file,
        f"picture {record.name!r} is not in {places}: complete the data set (fetch or unpack it again), or remove its "
        "label",
    )


def _check_size(record: ImageAnnotations, size: tuple[int, int], path: Path, problems: list[Problem]) -> None:
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
    box_xyxy: tuple[float, ...], height: int, width: int
) -> tuple[tuple[float, float, float, float] | None, str]:
    """The box as it can be used (None: it cannot), and what was wrong with it ("": nothing)."""
    text = _text(box_xyxy)
    if not all(math.isfinite(side) for side in box_xyxy):
        return None, f"{text} is not finite; dropped"
    xmin, ymin, xmax, ymax = box_xyxy
    if xmax < xmin or ymax < ymin:
        return None, f"{text} is reversed (xmin {xmin:g} to xmax {xmax:g}, ymin {ymin:g} to ymax {ymax:g}); dropped"
    if xmax == xmin or ymax == ymin:
        return None, f"{text} has no area; dropped"
    # Clipped before it is rounded to float32: label files hold numbers that overflow there.
    limits = (width, height, width, height)
    left, top, right, bottom = (
        float(np.float32(min(max(side, 0), limit))) for side, limit in zip(box_xyxy, limits, strict=True)
    )
    if right <= left or bottom <= top:
        inside = min(xmin, ymin) >= 0 and xmax <= width and ymax <= height
        what = "has no area" if inside else f"lies outside the picture of {width}×{height}"
        return None, f"{text} {what}; dropped"
    if max(-xmin, -ymin, xmax - width, ymax - height) < _ROUNDING:
        return (left, top, right, bottom), ""
    return (left, top, right, bottom), f"{text} reaches outside the picture of {width}×{height}; clipped"


def _text(box_xyxy: tuple[float, ...]) -> str:
    return f"box ({', '.join(f'{side:g}' for side in box_xyxy)})"


def _reason(error: Exception, path: Path) -> str:
    """The error in words, without the path that the message begins with anyway."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error).replace(str(path), path.name)
