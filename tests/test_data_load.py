"""edge_ssd.data.load and detect_format: splits, classes and folders."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from label_writers import D2L_HEADER, write_d2l_split, write_image
from labeled_images import write_text

from edge_ssd.data.load import load_dataset, open_dataset
from edge_ssd.errors import DataError


@pytest.mark.parametrize(
    ("splits", "expected", "logged"),
    [
        (("train", "val", "test"), "val", []),
        (("train", "test"), "test", ["no validation split; using the test split"]),
        (("train",), None, []),
        ((), None, []),
    ],
)
def test_validation_split_is_val_else_test_with_a_log_line(
    tmp_path: Path, splits: Sequence[str], expected: str | None, logged: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    for folder in [tmp_path / f"set_{split}" for split in splits] or [tmp_path]:
        write_d2l_split(folder, ["0.png,0,1,2,3,4"], ["0.png"])
    folder = open_dataset(tmp_path)
    with caplog.at_level("INFO"):
        assert [folder.evaluation_split, folder.evaluation_split] == [expected, expected]
    assert [message.partition(": ")[2] for message in caplog.messages] == logged
    if expected == "test":
        with pytest.raises(DataError, match="no split 'val', only train, test"):
            folder.load("val")


def test_unknown_class_raises_with_its_location(tmp_path: Path) -> None:
    folder = write_d2l_split(tmp_path / "bananas", ["0.png,0,1,2,3,4", "1.png,apple,1,2,3,4"])
    with pytest.raises(DataError, match=r"label\.csv: line 3: unknown class 'apple'; expected one of: banana"):
        load_dataset(folder, labels=["banana", "0"])
    (folder / "classes.txt").write_text("banana\n", encoding="utf-8")
    (folder / "label.csv").write_text(f"{D2L_HEADER}\n0.png,3,1,2,3,4\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"line 2: unknown class '3'.*banana.*classes\.txt"):
        load_dataset(folder)


def test_unknown_class_of_another_split_is_ignored(tmp_path: Path) -> None:
    write_d2l_split(tmp_path / "x_train", ["0.png,cat,1,2,3,4"])
    write_d2l_split(tmp_path / "x_val", ["0.png,dog,1,2,3,4"])
    assert load_dataset(tmp_path, "train", labels=["cat"]).labels == ("cat",)
    with pytest.raises(DataError, match="have dog: no class in common"):
        load_dataset(tmp_path, "val", labels=["cat"])


@pytest.mark.parametrize(
    "labels", ["label.csv", "_annotations.coco.json", "labels/a.txt", "Annotations/a.xml", "a.xml"]
)
def test_folder_of_images_alone_names_the_folder_with_the_labels(tmp_path: Path, labels: str) -> None:
    write_image(tmp_path / "set" / "images" / "a.png")
    with pytest.raises(DataError, match=r"known are"):
        load_dataset(tmp_path / "set" / "images")
    write_text(tmp_path / "set" / "notes.txt", "")
    write_text(tmp_path / "set" / labels, "")
    expected = f"its labels may be in {tmp_path / 'set'} ({labels.partition('/')[0]}): name that folder"
    with pytest.raises(DataError, match=re.escape(expected)):
        load_dataset(tmp_path / "set" / "images")


def test_missing_empty_and_unlabeled_folders_raise(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere: no such folder"):
        load_dataset(tmp_path / "nowhere")
    with pytest.raises(DataError, match="the folder is empty"):
        load_dataset(tmp_path)
    write_image(tmp_path / "a.png")
    with pytest.raises(DataError, match="no labels in a known format"):
        load_dataset(tmp_path)
    with pytest.raises(DataError, match="this is a file"):
        load_dataset(tmp_path / "a.png")
    with pytest.raises(DataError, match="split must be one of"):
        load_dataset(write_d2l_split(tmp_path, ["a.png,0,1,2,3,4"]), "training")  # type: ignore[arg-type]


def test_loading_leaves_files_unchanged(tmp_path: Path) -> None:
    write_d2l_split(tmp_path, ["0.png,0,1,2,3,4"], ["0.png"])
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    load_dataset(tmp_path)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
