"""edge_ssd.data.formats.createml: names of keys, layouts and faults."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from label_writers import write_image

from edge_ssd.data.load import load_dataset, open_dataset
from edge_ssd.errors import DataError

FORK = {"label": "fork", "coordinates": {"x": 15.5, "y": 11, "width": 29, "height": 18}}


def createml(path: Path, entries: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(entries), encoding="utf-8")


@pytest.mark.parametrize("image_key", ["image", "imagefilename", "imageURL"])
@pytest.mark.parametrize("annotation_key", ["annotations", "annotation"])
def test_createml_keys_of_every_version_are_read(tmp_path: Path, image_key: str, annotation_key: str) -> None:
    write_image(tmp_path / "images" / "a.png")
    createml(tmp_path / "labels.json", [{image_key: "file:///Users/me/a.png", annotation_key: [FORK]}])
    dataset = load_dataset(tmp_path, strict=True)
    assert (dataset.format, dataset.labels) == ("createml", ("fork",))
    assert dataset.samples[0].boxes_xyxy.tolist() == [[1, 2, 30, 20]]


def test_createml_image_without_annotations_is_background(tmp_path: Path) -> None:
    for name in "ab":
        write_image(tmp_path / f"{name}.png")
    createml(
        tmp_path / "labels.json", [{"image": "a.png", "annotations": []}, {"image": "b.png", "annotations": [FORK]}]
    )
    assert [len(sample.class_ids) for sample in load_dataset(tmp_path, strict=True).samples] == [0, 1]


@pytest.mark.parametrize(
    ("annotations", "word"),
    [
        ([FORK, {"label": "fork"}], "image 1, annotation 2: expected a number, got None"),
        ([{"label": "fork", "coordinates": {"x": 1, "y": 2, "width": 3}}], "expected a number, got None"),
        ([{"label": "fork", "coordinates": {"x": "1", "y": 2, "width": 3, "height": 4}}], "expected a number, got '1'"),
        ([{**FORK, "label": " "}], "expected a label, got ' '"),
        ({"label": "fork"}, "its annotations are not a list"),
    ],
)
def test_createml_unreadable_object_drops_its_image(tmp_path: Path, annotations: Any, word: str) -> None:
    for name in "ab":
        write_image(tmp_path / f"{name}.png")
    entries = [{"image": "a.png", "annotations": annotations}, {"image": "b.png", "annotations": [FORK]}]
    createml(tmp_path / "_annotations.createml.json", [*entries, {"annotations": []}])
    dataset = load_dataset(tmp_path)
    assert [sample.path.name for sample in dataset.samples] == ["b.png"]
    assert "image 3 has no name" in dataset.problems[0].message
    assert word in dataset.problems[1].message


def test_createml_files_of_splits_and_batches_are_all_read(tmp_path: Path) -> None:
    for folder in ("train/1", "train/2", "valid"):
        write_image(tmp_path / folder / "a.png")
        createml(tmp_path / folder / "_annotations.createml.json", [{"image": "a.png", "annotations": [FORK]}])
    assert open_dataset(tmp_path).splits == ("train", "val")
    assert len(load_dataset(tmp_path, "train", strict=True)) == 2


def test_createml_repeated_export_is_read_once(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png")
    for name in ("labels.json", "labels (1).json"):
        createml(tmp_path / name, [{"image": "a.png", "annotations": [FORK]}])
    dataset = load_dataset(tmp_path, strict=True)
    assert len(dataset) == 1
    assert "the labels of 1 image are the same in several label files" in dataset.notices[0].message


def test_createml_damaged_file_raises_with_its_name(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png")
    (tmp_path / "labels.json").write_text('[{"image": "a.png", "annotations": [{"label"', encoding="utf-8")
    with pytest.raises(DataError, match=r"labels\.json: invalid JSON"):
        load_dataset(tmp_path)
