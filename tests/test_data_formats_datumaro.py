"""edge_ssd.data.formats.datumaro: types of annotations, image names and faults."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from label_writers import write_image

from edge_ssd.data.load import load_dataset, open_dataset
from edge_ssd.errors import DataError

BBOX = {"type": "bbox", "label_id": 1, "bbox": [1, 2, 29, 18], "attributes": {"rotation": 0.0}, "group": 0}


def item(*annotations: Any, name: str = "a", **more: object) -> dict[str, object]:
    stated = {"path": f"{name}.png", "size": [40, 60]}
    return {"id": name, "annotations": list(annotations), "image": stated, "attr": {}, **more}


def datumaro(path: Path, items: Any, labels: tuple[str, ...] = ("knife", "fork")) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    stated = [{"name": label, "parent": ""} for label in labels]
    data = {"info": {}, "categories": {"label": {"labels": stated, "attributes": []}}, "items": items}
    path.write_text(json.dumps(data), encoding="utf-8")


@pytest.mark.parametrize(
    ("annotation", "box"),
    [
        (BBOX, [1, 2, 30, 20]),
        (BBOX | {"bbox": [10, 10, 20, 10], "attributes": {"rotation": 90.0}}, [15, 5, 25, 25]),
        ({"type": "polygon", "label_id": 1, "points": [10, 2, 30, 10, 1, 20]}, [1, 2, 30, 20]),
        ({"type": "ellipse", "label_id": 1, "points": [1, 2, 30, 20]}, [1, 2, 30, 20]),
        # Column by column of a mask 40 high and 60 wide: 41 zeros, 2 ones, 2357 zeros.
        ({"type": "mask", "label_id": 1, "rle": {"counts": [41, 2, 2357], "size": [40, 60]}}, [1, 1, 2, 3]),
        ({"type": "mask", "label_id": 1, "rle": {"counts": "Y12eY2", "size": [40, 60]}}, [1, 1, 2, 3]),
    ],
)
def test_datumaro_annotation_gives_its_box(tmp_path: Path, annotation: Any, box: list[float]) -> None:
    write_image(tmp_path / "images" / "default" / "a.png")
    datumaro(tmp_path / "annotations" / "default.json", [item(annotation)])
    dataset = load_dataset(tmp_path, strict=True)
    assert (dataset.format, dataset.labels) == ("datumaro", ("knife", "fork"))
    assert dataset.samples[0].boxes_xyxy.tolist() == [box]
    assert dataset.samples[0].class_ids.tolist() == [1]
    assert len(dataset.notices) == (annotation is not BBOX)


@pytest.mark.parametrize(
    "stated",
    [
        {"image": {"path": "a.png"}},
        {"image": {"path": ""}},
        {"image": None},
        {"media": {"path": "images/default/a.png"}, "image": None},
        {"id": "default/a", "image": None},
    ],
)
def test_datumaro_image_is_found_by_path_or_id(tmp_path: Path, stated: dict[str, Any]) -> None:
    write_image(tmp_path / "images" / "default" / "a.png")
    datumaro(tmp_path / "annotations" / "default.json", [{**item(BBOX), **stated}])
    assert load_dataset(tmp_path, strict=True).num_boxes == 1


def test_datumaro_labels_of_the_image_and_points_are_no_objects(tmp_path: Path) -> None:
    for name in "abc":
        write_image(tmp_path / f"{name}.png")
    tag, points = {"type": "label", "label_id": 0}, {"type": "points", "label_id": 0, "points": [1, 2]}
    items = [item(BBOX, tag, points), item(points, name="b"), item(tag, name="c")]
    datumaro(tmp_path / "annotations" / "train.json", items)
    dataset = load_dataset(tmp_path)
    # c.png has no object; something in b.png is labeled.
    assert [(sample.path.name, len(sample.class_ids)) for sample in dataset.samples] == [("a.png", 1), ("c.png", 0)]
    assert dataset.notices[0].message == "labels without a box ignored: 2 × points"


@pytest.mark.parametrize(
    ("bad", "word"),
    [
        (BBOX | {"label_id": 2}, "item 1, annotation 2: label_id 2 is not in categories.label.labels"),
        (BBOX | {"label_id": None}, "label_id None"),
        (BBOX | {"bbox": [1, 2, 3]}, "expected a list of 4 numbers"),
        (BBOX | {"attributes": {"rotation": "far"}}, "could not convert"),
        ({"type": "polygon", "label_id": 0, "points": [1, 2, 3]}, "expected pairs of coordinates, got 3 numbers"),
        ({"type": "mask", "label_id": 0, "rle": {"counts": [12], "size": [4, 3]}}, "the mask is empty"),
        ({"type": "mask", "label_id": 0, "rle": {"counts": [5, 20], "size": [4, 3]}}, "exceed its size"),
        ({"type": "blob", "label_id": 0}, "unsupported type 'blob'"),
        ("text", "label_id None"),
    ],
)
def test_datumaro_unreadable_object_drops_its_image(tmp_path: Path, bad: Any, word: str) -> None:
    for name in "ab":
        write_image(tmp_path / f"{name}.png")
    datumaro(tmp_path / "set.json", [item(BBOX, bad), item(BBOX, name="b"), {"annotations": []}])
    dataset = load_dataset(tmp_path)
    assert [sample.path.name for sample in dataset.samples] == ["b.png"]
    assert "item 3 has no image.path and no id" in dataset.problems[0].message
    assert word in dataset.problems[1].message


def test_datumaro_subsets_are_splits_and_share_their_classes(tmp_path: Path) -> None:
    for split, labels in (("train", ("knife", "fork")), ("val", ("fork", "spoon"))):
        write_image(tmp_path / "images" / split / "a.png")
        datumaro(tmp_path / "annotations" / f"{split}.json", [item(BBOX)], labels)
    assert open_dataset(tmp_path).splits == ("train", "val")
    datasets = [load_dataset(tmp_path, split, strict=True) for split in ("train", "val")]  # type: ignore[arg-type]
    assert datasets[0].labels == datasets[1].labels == ("knife", "fork", "spoon")
    assert [dataset.samples[0].class_ids.tolist() for dataset in datasets] == [[1], [2]]


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ('{"dm_format_version": "1.0", "items": [', r"set\.json: invalid JSON"),
        ('{"dm_format_version": "1.0", "items": []}', "expected the lists categories.label.labels and items"),
        ('{"categories": {"label": {"labels": [{}]}}, "items": []}', "needs a name"),
    ],
)
def test_datumaro_invalid_file_raises_with_its_name(tmp_path: Path, text: str, match: str) -> None:
    (tmp_path / "set.json").write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=match):
        load_dataset(tmp_path)
