"""edge_ssd.data.splits: random division of a dataset."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from label_writers import write_d2l_split

from edge_ssd.data.dataset import Dataset, Sample
from edge_ssd.data.load import open_dataset
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


@given(
    labeled=st.lists(st.booleans(), min_size=2, max_size=30), fraction=st.floats(0.01, 0.99), seed=st.integers(0, 99)
)
def test_both_parts_of_split_dataset_have_objects_if_two_images_do(
    labeled: list[bool], fraction: float, seed: int
) -> None:
    dataset = make_dataset(len(labeled))
    empty = np.zeros((0, 4)), np.zeros(0)
    samples = [s if has else Sample(s.path, *empty) for s, has in zip(dataset.samples, labeled, strict=True)]
    parts = split_dataset(dataset.with_samples(tuple(samples)), fraction, seed)
    assert sum(part.num_boxes for part in parts) == sum(labeled)
    if sum(labeled) > 1:
        assert all(part.num_boxes for part in parts)
    # The choice without background images is that of the seed alone.
    if all(labeled):
        chosen = split_dataset(dataset, fraction, seed)
        assert [len(part) for part in parts] == [len(part) for part in chosen]


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


def test_load_training_split_without_one_uses_all_images_and_logs_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_split(tmp_path / "set_val", 2)
    write_split(tmp_path / "set_test", 3)
    with caplog.at_level("INFO"):
        assert len(load_training_split(open_dataset(tmp_path), ("thing",))) == 5
    assert "no training split; using val and test" in caplog.text
