"""Labels that leave out what an image shows, or mark objects to be ignored: never background, in every format."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from label_writers import write_image

from edge_ssd.data.load import load_dataset
from edge_ssd.errors import DataError

BOX = [1, 2, 29, 18]


def write(root: Path, name: str, content: object, images: str = "ab") -> None:
    for image in images:
        write_image(root / "images" / f"{image}.jpg")
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")


def datumaro(second: dict[str, Any], **attributes: Any) -> dict[str, Any]:
    box = {"type": "bbox", "bbox": BOX, "label_id": 0, "attributes": {}}
    first = [box, box | {"attributes": attributes}] if attributes else [box]
    items = [{"id": "a", "image": {"path": "a.jpg"}, "annotations": first}, {"id": "b", "image": {"path": "b.jpg"}}]
    return {"categories": {"label": {"labels": [{"name": "fork"}]}}, "items": [items[0], items[1] | second]}


def coco(*annotations: dict[str, Any]) -> dict[str, Any]:
    images = [{"id": number, "file_name": f"{name}.jpg"} for number, name in enumerate("ab")]
    own = [{"image_id": 0, "category_id": 1, "bbox": BOX} | annotation for annotation in annotations]
    return {"images": images, "annotations": own, "categories": [{"id": 1, "name": "fork"}]}


def createml(second: dict[str, Any]) -> list[Any]:
    coordinates = {"x": 15, "y": 11, "width": 28, "height": 18}
    return [
        {"image": "a.jpg", "annotations": [{"label": "fork", "coordinates": coordinates}]},
        {"image": "b.jpg", **second},
    ]


@pytest.mark.parametrize("second", [{}, {"annotations": None}])
@pytest.mark.parametrize("writer", [datumaro, createml])
def test_image_without_the_key_of_its_annotations_is_dropped(tmp_path: Path, writer: Any, second: Any) -> None:
    write(tmp_path, "labels.json", writer(second))
    dataset = load_dataset(tmp_path)
    assert [sample.path.stem for sample in dataset.samples] == ["a"]
    assert "no annotations; b.jpg is dropped" in str(dataset.problems[0])


def test_coco_images_without_annotations_are_named(tmp_path: Path) -> None:
    write(tmp_path, "labels.json", coco({}))
    dataset = load_dataset(tmp_path, strict=True)
    assert len(dataset) == 2
    assert "1 image without annotations: used as background (" in str(dataset.notices)


@pytest.mark.parametrize("mark", [{"ignore": 1}, {"iscrowd": "1"}, {"iscrowd": True}])
def test_coco_regions_to_be_ignored(tmp_path: Path, mark: dict[str, Any]) -> None:
    write(tmp_path, "labels.json", coco({}, {"image_id": 1, **mark}))
    dataset = load_dataset(tmp_path, strict=True)
    assert len(dataset) == 1
    assert "1 region marked to be ignored (1 × " in str(dataset.notices)


def test_datumaro_crowds_are_ignored(tmp_path: Path) -> None:
    write(tmp_path, "labels.json", datumaro({"annotations": []}, is_crowd=True))
    dataset = load_dataset(tmp_path, strict=True)
    assert dataset.num_boxes == 1
    assert "1 × crowd" in str(dataset.notices)


def test_voc_deleted_objects_are_ignored(tmp_path: Path) -> None:
    corners = "<bndbox><xmin>1</xmin><ymin>2</ymin><xmax>30</xmax><ymax>20</ymax></bndbox>"
    kept, deleted = (
        f"<object><name>{name}</name><deleted>{mark}</deleted>{corners}</object>"
        for name, mark in (("fork", 0), ("knife", 1))
    )
    write(tmp_path, "images/a.xml", f"<annotation>{kept}{deleted}</annotation>")
    write(tmp_path, "images/b.xml", f"<annotation>{deleted}</annotation>")
    dataset = load_dataset(tmp_path, strict=True)
    assert (dataset.labels, len(dataset), dataset.num_boxes) == (("fork",), 1, 1)
    assert "(2 × deleted): not used, nor 1 image with only such regions" in str(dataset.notices)


@pytest.mark.parametrize(("column", "values"), [("deleted", "01"), ("Is_Crowd", ["false", "true"])])
def test_rows_of_a_table_to_be_ignored(tmp_path: Path, column: str, values: Any) -> None:
    rows = [f"a.jpg,fork,1,2,30,20,{values[0]}", f"a.jpg,fork,5,6,9,9,{values[1]}", f"b.jpg,fork,5,6,9,9,{values[1]}"]
    write(tmp_path, "labels.csv", "\n".join([f"image,label,xmin,ymin,xmax,ymax,{column}", *rows]))
    dataset = load_dataset(tmp_path, strict=True)
    assert (len(dataset), dataset.num_boxes) == (1, 1)
    assert "2 regions marked to be ignored" in str(dataset.notices)


def test_column_that_may_say_which_rows_are_no_labels_is_named(tmp_path: Path) -> None:
    rows = [f"{name}.jpg,fork,1,{top},30,20,{state}" for name in "ab" for top, state in ((2, "ok"), (4, "rejected"))]
    write(tmp_path, "labels.csv", "\n".join(["image,label,xmin,ymin,xmax,ymax,status", *rows]))
    assert "column 'status' ('ok', 'rejected') is not read" in str(load_dataset(tmp_path).notices)


def test_via_table_that_lacks_rows_drops_the_image(tmp_path: Path) -> None:
    shape = '"{""name"":""rect"",""x"":1,""y"":2,""width"":29,""height"":18}"'
    rows = [f'{name}.jpg,1,"{{}}",{number},0,{shape},"{{""type"":""fork""}}"' for name, number in (("a", 1), ("b", 2))]
    header = "filename,file_size,file_attributes,region_count,region_id,region_shape_attributes,region_attributes"
    write(tmp_path, "via.csv", "\n".join([header, *rows]))
    dataset = load_dataset(tmp_path)
    assert [sample.path.stem for sample in dataset.samples] == ["a"]
    assert "region_count is 2, but the table has 1 of its regions" in str(dataset.problems[0])


def label_studio(*targets: str) -> list[Any]:
    value = {"x": 5, "y": 5, "width": 50, "height": 50, "rectanglelabels": ["fork"]}
    result = [{"type": "rectanglelabels", "from_name": "l", "to_name": name, "value": value} for name in targets]
    data = {"left": "/data/upload/a.jpg", "right": "/data/upload/b.jpg", "note": "x"}
    return [{"id": 1, "data": data, "annotations": [{"result": result}]}]


def test_label_studio_task_with_two_images(tmp_path: Path) -> None:
    write(tmp_path, "tasks.json", label_studio("left", "right", "right"))
    numbers = {sample.path.stem: len(sample.class_ids) for sample in load_dataset(tmp_path).samples}
    assert numbers == {"a": 1, "b": 1}  # the same box twice is one
    write(tmp_path, "tasks.json", label_studio("left", "other"))
    with pytest.raises(DataError, match="its task has several images, and none is called 'other'"):
        load_dataset(tmp_path)


def test_yolo_label_file_in_the_folder_of_another_split(tmp_path: Path) -> None:
    for split, name in (("train", "a"), ("train", "b"), ("val", "c")):
        write_image(tmp_path / "images" / split / f"{name}.jpg")
        write(tmp_path, f"labels/{'val' if name == 'b' else split}/{name}.txt", "0 0.5 0.5 0.2 0.2\n", images="")
    dataset = load_dataset(tmp_path, "train")
    assert [sample.path.stem for sample in dataset.samples] == ["a"]
    assert len(dataset.problems) == 1
    assert "there is labels/val/b.txt: move one of them" in str(dataset.problems[0])
