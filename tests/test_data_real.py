"""The loaders on real data sets: counts as published, faults as known."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_ssd.data.inspect import undecodable
from edge_ssd.data.load import available_splits, load_dataset


@pytest.mark.parametrize(
    ("name", "format_name", "labels", "counts"),
    [
        ("bananas", "d2l_csv", ("banana",), {"train": (1000, 1000), "val": (100, 100)}),
        (
            "playing_cards",
            "voc",
            ("ace", "jack", "king", "nine", "queen", "ten"),
            {"train": (296, 527), "test": (67, 143), "val": (67, 143)},
        ),
        ("raccoon", "tf_csv", ("raccoon",), {"train": (160, 173), "test": (40, 44)}),
        ("fork_scissors", "d2l_csv", ("fork", "scissors"), {None: (40, 40)}),
    ],
)
def test_counts(
    shared_data: Path, name: str, format_name: str, labels: tuple[str, ...], counts: dict[str | None, tuple[int, int]]
) -> None:
    for split, (pictures, boxes) in counts.items():
        dataset = load_dataset(shared_data / name, split, strict=True)  # type: ignore[arg-type]
        assert (len(dataset), dataset.num_boxes) == (pictures, boxes)
        assert dataset.labels == labels
        assert dataset.format == format_name


def test_bccd_drops_its_two_boxes_of_no_area(shared_data: Path) -> None:
    assert available_splits(shared_data / "bccd") == ("train", "val", "test")
    sizes = [len(load_dataset(shared_data / "bccd", split)) for split in available_splits(shared_data / "bccd")]
    assert sizes == [205, 87, 72]
    dataset = load_dataset(shared_data / "bccd")
    assert (len(dataset), dataset.num_boxes) == (364, 4888 - 2)
    assert sorted(problem.path.name for problem in dataset.problems) == ["BloodImage_00338.xml", "BloodImage_00343.xml"]
    assert all("no area" in problem.message for problem in dataset.problems)


def test_no_picture_is_in_two_splits(shared_data: Path) -> None:
    for name in ("bananas", "playing_cards", "bccd", "raccoon"):
        splits = available_splits(shared_data / name)
        paths = [sample.path for split in splits for sample in load_dataset(shared_data / name, split).samples]
        assert len(paths) == len(set(paths))


def test_every_picture_of_the_small_sets_decodes(shared_data: Path) -> None:
    for name in ("fork_scissors", "raccoon"):
        assert undecodable(load_dataset(shared_data / name)) == ()
