"""edge_ssd.data.formats.label_studio: tasks, regions in per cent, rotation and faults."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from label_writers import write_image

from edge_ssd.data.load import load_dataset, open_dataset
from edge_ssd.errors import DataError

# Of the image of 60×40: x 6 to 24, y 10 to 20.
PERCENT = {"x": 10, "y": 25, "width": 30, "height": 25, "rotation": 0}
BOX = [6, 10, 24, 20]


def region(value: Any, kind: str = "rectanglelabels", labels: Any = ("fork",), **more: object) -> dict[str, Any]:
    value = {**value, kind: list(labels)} if labels is not None else value
    return {"id": "r", "type": kind, "value": value, "original_width": 60, "original_height": 40, **more}


def task(*results: Any, image: str = "a.png", **more: object) -> dict[str, Any]:
    """Return a task with an annotation for each result, which is a list of regions."""
    annotations = [{"id": number, "was_cancelled": False, "result": result} for number, result in enumerate(results)]
    return {"id": 7, "annotations": annotations, "data": {"image": image}, **more}


def label_studio(path: Path, tasks: Any, images: tuple[str, ...] = ("a.png",)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(tasks), encoding="utf-8")
    for name in images:
        write_image(path.parent / name)


@pytest.mark.parametrize(
    ("value", "kind", "box"),
    [
        (PERCENT, "rectanglelabels", BOX),
        (PERCENT | {"rotation": 360}, "rectanglelabels", BOX),
        # Clockwise around the top left corner (6, 10): 18 wide and 10 high become 10 and 18, to the left of it.
        (PERCENT | {"rotation": 90, "x": 50}, "rectanglelabels", [20, 10, 30, 28]),
        (PERCENT | {"rotation": -90, "y": 75}, "rectanglelabels", [6, 12, 16, 30]),
        (PERCENT | {"rotation": 180, "x": 50, "y": 75}, "rectanglelabels", [12, 20, 30, 30]),
        ({"points": [[10, 25], [40, 30], [20, 50]]}, "polygonlabels", BOX),
        ({"x": 25, "y": 37.5, "radiusX": 15, "radiusY": 12.5, "rotation": 0}, "ellipselabels", BOX),
        ({"x": 50, "y": 50, "radiusX": 10, "radiusY": 25, "rotation": 90}, "ellipselabels", [20, 14, 40, 26]),
    ],
)
def test_label_studio_region_gives_its_box(tmp_path: Path, value: Any, kind: str, box: list[float]) -> None:
    label_studio(tmp_path / "project.json", [task([region(value, kind)])])
    dataset = load_dataset(tmp_path, strict=True)
    assert (dataset.format, dataset.labels) == ("label_studio", ("fork",))
    np.testing.assert_allclose(dataset.samples[0].boxes_xyxy, [box], atol=1e-4)
    is_box = kind == "rectanglelabels" and value["rotation"] in (0, 360)
    assert len(dataset.notices) == (0 if is_box else 1)


def test_label_studio_rotation_is_one_of_pixels(tmp_path: Path) -> None:
    """45° of a square in pixels, which is none in per cent."""
    value = {"x": 50, "y": 25, "width": 20, "height": 30, "rotation": 45}  # 12×12 pixels from (30, 10)
    label_studio(tmp_path / "project.json", [task([region(value)])])
    half = 12 / 2**0.5
    np.testing.assert_allclose(
        load_dataset(tmp_path).samples[0].boxes_xyxy, [[30 - half, 10, 30 + half, 10 + 2 * half]], atol=1e-4
    )


@pytest.mark.parametrize(
    ("name", "stated"),
    [
        ("a.png", "/data/upload/1/ab12cd34-a.png"),
        ("a b.png", "/data/local-files/?d=set/images/a%20b.png"),
        ("a.png", "https://example.com/bucket/a.png?X-Amz-Signature=12/34"),
        ("a.png", "s3://bucket/folder/a.png"),
        ("a.png", "gs://bucket/a.png"),
    ],
)
def test_label_studio_address_of_an_image_is_found(tmp_path: Path, name: str, stated: str) -> None:
    label_studio(tmp_path / "project.json", [task([region(PERCENT)], image=stated)], (name,))
    assert load_dataset(tmp_path, strict=True).samples[0].path == tmp_path / name


@pytest.mark.parametrize(
    "data",
    [
        {"image": "a.png"},
        {"img": "a.png", "text": "of Monday"},
        {"source": "factory.txt", "frame": "a.png"},
        {"url": "/data/upload/1/ab12cd34-a.png", "meta": {"image": "b.png"}},
        {"photo": "a"},
    ],
)
def test_label_studio_key_of_the_image_is_found(tmp_path: Path, data: dict[str, Any]) -> None:
    label_studio(tmp_path / "project.json", [{**task([region(PERCENT)]), "data": data}])
    assert load_dataset(tmp_path, strict=True).num_boxes == 1


def test_label_studio_last_annotation_that_is_not_canceled_is_used(tmp_path: Path) -> None:
    old, new, canceled = ([region(PERCENT | {"x": x})] for x in (0, 10, 20))
    entry = task(old, new, canceled)
    entry["annotations"][2]["was_cancelled"] = True
    label_studio(tmp_path / "project.json", [entry])
    np.testing.assert_allclose(load_dataset(tmp_path).samples[0].boxes_xyxy, [BOX], atol=1e-5)


def test_label_studio_empty_annotation_does_not_make_background_of_a_labeled_image(tmp_path: Path) -> None:
    tasks = [task([region(PERCENT)], []), task([], image="b.png"), task([], [], image="c.png")]
    label_studio(tmp_path / "project.json", tasks, ("a.png", "b.png", "c.png"))
    dataset = load_dataset(tmp_path, strict=True)
    assert [(sample.path.name, len(sample.class_ids)) for sample in dataset.samples] == [
        *(("a.png", 1), ("b.png", 0), ("c.png", 0))
    ]
    assert [notice.message.split(":")[0] for notice in dataset.notices] == [
        "1 image has several annotations that differ, such as a.png"
    ]


def test_label_studio_min_with_an_empty_annotation_keeps_the_other(tmp_path: Path) -> None:
    rectangle = {**PERCENT, "rectanglelabels": ["fork"], "original_width": 60, "original_height": 40}
    tasks = [{"id": 1, "image": "a.png", "label": label, "annotation_id": 7} for label in ([rectangle], [])]
    label_studio(tmp_path / "project.json", tasks)
    dataset = load_dataset(tmp_path, strict=True)
    assert dataset.num_boxes == 1
    assert "1 image has several annotations that differ" in dataset.notices[0].message


def test_label_studio_unlabeled_tasks_are_left_out(tmp_path: Path) -> None:
    canceled = task([region(PERCENT)], image="c.png")
    canceled["annotations"][0]["was_cancelled"] = True
    predicted = task(image="b.png", predictions=[{"result": [region(PERCENT)]}])
    tasks = [task([region(PERCENT)]), predicted, canceled, task([], image="d.png")]
    label_studio(tmp_path / "project.json", tasks, ("a.png", "b.png", "c.png", "d.png"))
    dataset = load_dataset(tmp_path, strict=True)
    # d.png was submitted without a region.
    assert [(sample.path.name, len(sample.class_ids)) for sample in dataset.samples] == [("a.png", 1), ("d.png", 0)]
    assert dataset.notices[0].message == "2 of 4 images have no submitted annotation; not used"
    label_studio(tmp_path / "project.json", tasks[1:3])
    with pytest.raises(DataError, match=r"project\.json: no task has a submitted annotation: label the images"):
        load_dataset(tmp_path)


def test_label_studio_older_key_of_annotations_is_read(tmp_path: Path) -> None:
    entry = task([region(PERCENT)])
    entry["completions"] = entry.pop("annotations")
    label_studio(tmp_path / "result.json", [entry])
    assert load_dataset(tmp_path, strict=True).num_boxes == 1


def test_label_studio_min_is_read(tmp_path: Path) -> None:
    size = {"original_width": 60, "original_height": 40}
    rectangle = {**PERCENT, "rectanglelabels": ["fork"], **size}
    polygon = {"points": [[10, 25], [40, 30], [20, 50]], "polygonlabels": ["knife"], **size}
    common = {"annotator": 1, "annotation_id": 1, "created_at": "2024-05-01", "lead_time": 3.5}
    tasks = [
        {"image": "/data/upload/1/ab12cd34-a.png", "id": 1, "label": [{**rectangle, "x": 20}], **common},
        # A second annotation of the same task.
        {"image": "/data/upload/1/ab12cd34-a.png", "id": 1, "label": [rectangle], "shape": [polygon], **common},
        {"image": "b.png", "id": 2, "choice": "empty", **common},
    ]
    label_studio(tmp_path / "project.json", tasks, ("a.png", "b.png"))
    dataset = load_dataset(tmp_path, strict=True)
    assert dataset.labels == ("fork", "knife")
    np.testing.assert_allclose(dataset.samples[0].boxes_xyxy, [BOX, BOX], atol=1e-4)
    assert len(dataset.samples[1].class_ids) == 0


@pytest.mark.parametrize(("name", "separator"), [("project.csv", ","), ("project.tsv", "\t"), ("excel.csv", ";")])
def test_label_studio_table_is_read(tmp_path: Path, name: str, separator: str) -> None:
    size = {"original_width": 60, "original_height": 40}
    cell = json.dumps([{**PERCENT, "rectanglelabels": ["fork"], **size}])
    rows = [
        ["annotation_id", "annotator", "created_at", "id", "image", "label", "lead_time"],
        [1, 1, "2024-05-01", 1, "/data/upload/1/ab12cd34-a.png", cell, 3.5],
        [2, 1, "2024-05-01", 2, "b.png", "", 3.5],
        [3, 1, "2024-05-01", 3, "c.png", cell[:30], 3.5],
    ]
    with (tmp_path / name).open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, delimiter=separator).writerows(rows)
    for image in ("a.png", "b.png", "c.png"):
        write_image(tmp_path / image)
    dataset = load_dataset(tmp_path)
    assert (dataset.format, dataset.labels) == ("label_studio", ("fork",))
    assert [len(sample.class_ids) for sample in dataset.samples] == [1, 0]
    assert "task 3, region 1: expected a list of points, got '[{" in dataset.problems[0].message


def test_label_studio_properties_of_a_region_are_no_objects(tmp_path: Path) -> None:
    """A region drawn without a class is repeated with it; choices for a region repeat it too."""
    results = [
        region(PERCENT, "rectangle", None),
        region(PERCENT, "labels"),
        region({**PERCENT, "choices": ["blurred"]}, "choices", None),
        region({"choices": ["indoors"]}, "choices", None),
        {"from_id": "r", "to_id": "s", "type": "relation", "direction": "right"},
    ]
    label_studio(tmp_path / "project.json", [task(results)])
    assert load_dataset(tmp_path, strict=True).num_boxes == 1


def test_label_studio_region_of_several_classes_is_one_object_each(tmp_path: Path) -> None:
    label_studio(tmp_path / "project.json", [task([region(PERCENT, labels=["fork", "metal"])])])
    assert load_dataset(tmp_path, strict=True).samples[0].class_ids.tolist() == [0, 1]


def test_label_studio_pages_are_images(tmp_path: Path) -> None:
    results = [region(PERCENT, item_index=1), region(PERCENT | {"x": 0}, item_index=1)]
    entry = {**task(results), "data": {"pages": ["a.png", "b.png"]}}
    label_studio(tmp_path / "project.json", [entry], ("a.png", "b.png"))
    assert [len(sample.class_ids) for sample in load_dataset(tmp_path, strict=True).samples] == [0, 2]


@pytest.mark.parametrize(
    ("bad", "word"),
    [
        (region({"format": "rle", "rle": [0, 1, 2]}, "brushlabels"), "task 7, region 2: a brush mask cannot be read"),
        (region(PERCENT | {"x": 1}, labels=[]), "region 2: no label"),
        (region({"x": 1, "y": 2, "height": 3}), "expected a number, got None"),
        (region(PERCENT | {"rotation": 10}, original_width=None), "expected a number, got None"),
        (region(PERCENT | {"rotation": 10}, original_width=0), "needs original_width and original_height"),
        (region({"points": [[1, 2]]}, "polygonlabels"), "expected two points or more"),
        (region({"sequence": [{"frame": 1}]}, "videorectangle", None), "a region of a video cannot be read"),
    ],
)
def test_label_studio_unreadable_object_drops_its_image(tmp_path: Path, bad: Any, word: str) -> None:
    tasks = [task([region(PERCENT), bad]), task([region(PERCENT)], image="b.png")]
    label_studio(tmp_path / "project.json", tasks, ("a.png", "b.png"))
    dataset = load_dataset(tmp_path)
    assert [sample.path.name for sample in dataset.samples] == ["b.png"]
    assert word in dataset.problems[0].message


def test_label_studio_keypoints_are_ignored_with_a_count(tmp_path: Path) -> None:
    point = region({"x": 1, "y": 2, "width": 0.5}, "keypointlabels")
    tasks = [task([region(PERCENT), point]), task([point], image="b.png")]
    label_studio(tmp_path / "project.json", tasks, ("a.png", "b.png"))
    dataset = load_dataset(tmp_path)
    assert [sample.path.name for sample in dataset.samples] == ["a.png"]
    assert "labels without a box ignored: 2 × keypoint" in [notice.message for notice in dataset.notices]


def test_label_studio_last_export_is_used(tmp_path: Path) -> None:
    for date, x in (("2024-01-31", 0), ("2024-05-01", 10)):
        label_studio(tmp_path / f"project-1-at-{date}.json", [task([region(PERCENT | {"x": x})])])
    dataset = load_dataset(tmp_path, strict=True)
    np.testing.assert_allclose(dataset.samples[0].boxes_xyxy, [BOX], atol=1e-5)
    assert "project-1-at-2024-05-01.json labels too are not used" in dataset.notices[0].message


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ('[{"id": 1, "annotations": [{"result": [{"type"', r"project\.json: invalid JSON"),
        ('[{"id": 1, "data": {"text": 5}, "annotations": [{"result": []}]}]', "task 1 names no image; dropped"),
    ],
)
def test_label_studio_invalid_file_raises_with_its_name(tmp_path: Path, text: str, match: str) -> None:
    (tmp_path / "project.json").write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=match):
        load_dataset(tmp_path)


def test_label_studio_files_state_the_splits(tmp_path: Path) -> None:
    for split in ("train", "val"):
        label_studio(tmp_path / f"{split}.json", [task([region(PERCENT)], image=f"{split}.png")], (f"{split}.png",))
    assert open_dataset(tmp_path).splits == ("train", "val")
