"""Class names that are hardly meant as they are: edge_ssd.data.plausibility.class_names and numbered_names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from label_writers import write_image

from edge_ssd.data.dataset import Dataset
from edge_ssd.data.load import load_dataset
from edge_ssd.data.source import DataSource
from edge_ssd.errors import DataError


def load(root: Path, names: Sequence[str]) -> Dataset:
    """Return a dataset of a table with one object of each name."""
    write_image(root / "images" / "a.jpg", size=(900, 40))
    rows = [f"a.jpg,{name},{9 * number},2,{9 * number + 8},20" for number, name in enumerate(names)]
    (root / "labels.csv").write_text("\n".join(["image,label,xmin,ymin,xmax,ymax", *rows]), encoding="utf-8")
    return load_dataset(DataSource(root))


@pytest.mark.parametrize(
    ("names", "fact", "option"),
    [
        (["bolt", "bolt\u200b"], "invisible characters, .* only: 'bolt' .* and 'bolt\\\\u200b'", "'*,bolt\u200b=bolt'"),
        (["bolt", "b\u043elt"], r"letters that look alike, only: 'bolt' .* 'b\\u043elt'", "'*,b\u043elt=bolt'"),
    ],
)
def test_names_that_are_a_fault(tmp_path: Path, names: Sequence[str], fact: str, option: str) -> None:
    dataset = load(tmp_path, names)
    assert option in dataset.problems[0].message
    with pytest.raises(DataError, match=fact):
        load_dataset(tmp_path, strict=True)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["bolt_1", "bolt_2", "nut"], "merge them with --classes '*,bolt_1=bolt,bolt_2=bolt'"),
        ([f"nut{number}" for number in range(9)], "9 classes for 9 boxes, such as 'nut0'"),
        (["bolt", "bolt 2"], "merge them with --classes '*,bolt 2=bolt'"),
        (["0", "nut", "bolt"], "some classes are named by numbers, others by words: '0' (1 box); name them with"),
    ],
)
def test_names_that_may_be_meant_otherwise(tmp_path: Path, names: Sequence[str], message: str) -> None:
    assert message in "".join(str(notice) for notice in load(tmp_path, names).notices)


@pytest.mark.parametrize(
    "names", [["M3", "M4"], ["class_0", "class_1"], ["болт", "гайка"], ["a", "b", "1", "2"], ["bolt", "nut"]]
)
def test_names_that_are_meant_as_they_are(tmp_path: Path, names: Sequence[str]) -> None:
    dataset = load(tmp_path, names)
    assert (dataset.problems, dataset.notices) == ((), ())


@pytest.mark.parametrize("names", ["[nut, bolt]", "{0: nut, 1: bolt}"])
def test_data_yaml_and_classes_txt_that_contradict_each_other_stop(tmp_path: Path, names: str) -> None:
    write_image(tmp_path / "images" / "a.jpg")
    for name, text in (("a", "0 0.5 0.5 0.2 0.2\n"), ("classes", "bolt\nnut\n")):
        (tmp_path / f"{name}.txt").write_text(text)
    (tmp_path / "data.yaml").write_text(f"train: images\nval: images\nnames: {names}\n")
    with pytest.raises(DataError, match=r"class 0 is 'nut' in data\.yaml, but 'bolt' in the file of class names"):
        load_dataset(tmp_path)


def test_classes_of_data_yaml_may_have_new_names(tmp_path: Path) -> None:
    write_image(tmp_path / "images" / "a.jpg")
    for name, text in (("images/a", "0 0.5 0.5 0.2 0.2\n"), ("classes", "bolt\nnut\n")):
        (tmp_path / f"{name}.txt").write_text(text)
    (tmp_path / "data.yaml").write_text("train: images\nval: images\nnames: [Bolts, Nuts]\n")
    assert load_dataset(tmp_path).labels == ("Bolts", "Nuts")


def test_kitti_lines_after_the_numbers_of_frame_and_track(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png")
    numbers = "0 0 -10 1 2 30 20 -1 -1 -1 -1000 -1000 -1000 -10"
    (tmp_path / "a.txt").write_text(f"0 3 Traffic light {numbers}\n0 -1 DontCare {numbers}\n")
    dataset = load_dataset(tmp_path)
    assert (dataset.format, dataset.labels, dataset.num_boxes) == ("kitti", ("Traffic light",), 1)
