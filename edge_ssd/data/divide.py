"""Division of a dataset into splits: at random, with the classes in the same shares, similar images together.

The shares of the classes are kept by iterative stratification (K. Sechidis, G. Tsoumakas and I. Vlahavas, 2011, "On the
Stratification of Multi-Label Data"): the rarest class is distributed first, each image to the split that lacks most of
it. Here groups of similar images are distributed instead of images.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edge_ssd.console.counts import count
from edge_ssd.console.progress import ProgressCallback, no_progress
from edge_ssd.data.check_images import ImageChecks
from edge_ssd.data.dataset import Dataset
from edge_ssd.data.inspection.duplicates import find_duplicates, find_near_duplicates
from edge_ssd.data.split_names import SPLITS
from edge_ssd.errors import DataError, SettingError

__all__ = ["divide_dataset", "find_similar", "split_shares"]

_Counts = npt.NDArray[np.float64]


def split_shares(val: float, test: float = 0) -> dict[str, float]:
    """Return split → its share of the images, without an empty test split.

    Raises SettingError unless ``val`` is between 0 and 1, ``test`` at least 0, and something remains for training.
    """
    if not (0 < val < 1 and 0 <= test < 1 and val + test < 1):
        raise SettingError(
            f"--val must be between 0 and 1, --test at least 0, and both together below 1; got {val:g} and {test:g}"
        )
    shares = {"train": 1 - val - test, "val": val, "test": test}
    return {split: share for split, share in shares.items() if share}


def find_similar(
    dataset: Dataset, near: bool = True, progress: ProgressCallback = no_progress, checks: ImageChecks | None = None
) -> list[tuple[int, ...]]:
    """Return the indices of samples that are to stay in one split, in groups of at least two.

    Args:
        near: whether images that look alike belong together, as frames of a video; else identical files only.
        progress: called with (images decoded, images in total).
        checks: results of decoding images that are known; all images are added to it.
    """
    paths = {"": [sample.path for sample in dataset.samples]}
    results = (checks or ImageChecks()).check(paths[""], progress) if near else []
    thumbnails = {path: check.thumbnail for path, check in zip(paths[""], results, strict=False)}
    index_of = {path: index for index, path in enumerate(paths[""])}
    # Identical files look alike, so that they are in the same group of near duplicates, or in none.
    found = (*find_near_duplicates(paths, thumbnails), *find_duplicates(paths))
    groups: list[tuple[int, ...]] = []
    grouped: set[Path] = set()
    for group in found:
        members = [path for _, path in group.images]
        if grouped.isdisjoint(members):
            grouped.update(members)
            groups.append(tuple(index_of[path] for path in members))
    return groups


def divide_dataset(
    dataset: Dataset, shares: Mapping[str, float], similar: Sequence[Sequence[int]] = (), seed: int = 0
) -> dict[str, Dataset]:
    """Divide a dataset at random into splits, each with about its share of the images and of those of every class.

    A class gets an image in each split if it has enough of them. The order of the samples is kept.

    Args:
        shares: split → share of the images; the sum is 1.
        similar: disjoint groups of indices of samples; those of a group come into one split.
        seed: of the random choice; the same seed gives the same division of the same images.

    Raises:
        DataError: there are too few images, or too few groups of similar ones, for the number of splits.
    """
    single = set(range(len(dataset))).difference(*similar)
    groups = _Groups.count(dataset, [*map(tuple, similar), *((index,) for index in sorted(single))])
    if len(groups.members) < len(shares):
        reason = f", as many of the {len(dataset)} look alike (see --no-near)" if similar else ""
        raise DataError(
            f"{dataset.root}: {count(len(groups.members), 'image')} cannot be divided into "
            f"{' and '.join(shares)}{reason}"
        )
    split_of_group = _stratify(groups, list(shares.values()), np.random.default_rng(seed))
    names = list(shares)
    split_of = {
        index: names[split] for members, split in zip(groups.members, split_of_group, strict=True) for index in members
    }
    samples = {
        split: tuple(sample for index, sample in enumerate(dataset.samples) if split_of[index] == split)
        for split in SPLITS
        if split in shares
    }
    return {split: dataset.with_samples(own) for split, own in samples.items()}


@dataclass(frozen=True, eq=False)
class _Groups:
    """Groups of samples: their indices, and float64 [G, 1 + C] with the number of images, of all and of each class."""

    members: list[tuple[int, ...]]
    counts: _Counts

    @classmethod
    def count(cls, dataset: Dataset, members: list[tuple[int, ...]]) -> _Groups:
        counts = np.zeros((len(members), 1 + len(dataset.labels)))
        for row, indices in zip(counts, members, strict=True):
            for index in indices:
                row[0] += 1
                row[1 + np.unique(dataset.samples[index].class_ids)] += 1
        return cls(members, counts)


def _stratify(groups: _Groups, shares: Sequence[float], random: np.random.Generator) -> list[int]:
    """Return the index of the split of each group."""
    counts = groups.counts
    wanted = _wanted(counts, shares)
    split_of = np.full(len(counts), -1)
    order = random.permutation(len(counts))
    order = order[np.argsort(-counts[order, 0], kind="stable")]  # large groups first: small ones fill what they leave
    while (split_of < 0).any():
        left = np.count_nonzero(counts[split_of < 0, 1:], axis=0)
        # Images without an object come last, and are distributed by the number of images alone.
        column = 1 + int(np.argmin(np.where(left, left, len(counts) + 1))) if left.any() else 0
        for group in order:
            if split_of[group] < 0 and counts[group, column]:
                # Rounded, so that equal needs are equal; then the split that lacks most images, then the first.
                needs = [(round(row[column], 6), round(row[0], 6)) for row in wanted.tolist()]
                split = max(range(len(needs)), key=needs.__getitem__)
                split_of[group] = split
                wanted[split] -= counts[group]
    return _fill_empty(split_of, counts, len(shares))


def _wanted(counts: _Counts, shares: Sequence[float]) -> _Counts:
    """Return the number of images, and of images of each class, that each split is to get, float64 [S, 1 + C]."""
    totals = counts.sum(axis=0)
    wanted = np.outer(shares, totals)
    num_groups = np.count_nonzero(counts, axis=0)
    for split in range(1, len(shares)):
        # One image at least, of what can be in every split before this one too.
        lifted = np.where(num_groups > split, np.maximum(wanted[split], 1), wanted[split])
        wanted[0] -= lifted - wanted[split]
        wanted[split] = lifted
    return wanted


def _fill_empty(split_of: npt.NDArray[np.int64], counts: _Counts, num_splits: int) -> list[int]:
    """Move the smallest group of the largest split to each split that got none."""
    for split in range(num_splits):
        if not (split_of == split).any():
            sizes = np.bincount(split_of, minlength=num_splits)
            candidates = np.flatnonzero(split_of == int(np.argmax(sizes)))
            split_of[candidates[np.argmin(counts[candidates, 0])]] = split
    return [int(split) for split in split_of]
