"""edge_ssd.data.formats.labelme: shapes, image names and faults."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from label_writers import write_image

from edge_ssd.data.load import load_dataset, open_dataset
from edge_ssd.errors import DataError


def shape(kind: str | None, points: Any, label: Any = "fork", **more: object) -> dict[str, object]:
    return {"label": label, "points": points, "shape_type": kind, "flags": {}, **more}


def labelme(path: Path, shapes: Any, **more: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    data = {"version": "5.4.1", "flags": {}, "shapes": shapes, "imagePath": f"{path.stem}.png", **more}
    path.write_text(json.dumps(data), encoding="utf-8")


RECTANGLE = shape("rectangle", [[30, 20], [1, 2]])


@pytest.mark.parametrize(
    ("kind", "points", "box", "enclosing"),
    [
        ("rectangle", [[30, 20], [1, 2]], [1, 2, 30, 20], False),
        ("rectangle", [[1, 20], [30, 2]], [1, 2, 30, 20], False),
        ("rectangle", [[1, 2], [30, 2], [30, 20], [1, 20]], [1, 2, 30, 20], False),
        ("rectangle", [[10, 2], [30, 10], [20, 20], [1, 10]], [1, 2, 30, 20], True),
        ("rotation", [[10, 2], [30, 10], [20, 20], [1, 10]], [1, 2, 30, 20], True),
        ("polygon", [[10, 2], [30, 10], [1, 20]], [1, 2, 30, 20], True),
        (None, [[10, 2], [30, 10], [1, 20]], [1, 2, 30, 20], True),
        ("circle", [[20, 20], [23, 24]], [15, 15, 25, 25], True),
        ("mask", [[1, 2], [30, 20]], [1, 2, 30, 20], True),
        ("quadrilateral", [[10, 2], [30, 10], [20, 20], [1, 10]], [1, 2, 30, 20], True),
    ],
)
def test_labelme_shape_gives_its_box(
    tmp_path: Path, kind: str | None, points: Any, box: list[float], enclosing: bool
) -> None:
    write_image(tmp_path / "a.png")
    labelme(tmp_path / "a.json", [shape(kind, points)])
    dataset = load_dataset(tmp_path, strict=True)
    assert dataset.format == "labelme"
    assert dataset.samples[0].boxes_xyxy.tolist() == [box]
    assert [notice.message for notice in dataset.notices] == (
        ["1 of 1 objects are polygons, masks or rotated boxes: the boxes that enclose them are used"]
        if enclosing
        else []
    )


def test_labelme_polygons_of_one_group_are_one_object(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png")
    parts = [[[1, 2], [5, 2], [3, 9]], [[20, 12], [30, 12], [25, 20]]]
    shapes = [shape("polygon", points, group_id=3) for points in parts]
    shapes += [shape("polygon", parts[0], group_id=None), shape("polygon", parts[1], "knife", group_id=3)]
    # A tracker numbers rectangles in the same way.
    shapes += [shape("rectangle", [[0, 0], [3, 3]], group_id=3), shape("rectangle", [[0, 0], [4, 4]], group_id=3)]
    labelme(tmp_path / "a.json", shapes)
    boxes = load_dataset(tmp_path).samples[0].boxes_xyxy.tolist()
    assert boxes == [[1, 2, 30, 20], [1, 2, 5, 9], [20, 12, 30, 20], [0, 0, 3, 3], [0, 0, 4, 4]]


def test_labelme_points_and_lines_are_ignored_with_a_count(tmp_path: Path) -> None:
    for name in "abc":
        write_image(tmp_path / f"{name}.png")
    labelme(tmp_path / "a.json", [RECTANGLE, shape("point", [[1, 2]]), shape("line", [[1, 2], [3, 4]])])
    labelme(tmp_path / "b.json", [shape("linestrip", [[1, 2], [3, 4], [5, 6]]), shape("point", [[1, 2]])])
    labelme(tmp_path / "c.json", [])
    dataset = load_dataset(tmp_path)
    # b.png is not background: something in it is labeled.
    assert [(sample.path.name, len(sample.class_ids)) for sample in dataset.samples] == [("a.png", 1), ("c.png", 0)]
    assert dataset.notices[0].message == "labels without a box ignored: 1 × line, 1 × linestrip, 2 × point"
    assert "b.png is dropped" in dataset.problems[0].message


@pytest.mark.parametrize(
    ("shapes", "word"),
    [
        ([shape("rectangle", [[1, 2]])], "shape 1: a rectangle has 2 or 4 corners, got 1"),
        ([RECTANGLE, shape("polygon", [[1, 2]])], "shape 2: expected two points or more"),
        ([shape("circle", [[1, 2]])], "a circle has a center and a point on it"),
        ([shape("rectangle", None)], "expected a list of points"),
        ([shape("rectangle", [[1, "2"], [3, 4]])], "expected a number, got '2'"),
        ([shape("polygon", [[1, 2], [3, float("nan")], [5, 6]])], "finite"),
        ([shape("rectangle", [[1, 2], [30, 20]], label="")], "no label"),
        ([shape("rectangle", [[1, 2], [30, 20]], label=None)], "no label"),
        (["text"], "shape 1: no label"),
        ({}, "no list of shapes"),
    ],
)
def test_labelme_unreadable_object_drops_its_image(tmp_path: Path, shapes: Any, word: str) -> None:
    for name in "ab":
        write_image(tmp_path / f"{name}.png")
    labelme(tmp_path / "a.json", shapes, imageData=None)
    labelme(tmp_path / "b.json", [RECTANGLE])
    dataset = load_dataset(tmp_path)
    assert [sample.path.name for sample in dataset.samples] == ["b.png"]
    assert [(word in str(problem), "a.json" in str(problem)) for problem in dataset.problems] == [(True, True)]


@pytest.mark.parametrize("content", [b"", b"\x00" * 50, b'{"version": "5", "shapes": [{"label": "fork", "poi', b"text"])
def test_labelme_damaged_file_drops_its_image(tmp_path: Path, content: bytes) -> None:
    for name in "ab":
        write_image(tmp_path / f"{name}.png")
    (tmp_path / "a.json").write_bytes(content)
    labelme(tmp_path / "b.json", [RECTANGLE])
    (tmp_path / "settings.json").write_bytes(b"")  # of no image
    dataset = load_dataset(tmp_path)
    assert len(dataset) == len(dataset.problems) == 1
    assert "not a LabelMe file" in dataset.problems[0].message


@pytest.mark.parametrize(
    ("image", "label_file", "stated"),
    [
        ("a.png", "a.json", "C:\\Users\\me\\photos\\a.jpg"),
        ("a.png", "a.json", ""),
        ("a.png", "a.json", "renamed.jpg"),
        ("images/a.png", "labels/a.json", "..\\images\\a.png"),
        ("images/a.png", "labels/0001.json", "../images/a.png"),
        ("a.png", "a.png.json", "a.png"),
    ],
)
def test_labelme_image_is_found(tmp_path: Path, image: str, label_file: str, stated: str) -> None:
    write_image(tmp_path / image)
    labelme(tmp_path / label_file, [RECTANGLE], imagePath=stated)
    assert load_dataset(tmp_path).samples[0].path == tmp_path / image


@pytest.mark.parametrize(
    "keys", [("version", "shapes", "imagePath", "imageData"), ("imageData", "imagePath", "shapes")]
)
def test_labelme_embedded_image_hides_nothing(tmp_path: Path, keys: tuple[str, ...]) -> None:
    write_image(tmp_path / "a.png")
    values = {"version": "5.0.1", "shapes": [RECTANGLE], "imagePath": "a.png", "imageData": "iVBOR" * 200_000}
    (tmp_path / "a.json").write_text(json.dumps({key: values[key] for key in keys}), encoding="utf-8")
    assert load_dataset(tmp_path, strict=True).num_boxes == 1


def test_labelme_stated_size_of_another_image_is_reported(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png")
    labelme(tmp_path / "a.json", [RECTANGLE], imageHeight=80, imageWidth=120)
    assert "states 120×80 for a.png, which has 60×40" in load_dataset(tmp_path).problems[0].message


def test_labelme_other_json_files_are_ignored(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png")
    labelme(tmp_path / "a.json", [RECTANGLE])
    for name, content in (("package.json", {"name": "x", "version": "1"}), ("list.json", [1, 2]), ("n.json", 3)):
        (tmp_path / name).write_text(json.dumps(content), encoding="utf-8")
    assert load_dataset(tmp_path, strict=True).num_boxes == 1


def test_labelme_folders_and_lists_state_the_splits(tmp_path: Path) -> None:
    for split in ("train", "valid"):
        write_image(tmp_path / split / "a.png")
        labelme(tmp_path / split / "a.json", [RECTANGLE])
    assert open_dataset(tmp_path).splits == ("train", "val")
    assert load_dataset(tmp_path, "val", strict=True).samples[0].path == tmp_path / "valid" / "a.png"
    assert len(load_dataset(tmp_path, strict=True)) == 2


def test_labelme_files_without_objects_raise(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png")
    labelme(tmp_path / "a.json", [shape("point", [[1, 2]])])
    with pytest.raises(
        DataError, match=r"no object of its label files can be read; .* labeled only with what has no box"
    ):
        load_dataset(tmp_path)
