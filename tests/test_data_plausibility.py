"""Faults of all objects of a dataset: each is one line with its cause, and well-formed datasets have none."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from label_writers import (
    WRITERS,
    LabeledImage,
    write_coco,
    write_d2l_split,
    write_image,
    write_tf_csv,
    write_voc,
    write_voc_xml,
    write_yolo,
)

from edge_ssd.cli import main
from edge_ssd.data.box_layouts import LAYOUTS, from_xyxy, to_xyxy
from edge_ssd.data.dataset import Dataset
from edge_ssd.data.eval_split import load_eval_split
from edge_ssd.data.load import load_dataset, open_dataset
from edge_ssd.data.source import DataSource
from edge_ssd.data.training_images import load_training_images
from edge_ssd.errors import DataError

LABELS = ("bolt", "nut")
WIDTH, HEIGHT = 160, 120

Write = Callable[[Path, Sequence[LabeledImage], Sequence[str]], None]


def make_images(count: int = 12, seed: int = 0, split: str = "train", prefix: str = "") -> list[LabeledImage]:
    """Return images with two boxes each, in whole pixels, of 16 to 48 pixels, anywhere in the image."""
    random = np.random.default_rng(seed)
    images = []
    for number in range(count):
        objects = []
        for label in LABELS:
            width, height = random.integers(8, 25, 2) * 2
            xmin, ymin = random.integers(0, (WIDTH - width, HEIGHT - height))
            objects.append((label, tuple(map(float, (xmin, ymin, xmin + width, ymin + height)))))
        images.append(LabeledImage(f"{prefix}{number}.png", split, (WIDTH, HEIGHT), objects))
    return images


def restate(
    images: Sequence[LabeledImage], own: str, other: str, scale: Sequence[float] = (1, 1, 1, 1)
) -> list[LabeledImage]:
    """Return images whose boxes a writer of the layout ``own`` writes in the layout ``other``, times ``scale``."""
    result = []
    for image in images:
        boxes = np.array([box for _, box in image.objects], float) * scale
        wrong = to_xyxy(from_xyxy(boxes, other), own).tolist()
        objects = [(label, tuple(box)) for (label, _), box in zip(image.objects, wrong, strict=True)]
        result.append(LabeledImage(image.name, image.split, image.size, objects))
    return result


def assert_boxes(dataset: Dataset, images: Sequence[LabeledImage]) -> None:
    expected = {image.name: [box for _, box in image.objects] for image in images}
    assert len(dataset) == len(images)
    for sample in dataset.samples:
        np.testing.assert_allclose(sample.boxes_xyxy, expected[sample.path.name], atol=1e-3)


def messages(dataset: Dataset) -> list[str]:
    return [problem.message for problem in dataset.problems]


@pytest.mark.parametrize(
    ("write", "own", "other"),
    [
        (write_voc, "xyxy", "xywh"),
        (write_tf_csv, "xyxy", "cxcywh"),
        (write_tf_csv, "xyxy", "yxyx"),
        (write_coco, "xywh", "xyxy"),
        (write_coco, "xywh", "cxcywh"),
        (write_coco, "xywh", "yxyx"),
    ],
)
def test_boxes_in_another_layout_stop_with_the_option(tmp_path: Path, write: Write, own: str, other: str) -> None:
    images = make_images(40)
    write(tmp_path, restate(images, own, other), LABELS)
    with pytest.raises(
        DataError, match=rf"of 80 boxes .*--boxes {other}\b.*; --boxes {own} reads them as now$"
    ) as error:
        load_dataset(tmp_path)
    assert "\n" not in str(error.value)
    dataset = load_dataset(DataSource(tmp_path, boxes=other), strict=True)
    assert_boxes(dataset, images)
    as_stated = load_dataset(DataSource(tmp_path, boxes=own))
    assert "--boxes" not in "".join(messages(as_stated))


@pytest.mark.parametrize("other", ["xyxy", "xywh"])
def test_yolo_boxes_in_another_layout_stop_with_the_option(tmp_path: Path, other: str) -> None:
    images = make_images(40)
    # A layout is linear, so that it does not matter that the writer divides by the sides of the image afterwards.
    write_yolo(tmp_path, restate(images, "cxcywh", other), LABELS)
    with pytest.raises(DataError, match=f"--boxes {other}"):
        load_dataset(tmp_path)
    assert_boxes(load_dataset(DataSource(tmp_path, boxes=other), strict=True), images)


@pytest.mark.parametrize("write", WRITERS.values())
@pytest.mark.parametrize("seed", range(3))
def test_well_formed_set_has_no_alarm(tmp_path: Path, write: Write, seed: int) -> None:
    images = make_images(20, seed)
    write(tmp_path, images, LABELS)
    dataset = load_dataset(tmp_path, strict=True)
    assert dataset.notices == ()
    assert_boxes(dataset, images)


def test_few_boxes_and_square_images_give_no_alarm(tmp_path: Path) -> None:
    few = make_images(1)
    write_voc(tmp_path / "few", restate(few, "xyxy", "xywh"), LABELS)
    assert not re.search("--boxes", str(load_outcome(tmp_path / "few")))
    square = [LabeledImage(image.name, image.split, (160, 160), image.objects) for image in make_images(20)]
    write_voc(tmp_path / "square", restate(square, "xyxy", "yxyx"), LABELS)
    load_dataset(tmp_path / "square", strict=True)


def load_outcome(folder: Path) -> object:
    try:
        return messages(load_dataset(folder))
    except DataError as error:
        return error


def test_boxes_drawn_beyond_the_border_give_no_alarm(tmp_path: Path) -> None:
    images = make_images(20)
    for index in range(0, 20, 3):
        old = images[index]
        objects = [("bolt", (-9.0, 30.0, 40.0, 70.0)), ("nut", (120.0, 80.0, 171.0, 133.0))]
        images[index] = LabeledImage(old.name, old.split, old.size, objects)
    write_tf_csv(tmp_path, images, LABELS)
    assert all("partly outside" in message for message in messages(load_dataset(tmp_path)))


@pytest.mark.parametrize(("write", "own"), [(write_voc, "xyxy"), (write_tf_csv, "xyxy"), (write_coco, "xywh")])
def test_boxes_in_0_to_1_are_read_so_and_reported_once(tmp_path: Path, write: Write, own: str) -> None:
    images = make_images(4)
    scale = (1 / WIDTH, 1 / HEIGHT) * 2
    write(tmp_path, restate(images, "xyxy", "xyxy", scale), LABELS)
    dataset = load_dataset(tmp_path)
    assert_boxes(dataset, images)
    (message,) = messages(dataset)
    assert "in 0–1 of the image, not in pixels" in message
    assert "--box-units normalized" in message
    with pytest.raises(DataError, match="--box-units normalized"):
        load_dataset(tmp_path, strict=True)
    assert_boxes(load_dataset(DataSource(tmp_path, box_units="normalized"), strict=True), images)
    write(tmp_path / "centers", restate(make_images(20), own, "cxcywh", scale), LABELS)
    with pytest.raises(DataError, match="--boxes cxcywh --box-units normalized"):
        load_dataset(tmp_path / "centers")


def test_yolo_boxes_in_pixels_are_read_so_or_stop_with_the_options(tmp_path: Path) -> None:
    images = make_images(40)
    scale = (WIDTH, HEIGHT) * 2  # the writer divides by it
    write_yolo(tmp_path / "pixels", restate(images, "xyxy", "xyxy", scale), LABELS)
    dataset = load_dataset(tmp_path / "pixels")
    assert_boxes(dataset, images)
    (message,) = messages(dataset)
    assert "--box-units pixels" in message
    # All of them fit the image in pixels and in percent: only the user knows.
    small = [
        LabeledImage("a.png", "train", (WIDTH, HEIGHT), [("bolt", (40.0 + i, 20.0, 60.0, 44.0)) for i in range(4)])
    ]
    write_yolo(tmp_path / "small", restate(small, "xyxy", "xyxy", scale), LABELS)
    with pytest.raises(DataError, match=r"--box-units pixels \(.*--box-units percent \("):
        load_dataset(tmp_path / "small")
    assert_boxes(load_dataset(DataSource(tmp_path / "small", box_units="pixels"), strict=True), small)
    percent = load_dataset(DataSource(tmp_path / "small", box_units="percent"))
    np.testing.assert_allclose(percent.samples[0].boxes_xyxy[0], [64, 24, 96, 52.8], atol=1e-3)


def test_layouts_are_inverse() -> None:
    boxes = np.array([[1.0, 2.0, 11.0, 22.0]])
    expected = {"xyxy": [1, 2, 11, 22], "xywh": [1, 2, 10, 20], "cxcywh": [6, 12, 10, 20], "yxyx": [2, 1, 22, 11]}
    assert expected.keys() == LAYOUTS.keys()
    for layout, numbers in expected.items():
        assert from_xyxy(boxes, layout).tolist() == [numbers]
        assert to_xyxy(np.array([numbers]), layout).tolist() == boxes.tolist()


def write_sized(folder: Path, images: Sequence[LabeledImage], size: tuple[int, int]) -> None:
    """Write a table that states ``size``, (width, height), for images of another size."""
    write_tf_csv(folder, [LabeledImage(i.name, i.split, size, i.objects) for i in images], LABELS)
    for image in images:
        write_image(folder / "images" / image.split / image.name, image.size)


def test_boxes_of_a_resized_copy_are_scaled_to_the_images(tmp_path: Path) -> None:
    for name, factor in (("larger", 2.0), ("smaller", 0.5)):
        images = make_images(8)
        size = round(WIDTH * factor), round(HEIGHT * factor)
        write_sized(tmp_path / name, restate(images, "xyxy", "xyxy", (factor,) * 4), size)
        dataset = load_dataset(tmp_path / name)
        assert_boxes(dataset, images)
        (message,) = messages(dataset)
        assert "8 of 8 images have another size" in message
        assert "scaled to the images" in message
        with pytest.raises(DataError, match="scaled to the images"):
            load_dataset(tmp_path / name, strict=True)


def test_wrong_stated_sizes_leave_boxes_as_they_are_in_one_line(tmp_path: Path) -> None:
    images = make_images(8)
    for size, text in (
        ((WIDTH * 2, HEIGHT * 2), "which their boxes fit: the boxes are used as they are"),
        ((HEIGHT, WIDTH), "width and height exchanged"),
        ((100, 100), "used as they are"),
    ):
        folder = tmp_path / str(size)
        write_sized(folder, images, size)
        dataset = load_dataset(folder)
        assert_boxes(dataset, images)
        (message,) = messages(dataset)
        assert text in message


def test_boxes_of_one_resized_image_are_scaled(tmp_path: Path) -> None:
    images = make_images(8)
    write_tf_csv(tmp_path, images, LABELS)
    write_image(tmp_path / "images" / "train" / images[0].name, (WIDTH * 2, HEIGHT * 2))
    dataset = load_dataset(tmp_path)
    assert_boxes(dataset, [*restate(images[:1], "xyxy", "xyxy", (2,) * 4), *images[1:]])
    (message,) = messages(dataset)
    assert f"1 of 8 images has another size than the labels state (such as 0.png with {WIDTH * 2}×" in message
    assert "scaled to the images" in message


@pytest.mark.parametrize("size", [(HEIGHT, WIDTH), (WIDTH * 2, HEIGHT)])
def test_one_image_of_another_shape_is_dropped(tmp_path: Path, size: tuple[int, int]) -> None:
    images = make_images(8)
    write_tf_csv(tmp_path, images, LABELS)
    write_image(tmp_path / "images" / "train" / images[0].name, size)
    dataset = load_dataset(tmp_path)
    assert_boxes(dataset, images[1:])
    (message,) = messages(dataset)
    assert f"states {WIDTH}×{HEIGHT} for an image of {size[0]}×{size[1]}, of another shape; 0.png is dropped" in message


def test_one_size_that_is_stated_wrong_is_reported(tmp_path: Path) -> None:
    images = make_images(8)
    small = LabeledImage("8.png", "train", (40, 40), [("bolt", (1.0, 2.0, 100.0, 110.0))])
    write_tf_csv(tmp_path, [*images, small], LABELS)
    write_image(tmp_path / "images" / "train" / small.name, (WIDTH, HEIGHT))
    dataset = load_dataset(tmp_path)
    assert_boxes(dataset, [*images, small])
    (message,) = messages(dataset)
    assert "states 40×40 for 8.png" in message


def test_boxes_in_0_to_1000_are_a_notice(tmp_path: Path) -> None:
    images = resized(make_images(16), 1600, 1200)
    scale = (1000 / 1600, 1000 / 1200, 1000 / 1600, 1000 / 1200)
    write_tf_csv(tmp_path, restate(images, "xyxy", "xyxy", scale), LABELS)
    for image in images:
        write_image(tmp_path / "images" / "train" / image.name, (1600, 1200))
    (notice,) = load_dataset(tmp_path).notices
    assert "if they are in 0–1000" in notice.message
    load_dataset(DataSource(tmp_path, box_units="pixels"), strict=True)
    write_tf_csv(tmp_path, images, LABELS)
    assert load_dataset(tmp_path, strict=True).notices == ()


def test_spellings_of_a_class_give_the_option_that_merges_them(tmp_path: Path) -> None:
    spellings = ("bolt", "bolt", "BOLT", "traffic light, red", "traffic light, red", "Traffic_light, red")
    images = [
        LabeledImage(f"{number}.png", objects=[(label, (1.0, 2.0, 30.0, 20.0))])
        for number, label in enumerate(spellings)
    ]
    write_voc(tmp_path, images, ())
    dataset = load_dataset(tmp_path)
    assert len(dataset.labels) == 4
    (message,) = messages(dataset)
    assert "'bolt' (2 boxes) and 'BOLT' (1 box)" in message
    option, value = shlex.split(message[message.index("--classes") :])
    assert option == "--classes"
    merged = load_dataset(DataSource(tmp_path, classes=value), strict=True)
    assert set(merged.labels) == {"bolt", "traffic light, red"}
    # The user's own list is continued.
    (message,) = messages(load_dataset(DataSource(tmp_path, classes="*,BOLT=bolt")))
    assert message.endswith(r"""--classes '*,BOLT=bolt,Traffic_light\, red=traffic light\, red'""")
    # Classes that the list names are meant as they are.
    load_dataset(DataSource(tmp_path, classes="bolt"), strict=True)


def test_rare_name_like_a_frequent_one_is_a_notice(tmp_path: Path) -> None:
    box = (1.0, 2.0, 30.0, 20.0)
    labels = ["banana"] * 100 + ["bananna", "cherry", "card 1"] + ["card 2"] * 60
    images = [LabeledImage(f"{n}.png", size=(40, 40), objects=[(label, box)]) for n, label in enumerate(labels)]
    write_voc(tmp_path, images, ())
    dataset = load_dataset(tmp_path, strict=True)
    notice, numbered = dataset.notices
    assert "'card 1' (1 box), 'card 2' (60 boxes): if they are one class" in numbered.message
    assert "'banana' (100 boxes) and 'bananna' (1 box)" in notice.message
    assert notice.message.endswith("--classes '*,bananna=banana'")
    (numbered,) = load_dataset(DataSource(tmp_path, classes="*,bananna=banana"), strict=True).notices
    assert numbered.message.endswith("--classes '*,bananna=banana,card 1=card,card 2=card'")


def test_names_that_the_user_states_are_meant_as_they_are(tmp_path: Path) -> None:
    images = [
        LabeledImage(f"{n}.png", objects=[(label, (1.0, 2.0, 30.0, 20.0))]) for n, label in enumerate(["bolt", "BOLT"])
    ]
    write_voc(tmp_path, images, ())
    with pytest.raises(DataError, match="BOLT=bolt"):
        load_dataset(tmp_path, strict=True)
    assert load_dataset(DataSource(tmp_path, classes="bolt,BOLT"), strict=True).labels == ("bolt", "BOLT")


def test_different_names_are_no_spellings(tmp_path: Path) -> None:
    labels = ("10", "1.0", "c", "c++", "bolt", "bolts", "é", "e", "class 1", "class 2")
    images = [LabeledImage(f"{n}.png", objects=[(label, (1.0, 2.0, 30.0, 20.0))]) for n, label in enumerate(labels)]
    write_voc(tmp_path, images, ())
    assert load_dataset(tmp_path, strict=True).num_boxes == len(labels)


def test_generated_class_names_are_reported_with_the_option(tmp_path: Path) -> None:
    rows = ["0.png,0,1,2,30,20", "0.png,1,5,2,30,20", "1.png,1,1,2,30,20"]
    (notice,) = load_dataset(write_d2l_split(tmp_path / "zero", rows), strict=True).notices
    assert "class_0" in notice.message
    assert "classes.txt" in notice.message
    assert "--classes 0=NAME,1=NAME" in notice.message
    assert load_dataset(DataSource(tmp_path / "zero", classes="0=bolt,1=nut"), strict=True).notices == ()
    assert load_dataset(tmp_path / "zero", labels=("bolt", "nut"), strict=True).notices == ()
    rows = ["0.png,1,1,2,30,20", "1.png,2,1,2,30,20"]
    dataset = load_dataset(write_d2l_split(tmp_path / "one", rows))
    (message,) = messages(dataset)
    assert "no object has class id 0" in message
    assert "--classes 1=NAME,2=NAME" in message
    named = load_dataset(DataSource(tmp_path / "one", classes="1=bolt,2=nut"), strict=True)
    assert named.labels == LABELS


def relabel(images: Sequence[LabeledImage], old: str, new: str) -> list[LabeledImage]:
    return [
        LabeledImage(i.name, i.split, i.size, [(new if label == old else label, box) for label, box in i.objects])
        for i in images
    ]


def test_class_in_one_split_only_is_reported(tmp_path: Path) -> None:
    train, val = make_images(12), make_images(12, 1, "val", "v")
    write_voc(tmp_path / "val", [*train, *relabel(val, "nut", "washer")], ())
    dataset = load_dataset(tmp_path / "val")
    (message,) = messages(dataset)
    assert "no object in train, but in val, of class 'washer' (12 boxes)" in message
    assert "--classes bolt,nut" in message
    (notice,) = dataset.notices
    assert "no object in val, but in train, of class 'nut' (12 boxes)" in notice.message
    # Few objects need not have all classes.
    write_voc(tmp_path / "few", [*train[:4], *relabel(val[:1], "nut", "washer")], ())
    few = load_dataset(tmp_path / "few", strict=True)
    assert few.notices == ()
    load_dataset(DataSource(tmp_path / "val", classes="bolt"), strict=True)
    # One image of two boxes may lack a class by chance.
    write_voc(tmp_path / "single", [*train, *relabel(val[:1], "nut", "bolt")], ())
    assert load_dataset(tmp_path / "single", strict=True).notices == ()


def write_copies(folder: Path) -> None:
    """Write train and val, two images of which have the same content; the others differ by their content alone."""
    write_tf_csv(folder, [*make_images(3), *make_images(3, 1, "val", "v")], LABELS)
    for split, contents in (("train", b"abc"), ("val", b"abz")):
        for path, content in zip(sorted((folder / "images" / split).iterdir()), contents, strict=True):
            with path.open("ab") as file:
                file.write(bytes([content]))


def test_copies_across_splits_are_reported_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_copies(tmp_path)
    folder = open_dataset(tmp_path)
    (problem,) = folder.copies
    assert problem.message.startswith("2 images of val: copies of images of train, such as images/val/v0.png of ")
    with caplog.at_level("WARNING"):
        load_training_images(folder)
    assert [record.message for record in caplog.records].count(str(problem)) == 1
    dataset, _ = load_eval_split(folder, LABELS)
    assert dataset.problems == (problem,)


def test_copies_within_a_split_are_no_copies_across(tmp_path: Path) -> None:
    write_tf_csv(tmp_path, [*make_images(3), *make_images(3, 1, "val", "v")], LABELS)
    for path in (tmp_path / "images").rglob("*.png"):
        with path.open("ab") as file:
            file.write(b"train" if path.parent.name == "train" else b"val__")
    assert open_dataset(tmp_path).copies == ()


def test_string_ids_and_gaps_of_coco_are_no_made_up_names(tmp_path: Path) -> None:
    write_coco(tmp_path, make_images(6), LABELS)
    path = tmp_path / "annotations" / "instances_train.json"
    data = json.loads(path.read_text(encoding="utf-8"))
    assert {category["id"] for category in data["categories"]} == {1, 4}
    assert load_dataset(tmp_path, strict=True).notices == ()


def test_inspect_stops_in_one_line_or_reads_as_the_options_say(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = [*make_images(20), *make_images(20, 1, "val", "v")]
    write_voc(tmp_path, restate(images, "xyxy", "xywh"), LABELS)
    assert main(["data", "inspect", str(tmp_path), "--no-near"]) == 2
    errors = [line for line in capsys.readouterr().err.splitlines() if "error" in line]
    assert len(errors) == 1
    assert errors[0].count("--boxes xywh") == 1
    assert main(["data", "inspect", str(tmp_path), "--no-near", "--boxes", "xywh"]) == 0
    output = capsys.readouterr().out
    assert output.count("20 images, 40 boxes") == 2
    assert "problem" not in output


@pytest.mark.parametrize("reading", [{}, {"boxes": "xywh"}, {"boxes": "cxcywh", "box_units": "percent"}])
def test_numbers_beyond_any_image_are_dropped_as_usual(tmp_path: Path, reading: dict[str, str]) -> None:
    huge = [(1e308, -1e308, 1.7e308, 1e308), (float("nan"), 0.0, 1.0, 1.0), (0.0, 0.0, float("inf"), 5.0)]
    bad = LabeledImage("bad.png", "train", (WIDTH, HEIGHT), [("bolt", box) for box in huge])
    images = [*make_images(8), bad]
    write_tf_csv(tmp_path, images, LABELS)
    dataset = load_dataset(DataSource(tmp_path, **reading))  # type: ignore[arg-type]
    assert "bad.png" not in {sample.path.name for sample in dataset.samples}


def test_anchors_and_inspect_log_what_was_concluded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images = make_images(6)
    write_tf_csv(tmp_path, restate(images, "xyxy", "xyxy", (1 / WIDTH, 1 / HEIGHT) * 2), LABELS)
    assert main(["data", "anchors", str(tmp_path)]) == 0
    assert capsys.readouterr().err.count("warning: ") == 1
    assert main(["data", "inspect", str(tmp_path), "--no-near", "--json"]) == 0
    (problem,) = json.loads(capsys.readouterr().out)["splits"]["train"]["problems"]
    assert "--box-units normalized" in problem["message"]


@pytest.mark.parametrize("write", [write_voc, write_tf_csv, write_coco])
def test_boxes_of_larger_images_stop(tmp_path: Path, write: Write) -> None:
    images = make_images()
    write(tmp_path, restate(images, "xyxy", "xyxy", [2, 2, 2, 2]), LABELS)
    with pytest.raises(DataError, match=r"of 24 boxes exceed their images, by up to ×[12]\.?\d*: they") as error:
        load_dataset(tmp_path)
    option = re.search(r"--boxes (\w+) reads them as now", str(error.value))
    assert option is not None
    assert len(load_dataset(DataSource(tmp_path, boxes=option[1]))) > 0


def resized(images: Sequence[LabeledImage], width: int, height: int) -> list[LabeledImage]:
    """Return the images in another size, with the boxes scaled."""
    scaled = restate(images, "xyxy", "xyxy", [width / WIDTH, height / HEIGHT] * 2)
    return [LabeledImage(image.name, image.split, (width, height), image.objects) for image in scaled]


def in_percent(images: Sequence[LabeledImage]) -> list[LabeledImage]:
    """Return images whose boxes are written in percent by a writer of pixels."""
    width, height = images[0].size
    return restate(images, "xyxy", "xyxy", [100 / width, 100 / height] * 2)


@pytest.mark.parametrize("write", [write_voc, write_tf_csv, write_coco])
@pytest.mark.parametrize("size", [(320, 240), (160, 120), (150, 110), (72, 54), (48, 160)])
def test_boxes_in_percent_stop_with_the_option(tmp_path: Path, write: Write, size: tuple[int, int]) -> None:
    images = resized(make_images(), *size)
    percent = [LabeledImage(i.name, i.split, size, i.objects) for i in in_percent(images)]
    write(tmp_path, percent, LABELS)
    with pytest.raises(DataError, match=r"--box-units percent.* pixels") as error:
        load_dataset(tmp_path)
    assert "--boxes" not in str(error.value)
    dataset = load_dataset(DataSource(tmp_path, box_units="percent"), strict=True)
    boxes = {image.name: [box for _, box in image.objects] for image in images}
    for sample in dataset.samples:
        np.testing.assert_allclose(sample.boxes_xyxy, boxes[sample.path.name], atol=0.6)
    assert load_dataset(DataSource(tmp_path, box_units="pixels")).num_boxes > 0


def test_few_boxes_that_may_be_in_percent_are_read_as_pixels_with_a_notice(tmp_path: Path) -> None:
    boxes = [(10.0, 10.0, 90.0, 95.0), (60.0, 20.0, 98.0, 60.0), (5.0, 50.0, 40.0, 99.0), (20.0, 5.0, 70.0, 60.0)]
    images = [LabeledImage(f"{i}.png", "train", (160, 140), [("bolt", box)]) for i, box in enumerate(boxes)]
    write_tf_csv(tmp_path, images, LABELS)
    dataset = load_dataset(tmp_path)
    assert_boxes(dataset, images)
    (notice,) = [notice.message for notice in dataset.notices if "--box-units percent" in notice.message]
    assert notice.startswith("no number of 4 boxes exceeds 99: read as pixels")
    (dataset,) = [load_dataset(DataSource(tmp_path, box_units="pixels"))]
    assert "percent" not in str(dataset.notices)


@pytest.mark.parametrize("size", [(100, 100), (96, 96), (120, 90), (640, 480)])
@pytest.mark.parametrize("count", [2, 12, 40])
def test_boxes_in_pixels_anywhere_in_their_images_are_not_taken_for_percent(
    tmp_path: Path, size: tuple[int, int], count: int
) -> None:
    images = resized(make_images(count), *size)
    write_tf_csv(tmp_path, images, LABELS)
    dataset = load_dataset(tmp_path, strict=True)
    assert_boxes(dataset, images)
    assert "percent" not in str(dataset.notices)


def test_objects_of_a_class_called_background_are_reported(tmp_path: Path) -> None:
    """As of category ids that are off by one."""
    images = make_images()
    for image in images:
        image.objects[0] = ("Background", image.objects[0][1])  # type: ignore[index]
    write_coco(tmp_path, images, ("Background", "nut"))
    (message,) = messages(load_dataset(tmp_path))
    assert "objects are labeled as 'Background' (12 boxes): correct the class ids" in message
    assert message.endswith("--classes nut")


def test_reversed_corners_are_named(tmp_path: Path) -> None:
    for number in range(8):
        write_image(tmp_path / f"{number}.png")
        write_voc_xml(tmp_path / f"{number}.xml", f"{number}.png", [("fork", (58.0, 38.0, 30.0 + number, 20.0))])
    with pytest.raises(DataError, match=r"8 of 8 boxes .* since their corners are exchanged, .*: correct them"):
        load_dataset(tmp_path)
