"""Formats with a text file per image: edge_ssd.data.formats.kitti and dota."""

from __future__ import annotations

from pathlib import Path

import pytest
from label_writers import write_image

from edge_ssd.data.load import load_dataset, open_dataset

BOX_3D = "1.5 1.6 3.7 0.1 1.7 25.0 -1.6"
CAR = f"Car 0.00 0 -1.57 1.00 2.00 30.00 20.00 {BOX_3D}"
DONT_CARE = "DontCare -1 -1 -10 1.00 2.00 30.00 20.00 -1 -1 -1 -1000 -1000 -1000 -10"
PLANE = "1 2 30 2 30 20 1 20 plane 0"


def write_labels(folder: Path, image_folder: Path, *texts: str | bytes) -> None:
    """Write label files 0.txt, 1.txt … and their images."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, text in enumerate(texts):
        write_image(image_folder / f"{number}.png")
        (folder / f"{number}.txt").write_bytes(text if isinstance(text, bytes) else text.encode())


@pytest.mark.parametrize("line", [CAR, f"{CAR} 0.93", CAR.replace(" ", "\t"), f"{CAR}  \n\n"])
def test_kitti_line_is_read(tmp_path: Path, line: str) -> None:
    write_labels(tmp_path / "label_2", tmp_path / "image_2", line)
    dataset = load_dataset(tmp_path, strict=True)
    assert (dataset.format, dataset.labels) == ("kitti", ("Car",))
    assert dataset.samples[0].boxes_xyxy.tolist() == [[1, 2, 30, 20]]
    assert dataset.notices == ()


def test_kitti_images_of_the_left_camera_are_used(tmp_path: Path) -> None:
    write_labels(tmp_path / "training" / "label_2", tmp_path / "training" / "image_2", CAR, CAR)
    for folder in ("training/image_3", "training/prev_2", "testing/image_2"):
        write_image(tmp_path / folder / "0.png")
    assert open_dataset(tmp_path).splits == ("train",)
    dataset = load_dataset(tmp_path, strict=True)
    assert [sample.path.parent.name for sample in dataset.samples] == ["image_2", "image_2"]


def test_kitti_dont_care_regions_are_ignored_and_never_make_background(tmp_path: Path) -> None:
    write_labels(tmp_path / "label_2", tmp_path / "image_2", f"{CAR}\n{DONT_CARE}", DONT_CARE, "")
    dataset = load_dataset(tmp_path, strict=True)
    assert dataset.labels == ("Car",)
    assert {sample.path.name: len(sample.class_ids) for sample in dataset.samples} == {"0.png": 1, "2.png": 0}
    message = "2 regions marked to be ignored (2 × DontCare): not used, nor 1 image with only such regions"
    assert [notice.message for notice in dataset.notices] == [message]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            f"{CAR}\nCar 0.00 0 -1.57 1.00 2.00",
            "line 2: expected a class name and 14 numbers: 'Car 0.00 0 -1.57 1.00 2.00'",
        ),
        (CAR.replace("20.00", "2O"), "line 1: expected a class name and 14 numbers"),
        (b"\xff\xfe" + CAR.encode(), "not UTF-8 text"),
    ],
)
def test_kitti_line_that_cannot_be_read_drops_its_image(tmp_path: Path, text: str | bytes, message: str) -> None:
    write_labels(tmp_path / "label_2", tmp_path / "image_2", CAR, text)
    dataset = load_dataset(tmp_path)
    assert [sample.path.name for sample in dataset.samples] == ["0.png"]
    assert message in dataset.problems[0].message
    assert dataset.problems[0].path.name == "1.txt"


@pytest.mark.parametrize(
    ("line", "box", "enclosing"),
    [
        (PLANE, [1, 2, 30, 20], False),
        ("15 2 30 11 15 20 1 11 large-vehicle 1", [1, 2, 30, 20], True),
        (
            "imagesource:GoogleEarth\ngsd:null\n1.0 2.0 30.0 2.0 30.0 20.0 1.0 20.0 storage tank 2",
            [1, 2, 30, 20],
            False,
        ),
        ("1 2 30 2 30 20 1 20 ship", [1, 2, 30, 20], False),
    ],
)
def test_dota_corners_give_their_enclosing_box(tmp_path: Path, line: str, box: list[float], enclosing: bool) -> None:
    write_labels(tmp_path / "labelTxt", tmp_path / "images", line)
    dataset = load_dataset(tmp_path, strict=True)
    assert dataset.format == "dota"
    assert dataset.samples[0].boxes_xyxy.tolist() == [box]
    assert bool(dataset.notices) == enclosing


@pytest.mark.parametrize(
    ("names", "labels"), [("[nut, bolt, screw]", ("nut", "bolt", "screw")), ("[nut]", ("bolt", "nut"))]
)
def test_dota_beside_data_yaml_is_read_with_its_classes(tmp_path: Path, names: str, labels: tuple[str, ...]) -> None:
    pytest.importorskip("yaml")
    for split in ("train", "valid"):
        lines = PLANE.replace("plane", "bolt"), PLANE.replace("plane", "nut")
        write_labels(tmp_path / split / "labelTxt", tmp_path / split / "images", *lines)
    (tmp_path / "README.roboflow.txt").write_text("Exported by a tool.\n")
    (tmp_path / "data.yaml").write_text(f"train: ../train/images\nval: ../valid/images\nnc: 2\nnames: {names}\n")
    opened = open_dataset(tmp_path)
    assert (opened.format, opened.other_formats, opened.splits) == ("dota", (), ("train", "val"))
    dataset = opened.load("train")
    assert (dataset.labels, dataset.num_boxes, dataset.problems) == (labels, 2, ())


def test_text_without_labels_beside_label_files_is_ignored(tmp_path: Path) -> None:
    write_labels(tmp_path / "labels", tmp_path / "images", CAR, "")
    (tmp_path / "labels" / "readme.txt").write_text("Cars, by Ann.\n")
    assert len(load_dataset(tmp_path, strict=True)) == 2


def test_dota_line_that_cannot_be_read_drops_its_image(tmp_path: Path) -> None:
    write_labels(tmp_path / "labelTxt", tmp_path / "images", PLANE, f"{PLANE}\n1 2 30 2 30 20 1 plane 0")
    dataset = load_dataset(tmp_path)
    assert [sample.path.name for sample in dataset.samples] == ["0.png"]
    assert "1.txt: line 2: " in str(dataset.problems[0])


@pytest.mark.parametrize(("line", "name"), [("0 0.5 0.5 0.2 0.3", "yolo"), (CAR, "kitti"), (PLANE, "dota")])
def test_text_files_of_each_format_are_told_apart(tmp_path: Path, line: str, name: str) -> None:
    write_labels(tmp_path / "labels", tmp_path / "images", line, line)
    (tmp_path / "readme.txt").write_text("Some cars, by Ann.\n")
    opened = open_dataset(tmp_path)
    assert (opened.format, opened.other_formats) == (name, ())


@pytest.mark.parametrize("name", ["train.txt", "train/_annotations.txt", "annotation/train.txt"])
@pytest.mark.parametrize("box", ["1,2,30,20,1", "1.0,2.0,30.0,20.0,1"])
def test_keras_yolo_line_is_an_image_with_its_boxes(tmp_path: Path, name: str, box: str) -> None:
    for image in ("a b.png", "c.png", "d.png"):
        write_image(tmp_path / "train" / image)
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"/home/me/train/a b.png {box} 5,6,7,8,0\ntrain/c.png {box}\ntrain/d.png\n")
    (path.parent / "_classes.txt").write_text("nut\nbolt\n")
    dataset = load_dataset(tmp_path, "train", strict=True)
    assert (dataset.format, dataset.labels, dataset.notices) == ("yolo_keras", ("nut", "bolt"), ())
    assert [sample.boxes_xyxy.tolist() for sample in dataset.samples] == [
        [[1, 2, 30, 20], [5, 6, 7, 8]],
        [[1, 2, 30, 20]],
        [],
    ]
    assert dataset.samples[0].class_ids.tolist() == [1, 0]


@pytest.mark.parametrize("box", ["1,2,30,20", "1,2,30,x,0", "1,2,30,20,2", "1,2,30,20,0.5", "1, 2,30,20,0"])
def test_keras_yolo_box_that_cannot_be_read_drops_its_image(tmp_path: Path, box: str) -> None:
    for image in ("a.png", "b.png"):
        write_image(tmp_path / image)
    (tmp_path / "boxes.txt").write_text(f"a.png 1,2,30,20,1\nb.png 1,2,30,20,1 {box}\n")
    (tmp_path / "classes.txt").write_text("nut\nbolt\n")
    dataset = load_dataset(tmp_path)
    assert [sample.path.name for sample in dataset.samples] == ["a.png"]
    assert "boxes.txt: line 2: box 2" in str(dataset.problems[0])


def test_keras_yolo_classes_without_names_are_numbered(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png")
    (tmp_path / "boxes.txt").write_text("a.png 1,2,30,20,1\n")
    assert load_dataset(tmp_path).labels == ("class_0", "class_1")
