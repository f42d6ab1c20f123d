"""Duplicate and near-duplicate images of a dataset.

Duplicates have the same bytes. Near duplicates are guessed by a small perceptual hash: the sign of the brightness
change between neighbors on a 16×16 grid (N. Krawetz, 2013, "Kind of Like That"; there called dHash, 8×8).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edge_ssd.console.progress import ProgressCallback, no_progress
from edge_ssd.data.file_digest import file_digest

__all__ = ["DuplicateGroup", "find_duplicates", "find_near_duplicates", "perceptual_hash"]

# Near duplicates differ in at most this number of the 256 bits of their hashes, and in at most this share of the bits
# that are set in either: on a uniform background few bits are set, so few can differ.
_NEAR_BITS, _NEAR_SHARE = 28, 0.25

_Image = tuple[str, Path]  # split and path

_SIDE = 16
_CHUNK = 1024


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
    splits: Mapping[str, Sequence[Path]], progress: ProgressCallback = no_progress
) -> tuple[DuplicateGroup, ...]:
    """Return groups of images that differ in their bytes but in at most 28 of the 256 bits of their perceptual hashes.

    Images with little structure have to agree in more bits. Unreadable images are skipped.
    """
    images: list[_Image] = []
    hashes: list[npt.NDArray[np.bool_]] = []
    candidates = [(split, path) for split, paths in splits.items() for path in paths]
    with ThreadPoolExecutor() as pool:  # decoding releases the interpreter's lock
        for number, image_hash in enumerate(pool.map(perceptual_hash, [path for _, path in candidates]), 1):
            progress(number, len(candidates))
            if image_hash is not None:
                images.append(candidates[number - 1])
                hashes.append(image_hash)
    hash_bits = np.array(hashes, bool).reshape(-1, _SIDE * _SIDE)
    groups = [
        [images[index] for index in group]
        for group in _connected_components(_near_pairs(hash_bits), len(hash_bits))
        if len({images[index][1] for index in group}) > 1
    ]
    return _sorted_groups([group for group in groups if len({file_digest(path) for _, path in group}) > 1], near=True)


def perceptual_hash(path: Path) -> npt.NDArray[np.bool_] | None:
    """Return a hash of what an image looks like, bool [256], or None if it is unreadable.

    A bit is set where the upright grayscale image at 17×16 pixels gets darker to the right.
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as image:
            # A JPEG is decoded at an eighth of its size where that is enough.
            image.draft("L", (8 * _SIDE, 8 * _SIDE))
            small = ImageOps.exif_transpose(image.convert("L"))
            pixels = np.asarray(small.resize((_SIDE + 1, _SIDE), Image.Resampling.BOX), np.int16)
    # Pillow's decoders raise nearly anything on damaged files, and decompression bombs warn.
    except Exception:
        return None
    falls: npt.NDArray[np.bool_] = (pixels[:, 1:] < pixels[:, :-1]).reshape(-1)
    return falls


def _near_pairs(bits: npt.NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return index pairs (i < j) of rows that are near duplicates."""
    rows = bits.astype(np.float32)
    count = rows.sum(axis=1)
    pairs: list[tuple[int, int]] = []
    for start in range(0, len(rows), _CHUNK):
        both = rows[start : start + _CHUNK] @ rows[start:].T
        either = count[start : start + _CHUNK, None] + count[None, start:] - both
        informative_bits = np.minimum(either, bits.shape[1] - both)
        near = (either - both <= _NEAR_BITS) & (either - both <= _NEAR_SHARE * informative_bits)
        first, second = np.nonzero(np.triu(near, 1))
        pairs += zip((first + start).tolist(), (second + start).tolist(), strict=True)
    return pairs


def _connected_components(pairs: Sequence[tuple[int, int]], count: int) -> list[list[int]]:
    """Return the connected components with at least two indices, each sorted (union-find)."""
    parent = list(range(count))

    def root(index: int) -> int:
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = parent[index]
        return index

    for first, second in pairs:
        parent[root(second)] = root(first)
    groups: dict[int, list[int]] = {}
    for index in range(count):
        groups.setdefault(root(index), []).append(index)
    return [group for group in groups.values() if len(group) > 1]


def _sorted_groups(groups: Iterable[Sequence[_Image]], near: bool) -> tuple[DuplicateGroup, ...]:
    sorted_groups = (DuplicateGroup(tuple(sorted(images, key=lambda image: image[1])), near) for images in groups)
    return tuple(sorted(sorted_groups, key=lambda group: group.images[0][1]))


def _group_by(images: Iterable[_Image], key: Callable[[Path], object]) -> list[list[_Image]]:
    """Return the images whose keys are equal, in groups of at least two, without those whose key is None."""
    groups: dict[object, list[_Image]] = {}
    for split, path in images:
        groups.setdefault(key(path), []).append((split, path))
    return [group for value, group in groups.items() if value is not None and len(group) > 1]


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None
