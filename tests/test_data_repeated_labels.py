"""edge_ssd.data.repeated_labels: images that are labeled several times."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from label_writers import write_image, write_voc_xml

from edge_ssd.data.dataset import Dataset
from edge_ssd.data.load import load_dataset
from edge_ssd.errors import DataError

ACE, KING, OTHER_ACE = ("ace", (1, 2, 21, 32)), ("king", (30, 5, 50, 25)), ("ace", (30, 5, 50, 25))
Object = tuple[str, tuple[float, float, float, float]]


def load_voc(root: Path, files: Mapping[str, Sequence[Object]], strict: bool = False) -> Dataset:
    """Write label files of a.png, and one of b.png, and load them."""
    for name in ("a", "b"):
        write_image(root / "images" / f"{name}.png")
    for path, objects in {**files, "b.xml": [ACE]}.items():
        (root / path).parent.mkdir(exist_ok=True)
        write_voc_xml(root / path, f"{Path(path).stem[0].lower()}.png", objects)
    return load_dataset(root, strict=strict)


def objects_of_a(dataset: Dataset) -> list[Object]:
    (sample,) = (sample for sample in dataset.samples if sample.path.name == "a.png")
    boxes = [tuple(box) for box in sample.boxes_xyxy.tolist()]
    return sorted((dataset.labels[index], box) for index, box in zip(sample.class_ids, boxes, strict=True))


@pytest.mark.parametrize("order", ["12", "21"])
def test_file_without_objects_does_not_replace_one_with_objects(tmp_path: Path, order: str) -> None:
    dataset = load_voc(tmp_path, {f"{order[0]}/a.xml": [], f"{order[1]}/a.xml": [ACE, KING]}, strict=True)
    assert objects_of_a(dataset) == [ACE, KING]
    assert "1 image has no objects in one label file and some in another" in dataset.notices[0].message


def test_files_for_each_class_are_joined(tmp_path: Path) -> None:
    files = {"aces/a.xml": [ACE], "kings/a.xml": [KING]}
    dataset = load_voc(tmp_path, files)
    assert objects_of_a(dataset) == [ACE, KING]
    assert "aces/a.xml and kings/a.xml: they are joined" in dataset.notices[0].message
    with pytest.raises(DataError, match="they are joined"):
        load_voc(tmp_path, files, strict=True)


def test_objects_of_both_files_are_used_once(tmp_path: Path) -> None:
    moved = ("ace", (1.5, 2, 21, 31.5))
    assert objects_of_a(load_voc(tmp_path, {"1/a.xml": [ACE], "2/a.xml": [moved, KING]})) == [ACE, KING]


@pytest.mark.parametrize("other", [[OTHER_ACE], [("ace", (1, 2, 28, 38))], [("king", ACE[1])]])
def test_image_is_dropped_if_files_contradict_each_other(tmp_path: Path, other: list[Object]) -> None:
    dataset = load_voc(tmp_path, {"1/a.xml": [ACE], "2/a.xml": other})
    assert [sample.path.name for sample in dataset.samples] == ["b.png"]
    assert "1/a.xml and 2/a.xml label other objects in it" in dataset.problems[0].message


def test_copy_of_a_label_file_does_not_damage_the_image(tmp_path: Path) -> None:
    dataset = load_voc(tmp_path, {"1/a (1).xml": [("ace", (1, 2, float("nan"), 4))], "1/a.xml": [ACE]})
    assert objects_of_a(dataset) == [ACE]


@pytest.mark.parametrize("other", ["images/a.png", "A.PNG", "a"])
def test_spellings_of_one_name_in_a_table_are_one_image(tmp_path: Path, other: str) -> None:
    write_image(tmp_path / "images" / "a.png")
    rows = ["filename,class,xmin,ymin,xmax,ymax", "a.png,ace,1,2,21,32", f"{other},king,30,5,50,25"]
    (tmp_path / "labels.csv").write_text("\n".join(rows), encoding="utf-8")
    dataset = load_dataset(tmp_path, strict=True)
    assert objects_of_a(dataset) == [ACE, KING]
    assert any("1 image is labeled several times" in notice.message for notice in dataset.notices)


def test_images_of_one_name_in_several_folders_are_not_joined(tmp_path: Path) -> None:
    """Of such a dataset, only one folder was downloaded."""
    fork = {"label": "fork", "coordinates": {"x": 16, "y": 11, "width": 30, "height": 18}}
    entries = [{"image": f"{folder}/{name}", "annotations": [fork]} for folder in "xy" for name in ("a.png", "b.png")]
    (tmp_path / "labels.json").write_text(json.dumps(entries), encoding="utf-8")
    write_image(tmp_path / "x" / "a.png")
    write_image(tmp_path / "b.png")
    dataset = load_dataset(tmp_path)
    assert [(sample.path.name, len(sample.boxes_xyxy)) for sample in dataset.samples] == [("a.png", 1)]
    messages = [problem.message for problem in dataset.problems]
    assert "image 'y/a.png' does not exist, only 'x/a.png'; dropped" in messages
    assert any("'x/b.png' and 'y/b.png' may both be this image" in message for message in messages)


def test_label_file_in_another_letter_case_does_not_damage_the_image(tmp_path: Path) -> None:
    dataset = load_voc(tmp_path, {"1/A.xml": [OTHER_ACE], "1/a.xml": [ACE]})
    assert objects_of_a(dataset) == [ACE]
    assert dataset.problems[0].path.name == "A.xml"
