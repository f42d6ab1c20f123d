"""edge_ssd.data.load: recognising formats, reading them, and every fault named with its file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from edge_ssd.data.dataset import Dataset, Sample
from edge_ssd.data.image_header import read_image_header
from edge_ssd.data.load import load_dataset, open_dataset
from edge_ssd.data.splits import split_dataset
from edge_ssd.errors import DataError

WIDTH, HEIGHT = 60, 40
D2L_HEADER = "img_name,label,xmin,ymin,xmax,ymax"
TF_HEADER = "filename,width,height,class,xmin,ymin,xmax,ymax"


def picture(path: Path, width: int = WIDTH, height: int = HEIGHT, orientation: int | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.new("RGB", (width, height), (200, 180, 40))
    exif = Image.Exif()
    if orientation is not None:
        exif[0x0112] = orientation
    image.save(path, exif=exif)


def d2l(folder: Path, rows: Sequence[str], pictures: Sequence[str] = ("0.png", "1.png")) -> Path:
    for name in pictures:
        picture(folder / "images" / name)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "label.csv").write_text("\n".join([D2L_HEADER, *rows]) + "\n", encoding="utf-8")
    return folder


def voc_xml(path: Path, filename: str, objects: Sequence[tuple[str, tuple[float, ...]]], size: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    items = "".join(
        f"<object><name>{name}</name><bndbox><xmin>{box[0]}</xmin><ymin>{box[1]}</ymin>"
        f"<xmax>{box[2]}</xmax><ymax>{box[3]}</ymax></bndbox></object>"
        for name, box in objects
    )
    path.write_text(f"<annotation><filename>{filename}</filename>{size}{items}</annotation>", encoding="utf-8")


def messages(dataset: Dataset) -> list[str]:
    return [str(problem) for problem in dataset.problems]


# The book's folders


def test_d2l_reads_splits_boxes_and_the_banana(tmp_path: Path) -> None:
    d2l(tmp_path / "bananas_train", ["0.png,0,1,2,30,20", "1.png,0,5,5,60,40", "0.png,0,40,1,50,9"])
    d2l(tmp_path / "bananas_val", ["0.png,0,3,3,9,9"], ["0.png"])
    assert open_dataset(tmp_path).splits == ("train", "val")
    train = load_dataset(tmp_path, "train")
    assert train.labels == ("banana",)
    assert train.format == "d2l_csv"
    assert train.problems == ()
    assert [sample.path.name for sample in train.samples] == ["0.png", "1.png"]
    assert train.samples[0].boxes_xyxy.tolist() == [[1, 2, 30, 20], [40, 1, 50, 9]]
    assert train.samples[0].class_ids.tolist() == [0, 0]
    assert train.samples[0].size == (HEIGHT, WIDTH)
    assert len(load_dataset(tmp_path, "val")) == 1
    assert len(load_dataset(tmp_path)) == 3
    assert len(load_dataset(tmp_path / "bananas_val", "val")) == 1
    with pytest.raises(DataError, match="no split 'test', only train, val"):
        load_dataset(tmp_path, "test")


def test_d2l_class_numbers_get_names_from_a_file_or_are_numbered(tmp_path: Path) -> None:
    folder = d2l(tmp_path / "tools", ["0.png,2,1,2,3,4", "1.png,0,1,2,3,4"])
    assert load_dataset(folder).labels == ("class_0", "class_1", "class_2")
    assert load_dataset(folder, labels=["saw", "axe", "awl"]).labels == ("saw", "axe", "awl")
    assert load_dataset(folder, labels=["saw", "axe", "awl"]).samples[0].class_ids.tolist() == [2]
    (folder / "classes.txt").write_text("hammer\nnail\npliers\n", encoding="utf-8")
    assert load_dataset(folder).labels == ("hammer", "nail", "pliers")
    # Now that the numbers have names, the names decide, whatever order a model has them in.
    assert load_dataset(folder, labels=["pliers", "hammer"]).samples[0].class_ids.tolist() == [0]


def test_d2l_labels_may_be_names(tmp_path: Path) -> None:
    folder = d2l(tmp_path / "cutlery", ["0.png,knife,1,2,3,4", "1.png,fork,1,2,3,4"])
    dataset = load_dataset(folder)
    assert dataset.labels == ("fork", "knife")
    assert [sample.class_ids.tolist() for sample in dataset.samples] == [[1], [0]]


def test_a_set_of_one_class_that_is_not_bananas_is_not_called_banana(tmp_path: Path) -> None:
    assert load_dataset(d2l(tmp_path / "cups", ["0.png,0,1,2,3,4"])).labels == ("class_0",)


def test_pictures_beside_the_table_and_columns_in_another_order(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    text = "ymin,xmin,ymax,xmax,note,label,img_name\n2,1,20,30,x,cup,a.png\n"
    (tmp_path / "label.csv").write_text("\ufeff" + text, encoding="utf-8")
    dataset = load_dataset(tmp_path)
    assert dataset.samples[0].boxes_xyxy.tolist() == [[1, 2, 30, 20]]
    assert dataset.labels == ("cup",)


# TensorFlow tables


def test_tf_tables_by_split(tmp_path: Path) -> None:
    for split, name in (("train", "a.jpg"), ("test", "b.jpg")):
        picture(tmp_path / "images" / name)
        table = tmp_path / "data" / f"{split}_labels.csv"
        table.parent.mkdir(exist_ok=True)
        table.write_text(f"{TF_HEADER}\n{name},{WIDTH},{HEIGHT},cat,1,2,30,20\n", encoding="utf-8")
    (tmp_path / "data" / "all_labels.csv").write_text(f"{TF_HEADER}\nlost.jpg,1,1,cat,0,0,1,1\n", encoding="utf-8")
    assert open_dataset(tmp_path).splits == ("train", "test")
    assert len(load_dataset(tmp_path)) == 2
    assert load_dataset(tmp_path, "test").samples[0].path == tmp_path / "images" / "b.jpg"
    assert load_dataset(tmp_path, "train").format == "tf_csv"
    assert load_dataset(tmp_path, "train").problems == ()


def test_one_tf_table_is_a_set_without_splits(tmp_path: Path) -> None:
    picture(tmp_path / "a.jpg")
    (tmp_path / "boxes.csv").write_text(f"{TF_HEADER}\na.jpg,{WIDTH},{HEIGHT},cat,1,2,30,20\n", encoding="utf-8")
    assert open_dataset(tmp_path).splits == ()
    assert len(load_dataset(tmp_path)) == 1
    with pytest.raises(DataError, match="not divided into train and val"):
        load_dataset(tmp_path, "train")


@pytest.mark.parametrize(
    ("splits", "expected", "logged"),
    [
        (("train", "val", "test"), "val", []),
        (("train", "test"), "test", ["no validation split; using the test split"]),
        (("train",), None, []),
        ((), None, []),
    ],
)
def test_validation_split_is_val_else_test_with_a_log_line(
    tmp_path: Path,
    splits: Sequence[str],
    expected: str | None,
    logged: list[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    for folder in [tmp_path / f"set_{split}" for split in splits] or [tmp_path]:
        d2l(folder, ["0.png,0,1,2,3,4"], ["0.png"])
    folder = open_dataset(tmp_path)
    with caplog.at_level("INFO"):
        assert [folder.evaluation_split, folder.evaluation_split] == [expected, expected]
    assert [message.partition(": ")[2] for message in caplog.messages] == logged
    if expected == "test":
        with pytest.raises(DataError, match="no split 'val', only train, test"):
            folder.load("val")


# Pascal VOC


def test_voc_with_lists(tmp_path: Path) -> None:
    for stem, label in (("one", "cat"), ("two", "dog"), ("three", "cat")):
        picture(tmp_path / "JPEGImages" / f"{stem}.jpg")
        voc_xml(tmp_path / "Annotations" / f"{stem}.xml", f"{stem}.jpg", [(label, (1, 2, 30, 20))])
    lists = tmp_path / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("one\ntwo\n", encoding="utf-8")
    (lists / "val.txt").write_text("three 1\n", encoding="utf-8")
    (lists / "trainval.txt").write_text("one\ntwo\nthree\n", encoding="utf-8")
    assert open_dataset(tmp_path).splits == ("train", "val")
    # "dog" is in train only: ids mean the same in every split.
    assert load_dataset(tmp_path, "val").labels == ("cat", "dog")
    assert [sample.path.stem for sample in load_dataset(tmp_path, "train").samples] == ["one", "two"]
    (lists / "val.txt").write_text("three\nfour\n", encoding="utf-8")
    assert len(load_dataset(tmp_path, "train")) == 2
    with pytest.raises(DataError, match=r"four\.xml: .* missing"):
        load_dataset(tmp_path, "val")


def test_voc_beside_the_pictures_in_a_nested_folder(tmp_path: Path) -> None:
    root = tmp_path / "download"
    for split in ("train", "test"):
        picture(root / "cards" / "images" / split / "x.JPG")
        voc_xml(root / "cards" / "images" / split / "x.xml", "x.JPG", [("ace", (1, 2, 30, 20))])
    (root / "README").write_text("text", encoding="utf-8")
    assert open_dataset(root).splits == ("train", "test")
    assert load_dataset(root, "test").samples[0].path.name == "x.JPG"


def test_voc_prefers_the_picture_of_its_own_name_to_the_name_inside(tmp_path: Path) -> None:
    picture(tmp_path / "images" / "renamed.png")
    picture(tmp_path / "images" / "old.png")
    voc_xml(tmp_path / "annotations" / "renamed.xml", "old.png", [("ace", (1, 2, 30, 20))])
    assert load_dataset(tmp_path).samples[0].path.name == "renamed.png"


def test_voc_without_objects_is_background(tmp_path: Path) -> None:
    for stem, objects in (("a", [("cat", (1, 2, 30, 20))]), ("b", [])):
        picture(tmp_path / "images" / f"{stem}.png")
        voc_xml(tmp_path / "annotations" / f"{stem}.xml", f"{stem}.png", objects)
    dataset = load_dataset(tmp_path)
    assert [len(sample.class_ids) for sample in dataset.samples] == [1, 0]
    assert dataset.problems == ()


@pytest.mark.parametrize(
    "text", ["", "<annotation>", "<html></html>", "\x00\x01", "<?xml version='1.0' encoding='none'?><a/>"]
)
def test_a_broken_xml_file_is_dropped_and_named(tmp_path: Path, text: str) -> None:
    for stem in "ab":
        picture(tmp_path / "images" / f"{stem}.png")
        voc_xml(tmp_path / "annotations" / f"{stem}.xml", f"{stem}.png", [("cat", (1, 2, 30, 20))])
    (tmp_path / "annotations" / "b.xml").write_text(text, encoding="utf-8")
    dataset = load_dataset(tmp_path)
    assert len(dataset) == 1
    assert len(dataset.problems) == 1
    assert dataset.problems[0].path.name == "b.xml"
    with pytest.raises(DataError, match=r"b\.xml"):
        load_dataset(tmp_path, strict=True)


def test_where_the_only_xml_file_is_broken_it_is_named(tmp_path: Path) -> None:
    picture(tmp_path / "images" / "a.png")
    voc_xml(tmp_path / "annotations" / "a.xml", "a.png", [])
    (tmp_path / "annotations" / "a.xml").write_text("<annotation>", encoding="utf-8")
    with pytest.raises(DataError, match=r"have no objects.*the first problem: .*a\.xml"):
        load_dataset(tmp_path)


def test_an_object_without_a_box_is_dropped(tmp_path: Path) -> None:
    picture(tmp_path / "images" / "a.png")
    voc_xml(tmp_path / "annotations" / "a.xml", "a.png", [("cat", (1, 2, 30, 20)), ("", (1, 1, 2, 2))])
    dataset = load_dataset(tmp_path)
    assert dataset.num_boxes == 1
    assert "object 2 has no name" in messages(dataset)[0]


def test_a_label_file_made_for_another_size_is_reported(tmp_path: Path) -> None:
    picture(tmp_path / "images" / "a.png")
    size = "<size><width>120</width><height>80</height></size>"
    voc_xml(tmp_path / "annotations" / "a.xml", "a.png", [("cat", (1, 2, 30, 20))], size)
    dataset = load_dataset(tmp_path)
    assert dataset.num_boxes == 1
    assert "120×80, which now is 60×40" in messages(dataset)[0]


# Faults of boxes


@pytest.mark.parametrize(
    ("box", "kept", "word"),
    [
        ("10,10,10,20", None, "no area"),
        ("10,20,30,20", None, "no area"),
        ("30,10,20,20", None, "reversed"),
        ("10,30,20,20", None, "reversed"),
        ("nan,1,5,5", None, "not finite"),
        ("1,1,inf,5", None, "not finite"),
        ("70,1,80,5", None, "outside"),
        ("-9,-9,0,0", None, "outside"),
        ("-5,-6,10,12", [0, 0, 10, 12], "clipped"),
        ("50,30,61,41", [50, 30, 60, 40], "clipped"),
        ("x,1,2,3", None, "line 3"),
        ("1,2,3", None, "line 3"),
    ],
)
def test_a_faulty_box_is_dropped_or_clipped_and_named(
    tmp_path: Path, box: str, kept: list[float] | None, word: str
) -> None:
    d2l(tmp_path, ["0.png,0,1,2,30,20", f"0.png,0,{box}"], ["0.png"])
    dataset = load_dataset(tmp_path)
    expected = [[1.0, 2.0, 30.0, 20.0]] + ([kept] if kept else [])
    assert dataset.samples[0].boxes_xyxy.tolist() == expected
    assert len(dataset.problems) == 1
    assert dataset.problems[0].path == tmp_path / "label.csv"
    assert word in messages(dataset)[0]
    assert "line 3" in messages(dataset)[0]
    with pytest.raises(DataError, match=word):
        load_dataset(tmp_path, strict=True)


def test_a_box_to_the_picture_s_very_edge_is_no_fault(tmp_path: Path) -> None:
    d2l(tmp_path, [f"0.png,0,0,0,{WIDTH},{HEIGHT}"], ["0.png"])
    assert load_dataset(tmp_path, strict=True).samples[0].boxes_xyxy.tolist() == [[0, 0, WIDTH, HEIGHT]]


def test_a_picture_none_of_whose_boxes_is_left_is_no_background(tmp_path: Path) -> None:
    d2l(tmp_path, ["0.png,0,1,2,30,20", "1.png,0,5,5,5,5"])
    dataset = load_dataset(tmp_path)
    assert [sample.path.name for sample in dataset.samples] == ["0.png"]
    assert [problem.path.name for problem in dataset.problems] == ["label.csv", "1.png"]


def test_nothing_left_is_fatal(tmp_path: Path) -> None:
    d2l(tmp_path, ["0.png,0,5,5,5,5"], ["0.png"])
    with pytest.raises(DataError, match=r"no usable labeled image; the first of 2 problems: .*no area"):
        load_dataset(tmp_path)


def test_a_table_without_rows_is_fatal(tmp_path: Path) -> None:
    d2l(tmp_path, [])
    with pytest.raises(DataError, match="no usable labeled image"):
        load_dataset(tmp_path)


# Faults of pictures


def test_an_absent_picture_is_fatal_and_named(tmp_path: Path) -> None:
    d2l(tmp_path, ["0.png,0,1,2,3,4", "7.png,0,1,2,3,4"])
    with pytest.raises(DataError, match=r"label\.csv: image '7\.png' is not in .*complete the dataset"):
        load_dataset(tmp_path)


def test_a_picture_outside_the_folder_is_not_followed(tmp_path: Path) -> None:
    picture(tmp_path / "secret.png")
    d2l(tmp_path / "set", ["../../secret.png,0,1,2,3,4"], ["0.png"])
    with pytest.raises(DataError, match="is not in"):
        load_dataset(tmp_path / "set")


def test_a_picture_in_a_folder_below_is_found(tmp_path: Path) -> None:
    picture(tmp_path / "images" / "day" / "a.png")
    d2l(tmp_path, ["day/a.png,0,1,2,3,4"], [])
    assert load_dataset(tmp_path).samples[0].path == tmp_path / "images" / "day" / "a.png"


def test_a_name_that_differs_in_case_is_found_and_reported(tmp_path: Path) -> None:
    d2l(tmp_path, ["IMG.jpg,0,1,2,3,4"], ["IMG.JPG"])
    dataset = load_dataset(tmp_path)
    assert dataset.samples[0].path.name == "IMG.JPG"
    assert "names 'IMG.jpg', which is 'IMG.JPG' on disk" in messages(dataset)[0]


@pytest.mark.parametrize("content", [b"", b"not a picture", b"\x89PNG\r\n\x1a\n" + b"\0" * 20])
def test_an_unreadable_picture_is_dropped_and_named(tmp_path: Path, content: bytes) -> None:
    d2l(tmp_path, ["0.png,0,1,2,3,4", "1.png,0,1,2,3,4"])
    (tmp_path / "images" / "1.png").write_bytes(content)
    dataset = load_dataset(tmp_path)
    assert len(dataset) == 1
    assert dataset.problems[0].path.name == "1.png"
    assert "not a readable image" in messages(dataset)[0]
    with pytest.raises(DataError, match=r"1\.png"):
        load_dataset(tmp_path, strict=True)


@pytest.mark.parametrize("name", ["a.jpg", "a.png"])
@pytest.mark.parametrize(("orientation", "size"), [(None, (40, 60)), (3, (40, 60)), (6, (60, 40)), (8, (60, 40))])
def test_sizes_are_those_of_the_upright_picture(
    tmp_path: Path, name: str, orientation: int | None, size: tuple[int, int]
) -> None:
    picture(tmp_path / name, orientation=orientation)
    assert read_image_header(tmp_path / name).size == size


def test_boxes_are_checked_against_the_upright_picture(tmp_path: Path) -> None:
    d2l(tmp_path, ["a.jpg,0,1,1,40,60"], [])
    picture(tmp_path / "images" / "a.jpg", orientation=6)
    assert load_dataset(tmp_path, strict=True).samples[0].size == (60, 40)


# Faults of labels and folders


def test_an_unknown_class_is_fatal_and_named(tmp_path: Path) -> None:
    folder = d2l(tmp_path / "bananas", ["0.png,0,1,2,3,4", "1.png,apple,1,2,3,4"])
    with pytest.raises(DataError, match=r"label\.csv: line 3: unknown class 'apple'; expected one of: banana"):
        load_dataset(folder, labels=["banana", "0"])
    (folder / "classes.txt").write_text("banana\n", encoding="utf-8")
    (folder / "label.csv").write_text(f"{D2L_HEADER}\n0.png,3,1,2,3,4\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"line 2: unknown class '3'.*banana.*classes\.txt"):
        load_dataset(folder)


def test_an_unknown_class_in_another_split_does_not_matter(tmp_path: Path) -> None:
    d2l(tmp_path / "x_train", ["0.png,cat,1,2,3,4"])
    d2l(tmp_path / "x_val", ["0.png,dog,1,2,3,4"])
    assert load_dataset(tmp_path, "train", labels=["cat"]).labels == ("cat",)
    with pytest.raises(DataError, match="'dog'"):
        load_dataset(tmp_path, "val", labels=["cat"])


def test_a_class_number_below_0_is_dropped(tmp_path: Path) -> None:
    d2l(tmp_path, ["0.png,-1,1,2,3,4", "1.png,0,1,2,3,4"])
    dataset = load_dataset(tmp_path)
    assert [sample.path.name for sample in dataset.samples] == ["1.png"]
    assert "line 2: class id -1 is negative" in messages(dataset)[0]


def test_a_class_number_that_cannot_be_names_its_table(tmp_path: Path) -> None:
    d2l(tmp_path / "s_train", ["0.png,0,1,2,3,4"])
    d2l(tmp_path / "s_val", ["0.png,10000,1,2,3,4"])
    with pytest.raises(DataError, match=r"s_val/label\.csv: class id 10000 exceeds 9999"):
        load_dataset(tmp_path)


@pytest.mark.parametrize(
    ("header", "match"),
    [("img_name,label,xmin,ymin,xmax", "missing: ymax"), ("a,b,c", "missing: image, label, xmin")],
)
def test_a_header_that_lacks_a_column_is_fatal(tmp_path: Path, header: str, match: str) -> None:
    d2l(tmp_path / "s_train", ["0.png,0,1,2,3,4"])
    (tmp_path / "s_train" / "label.csv").write_text(f"{header}\n0.png,0,1,2,3,4\n", encoding="utf-8")
    with pytest.raises(DataError, match=match):
        load_dataset(tmp_path)


def test_a_table_that_is_no_text_is_fatal(tmp_path: Path) -> None:
    d2l(tmp_path / "s_train", ["0.png,0,1,2,3,4"])
    (tmp_path / "s_train" / "label.csv").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(DataError, match=r"label\.csv: not comma-separated UTF-8 text"):
        load_dataset(tmp_path)


def test_missing_empty_and_foreign_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere: no such folder"):
        load_dataset(tmp_path / "nowhere")
    with pytest.raises(DataError, match="the folder is empty"):
        load_dataset(tmp_path)
    picture(tmp_path / "a.png")
    with pytest.raises(DataError, match="no labels in a known format"):
        load_dataset(tmp_path)
    with pytest.raises(DataError, match="this is a file"):
        load_dataset(tmp_path / "a.png")
    with pytest.raises(DataError, match="split must be one of"):
        load_dataset(d2l(tmp_path, ["a.png,0,1,2,3,4"]), "training")  # type: ignore[arg-type]


def test_two_sets_in_one_folder_are_not_mixed(tmp_path: Path) -> None:
    d2l(tmp_path / "cats_train", ["0.png,0,1,2,3,4"])
    d2l(tmp_path / "dogs_train", ["0.png,0,1,2,3,4"])
    with pytest.raises(DataError, match="both cats_train and dogs_train hold train labels"):
        load_dataset(tmp_path)


def test_loading_changes_nothing_on_disk(tmp_path: Path) -> None:
    d2l(tmp_path, ["0.png,0,1,2,3,4"], ["0.png"])
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    load_dataset(tmp_path)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


# Dividing


def made_of(count: int) -> Dataset:
    samples = tuple(Sample(Path(f"{i}.png"), np.array([[0, 0, 1, 1]]), np.array([0])) for i in range(count))
    return Dataset(Path("set"), ("cat",), samples, "voc")


@given(count=st.integers(2, 60), fraction=st.floats(0.01, 0.99), seed=st.integers(0, 1000))
def test_a_division_loses_and_doubles_nothing(count: int, fraction: float, seed: int) -> None:
    dataset = made_of(count)
    first, second = split_dataset(dataset, fraction, seed)
    assert len(first) >= 1
    assert len(second) >= 1
    assert abs(len(first) - count * fraction) <= 1
    order = {sample.path: index for index, sample in enumerate(dataset.samples)}
    for part in (first, second):
        places = [order[sample.path] for sample in part.samples]
        assert places == sorted(places)
    assert {s.path for s in first.samples} | {s.path for s in second.samples} == set(order)
    assert len(first) + len(second) == count
    again = split_dataset(dataset, fraction, seed)[0]
    assert [s.path for s in again.samples] == [s.path for s in first.samples]


def test_another_seed_divides_otherwise_and_bad_fractions_are_refused() -> None:
    dataset = made_of(50)
    first, other = (split_dataset(dataset, 0.5, seed)[0] for seed in (0, 1))
    assert [s.path for s in first.samples] != [s.path for s in other.samples]
    for fraction in (0.0, 1.0, -1.0, float("nan")):
        with pytest.raises(DataError, match="between 0 and 1"):
            split_dataset(dataset, fraction, 0)
    with pytest.raises(DataError, match="cannot be divided"):
        split_dataset(made_of(1), 0.5, 0)
