"""edge_ssd.data.eval_split: which images a model is measured and calibrated on."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from label_writers import write_d2l_split, write_image

from edge_ssd.data.eval_split import EvalSplit, load_calibration_split, load_eval_split
from edge_ssd.data.held_out import HeldOut
from edge_ssd.data.load import open_dataset
from edge_ssd.data.source import DataSource
from edge_ssd.errors import DataError

LABELS = ("thing",)
HELD_OUT = HeldOut(("images/2.png", "images/5.png"))


def write_split(folder: Path, count: int, boxes: bool = True) -> None:
    names = [f"{i}.png" for i in range(count)]
    write_d2l_split(folder, [f"{name},0,1,2,30,39" if boxes else f"{name},,,,," for name in names], names)


def names_of(dataset) -> list[str]:
    return [sample.path.name for sample in dataset.samples]


@pytest.mark.parametrize(
    ("counts", "split", "expected"),
    [
        ({"_train": 5, "_val": 2}, None, (2, "val")),
        ({"_train": 5, "_val": 2}, "train", (5, "train")),
        ({"_train": 5, "_val": 2}, "all", (7, "all")),
        ({"_train": 5, "_test": 3}, None, (3, "test")),
        ({"_train": 5, "_test": 3}, "val", (3, "test")),
        ({"": 5}, None, (5, "all")),
        ({"": 5}, "all", (5, "all")),
    ],
)
def test_eval_split_is_val_else_test_else_all_of_an_undivided_dataset(
    tmp_path: Path, counts: dict[str, int], split: EvalSplit | None, expected: tuple[int, str]
) -> None:
    for suffix, count in counts.items():
        write_split(tmp_path / f"set{suffix}", count)
    folder = open_dataset(tmp_path)
    for limit, size in ((None, expected[0]), (1, 1)):
        images, name = load_eval_split(folder, LABELS, split, limit=limit)
        assert (len(images), name) == (size, expected[1])
    assert len(load_calibration_split(folder, LABELS, None)) == 5


def test_class_numbers_that_get_the_names_of_a_model_with_other_classes_are_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_split(tmp_path / "set", 5)
    message = "its labels are numbers, read as the model's classes in their order: 0 is 'apple'; --classes 0=NAME"
    for labels, classes, is_warned in [
        (LABELS, None, False),
        (("apple", "banana"), None, True),
        (("apple", "banana"), "0=banana", False),
    ]:
        caplog.clear()
        load_eval_split(open_dataset(DataSource(tmp_path, classes=classes)), labels)
        assert any(message in record.getMessage() for record in caplog.records) == is_warned
    with pytest.raises(DataError, match="its labels are numbers"):
        load_eval_split(open_dataset(DataSource(tmp_path, strict=True)), ("apple", "banana"))


@pytest.mark.parametrize("split", [None, "val"])
@pytest.mark.parametrize("name", ["set", "set_train"])
def test_held_out_images_take_the_place_of_a_validation_split(
    name: str, split: EvalSplit | None, tmp_path: Path, caplog
) -> None:
    caplog.set_level(logging.INFO, "edge_ssd")
    write_split(tmp_path / name, 6)
    folder = open_dataset(tmp_path / name)
    images, measured_on = load_eval_split(folder, LABELS, split, held_out=HELD_OUT, listed_in="run/held_out.json")
    assert (names_of(images), measured_on) == (["2.png", "5.png"], "held-out")
    assert (
        "measuring on the 2 of 6 images that training held out (images/2.png, images/5.png); all are listed in run"
        in caplog.text
    )
    caplog.clear()
    load_eval_split(folder, LABELS, split, held_out=HELD_OUT, to_measure=False)
    assert "choosing the self-test from the 2 of 6 images" in caplog.text
    assert "measuring" not in caplog.text
    assert names_of(load_calibration_split(folder, LABELS, HELD_OUT)) == ["0.png", "1.png", "3.png", "4.png"]
    assert names_of(load_eval_split(folder, LABELS, split, limit=1, held_out=HELD_OUT)[0]) == ["2.png"]


def test_held_out_images_precede_splits_that_the_training_may_have_used(tmp_path: Path) -> None:
    write_split(tmp_path / "set_train", 6)
    write_split(tmp_path / "set_val", 3)
    folder = open_dataset(tmp_path)
    held_out = HeldOut(("set_train/images/2.png", "set_val/images/1.png"))
    images, name = load_eval_split(folder, LABELS, held_out=held_out)
    assert ([sample.path.relative_to(tmp_path).as_posix() for sample in images.samples], name) == (
        list(held_out.names),
        "held-out",
    )
    images, name = load_eval_split(folder, LABELS, "val", held_out=held_out)
    assert (len(images), name) == (3, "val")
    assert len(load_calibration_split(folder, LABELS, held_out)) == 5
    # The training used the split of the dataset, or another dataset.
    for other in (HeldOut(), HeldOut(("a.png", "b.png"))):
        images, name = load_eval_split(folder, LABELS, held_out=other)
        assert (len(images), name) == (3, "val")
        assert len(load_calibration_split(folder, LABELS, other)) == 6


@pytest.mark.parametrize(
    ("held_out", "line", "level"),
    [
        (None, "does not state which images its training held out", "WARNING"),
        (HeldOut(), "was trained on a dataset with splits", "WARNING"),
        (HeldOut(("images/a.png", "images/b.png")), "none of the 2 images that training held out", "INFO"),
        (HeldOut(("images/2.png", "b.png", "c.png")), "only 1 of the 3 images that training held out", "WARNING"),
    ],
)
def test_all_images_of_another_undivided_dataset_are_used_and_the_log_says_why(
    held_out: HeldOut | None, line: str, level: str, tmp_path: Path, caplog
) -> None:
    write_split(tmp_path / "set", 6)
    folder = open_dataset(tmp_path / "set")
    caplog.set_level(logging.INFO, "edge_ssd")
    images, name = load_eval_split(folder, LABELS, held_out=held_out)
    assert (len(images), name) == (6, "all")
    (record,) = caplog.records
    assert (line in record.getMessage(), record.levelname) == (True, level)
    assert "measuring on all 6 images" in record.getMessage()


def test_calibration_uses_held_out_images_if_there_are_no_others(tmp_path: Path) -> None:
    write_split(tmp_path / "set", 2)
    folder = open_dataset(tmp_path / "set")
    assert len(load_calibration_split(folder, LABELS, HeldOut(("images/0.png", "images/1.png")))) == 2


def test_training_images_only_are_an_error(tmp_path: Path) -> None:
    write_split(tmp_path / "set_train", 5)
    folder = open_dataset(tmp_path)
    for split in (None, "val"):
        with pytest.raises(DataError, match="training images only"):
            load_eval_split(folder, LABELS, split)
    write_split(tmp_path / "undivided" / "set", 2)
    undivided = open_dataset(tmp_path / "undivided" / "set")
    with pytest.raises(DataError, match="not divided into train and val"):
        load_eval_split(undivided, LABELS, "val")


@pytest.mark.parametrize("limit", [None, 2])
def test_images_without_objects_are_an_error_unless_they_are_not_measured_on(limit: int | None, tmp_path: Path) -> None:
    write_split(tmp_path / "set_train", 5)
    write_split(tmp_path / "set_val", 3, boxes=False)
    folder = open_dataset(tmp_path)
    with pytest.raises(DataError, match=rf"none of the {limit or 3} images to measure on \(val\) has an object"):
        load_eval_split(folder, LABELS, limit=limit)
    assert len(load_eval_split(folder, LABELS, limit=limit, to_measure=False)[0]) == (limit or 3)


@pytest.mark.parametrize("split", [None, "val"])
def test_unusable_validation_split_is_one_line_or_replaced_by_held_out_images(
    split: EvalSplit | None, tmp_path: Path
) -> None:
    for i in range(4):
        write_image(tmp_path / "images" / "train" / f"{i}.png")
        label = tmp_path / "labels" / "train" / f"{i}.txt"
        label.parent.mkdir(parents=True, exist_ok=True)
        label.write_text("0 0.5 0.5 0.2 0.2\n")
    (tmp_path / "data.yaml").write_text("train: images/train\nval: images/val\nnames: [thing]\n")
    folder = open_dataset(tmp_path)
    with pytest.raises(DataError, match=r"data\.yaml: its val images .*, or use --split train$"):
        load_eval_split(folder, LABELS, split)
    held_out = HeldOut(("images/train/1.png",))
    images, name = load_eval_split(folder, LABELS, split, held_out=held_out)
    assert (names_of(images), name) == (["1.png"], "held-out")


def test_training_on_a_validation_split_leaves_its_held_out_images_to_measure_on(tmp_path: Path) -> None:
    write_split(tmp_path / "set_val", 8)
    folder = open_dataset(tmp_path)
    held_out = HeldOut(("set_val/images/2.png", "set_val/images/5.png"))
    images, name = load_eval_split(folder, LABELS, held_out=held_out)
    assert (names_of(images), name) == (["2.png", "5.png"], "held-out")
    # A dataset that lacks one of them is another one.
    images, name = load_eval_split(folder, LABELS, held_out=HeldOut((*held_out.names, "set_val/images/9.png")))
    assert (len(images), name) == (8, "val")
