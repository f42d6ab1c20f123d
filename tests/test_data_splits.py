"""edge_ssd.data.splits: random division of a dataset, and the choice of its splits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from label_writers import write_d2l_split

from edge_ssd.data.dataset import Dataset, Sample
from edge_ssd.data.eval_split import load_eval_split
from edge_ssd.data.load import Split, open_dataset
from edge_ssd.data.splits import load_training_split, split_dataset, subsample_evenly
from edge_ssd.errors import DataError, SettingError


def make_dataset(count: int) -> Dataset:
    samples = tuple(Sample(Path(f"{i}.png"), np.array([[0, 0, 1, 1]]), np.array([0])) for i in range(count))
    return Dataset(Path("set"), ("cat",), samples, "voc")


@given(count=st.integers(2, 60), fraction=st.floats(0.01, 0.99), seed=st.integers(0, 1000))
def test_split_dataset_is_a_partition_in_the_original_order(count: int, fraction: float, seed: int) -> None:
    dataset = make_dataset(count)
    first, second = split_dataset(dataset, fraction, seed)
    assert len(first) >= 1
    assert len(second) >= 1
    assert abs(len(first) - count * fraction) <= 1
    order = {sample.path: index for index, sample in enumerate(dataset.samples)}
    for part in (first, second):
        places = [order[sample.path] for sample in part.samples]
        assert places == sorted(places)
    assert {s.path for s in first.samples} | {s.path for s in second.samples} == set(order)
    assert len(first) + len(second) == count
    again = split_dataset(dataset, fraction, seed)[0]
    assert [s.path for s in again.samples] == [s.path for s in first.samples]


def test_split_dataset_depends_on_the_seed_and_rejects_invalid_fractions() -> None:
    dataset = make_dataset(50)
    first, other = (split_dataset(dataset, 0.5, seed)[0] for seed in (0, 1))
    assert [s.path for s in first.samples] != [s.path for s in other.samples]
    for fraction in (0.0, 1.0, -1.0, float("nan")):
        with pytest.raises(DataError, match="between 0 and 1"):
            split_dataset(dataset, fraction, 0)
    with pytest.raises(DataError, match="cannot be divided"):
        split_dataset(make_dataset(1), 0.5, 0)


def test_subsample_evenly_spreads_images() -> None:
    dataset = make_dataset(3)
    assert subsample_evenly(dataset, None) is dataset
    assert subsample_evenly(dataset, 3) is dataset
    assert [sample.path.name for sample in subsample_evenly(dataset, 2).samples] == ["0.png", "2.png"]
    assert [sample.path.name for sample in subsample_evenly(dataset, 1).samples] == ["0.png"]
    with pytest.raises(SettingError, match="at least 1"):
        subsample_evenly(dataset, 0)


def write_split(folder: Path, count: int) -> None:
    names = [f"{i}.png" for i in range(count)]
    write_d2l_split(folder, [f"{name},0,1,2,30,39" for name in names], names)


@pytest.mark.parametrize(
    ("counts", "split", "expected"),
    [
        ({"_train": 5, "_val": 2}, None, (2, "val")),
        ({"_train": 5, "_val": 2}, "train", (5, "train")),
        ({"_train": 5, "_test": 3}, None, (3, "test")),
        ({"_train": 5, "_test": 3}, "val", (3, "test")),
        ({"": 5}, None, (5, "all")),
    ],
)
def test_eval_split_is_val_else_test_else_all_of_an_undivided_dataset(
    tmp_path: Path, counts: dict[str, int], split: Split | None, expected: tuple[int, str]
) -> None:
    for suffix, count in counts.items():
        write_split(tmp_path / f"set{suffix}", count)
    folder = open_dataset(tmp_path)
    for limit, size in ((None, expected[0]), (1, 1)):
        images, name = load_eval_split(folder, ("thing",), split, limit=limit)
        assert (len(images), name) == (size, expected[1])
    assert len(load_training_split(folder, ("thing",))) == 5


def test_load_eval_split_rejects_training_images_only(tmp_path: Path) -> None:
    write_split(tmp_path / "set_train", 5)
    with pytest.raises(DataError, match="training images only"):
        load_eval_split(open_dataset(tmp_path), ("thing",))
