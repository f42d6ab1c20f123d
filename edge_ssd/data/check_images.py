"""Decoding of all images of a dataset, in parallel, to find what a training would meet.

Loading a dataset reads the headers of its images only; a file that is cut off, or whose values do not fit 8 bits, shows
when it is decoded. :class:`ImageChecks` decodes an image once, however many steps ask for the result.
"""

from __future__ import annotations

import dataclasses
import functools
import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from edge_ssd.console.counts import count
from edge_ssd.console.progress import ProgressCallback, no_progress
from edge_ssd.data.dataset import Dataset, Problem
from edge_ssd.data.image_header import ImageHeader, header_of_image, read_image_header
from edge_ssd.errors import DataError
from edge_ssd.network import InputSpec
from edge_ssd.runtime.image_file import MISSING_HEIF, SWAPS_SIDES, exif_orientation, open_image, rotate_upright
from edge_ssd.runtime.pixel_limit import check_pixels
from edge_ssd.runtime.pixel_values import to_rgb
from edge_ssd.runtime.preprocess import ReducedImage, to_reduced

if TYPE_CHECKING:
    from PIL.Image import Image as PILImage

__all__ = [
    "DAMAGED",
    "THUMBNAIL_SIZE",
    "ImageCheck",
    "ImageChecks",
    "apply_checks",
    "check_image",
    "drop_damaged",
    "ignore_pillow_warnings",
    "image_notices",
    "read_checked_image",
    "read_error",
    "unreadable_problems",
]

THUMBNAIL_SIZE = (16, 17)
"""(height, width) of the grayscale thumbnails in pixels."""

DAMAGED = ("cannot be decoded", "damaged images")
"""Fault and kind of the problems of :func:`unreadable_problems` with images whose headers are right."""

# Standard deviation of every channel (0–255) below which an image counts as nearly of one color.
_UNIFORM_STD = 4.0
_SAMPLED_SIDE = 32  # of a grid of pixels that are compared, without averaging
# JPEG images are decoded to 1/2, 1/4 or 1/8 of their sides where at least this (width, height) remains: libjpeg reads
# every bit then as well, so damage shows, and leaves out only the high frequencies.
_DRAFT_SIZE = (2 * THUMBNAIL_SIZE[1], 2 * THUMBNAIL_SIZE[1])
_BATCH = 16  # images that a thread takes at once


@dataclass(frozen=True)
class ImageCheck:
    """Result of decoding an image.

    Attributes:
        error: why it cannot be decoded; "" if it can.
        uniform: whether it is nearly of one color.
        scaling: what its values were taken for if they have more than 8 bits, as of
            :func:`~edge_ssd.runtime.pixel_values.to_rgb`.
        thumbnail: the upright image in grayscale at :data:`THUMBNAIL_SIZE`; empty without one.
        header: size, format and orientation; None without them.
    """

    error: str = ""
    uniform: bool = False
    scaling: str = ""
    thumbnail: bytes = b""
    header: ImageHeader | None = None


class ImageChecks:
    """Headers and results of :func:`check_image` by path, each from one reading or decoding.

    Args:
        read_header: returns the header of an image that was not decoded.
    """

    def __init__(self, read_header: Callable[[Path], ImageHeader] = read_image_header) -> None:
        self._results: dict[Path, ImageCheck] = {}
        self._read_header = functools.cache(read_header)

    def read_header(self, path: Path) -> ImageHeader:
        """Return the header of an image; raise the errors of :func:`~edge_ssd.data.image_header.read_image_header`."""
        check = self._results.get(path)
        return check.header if check is not None and check.header is not None else self._read_header(path)

    def check(self, paths: Sequence[Path], progress: ProgressCallback = no_progress) -> list[ImageCheck]:
        """Return the result of each image; those that are not known yet are decoded on all cores.

        ``progress`` is called with (images decoded, images in total).
        """
        missing = [path for path in dict.fromkeys(paths) if path not in self._results]
        batches = [missing[start : start + _BATCH] for start in range(0, len(missing), _BATCH)]
        with ignore_pillow_warnings(), ThreadPoolExecutor(os.cpu_count()) as pool:  # decoding releases the GIL
            done = 0
            for batch, results in zip(batches, pool.map(_check_batch, batches), strict=True):
                self._results.update(zip(batch, results, strict=True))
                done += len(batch)
                progress(done, len(missing))
        return [self._results[path] for path in paths]


def check_image(path: Path) -> ImageCheck:
    """Decode an image completely and return what was found, also for a file that is not an image."""
    from PIL import Image

    try:
        with open_image(path) as image:
            header = header_of_image(image)
            image.draft(None, _DRAFT_SIZE)
            check_pixels(image.size)
            image.load()
            scaling = ""
            orientation = exif_orientation(image)  # 1 for a TIFF, which Pillow rotates itself when it decodes it
            if image.mode not in ("RGB", "L") or "transparency" in image.info:
                pixels, scaling = to_rgb(image)
                image, orientation = Image.fromarray(pixels), 1
            thumbnail = _thumbnail(image, orientation)
    except Exception as error:  # Pillow's decoders raise nearly anything on damaged files
        return ImageCheck(read_error(error))
    # Means vary at most as much as the pixels of the channel that varies most: they rule out most images quickly.
    uniform = bool(np.asarray(thumbnail).std() < _UNIFORM_STD) and _is_uniform_file(path)
    return ImageCheck(uniform=uniform, scaling=scaling, thumbnail=thumbnail.tobytes(), header=header)


def read_checked_image(path: Path, spec: InputSpec | None = None) -> tuple[ReducedImage, ImageCheck] | ImageCheck:
    """Return an image as uint8 RGB [H, W, 3] and its result, which has no thumbnail; or the result alone of a failure.

    The pixels are those of :func:`edge_ssd.runtime.preprocess.read_image`, or of its ``read_reduced`` for ``spec``.
    """
    try:
        with open_image(path) as image:
            if spec is None:
                pixels, scaling = to_rgb(image)
                reduced = ReducedImage(pixels, pixels.shape[:2])
            else:
                reduced, scaling = to_reduced(image, spec)
    except Exception as error:  # as in check_image()
        return ImageCheck(read_error(error))
    rows, columns = (
        np.linspace(0, side - 1, min(side, _SAMPLED_SIDE)).round().astype(int) for side in reduced.pixels.shape[:2]
    )
    return reduced, ImageCheck(uniform=_is_uniform(reduced.pixels[rows][:, columns]), scaling=scaling)


def drop_damaged(
    dataset: Dataset, checks: ImageChecks, strict: bool = False, progress: ProgressCallback = no_progress
) -> Dataset:
    """Return a dataset without the images that cannot be decoded, which are among its problems then.

    Its notices name images that are nearly of one color or whose values were scaled.

    Raises:
        DataError: no image is left, or one is damaged and ``strict`` is set.
    """
    results = checks.check([sample.path for sample in dataset.samples], progress)
    return apply_checks(dataset, results, strict)


def apply_checks(dataset: Dataset, results: Sequence[ImageCheck], strict: bool = False) -> Dataset:
    """Do what :func:`drop_damaged` does, with the result of each sample."""
    pairs = list(zip((sample.path for sample in dataset.samples), results, strict=True))
    problems = unreadable_problems(((path, check.error) for path, check in pairs if check.error), *DAMAGED)
    if strict and problems:
        raise DataError(str(problems[0]))
    notices = image_notices(dataset.root, pairs)
    samples = tuple(sample for sample, check in zip(dataset.samples, results, strict=True) if not check.error)
    if not samples:
        images = count(len(dataset), "image")
        raise DataError(f"{dataset.root}: none of its {images} can be decoded; the first: {problems[0]}")
    return dataclasses.replace(
        dataset,
        samples=samples,
        problems=(*dataset.problems, *problems),
        notices=(*dataset.notices, *notices),
    )


def unreadable_problems(failures: Iterable[tuple[Path, str]], fault: str, kind: str) -> list[Problem]:
    """Return a problem for each (path, reason) of a dropped image, and one for all that need a missing package."""
    problems: list[Problem] = []
    without_package: list[Path] = []
    for path, reason in failures:
        if reason == MISSING_HEIF:
            without_package.append(path)
        else:
            problems.append(Problem(path, f"{fault} ({reason}); dropped", kind))
    if without_package:
        number = len(without_package)
        many = f"{number} images, of which this is the first, are dropped" if number > 1 else "dropped"
        problems.insert(0, Problem(without_package[0], f"{MISSING_HEIF}; {many}", kind))
    return problems


def image_notices(root: Path, pairs: Iterable[tuple[Path, ImageCheck]]) -> list[Problem]:
    """Return one line for images that are nearly of one color, and one for each way in which values were scaled."""
    uniform: list[Path] = []
    scaled: dict[str, list[Path]] = {}
    for path, check in pairs:
        if check.uniform:
            uniform.append(path)
        if check.scaling:
            scaled.setdefault(check.scaling, []).append(path)
    notices = []
    for what, paths in scaled.items():
        message = f"{count(len(paths), 'image', 'has', 'have')} {what} ({_names(paths)}): scaled to 8 bits"
        notices.append(Problem(root, message))
    if uniform:
        notices.append(
            Problem(root, f"{count(len(uniform), 'image', 'is', 'are')} nearly of one color: {_names(uniform)}")
        )
    return notices


def read_error(error: Exception) -> str:
    """Return the reason in an exception of Pillow or the system, without the path."""
    return (isinstance(error, OSError) and error.strerror) or str(error) or type(error).__name__


@contextmanager
def ignore_pillow_warnings() -> Iterator[None]:
    """Silence Pillow's warnings about damaged metadata and large images. Enter it before starting threads."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _check_batch(paths: Sequence[Path]) -> list[ImageCheck]:
    return [check_image(path) for path in paths]


def _thumbnail(image: PILImage, orientation: int) -> PILImage:
    """Return the means of the areas of an image in grayscale, rotated by its EXIF ``orientation``."""
    from PIL.Image import Resampling

    height, width = THUMBNAIL_SIZE[::-1] if orientation in SWAPS_SIDES else THUMBNAIL_SIZE
    return rotate_upright(image.convert("L").resize((width, height), Resampling.BOX), orientation)


def _is_uniform_file(path: Path) -> bool:
    checked = read_checked_image(path)
    return isinstance(checked, tuple) and checked[1].uniform


def _is_uniform(pixels: npt.NDArray[np.uint8]) -> bool:
    """Return whether no channel of a sample, [H, W] or [H, W, 3], varies by more than the noise of a camera."""
    values = pixels.reshape(pixels.shape[0] * pixels.shape[1], -1).astype(np.float32)
    means = values.mean(axis=0)
    # Faster than std(), which takes as long as decoding a small image.
    variances = np.einsum("ij,ij->j", values, values) / len(values) - means * means
    return bool((variances < _UNIFORM_STD**2).all())


def _names(paths: Sequence[Path], limit: int = 3) -> str:
    more = f" and {len(paths) - limit} more" if len(paths) > limit else ""
    return ", ".join(path.name for path in paths[:limit]) + more
