"""edge_ssd.data.formats.via: files of every version, shapes, the attribute of the class, and faults."""

from __future__ import annotations

import csv
import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from label_writers import write_image

from edge_ssd.data.load import load_dataset, open_dataset
from edge_ssd.data.source import DataSource
from edge_ssd.errors import DataError

RECT = {"name": "rect", "x": 1, "y": 2, "width": 29, "height": 18}


def region(shape: Any = RECT, **attributes: object) -> dict[str, object]:
    return {"shape_attributes": shape, "region_attributes": attributes}


def via(path: Path, regions: dict[str, Any], project: bool = True, attributes: Any = None) -> None:
    """Write images and their regions by name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    entries = {
        f"{name}123": {"filename": name, "size": 123, "regions": own, "file_attributes": {}}
        for name, own in regions.items()
    }
    data: Any = {"_via_settings": {}, "_via_img_metadata": entries, "_via_attributes": {"region": attributes or {}}}
    path.write_text(json.dumps(data if project else entries), encoding="utf-8")
    for name in regions:
        write_image(path.parent / name)


@pytest.mark.parametrize(
    ("shape", "box", "enclosing"),
    [
        (RECT, [1, 2, 30, 20], False),
        ({"name": "polygon", "all_points_x": [10, 30, 1], "all_points_y": [2, 10, 20]}, [1, 2, 30, 20], True),
        ({"name": "circle", "cx": 20, "cy": 20, "r": 5}, [15, 15, 25, 25], True),
        ({"name": "ellipse", "cx": 20, "cy": 20, "rx": 5, "ry": 10}, [15, 10, 25, 30], True),
        (
            {"name": "ellipse", "cx": 20, "cy": 20, "rx": 5, "ry": 10, "theta": math.pi / 2},
            [10, 15, 30, 25],
            True,
        ),
    ],
)
def test_via_shape_gives_its_box(tmp_path: Path, shape: Any, box: list[float], enclosing: bool) -> None:
    via(tmp_path / "via_project.json", {"a.png": [region(shape, type="fork")]})
    dataset = load_dataset(tmp_path, strict=True)
    assert (dataset.format, dataset.labels) == ("via", ("fork",))
    assert dataset.samples[0].boxes_xyxy.tolist() == [box]
    assert len(dataset.notices) == enclosing


def test_via_annotations_are_read_with_regions_as_list_or_dict(tmp_path: Path) -> None:
    via(
        tmp_path / "via_region_data.json", {"a.png": [region(type="fork")], "b.png": {"0": region(type="knife")}}, False
    )
    dataset = load_dataset(tmp_path, strict=True)
    assert (dataset.labels, dataset.num_boxes) == (("fork", "knife"), 2)


def write_csv(path: Path, rows: list[tuple[str, str, str]], first: str = "filename") -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        columns = "file_size,file_attributes,region_count,region_id,region_shape_attributes,region_attributes"
        writer.writerow([first, *columns.split(",")])
        number = Counter(name for name, shape, _ in rows if shape != "{}")
        writer.writerows((name, 123, "{}", number[name], 0, shape, attributes) for name, shape, attributes in rows)
    for name, _, _ in rows:
        write_image(path.parent / name)


@pytest.mark.parametrize("first", ["filename", "#filename"])
def test_via_csv_is_read(tmp_path: Path, first: str) -> None:
    shape, fork = json.dumps(RECT), json.dumps({"type": "fork"})
    rows = [("a.png", shape, fork), ("a.png", json.dumps(RECT | {"x": 5}), fork), ("b.png", "{}", "{}")]
    write_csv(tmp_path / "via_region_data.csv", [*rows, ("c.png", '{"name":"rect"', fork)], first)
    dataset = load_dataset(tmp_path)
    assert dataset.format == "via"
    assert [sample.boxes_xyxy.tolist() for sample in dataset.samples] == [[[1, 2, 30, 20], [5, 2, 34, 20]], []]
    assert "region 1: unsupported shape" in dataset.problems[0].message


def test_via_csv_beside_the_project_is_not_read_twice(tmp_path: Path) -> None:
    via(tmp_path / "via_project.json", {"a.png": [region(type="fork")]})
    write_csv(tmp_path / "via_export.csv", [("a.png", json.dumps(RECT), '{"type":"fork"}')])
    dataset = load_dataset(tmp_path, strict=True)
    assert dataset.num_boxes == 1
    assert "the labels of 1 image are the same in several label files" in dataset.notices[0].message


def test_via_3_project_is_read(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        write_image(tmp_path / name)
    data = {
        "project": {"pid": "__VIA_PROJECT_ID__", "rev": "1", "data_format_version": "3.1.1", "vid_list": ["1", "2"]},
        "config": {},
        "attribute": {"1": {"aname": "kind", "type": 4, "options": {"0": "knife", "1": "fork"}}},
        "file": {
            "1": {"fid": "1", "fname": "a.png", "type": 2, "loc": 1, "src": ""},
            "2": {"fid": "2", "fname": "b.png", "type": 2, "loc": 1, "src": ""},
        },
        "metadata": {
            "1_a": {"vid": "1", "flg": 0, "z": [], "xy": [2, 1, 2, 29, 18], "av": {"1": "1"}},
            "1_b": {"vid": "1", "flg": 0, "z": [], "xy": [7, 10, 2, 30, 10, 1, 20], "av": {"1": "0"}},
            "1_c": {"vid": "1", "flg": 0, "z": [], "xy": [1, 5, 5], "av": {"1": "0"}},
            "2_a": {"vid": "2", "flg": 0, "z": [], "xy": [], "av": {"1": "0"}},
        },
        "view": {"1": {"fid_list": ["1"]}, "2": {"fid_list": ["2"]}},
    }
    (tmp_path / "via_project.json").write_text(json.dumps(data), encoding="utf-8")
    dataset = load_dataset(tmp_path, strict=True)
    assert dataset.labels == ("knife", "fork")
    assert [sample.boxes_xyxy.tolist() for sample in dataset.samples] == [[[1, 2, 30, 20]] * 2, []]
    assert dataset.samples[0].class_ids.tolist() == [1, 0]


@pytest.mark.parametrize(
    ("attributes", "labels"),
    [
        ([{"kind": "fork"}, {"kind": "knife"}], ("fork", "knife")),
        ([{"size": "big", "Class": "fork"}, {"Class": "knife"}], ("fork", "knife")),
        ([{"size": "big", "tool": "fork"}, {"tool": "knife"}], ("fork", "knife")),
        ([{"note": "", "kind": {"fork": True}}, {"kind": {"fork": False, "knife": True}}], ("fork", "knife")),
        ([{"kind": 1}, {"kind": "2"}], ("1", "2")),
        # The attributes of VIA's demonstration, of which the first is not filled in.
        ([{"name": "not_defined", "type": "fork"}, {"name": "not_defined", "type": "knife"}], ("fork", "knife")),
    ],
)
def test_via_attribute_of_the_class_is_found(tmp_path: Path, attributes: list[Any], labels: tuple[str, ...]) -> None:
    via(tmp_path / "via.json", {"a.png": [region({**RECT, "x": i}, **own) for i, own in enumerate(attributes)]})
    dataset = load_dataset(tmp_path, strict=True)
    assert (dataset.labels, dataset.num_boxes) == (labels, 2)
    others = [notice for notice in dataset.notices if "the classes are the values of the attribute" in notice.message]
    assert len(others) == ("size" in attributes[0])


def test_via_options_state_the_order_and_the_names(tmp_path: Path) -> None:
    options = {"type": "dropdown", "options": {"2": "spoon", "1": "fork", "knife": "a knife"}}
    regions = [region(kind="knife"), region({**RECT, "x": 5}, kind="1")]
    via(tmp_path / "via.json", {"a.png": regions}, attributes={"kind": options})
    dataset = load_dataset(tmp_path, strict=True)
    assert dataset.labels == ("spoon", "fork", "knife")
    assert dataset.samples[0].class_ids.tolist() == [2, 1]


def test_via_regions_without_attributes_are_of_one_class(tmp_path: Path) -> None:
    via(tmp_path / "train" / "via_region_data.json", {"a.png": [region()], "b.png": [region()]}, False)
    assert load_dataset(tmp_path, strict=True).labels == ("class_0",)
    assert load_dataset(DataSource(tmp_path, classes="0=balloon"), strict=True).labels == ("balloon",)


def test_via_points_and_lines_are_ignored_with_a_count(tmp_path: Path) -> None:
    line = {"name": "polyline", "all_points_x": [1, 2], "all_points_y": [1, 2]}
    shapes = [{"name": "point", "cx": 1, "cy": 2}, line]
    regions = [region(shape, kind="fork") for shape in shapes]
    via(tmp_path / "via.json", {"a.png": [region(kind="fork"), *regions], "b.png": regions, "c.png": []})
    dataset = load_dataset(tmp_path)
    assert [(sample.path.name, len(sample.class_ids)) for sample in dataset.samples] == [("a.png", 1), ("c.png", 0)]
    messages = [notice.message for notice in dataset.notices]
    assert "labels without a box ignored: 2 × point, 2 × polyline" in messages
    assert "1 image without regions: used as background (c.png)" in messages
    assert "b.png is dropped" in dataset.problems[0].message


@pytest.mark.parametrize(
    ("bad", "word"),
    [
        (region(), "region 2: no label"),
        (region(kind={"fork": True, "knife": True}), "it has several classes: fork, knife"),
        (region(kind={"fork": False}), "no label"),
        (region({"name": "rect", "x": 1, "y": 2, "width": 3}, kind="fork"), "expected a number, got None"),
        (region({"name": "polygon", "all_points_x": [1, 2], "all_points_y": [1]}, kind="fork"), "2 x and 1 y"),
        (region({"name": "polygon", "all_points_x": [1], "all_points_y": [1]}, kind="fork"), "two points or more"),
        (region({"name": "circle", "cx": 9, "cy": 9, "r": -1}, kind="fork"), "negative"),
        (region({"name": "star"}, kind="fork"), "unsupported shape 'star'"),
        (region(None, kind="fork"), "unsupported shape None"),
        ("text", "region 2: no label"),
    ],
)
def test_via_unreadable_object_drops_its_image(tmp_path: Path, bad: Any, word: str) -> None:
    via(tmp_path / "via.json", {"a.png": [region(kind="fork"), bad], "b.png": [region(kind="fork")]})
    dataset = load_dataset(tmp_path)
    assert [sample.path.name for sample in dataset.samples] == ["b.png"]
    assert word in dataset.problems[0].message


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ('{"_via_settings": {}, "_via_img_metadata": {"a.png1": {"filename"', r"via\.json: invalid JSON"),
        (
            '{"_via_img_metadata": {"a.png1": {"filename": "a.png", "regions": 3}}}',
            "'a.png1' has no filename or no",
        ),
        ('{"_via_img_metadata": {"a.png1": {"regions": []}}}', "'a.png1' has no filename or no"),
        ('{"_via_img_metadata": [1]}', "expected an object with an entry for each image"),
    ],
)
def test_via_invalid_file_raises_with_its_name(tmp_path: Path, text: str, match: str) -> None:
    (tmp_path / "via.json").write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=match):
        load_dataset(tmp_path)


def test_via_files_state_the_splits(tmp_path: Path) -> None:
    for split in ("train", "val"):
        via(tmp_path / split / "via_region_data.json", {"a.png": [region(kind="fork")]}, False)
    assert open_dataset(tmp_path).splits == ("train", "val")
    assert len(load_dataset(tmp_path, strict=True)) == 2
