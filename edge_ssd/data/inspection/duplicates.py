"""Duplicate and near-duplicate images of a dataset.

Duplicates have the same bytes. Near duplicates are guessed by a small perceptual hash: the sign of the brightness
change between neighbors on a 16×16 grid (N. Krawetz, 2013, "Kind of Like That"; there called dHash, 8×8). A gradient
of the light decides most of these signs where an image shows little else, so what remains of the thumbnails without it
must be alike too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edge_ssd.console.progress import ProgressCallback, no_progress
from edge_ssd.data.check_images import THUMBNAIL_SIZE
from edge_ssd.data.file_digest import file_digest

__all__ = ["DuplicateGroup", "find_duplicates", "find_near_duplicates", "perceptual_hashes", "without_gradient"]

# Near duplicates differ in at most this number of the 256 bits of their hashes, and their thumbnails without gradient
# correlate at least so much. In six sets of 2300 images, other pairs that correlate so much differ in 47 bits or more.
_NEAR_BITS, _NEAR_CORRELATION = 28, 0.95

_Image = tuple[str, Path]  # split and path

_MIN_CONTRAST = 1.0  # standard deviation in gray levels; less is noise
_CHUNK = 64  # rows that are compared with all others at once


@dataclass(frozen=True)
class DuplicateGroup:
    """(split, path) of images, sorted by path, with equal bytes or (``near``) with similar perceptual hashes."""

    images: tuple[_Image, ...]
    near: bool

    @property
    def across(self) -> bool:
        """Whether the images are in more than one split."""
        return len({split for split, _ in self.images}) > 1

    def describe(self, max_shown: int = 5) -> str:
        """Return the first ``max_shown`` paths and the number of others as text, with their splits if these differ."""
        shown = [f"{path} ({split})" if self.across else str(path) for split, path in self.images[:max_shown]]
        more = len(self.images) - max_shown
        return " = ".join(shown) + (f" and {more} more" if more > 0 else "")


def find_duplicates(
    splits: Mapping[str, Sequence[Path]], digest: Callable[[Path], bytes | None] = file_digest
) -> tuple[DuplicateGroup, ...]:
    """Return groups of files with the same bytes, by ``digest``, which is called for files of equal size only."""
    images = [(split, path) for split, paths in splits.items() for path in paths]
    groups = [identical for same_size in _group_by(images, _size) for identical in _group_by(same_size, digest)]
    return _sorted_groups(groups, near=False)


def find_near_duplicates(
    splits: Mapping[str, Sequence[Path]],
    thumbnails: Mapping[Path, bytes],
    progress: ProgressCallback = no_progress,
) -> tuple[DuplicateGroup, ...]:
    """Return groups of images that differ in their bytes but in at most 28 of the 256 bits of their perceptual hashes.

    Their thumbnails have to be alike too. Images without a thumbnail or of one color are skipped.

    Args:
        thumbnails: path → grayscale pixels, from :func:`edge_ssd.data.check_images.check_image`.
        progress: called with (images compared, images in total).
    """
    images = [(split, path) for split, paths in splits.items() for path in paths if thumbnails.get(path)]
    pixels = np.frombuffer(b"".join(thumbnails[path] for _, path in images), np.uint8).reshape(-1, *THUMBNAIL_SIZE)
    # Equal thumbnails are one row: copies would give a number of pairs that is the square of theirs.
    rows, row_of = np.unique(pixels, axis=0, return_inverse=True)
    components = _near_components(rows, progress)[row_of.reshape(-1)]
    members: dict[int, list[_Image]] = {}
    for image, component in zip(images, components.tolist(), strict=True):
        members.setdefault(component, []).append(image)
    groups = [group for group in members.values() if len({path for _, path in group}) > 1]
    return _sorted_groups([group for group in groups if not _identical(group)], near=True)


def perceptual_hashes(thumbnails: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    """Return what images look like, bool [N, 256]: a bit is set where a thumbnail [16, 17] gets darker to the right."""
    falls: npt.NDArray[np.bool_] = (thumbnails[:, :, 1:] < thumbnails[:, :, :-1]).reshape(len(thumbnails), 256)
    return falls


def _near_components(thumbnails: npt.NDArray[np.uint8], progress: ProgressCallback) -> npt.NDArray[np.int64]:
    """Return the connected component of each of [N, 16, 17], where near duplicates are connected."""
    bits = perceptual_hashes(thumbnails)
    columns = bits.T.astype(np.float32)
    count = bits.sum(axis=1, dtype=np.float32)
    shapes = without_gradient(thumbnails)
    component = np.arange(len(bits))
    for start in range(0, len(bits), _CHUNK):
        stop = min(start + _CHUNK, len(bits))
        # Different bits: count_i + count_j - 2 · common bits; in place, since these arrays are large.
        different = bits[start:stop].astype(np.float32) @ columns[:, start:]
        different *= -2
        different += count[start:]
        different += count[start:stop, None]
        first, second = np.nonzero(np.triu(different <= _NEAR_BITS, 1))
        candidates, row = np.unique(first, return_inverse=True)
        correlation = shapes[start + candidates] @ shapes[start:].T
        near = correlation[row, second] >= _NEAR_CORRELATION
        _connect(component, start + first[near], start + second[near])
        progress(stop, len(bits))
    return component


def without_gradient(thumbnails: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Return thumbnails [N, 16, 17] less their best linear gradient as unit vectors [N, 272]; zero for one color."""
    rows, columns = np.indices(THUMBNAIL_SIZE)
    gradients, _ = np.linalg.qr(np.column_stack([np.ones(rows.size), rows.ravel(), columns.ravel()]))
    pixels = thumbnails.reshape(-1, rows.size).astype(np.float32)
    gradients = gradients.astype(np.float32)
    pixels -= (pixels @ gradients) @ gradients.T
    length = np.maximum(np.linalg.norm(pixels, axis=1, keepdims=True), 1e-6)
    pixels /= length
    pixels[length[:, 0] <= _MIN_CONTRAST * rows.size**0.5] = 0
    return pixels


def _connect(component: npt.NDArray[np.int64], first: npt.NDArray[np.intp], second: npt.NDArray[np.intp]) -> None:
    """Merge the components of each pair (first, second) in place; the lowest index names a component."""
    while True:
        one, other = component[first], component[second]
        apart = one != other
        if not apart.any():
            return
        low, high = np.minimum(one, other)[apart], np.maximum(one, other)[apart]
        target = np.arange(len(component))
        np.minimum.at(target, high, low)
        component[:] = target[component]


def _sorted_groups(groups: Iterable[Sequence[_Image]], near: bool) -> tuple[DuplicateGroup, ...]:
    sorted_groups = (DuplicateGroup(tuple(sorted(images, key=lambda image: image[1])), near) for images in groups)
    return tuple(sorted(sorted_groups, key=lambda group: group.images[0][1]))


def _group_by(images: Iterable[_Image], key: Callable[[Path], object]) -> list[list[_Image]]:
    """Return the images whose keys are equal, in groups of at least two, without those whose key is None."""
    groups: dict[object, list[_Image]] = {}
    for split, path in images:
        groups.setdefault(key(path), []).append((split, path))
    return [group for value, group in groups.items() if value is not None and len(group) > 1]


def _identical(group: Sequence[_Image]) -> bool:
    """Return whether all files of a group have the same bytes; files are read only if their sizes are equal."""
    return len({_size(path) for _, path in group}) == 1 and len({file_digest(path) for _, path in group}) == 1


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None
