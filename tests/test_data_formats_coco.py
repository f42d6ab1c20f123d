"""edge_ssd.data.formats.coco: layouts, ids with gaps, crowds and faults."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from label_writers import write_image

from edge_ssd.data.load import load_dataset, open_dataset
from edge_ssd.errors import DataError

CATEGORIES = [{"id": 7, "name": "fork"}, {"id": 2, "name": "knife"}]


def coco(path: Path, images: list[Any], annotations: list[Any], categories: list[Any] = CATEGORIES) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    data = {"info": {}, "images": images, "annotations": annotations, "categories": categories}
    path.write_text(json.dumps(data), encoding="utf-8")


def image(number: int = 1, name: str = "a.png", **more: object) -> dict[str, object]:
    return {"id": number, "file_name": name, **more}


def box(bbox: object, category: object = 7, image_id: object = 1, **more: object) -> dict[str, object]:
    return {"id": 50, "image_id": image_id, "category_id": category, "bbox": bbox, **more}


@pytest.mark.parametrize(
    ("file", "images", "split"),
    [
        ("annotations/instances_train2017.json", "train2017", "train"),
        ("annotations/instances_val2017.json", "images/val2017", "val"),
        ("annotations/instances_default.json", "images", ""),
        ("annotations/test.json", "images/test", "test"),
        ("result.json", "images", ""),
        ("train.json", ".", "train"),
        ("train/_annotations.coco.json", "train", "train"),
        ("valid/_annotations.coco.json", "valid", "val"),
        ("valid/labels.json", "valid/data", "val"),
    ],
)
def test_coco_finds_label_files_and_images(tmp_path: Path, file: str, images: str, split: str) -> None:
    root = tmp_path / "cutlery"
    write_image(root / images / "a.png")
    coco(root / file, [image(width=60, height=40)], [box([1, 2, 29, 18])])
    opened = open_dataset(root)
    assert (opened.format, opened.splits) == ("coco", (split,) if split else ())
    dataset = load_dataset(root, strict=True)
    assert dataset.samples[0].path == root / images / "a.png"
    assert dataset.samples[0].boxes_xyxy.tolist() == [[1, 2, 30, 20]]


def test_coco_labels_are_ordered_by_id_in_every_split(tmp_path: Path) -> None:
    for split, category in (("train", 7), ("val", 2)):
        write_image(tmp_path / split / "a.png")
        coco(tmp_path / split / "_annotations.coco.json", [image()], [box([1, 2, 3, 4], category)])
    for split, class_id in (("train", 1), ("val", 0)):
        dataset = load_dataset(tmp_path, split)  # type: ignore[arg-type]
        assert dataset.labels == ("knife", "fork")
        assert dataset.samples[0].class_ids.tolist() == [class_id]


def test_coco_unused_supercategory_is_not_a_class(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png")
    categories = [
        {"id": 0, "name": "cutlery", "supercategory": "none"},
        {"id": 1, "name": "fork", "supercategory": "cutlery"},
        {"id": 2, "name": "spoon", "supercategory": "cutlery"},
    ]
    coco(tmp_path / "set.json", [image()], [box([1, 2, 3, 4], 1)], categories)
    assert load_dataset(tmp_path).labels == ("fork", "spoon")
    coco(tmp_path / "set.json", [image()], [box([1, 2, 3, 4], 0)], categories)
    assert load_dataset(tmp_path).labels == ("cutlery", "fork", "spoon")


def test_coco_crowds_are_ignored_with_a_notice(tmp_path: Path) -> None:
    for name in "abc":
        write_image(tmp_path / f"{name}.png")
    images = [image(1, "a.png"), image(2, "b.png"), image(3, "c.png")]
    crowd = {"iscrowd": 1, "segmentation": {"counts": [1], "size": [1, 1]}}
    annotations = [box([1, 2, 3, 4]), box([0, 0, 60, 40], **crowd), box([0, 0, 60, 40], image_id=2, **crowd)]
    coco(tmp_path / "set.json", images, annotations)
    dataset = load_dataset(tmp_path, strict=True)
    # b.png has only a crowd: it is dropped. c.png is background.
    assert [(sample.path.name, len(sample.class_ids)) for sample in dataset.samples] == [("a.png", 1), ("c.png", 0)]
    message = "2 regions marked to be ignored (2 × crowd): not used, nor 1 image with only such regions"
    assert dataset.notices[0].message == message


@pytest.mark.parametrize(
    ("annotation", "word"),
    [
        (box([1, 2, 3, 4], image_id=9), "annotation 50: image 9 is not in the file"),
        (box([1, 2, 0, 4]), "no area"),
        (box([9, 2, -4, 4]), "reversed"),
        (box([100, 2, 3, 4]), "outside"),
        ("text", "annotation 2: image None"),
    ],
)
def test_coco_invalid_box_is_dropped_and_reported(tmp_path: Path, annotation: Any, word: str) -> None:
    write_image(tmp_path / "a.png")
    coco(tmp_path / "set.json", [image()], [box([1, 2, 3, 4]), annotation])
    dataset = load_dataset(tmp_path)
    assert dataset.samples[0].boxes_xyxy.tolist() == [[1, 2, 4, 6]]
    assert [word in problem.message for problem in dataset.problems] == [True], dataset.problems
    assert dataset.problems[0].path == tmp_path / "set.json"


@pytest.mark.parametrize(
    ("annotation", "word"),
    [
        (box([1, 2, 3, 4], category=1), "category 1 is not in the file"),
        (box([float("nan"), 2, 3, 4]), "not finite"),
        (box([1, 2, 3, 4], category=None), "category None"),
        *(
            (box(bbox), "bbox is not four numbers")
            for bbox in ([1, 2, 3], ["1", 2, 3, 4], [True, 2, 3, 4], None, [10**400, 2, 3, 4])
        ),
    ],
)
def test_coco_unreadable_annotation_drops_its_image(tmp_path: Path, annotation: Any, word: str) -> None:
    write_image(tmp_path / "a.png")
    write_image(tmp_path / "b.png")
    coco(tmp_path / "set.json", [image(), image(2, "b.png")], [box([1, 2, 3, 4]), annotation])
    dataset = load_dataset(tmp_path)
    assert [sample.path.name for sample in dataset.samples] == ["b.png"]
    assert [word in problem.message for problem in dataset.problems] == [True], dataset.problems
    assert "a.png is dropped" in dataset.problems[0].message


@pytest.mark.parametrize(("category", "image_id"), [("0", 1), (0, "1"), ("0", "1"), (0.0, 1.0)])
def test_coco_id_as_text_or_float_is_the_same_id(tmp_path: Path, category: Any, image_id: Any) -> None:
    write_image(tmp_path / "a.png")
    annotation = box([1, 2, 3, 4], image_id=image_id, category=category)
    coco(tmp_path / "set.json", [image()], [annotation])
    categories = [{"id": 0, "name": "fork"}]
    data = json.loads((tmp_path / "set.json").read_text(encoding="utf-8")) | {"categories": categories}
    (tmp_path / "set.json").write_text(json.dumps(data), encoding="utf-8")
    assert load_dataset(tmp_path, strict=True).num_boxes == 1


@pytest.mark.parametrize(
    ("entry", "word"),
    [
        ({"id": 2}, "image 2 has no id or no file_name"),
        ({"id": [2], "file_name": "a.png"}, "image 2 has no id"),
        (image(), "image 'a.png' is listed twice with the id 1"),
    ],
)
def test_coco_invalid_image_entry_is_dropped_and_reported(tmp_path: Path, entry: Any, word: str) -> None:
    write_image(tmp_path / "a.png")
    coco(tmp_path / "set.json", [image(), entry], [box([1, 2, 3, 4])])
    dataset = load_dataset(tmp_path)
    assert len(dataset) == 1
    assert word in dataset.problems[0].message


def test_coco_images_with_one_id_are_refused(tmp_path: Path) -> None:
    """As of two files that were put together: each image would get the objects of the other."""
    coco(tmp_path / "set.json", [image(), image(1, "b.png")], [box([1, 2, 3, 4])])
    with pytest.raises(DataError, match=r"image id 1 is that of 'a\.png' and of 'b\.png'.*give each image an id"):
        load_dataset(tmp_path)


@pytest.mark.parametrize(("first", "other"), [(0, 1), (1, 0)])
def test_coco_annotations_that_count_the_images_otherwise_are_refused(tmp_path: Path, first: int, other: int) -> None:
    images = [image(number + other, f"{number}.png") for number in range(3)]
    coco(tmp_path / "set.json", images, [box([1, 2, 3, 4], image_id=number + first) for number in range(3)])
    with pytest.raises(DataError, match=f"count the images from {first}, the images from {other}: correct image_id"):
        load_dataset(tmp_path)


def test_coco_mask_of_another_size_is_scaled_or_drops_its_image(tmp_path: Path) -> None:
    names = ("a.png", "b.png", "c.png")
    for name in names:
        write_image(tmp_path / name, (80, 40))
    # A mask of 40×20 with its third to sixth column; of 20×40; of the image's own size.
    sizes = ([20, 40], [40, 20], [40, 80])
    masks = [
        {"image_id": number, "category_id": 7, "segmentation": {"size": size, "counts": [40, 80, 5]}}
        for number, size in enumerate(sizes, 1)
    ]
    images = [image(number, name, height=40, width=80) for number, name in enumerate(names, 1)]
    coco(tmp_path / "set.json", images, masks)
    dataset = load_dataset(tmp_path)
    boxes = {sample.path.name: sample.boxes_xyxy.tolist() for sample in dataset.samples}
    assert boxes == {"a.png": [[4, 0, 12, 40]], "c.png": [[1, 0, 3, 40]]}
    assert "the mask has 20×40, its image 80×40; b.png is dropped" in dataset.problems[0].message


def test_coco_entries_of_one_image_are_read_together(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png")
    coco(tmp_path / "set.json", [image(), image(2)], [box([1, 2, 3, 4]), box([9, 8, 7, 6], image_id=2)])
    dataset = load_dataset(tmp_path)
    assert dataset.samples[0].boxes_xyxy.tolist() == [[1, 2, 4, 6], [9, 8, 16, 14]]
    assert [problem.message.split(":")[0] for problem in dataset.problems] == ["image 'a.png' is listed 2 times"]


@pytest.mark.parametrize("stated", ["day/a.png", "a.png", "a"])
def test_coco_image_id_may_be_the_name_of_the_image(tmp_path: Path, stated: str) -> None:
    write_image(tmp_path / "day" / "a.png")
    coco(tmp_path / "set.json", [image(1, "day/a.png")], [box([1, 2, 3, 4], image_id=stated)])
    assert load_dataset(tmp_path, strict=True).num_boxes == 1


def test_coco_annotations_of_unknown_images_leave_no_background(tmp_path: Path) -> None:
    for name in "abc":
        write_image(tmp_path / f"{name}.png")
    images = [image(), image(2, "b.png"), image(3, "c.png")]
    coco(tmp_path / "set.json", images, [box([1, 2, 3, 4]), box([1, 2, 3, 4], image_id=99)])
    dataset = load_dataset(tmp_path)
    assert [sample.path.name for sample in dataset.samples] == ["a.png"]
    assert "not used as background: 2 images without annotations" in dataset.problems[1].message


def test_coco_stated_size_of_another_image_is_reported(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png")
    coco(tmp_path / "set.json", [image(width=120, height=80)], [box([1, 2, 3, 4])])
    assert "states 120×80 for a.png, which has 60×40" in load_dataset(tmp_path).problems[0].message


def test_coco_missing_images_raise(tmp_path: Path) -> None:
    coco(tmp_path / "set.json", [image(1, "lost.png")], [box([1, 2, 3, 4])])
    with pytest.raises(DataError, match=r"set\.json: 1 of 1 labeled image does not exist, the first is 'lost\.png'"):
        load_dataset(tmp_path)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ('{"images": [], "annotations": [}', r"set\.json: invalid JSON"),
        ('{"images": [], "annotations": []}', "expected the lists images, annotations and categories"),
        ('{"images": [], "categories": [{"id": 1}]}', "a category needs an id and a name"),
        ('{"images": [], "categories": [{"id": 1, "name": "a"}, {"id": 1, "name": "b"}]}', "category id 1 is repeated"),
        ('{"images": [], "annotations": [], "categories": []}', "its label files have no objects"),
    ],
)
def test_coco_invalid_file_raises_with_its_name(tmp_path: Path, text: str, match: str) -> None:
    (tmp_path / "set.json").write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=match):
        load_dataset(tmp_path)


def test_coco_ignores_other_json_files(tmp_path: Path) -> None:
    (tmp_path / "package.json").write_text('{"images": 3, "version": [1]}', encoding="utf-8")
    with pytest.raises(DataError, match="no labels in a known format"):
        load_dataset(tmp_path)


def test_coco_detects_a_large_file_in_any_key_order(tmp_path: Path) -> None:
    write_image(tmp_path / "images" / "a.png")
    images = [image(), *({"id": number, "file_name": "a.png", "note": "x" * 90} for number in range(2, 20_000))]
    data = {"images": images, "categories": CATEGORIES, "annotations": [box([1, 2, 3, 4])] * 20_000}
    (tmp_path / "set.json").write_text(json.dumps(data, indent=1), encoding="utf-8")
    assert open_dataset(tmp_path).format == "coco"
    (tmp_path / "set.json").write_bytes(b"")
    with pytest.raises(DataError, match="no labels in a known format"):
        open_dataset(tmp_path)


def test_coco_ignores_captions_beside_instances(tmp_path: Path) -> None:
    write_image(tmp_path / "images" / "a.png")
    coco(tmp_path / "annotations" / "instances_train2017.json", [image()], [box([1, 2, 3, 4])])
    coco(tmp_path / "annotations" / "captions_train2017.json", [image()], [{"image_id": 1, "caption": "a fork"}])
    assert open_dataset(tmp_path).splits == ("train",)
    assert load_dataset(tmp_path, strict=True).num_boxes == 1


def test_coco_ambiguous_files_raise(tmp_path: Path) -> None:
    for name in ("train_a.json", "train_b.json"):
        coco(tmp_path / name, [image()], [])
    with pytest.raises(DataError, match=r"train_a\.json and train_b\.json both hold train labels"):
        load_dataset(tmp_path)
    for name in ("train_a.json", "train_b.json"):
        (tmp_path / name).rename(tmp_path / name.removeprefix("train_"))
    with pytest.raises(DataError, match=r"a\.json and b\.json are both for all splits: name them train and val"):
        load_dataset(tmp_path)


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        # CVAT: a quarter turn around the center exchanges width and height.
        (box([10, 10, 20, 10], attributes={"occluded": False, "rotation": 90.0}), [15, 5, 25, 25]),
        (box(None, segmentation=[[10, 2, 30, 10, 1, 20]]), [1, 2, 30, 20]),
        (box([], segmentation=[[1, 2, 5, 2, 3, 9], [20, 12, 30, 12, 25, 20]]), [1, 2, 30, 20]),
        (box([0, 0, 0, 0], segmentation=[[10, 2, 30, 10, 1, 20]]), [1, 2, 30, 20]),
        (box(None, segmentation={"counts": [85, 4, 36, 4], "size": [40, 60]}), [2, 5, 4, 9]),
        (box(None, segmentation={"counts": "e24T1", "size": [40, 60]}), [2, 5, 3, 9]),
    ],
)
def test_coco_shape_gives_its_box(tmp_path: Path, annotation: Any, expected: list[float]) -> None:
    write_image(tmp_path / "a.png")
    coco(tmp_path / "set.json", [image()], [annotation])
    dataset = load_dataset(tmp_path, strict=True)
    np.testing.assert_allclose(dataset.samples[0].boxes_xyxy, [expected], atol=1e-4)
    assert "1 of 1 objects are polygons, masks or rotated boxes" in dataset.notices[0].message


def test_coco_stated_box_is_used_before_the_polygon(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png")
    polygon = box([1, 2, 29, 18], segmentation=[[10, 2, 30, 10, 1, 20]], attributes={"rotation": 0.0})
    coco(tmp_path / "set.json", [image()], [polygon])
    dataset = load_dataset(tmp_path, strict=True)
    assert (dataset.samples[0].boxes_xyxy.tolist(), dataset.notices) == ([[1, 2, 30, 20]], ())


@pytest.mark.parametrize(
    "annotation",
    [
        box(None, segmentation=[]),
        box(None, segmentation=[[1, 2]]),
        box(None, segmentation=[[1, 2, 3]]),
        box(None, segmentation={"counts": [2400], "size": [40, 60]}),
        box([1, 2, 3, 4], attributes={"rotation": "far"}),
        box([1, 2, 3, 4], attributes={"rotation": float("inf")}),
    ],
)
def test_coco_unreadable_shape_drops_its_image(tmp_path: Path, annotation: Any) -> None:
    for name in "ab":
        write_image(tmp_path / f"{name}.png")
    coco(tmp_path / "set.json", [image(), image(2, "b.png")], [annotation, box([1, 2, 3, 4], image_id=2)])
    dataset = load_dataset(tmp_path)
    assert [sample.path.name for sample in dataset.samples] == ["b.png"]
    assert "annotation 50" in dataset.problems[0].message


@pytest.mark.parametrize(
    "entry",
    [
        {"id": 1, "coco_url": "http://images.cocodataset.org/val2017/a.png"},
        {"id": 1, "file_name": "", "path": "/datasets/set/a.png"},
        {"id": 1, "file_name": None, "path": "a.png", "coco_url": ""},
        {"id": 1, "file_name": "https://bucket.example.com/a.png?token=1"},
    ],
)
def test_coco_image_is_named_by_path_or_address(tmp_path: Path, entry: Any) -> None:
    write_image(tmp_path / "images" / "a.png")
    coco(tmp_path / "set.json", [entry], [box([1, 2, 3, 4])])
    assert load_dataset(tmp_path, strict=True).num_boxes == 1


def test_coco_folders_in_file_names_state_the_splits(tmp_path: Path) -> None:
    names = ("train/a.png", "train/b.png", "val/a.png")
    for name in names:
        write_image(tmp_path / "images" / name)
    images = [image(number, name) for number, name in enumerate(names)]
    coco(tmp_path / "instances.json", images, [box([1, 2, 3, 4], image_id=number) for number in range(3)])
    assert open_dataset(tmp_path).splits == ("train", "val")
    assert [len(load_dataset(tmp_path, split, strict=True)) for split in ("train", "val")] == [2, 1]


def test_coco_image_entries_state_their_split(tmp_path: Path) -> None:
    for name in "abc":
        write_image(tmp_path / f"{name}.png")
    splits = {"a": "train", "b": "train", "c": "val"}
    images = [image(number, f"{name}.png", split=split) for number, (name, split) in enumerate(splits.items())]
    coco(tmp_path / "set.json", images, [box([1, 2, 3, 4], image_id=number) for number in range(3)])
    assert open_dataset(tmp_path).splits == ("train", "val")
    assert [len(load_dataset(tmp_path, split, strict=True)) for split in ("train", "val")] == [2, 1]


def test_coco_list_of_images_without_annotations_is_not_background(tmp_path: Path) -> None:
    for name in "ab":
        write_image(tmp_path / f"{name}.png")
    listed = {"images": [image(2, "b.png")], "categories": CATEGORIES}
    (tmp_path / "test.json").write_text(json.dumps(listed), encoding="utf-8")
    with pytest.raises(DataError, match=r"test\.json: it lists images without annotations"):
        open_dataset(tmp_path)
    coco(tmp_path / "train.json", [image()], [box([1, 2, 3, 4])])
    dataset = load_dataset(tmp_path, strict=True)
    assert [sample.path.name for sample in dataset.samples] == ["a.png"]
    assert dataset.notices[0].message == "not used: it lists images without annotations"


def test_coco_keypoints_beside_boxes_are_not_read(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png")
    coco(tmp_path / "train.json", [image()], [box([1, 2, 3, 4])])
    coco(tmp_path / "person_keypoints_train.json", [image()], [box([1, 2, 3, 4], keypoints=[1, 2, 2])])
    assert load_dataset(tmp_path, strict=True).num_boxes == 1


@pytest.mark.parametrize(
    ("categories", "used", "message"),
    [
        ([1, 2], [0, 1], r"category 0 is not in the file, whose ids are 1, 2: .* count from 0, the categories from 1"),
        ([0, 1], [1, 2], r"category 2 is not in the file, whose ids are 0, 1: .* count from 1, the categories from 0"),
        ([1, 2, 5], [0, 1], r"count from 0"),
        ([1, 5], [0, 1], r"category 0 is not in the file, whose ids are 1, 5: add the category"),
        ([1, 2], [0, 1, 7], r"whose ids are 1, 2; 2 ids of annotations are missing there: 0, 7: add the category"),
        (["a", "b"], ["a", "c"], r"category 'c' is not in the file, whose ids are 'a', 'b': add the category"),
    ],
)
def test_coco_cause_of_unknown_categories_is_what_all_ids_show(
    tmp_path: Path, categories: list[Any], used: list[Any], message: str
) -> None:
    images = [{"id": number, "file_name": f"{number}.png"} for number in range(len(used) + 1)]
    for image in images:
        write_image(tmp_path / str(image["file_name"]))
    boxes = [
        {"id": number, "image_id": number, "category_id": key, "bbox": [1, 2, 3, 4]} for number, key in enumerate(used)
    ]
    names = [{"id": key, "name": f"class {key}"} for key in categories]
    text = json.dumps({"images": images, "annotations": boxes, "categories": names})
    (tmp_path / "labels.json").write_text(text, encoding="utf-8")
    problems = load_dataset(tmp_path).problems
    assert re.search(message, problems[0].message)
    assert any("count from" in problem.message for problem in problems) == ("count from" in message)
