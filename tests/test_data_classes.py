"""edge_ssd.data.classes and edge_ssd.data.source: selection, names and order of classes."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest
from conftest import REPOSITORY
from label_writers import WRITERS, LabeledImage

from edge_ssd.cli import main
from edge_ssd.commands.data_options import add_data_options, add_eval_split_option, data_source
from edge_ssd.data.classes import parse_classes, select_classes
from edge_ssd.data.eval_split import load_eval_split
from edge_ssd.data.load import load_dataset, open_dataset
from edge_ssd.data.source import DataSource
from edge_ssd.data.splits import load_training_split
from edge_ssd.errors import DataError, SettingError

NAMES = ("cup", "fork", "knife", "spoon")


@pytest.mark.parametrize(
    ("text", "labels", "new_names"),
    [
        ("fork,cup", ("fork", "cup"), ("cup", "fork", None, None)),
        ("fork=cutlery,knife=cutlery", ("cutlery",), (None, "cutlery", "cutlery", None)),
        ("knife=fork,fork=knife", ("fork", "knife"), (None, "knife", "fork", None)),
        ("*,knife=blade", ("cup", "fork", "spoon", "blade"), ("cup", "fork", "blade", "spoon")),
        ("knife,*", ("knife", "cup", "fork", "spoon"), NAMES),
        ("*", NAMES, NAMES),
        (" fork = big fork , cup", ("big fork", "cup"), ("cup", "big fork", None, None)),
    ],
)
def test_select_classes_order_and_names(text: str, labels: tuple[str, ...], new_names: tuple[str | None, ...]) -> None:
    chosen = select_classes(NAMES, parse_classes(text))
    assert chosen.labels == labels
    assert chosen.new_names == new_names


def test_parse_classes_unescapes_commas_and_equals_signs() -> None:
    assert parse_classes(r"a\,b=c\=d,e") == (("a,b", "c=d"), ("e", "e"))


@pytest.mark.parametrize("text", ["", "fork,,cup", "fork=", "=fork", "*=x", "fork,fork=x"])
def test_parse_classes_rejects_invalid_text(text: str) -> None:
    with pytest.raises(SettingError, match="classes"):
        parse_classes(text)


def test_select_classes_rejects_unknown_class() -> None:
    with pytest.raises(DataError, match="no class 'forc' in the dataset; did you mean 'fork'"):
        select_classes(NAMES, parse_classes("forc"))
    with pytest.raises(DataError, match="no class 'zebra' in the dataset; it has cup, fork, knife, spoon"):
        select_classes(NAMES, parse_classes("zebra"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    images = [
        LabeledImage("a.png", objects=[("fork", (1, 2, 30, 20)), ("cup", (5, 5, 9, 9))]),
        LabeledImage("b.png", objects=[("knife", (1, 2, 30, 20))]),
        LabeledImage("c.png", objects=[("cup", (1, 2, 30, 20))]),
    ]
    WRITERS["d2l_csv"](tmp_path, images, NAMES)
    return tmp_path


def test_boxes_of_other_classes_are_excluded_and_their_images_are_background(folder: Path) -> None:
    dataset = load_dataset(DataSource(folder, classes="fork=cutlery,knife=cutlery"), strict=True)
    assert dataset.labels == ("cutlery",)
    assert [len(sample.class_ids) for sample in dataset.samples] == [1, 1, 0]
    assert [notice.message for notice in dataset.notices] == ["2 boxes of other classes excluded"]


def test_new_class_names_are_matched_with_the_labels_of_a_model(folder: Path) -> None:
    source = DataSource(folder, classes="fork=cutlery,knife=cutlery")
    assert load_dataset(source, labels=["plate", "cutlery"]).samples[0].class_ids.tolist() == [1]
    with pytest.raises(DataError, match=r"model knows fork, the images of .* have cutlery: no class in common"):
        load_dataset(source, labels=["fork"])
    with pytest.raises(DataError, match=r"in common; rename the dataset's classes, as in --classes fork=Fork$"):
        load_dataset(folder, labels=["plate", "Fork"])
    with pytest.raises(DataError, match=r"unknown class 'cup'; expected one of: fork.*--classes"):
        load_dataset(folder, labels=["fork", "knife"])


@pytest.mark.parametrize("text", ["fork;knife", "fork; knife", "fork knife", "fork|knife"])
def test_classes_with_another_separator_are_shown_with_commas(folder: Path, text: str) -> None:
    with pytest.raises(DataError, match=r"separate classes by commas: fork,knife$"):
        load_dataset(DataSource(folder, classes=text))


@pytest.mark.parametrize("word", ["validation", "Valid", "val"])
def test_split_option_takes_the_words_of_folders(word: str) -> None:
    parser = argparse.ArgumentParser()
    add_eval_split_option(parser)
    assert parser.parse_args(["--split", word]).split == "val"


def test_class_ids_may_be_selected_if_there_are_no_names(folder: Path) -> None:
    (folder / "classes.txt").unlink()
    dataset = load_dataset(DataSource(folder, classes="1=fork,class_2=knife"))
    assert dataset.labels == ("fork", "knife")
    assert [sample.class_ids.tolist() for sample in dataset.samples] == [[0], [1], []]


def test_data_source_of_options_round_trips() -> None:
    parser = argparse.ArgumentParser()
    add_data_options(parser)
    source = data_source(parser.parse_args(["--data", "a b", "--classes", "x=y", "--format", "voc"]))
    assert source == DataSource(Path("a b"), "voc", "x=y")
    assert source.options == ("--format", "voc", "--classes", "x=y")
    assert DataSource.from_dict(source.to_dict()) == source
    with pytest.raises(SettingError, match="unknown format 'csv'"):
        DataSource(Path("x"), format="csv")


def test_layout_and_units_of_boxes_round_trip() -> None:
    parser = argparse.ArgumentParser()
    add_data_options(parser)
    source = data_source(parser.parse_args(["--data", "a", "--boxes", "xywh", "--box-units", "normalized"]))
    assert source == DataSource(Path("a"), boxes="xywh", box_units="normalized")
    assert source.options == ("--boxes", "xywh", "--box-units", "normalized")
    assert DataSource.from_dict(source.to_dict()) == source
    earlier = {"folder": "a", "format": None, "classes": None}
    assert DataSource.from_dict(earlier) == DataSource(Path("a"))
    with pytest.raises(SettingError, match="unknown boxes 'xy': choose from xyxy, xywh"):
        DataSource(Path("x"), boxes="xy")
    with pytest.raises(SettingError, match="unknown box units '%': choose from pixels"):
        DataSource(Path("x"), box_units="%")


def test_load_training_and_eval_split_apply_class_selection(folder: Path) -> None:
    source = open_dataset(DataSource(folder / "set_train", classes="knife=cutlery"))
    for dataset in (load_training_split(source, ["cutlery"]), load_eval_split(source, ["cutlery"], "train")[0]):
        assert dataset.labels == ("cutlery",)
        assert [len(sample.class_ids) for sample in dataset.samples] == [0, 1, 0]


@pytest.mark.parametrize(
    "command",
    [
        "evaluate {models}/banana.tflite",
        "convert {float}/banana.keras --out {out}/banana.tflite",
        "verify {models}/banana.tflite --against {float}/banana.keras",
        "compare {float}/banana.keras --out {out}",
    ],
)
def test_commands_that_read_labels_accept_data_options(
    folder: Path, tmp_path: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("tensorflow")
    places = {"models": REPOSITORY / "edge_ssd" / "models", "float": REPOSITORY / "converters" / "models"}
    words = command.format(**places, out=tmp_path / "out").split()
    undivided = (folder / "set_train").rename(folder / "cutlery")
    for options, message in (
        (["--classes=saw=banana"], "there is no class 'saw' in the dataset; it has cup, fork, knife, spoon"),
        (["--format=coco"], "no labels of COCO JSON in it"),
    ):
        assert main([*words, f"--data={undivided}", *options]) == 2
        assert message in capsys.readouterr().err
