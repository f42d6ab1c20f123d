"""Validation of parsed annotations against the image files.

Dropped or corrected, and reported as a :class:`~edge_ssd.data.dataset.Problem`: a box that has no area, is reversed,
outside its image (partly outside: clipped) or repeated; an image that is unreadable; an image with a box that is not
finite, or without a valid box left, since an object would be trained on as background; a missing image, unless most are
missing, which is an error.
"""

from __future__ import annotations

import contextlib
import math
import struct
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from edge_ssd.console.counts import count, count_of
from edge_ssd.console.progress import ProgressCallback, no_progress
from edge_ssd.data.annotations import ImageAnnotations
from edge_ssd.data.check_images import ignore_pillow_warnings, read_error, unreadable_problems
from edge_ssd.data.dataset import Problem, Sample
from edge_ssd.data.exif_rotation import BoxOrigin, gives_evidence, rotate_box, survey_box_origin
from edge_ssd.data.image_header import ImageHeader, read_image_header
from edge_ssd.errors import DataError

__all__ = ["validate_annotations"]

# Labels with decimals are rounded: a box may exceed its image by less than this many pixels.
_TOLERANCE = 0.5
# A side of so many pixels remains one in float32, which resolves 1/128 at the width of the largest images.
_SURE_SIDE = 0.05
_FLOAT32 = struct.Struct("4f")  # rounds four numbers in a fraction of the time that NumPy needs

_PARTLY_OUTSIDE = "boxes partly outside their image"


def validate_annotations(
    images: Sequence[ImageAnnotations],
    class_ids: Sequence[int | None],
    read_header: Callable[[Path], ImageHeader] = read_image_header,
    allow_missing: bool = False,
    progress: ProgressCallback = no_progress,
    others: Sequence[ImageAnnotations] = (),
) -> tuple[tuple[Sample, ...], tuple[Problem, ...], tuple[Problem, ...]]:
    """Check annotations against their image files; return the valid samples, the problems, and notices.

    Args:
        images: at most one entry for each image file.
        class_ids: class id for each ``BoxAnnotation.class_index``; None for a class that is excluded.
        allow_missing: report missing images as problems even if most are missing, instead of raising DataError.
        progress: called with (images read, images in total).
        others: further images of the dataset, which may show whether boxes were made before a rotation by EXIF.
    """
    problems: list[Problem] = []
    missing: list[ImageAnnotations] = []
    unreadable: list[tuple[Path, str]] = []
    readable: list[tuple[ImageAnnotations, ImageHeader]] = []
    with ignore_pillow_warnings():
        for number, image in enumerate(images, 1):
            progress(number, len(images))
            path = image.path
            if path is None:
                missing.append(image)
            elif image.fault:
                problems.append(Problem(image.label_file, f"{image.fault}; {path.name} is dropped", "dropped images"))
            else:
                try:
                    readable.append((image, read_header(path)))
                except (OSError, ValueError) as error:
                    unreadable.append((path, read_error(error).replace(str(path), path.name)))
        origin = _box_origin(readable, others, read_header)
    problems += unreadable_problems(unreadable, "not a readable image", "unreadable images")
    samples: list[Sample] = []
    rotated: list[ImageAnnotations] = []
    for image, header in readable:
        predates = origin.predates_rotation(image, header)
        if predates:
            rotated.append(image)
        sample, faults = _validate_boxes(image, header, predates, class_ids)
        problems.extend(faults)
        if sample is not None:
            samples.append(sample)
    problems += _report_missing(missing, len(images), allow_missing)
    return tuple(samples), tuple(problems), tuple(_rotation_notice(rotated))


def _box_origin(
    readable: Sequence[tuple[ImageAnnotations, ImageHeader]],
    others: Sequence[ImageAnnotations],
    read_header: Callable[[Path], ImageHeader],
) -> BoxOrigin:
    """Return what the images show about boxes and EXIF, or what ``others`` show if they show nothing."""
    rotated = [(image, header) for image, header in readable if header.orientation != 1]
    origin = survey_box_origin(rotated)
    if not rotated or origin != BoxOrigin():
        return origin

    def headers() -> Iterator[tuple[ImageAnnotations, ImageHeader]]:
        for image in others:
            if image.path is not None and gives_evidence(image):
                with contextlib.suppress(OSError, ValueError):
                    yield image, read_header(image.path)

    return survey_box_origin(headers())


def _rotation_notice(rotated: Sequence[ImageAnnotations]) -> list[Problem]:
    if not rotated:
        return []
    message = (
        f"{count(len(rotated), 'image', 'was', 'were')} labeled before the rotation by EXIF, as stated sizes or boxes "
        f"show, such as {rotated[0].path and rotated[0].path.name}: the boxes are rotated too"
    )
    return [Problem(rotated[0].label_file, message)]


def _validate_boxes(
    image: ImageAnnotations, header: ImageHeader, predates_rotation: bool, class_ids: Sequence[int | None]
) -> tuple[Sample | None, list[Problem]]:
    """Return the valid boxes as a sample, and the problems of the others.

    None in place of the sample if all boxes are invalid, or one is not finite.
    """
    path = image.path
    assert path is not None
    height, width = size = header.size
    problems: list[Problem] = []
    if image.stated_size not in (None, size) and not predates_rotation:
        message = (
            f"states {image.stated_size[1]}×{image.stated_size[0]} for {path.name}, which has {width}×{height}: its "
            "boxes are kept but may be misplaced; check them"
        )
        problems.append(Problem(image.label_file, message, "images of another size than stated"))
    location_of: dict[tuple[float, ...], str] = {}
    any_selected = False
    for annotation in image.boxes:
        class_id = class_ids[annotation.class_index]
        if class_id is None:
            continue
        any_selected = True
        pixels = annotation.box_xyxy
        if not all(map(math.isfinite, pixels)):  # the place of the object is unknown
            message = f"{annotation.location}: {_format_box(pixels)} is not finite; {path.name} is dropped"
            return None, [Problem(image.label_file, message, "dropped images")]
        if predates_rotation:
            pixels = rotate_box(pixels, header.orientation, (1, 1) if image.normalized else header.unrotated_size)
        if image.normalized:
            pixels = pixels[0] * width, pixels[1] * height, pixels[2] * width, pixels[3] * height
        box, fault, kind = _validate_box(pixels, height, width)
        if box is not None and (row := (class_id, *box)) not in location_of:
            location_of[row] = annotation.location
        elif box is not None:
            fault, kind = f"{_format_box(pixels)} is the same as {location_of[row]}; dropped", "repeated boxes"
        # The box around a rotated object may well exceed the image: that is no fault of the label.
        if fault and not (box is not None and kind == _PARTLY_OUTSIDE and annotation.enclosing):
            problems.append(Problem(image.label_file, f"{annotation.location}, {path.name}: {fault}", kind))
    if any_selected and not location_of:
        problems.append(Problem(path, "none of its boxes is valid; image dropped", "images without a valid box"))
        return None, problems
    table = np.array(list(location_of), np.float64).reshape(-1, 5)
    return Sample(path, table[:, 1:].astype(np.float32), table[:, 0].astype(np.int64), size), problems


def _report_missing(missing: Sequence[ImageAnnotations], total: int, allow_missing: bool) -> list[Problem]:
    """Return a problem for each missing image; raise DataError if they are the greater part, unless allowed."""
    advice = "complete the dataset (download or unpack it again), or remove its label"
    if len(missing) > total / 2 and not allow_missing:
        first = missing[0]
        fact = f"{count_of(len(missing), total, 'labeled image', 'does', 'do')} not exist"
        raise DataError(f"{first.label_file}: {fact}, the first is {first.file_name!r}: {advice}")
    return [
        Problem(
            image.label_file,
            f"{image.fault or f'image {image.file_name!r} does not exist: {advice}'}; dropped",
            "missing images",
        )
        for image in missing
    ]


def _validate_box(
    box_xyxy: tuple[float, ...], height: int, width: int
) -> tuple[tuple[float, float, float, float] | None, str, str]:
    """Return the box, clipped to the image, or None if it is invalid; its fault and the kind of that, or ""."""
    xmin, ymin, xmax, ymax = box_xyxy
    if 0 <= xmin < xmax - _SURE_SIDE and xmax <= width and 0 <= ymin < ymax - _SURE_SIDE and ymax <= height:
        return _FLOAT32.unpack(_FLOAT32.pack(xmin, ymin, xmax, ymax)), "", ""
    text = _format_box(box_xyxy)
    if not all(math.isfinite(side) for side in box_xyxy):
        return None, f"{text} is not finite; dropped", "boxes that are not finite"
    if xmax < xmin or ymax < ymin:
        fault = f"{text} is reversed (xmin {xmin:g} to xmax {xmax:g}, ymin {ymin:g} to ymax {ymax:g}); dropped"
        return None, fault, "reversed boxes"
    if xmax == xmin or ymax == ymin:
        return None, f"{text} has no area; dropped", "boxes without area"
    # Clip before rounding to float32: label files hold numbers that overflow there.
    limits = (width, height, width, height)
    left, top, right, bottom = (
        float(np.float32(min(max(side, 0), limit))) for side, limit in zip(box_xyxy, limits, strict=True)
    )
    if right <= left or bottom <= top:
        inside = min(xmin, ymin) >= 0 and xmax <= width and ymax <= height
        fault = "has no area" if inside else f"is outside the image of {width}×{height}"
        return None, f"{text} {fault}; dropped", "boxes without area" if inside else "boxes outside their image"
    if max(-xmin, -ymin, xmax - width, ymax - height) < _TOLERANCE:
        return (left, top, right, bottom), "", ""
    fault = f"{text} is partly outside the image of {width}×{height}; clipped"
    return (left, top, right, bottom), fault, _PARTLY_OUTSIDE


def _format_box(box_xyxy: tuple[float, ...]) -> str:
    return f"box ({', '.join(f'{side:g}' for side in box_xyxy)})"
