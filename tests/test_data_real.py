"""Real datasets: published counts and known faults."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from edge_ssd.data.check_images import ImageChecks, drop_damaged
from edge_ssd.data.dataset import Sample
from edge_ssd.data.load import load_dataset, open_dataset
from edge_ssd.data.source import DataSource
from edge_ssd.errors import DataError


def sorted_boxes(sample: Sample) -> list[list[float]]:
    return sorted(sample.boxes_xyxy.tolist())


@pytest.mark.parametrize(
    ("name", "format_name", "labels", "counts"),
    [
        ("bananas", "d2l_csv", "banana", {"train": (1000, 1000), "val": (100, 100)}),
        ("playing_cards", "voc", "ace jack king nine queen ten", {"train": (296, 527), "test": (67, 143)}),
        ("raccoon", "tf_csv", "raccoon", {"train": (160, 173), "test": (40, 44)}),
        ("fork_scissors", "d2l_csv", "fork scissors", {None: (40, 40)}),
    ],
)
def test_counts_of_real_datasets(
    shared_data: Path, name: str, format_name: str, labels: str, counts: dict[str | None, tuple[int, int]]
) -> None:
    opened = open_dataset(shared_data / name)
    assert opened.format == format_name
    for split, (images, boxes) in counts.items():
        # Two of them have the same labels in a second format too.
        source = DataSource(shared_data / name, format=format_name)
        dataset = load_dataset(source, split, strict=True)  # type: ignore[arg-type]
        if opened.other_formats:
            with pytest.raises(DataError, match="choose with --format"):
                opened.load(split, strict=True)  # type: ignore[arg-type]
        assert (len(dataset), dataset.num_boxes) == (images, boxes)
        assert dataset.labels == tuple(labels.split())
        assert dataset.format == format_name


def test_bccd_drops_its_two_boxes_without_area(shared_data: Path) -> None:
    assert open_dataset(shared_data / "bccd").splits == ("train", "val", "test")
    sizes = [len(load_dataset(shared_data / "bccd", split)) for split in open_dataset(shared_data / "bccd").splits]
    assert sizes == [205, 87, 72]
    dataset = load_dataset(shared_data / "bccd")
    assert (len(dataset), dataset.num_boxes) == (364, 4888 - 2)
    assert sorted(problem.path.name for problem in dataset.problems) == ["BloodImage_00338.xml", "BloodImage_00343.xml"]
    assert all("no area" in problem.message for problem in dataset.problems)


def test_splits_of_real_datasets_are_disjoint(shared_data: Path) -> None:
    for name in ("bananas", "playing_cards", "bccd", "raccoon"):
        splits = open_dataset(shared_data / name).splits
        paths = [sample.path for split in splits for sample in load_dataset(shared_data / name, split).samples]
        assert len(paths) == len(set(paths))


def test_images_of_small_real_datasets_decode(shared_data: Path) -> None:
    for name in ("fork_scissors", "raccoon"):
        dataset = load_dataset(shared_data / name)
        usable = drop_damaged(dataset, ImageChecks(), strict=True)
        assert (usable.samples, usable.notices) == (dataset.samples, dataset.notices)


def test_voc_and_tf_csv_of_one_dataset_agree(shared_data: Path) -> None:
    sources = [DataSource(shared_data / "playing_cards", format=name) for name in ("voc", "tf_csv")]
    for split in ("train", "test"):
        voc, table = (load_dataset(source, split, strict=True) for source in sources)  # type: ignore[arg-type]
        assert voc.labels == table.labels
        voc_boxes, table_boxes = ({s.path: sorted_boxes(s) for s in dataset.samples} for dataset in (voc, table))
        assert voc_boxes == table_boxes


def test_tf_csv_columns_are_read_by_name(shared_data: Path, tmp_path: Path) -> None:
    """bccd's test.csv has xmin, xmax, ymin, ymax; its XML files have the same boxes."""
    root = shared_data / "bccd"
    # In the downloaded dataset the images are not where those of a table are searched.
    (tmp_path / "test.csv").write_bytes((root / "test.csv").read_bytes())
    (tmp_path / "images").symlink_to((root / "BCCD" / "JPEGImages").resolve())
    table = load_dataset(tmp_path)
    assert table.format == "tf_csv"
    assert [problem.message.split(":")[1] for problem in table.problems] == [
        " box (504, 337, 504, 337) has no area; dropped",
        " box (181, 329, 181, 329) has no area; dropped",
    ]
    listed = {sample.path.name: sample for sample in load_dataset(root).samples}
    assert len(table) > 60
    for sample in table.samples:
        assert sorted_boxes(sample) == sorted_boxes(listed[sample.path.name])


def test_fork_scissors_label_files_agree(shared_data: Path) -> None:
    """label.csv has pixels and class ids; the JSON file has (left, top, width, height) in 0–1."""
    root = shared_data / "fork_scissors"
    normalized = json.loads((root / "regions_normalized_ltwh.json").read_text(encoding="utf-8"))
    dataset = load_dataset(root, strict=True)
    assert set(normalized) == {sample.path.stem for sample in dataset.samples}
    for sample in dataset.samples:
        assert sample.path.stem.startswith(dataset.labels[sample.class_ids[0]])
        assert sample.size is not None
        height, width = sample.size
        left, top, box_width, box_height = normalized[sample.path.stem]
        expected = np.array([left, top, left + box_width, top + box_height]) * [width, height, width, height]
        np.testing.assert_allclose(sample.boxes_xyxy[0], expected, atol=1)


def test_class_selection_on_a_real_dataset(shared_data: Path) -> None:
    cells = load_dataset(DataSource(shared_data / "bccd", classes="WBC=white,RBC=red"), "train")
    assert cells.labels == ("white", "red")
    assert cells.num_boxes == 214 + 2381
    assert "209 boxes of other classes excluded" in {notice.message for notice in cells.notices}


def test_fruit_photos_of_labelme_are_read(shared_data: Path) -> None:
    dataset = load_dataset(shared_data / "fruit_photos")
    assert (dataset.format, dataset.labels) == ("labelme", ("apple", "banana", "orange"))
    assert (len(dataset), dataset.num_boxes) == (240, 465)
    assert all("partly outside" in problem.message for problem in dataset.problems), dataset.problems
