"""Duplicate and near-duplicate images of a dataset.

Duplicates have the same bytes. Near duplicates are guessed by a small perceptual hash: the sign of the brightness
change between neighbors on a 16×16 grid (N. Krawetz, 2013, "Kind of Like That"; there called dHash, 8×8).
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

__all__ = ["DuplicateGroup", "find_duplicates", "find_near_duplicates", "perceptual_hashes"]

# Near duplicates differ in at most this number of the 256 bits of their hashes, and in at most this share of the bits
# that are set in either: on a uniform background few bits are set, so few can differ.
_NEAR_BITS, _NEAR_SHARE = 28, 0.25

_Image = tuple[str, Path]  # split and path

_CHUNK = 256  # rows that are compared with all others at once


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

    Images with little structure have to agree in more bits. Images without a thumbnail are skipped.

    Args:
        thumbnails: path → grayscale pixels, from :func:`edge_ssd.data.check_images.check_image`.
        progress: called with (images compared, images in total).
    """
    images = [(split, path) for split, paths in splits.items() for path in paths if thumbnails.get(path)]
    bits = perceptual_hashes([thumbnails[path] for _, path in images])
    # Equal hashes are one row: copies would give a number of pairs that is the square of theirs.
    rows, row_of = np.unique(bits, axis=0, return_inverse=True)
    components = _near_components(rows, progress)[row_of.reshape(-1)]
    members: dict[int, list[_Image]] = {}
    for image, component in zip(images, components.tolist(), strict=True):
        members.setdefault(component, []).append(image)
    groups = [group for group in members.values() if len({path for _, path in group}) > 1]
    return _sorted_groups([group for group in groups if not _identical(group)], near=True)


def perceptual_hashes(thumbnails: Sequence[bytes]) -> npt.NDArray[np.bool_]:
    """Return what images look like, bool [N, 256]: a bit is set where a thumbnail gets darker to the right."""
    pixels = np.frombuffer(b"".join(thumbnails), np.uint8).reshape(-1, *THUMBNAIL_SIZE)
    falls: npt.NDArray[np.bool_] = (pixels[:, :, 1:] < pixels[:, :, :-1]).reshape(len(pixels), 256)
    return falls


def _near_components(bits: npt.NDArray[np.bool_], progress: ProgressCallback) -> npt.NDArray[np.int64]:
    """Return the connected component of each row, where rows that are near duplicates are connected."""
    rows = bits.astype(np.float32)
    count = rows.sum(axis=1)
    # One matrix product of these gives the number of different bits: count_i + count_j - 2 · common bits.
    left = np.column_stack([rows, count, np.ones_like(count)])
    right = np.column_stack([-2 * rows, np.ones_like(count), count]).T.copy()
    component = np.arange(len(rows))
    for start in range(0, len(rows), _CHUNK):
        stop = min(start + _CHUNK, len(rows))
        different = left[start:stop] @ right[:, start:]
        first, second = np.nonzero(different <= _NEAR_BITS)
        distance = different[first, second]
        first, second = first + start, second + start
        either = (count[first] + count[second] + distance) / 2
        informative_bits = np.minimum(either, bits.shape[1] - (either - distance))
        near = (first < second) & (distance <= _NEAR_SHARE * informative_bits)
        _connect(component, first[near], second[near])
        progress(stop, len(rows))
    return component


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
