"""edge_ssd.data.plausibility.label_folders: label files that may be those of other images."""

from __future__ import annotations

from pathlib import Path

import pytest
from label_writers import write_image

from edge_ssd.data.load import load_dataset
from edge_ssd.errors import DataError


def write_labels(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("0 0.5 0.5 0.2 0.2", encoding="utf-8")
    (root / "classes.txt").write_text("bolt", encoding="utf-8")


@pytest.mark.parametrize("other", ["A.png", "a.jpg"])
def test_label_file_of_two_images_is_reported(tmp_path: Path, other: str) -> None:
    write_image(tmp_path / "images" / "a.png")
    write_image(tmp_path / "images" / other)
    write_labels(tmp_path, "labels/a.txt")
    dataset = load_dataset(tmp_path)
    assert len(dataset) == 2
    assert f"labels/a.txt for images/{min('a.png', other)} and" in dataset.notices[0].message
    with pytest.raises(DataError, match="used for several images"):
        load_dataset(tmp_path, strict=True)


def test_labels_in_another_folder_than_most_are_reported(tmp_path: Path) -> None:
    for number in range(6):
        write_image(tmp_path / f"{number}.png")
    write_labels(tmp_path, *(f"{number}.txt" for number in range(5)), "old/5.txt")
    dataset = load_dataset(tmp_path)
    assert len(dataset) == 6
    assert "1 image has its labels not in ., as those of the others in ., but elsewhere, such as old/5.txt" in (
        dataset.notices[0].message
    )


def test_labels_of_batches_and_splits_are_not_reported(tmp_path: Path) -> None:
    for number in range(6):
        write_image(tmp_path / "images" / f"{number}.png")
    write_labels(tmp_path, *(f"labels/{'val' if number > 4 else 'train'}/{number}.txt" for number in range(6)))
    assert load_dataset(tmp_path, "train", strict=True).notices == ()
