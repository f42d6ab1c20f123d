"""Lists of the images of each split: edge_ssd.data.label_files.split_lists and split_table."""

from __future__ import annotations

from pathlib import Path

import pytest
from label_writers import write_image

from edge_ssd.data.load import load_dataset, open_dataset
from edge_ssd.errors import DataError

BOX = "<bndbox><xmin>1</xmin><ymin>2</ymin><xmax>30</xmax><ymax>20</ymax></bndbox>"
VOC = f"<annotation><object><name>fork</name>{BOX}</object></annotation>"


def write_voc(root: Path, **files: str) -> None:
    """Write images a.jpg, b.jpg and c.jpg with label files, and text files by their names before the dot."""
    for name in "abc":
        write_image(root / "images" / f"{name}.jpg")
        (root / "images" / f"{name}.xml").write_text(VOC)
    for name, text in files.items():
        path = root / name.replace("__", "/").replace("_", ".")
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")


@pytest.mark.parametrize(
    ("train", "val"),
    [
        ("a, b\n", "c\n"),
        ("a.jpg,\nb.jpg", "c.jpg,"),
        ('"a.jpg"\n"b.jpg"\n', "'c.jpg'\n"),
        ("['a.jpg', 'b.jpg']", "['c.jpg']"),
    ],
)
def test_names_in_quotes_or_between_commas(tmp_path: Path, train: str, val: str) -> None:
    write_voc(tmp_path, train_txt=train, val_txt=val)
    assert [len(load_dataset(tmp_path, split, strict=True)) for split in ("train", "val")] == [2, 1]


def test_splits_as_yaml(tmp_path: Path) -> None:
    write_voc(tmp_path, split_yaml="train: [a, b.jpg]\nval: [c]\n")
    assert [len(load_dataset(tmp_path, split)) for split in ("train", "val")] == [2, 1]


@pytest.mark.parametrize(
    ("files", "fact"),
    [
        ({"train_txt": "0-1\n"}, "train.txt: none of its 1 line names an image, such as '0-1'"),
        ({"train_txt": "a\nb\n", "val_txt": "c0\n"}, "val.txt: none of its 1 line names an image, such as 'c0'"),
        ({"split_json": '{"train": [0, 1], "val": [2]}'}, "split.json: none of its 3 entries names an image"),
    ],
)
def test_lists_that_name_no_image_are_named(tmp_path: Path, files: dict[str, str], fact: str) -> None:
    write_voc(tmp_path, **files)
    split = open_dataset(tmp_path).splits[:1] or (None,)
    assert fact in str([str(notice) for notice in load_dataset(tmp_path, split[0]).notices])
    with pytest.raises(DataError, match="names an image"):
        load_dataset(tmp_path, split[0], strict=True)


def test_folds_are_named(tmp_path: Path) -> None:
    folds = {f"{fold}__{split}_txt": names for fold, train, val in (("k0", "a\nb", "c"), ("k1", "b\nc", "a"))
             for split, names in (("train", train), ("val", val))}  # fmt: skip
    write_voc(tmp_path, **folds)
    dataset = load_dataset(tmp_path, "train")
    assert len(dataset) == 2
    assert "the lists in k1 divide the images otherwise: not used" in str(dataset.notices)


def write_folders(root: Path, first: str, second: str) -> None:
    for folder, name in ((first, "a"), (second, "b")):
        write_image(root / folder / f"{name}.jpg")
        (root / folder / f"{name}.xml").write_text(VOC)


def test_list_for_training_with_images_of_another_split_is_named(tmp_path: Path) -> None:
    write_folders(tmp_path, "train", "val")
    (tmp_path / "train.txt").write_text("b\n")
    (tmp_path / "val.txt").write_text("a\n")
    fact = "1 image is of train by .*, but of val or test by their folders, such as val/b.jpg"
    with pytest.raises(DataError, match=fact):
        load_dataset(tmp_path, "train", strict=True)


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [("train_station", "test_field", True), ("train_images", "test_images", False), ("my_train_a", "my_test_b", False)],
)
def test_splits_by_words_among_others_are_named(tmp_path: Path, first: str, second: str, said: bool) -> None:
    write_folders(tmp_path, first, second)
    notices = [notice.message for notice in load_dataset(tmp_path, "train").notices]
    assert notices == (["the splits are those of the names 'test_field', 'train_station': rename them if they are not"]
                       if said else [])  # fmt: skip


def test_image_in_the_folder_of_another_split_than_its_labels(tmp_path: Path) -> None:
    write_folders(tmp_path, "train", "val")
    (tmp_path / "labels" / "train").mkdir(parents=True)
    (tmp_path / "train" / "a.xml").rename(tmp_path / "labels" / "train" / "a.xml")
    (tmp_path / "val" / "b.xml").rename(tmp_path / "labels" / "train" / "b.xml")
    dataset = load_dataset(tmp_path, "train")
    assert [sample.path.stem for sample in dataset.samples] == ["a"]
    assert "image 'b' is val/b.jpg, the folder of another split than train" in str(dataset.problems[0])


@pytest.mark.parametrize(
    ("name", "cause"),
    [
        ("a.svg", r"convert 1 file \*\.svg to PNG"),
        ("a", "convert 1 file without a suffix"),
        ("b.txt", "no images: put"),
    ],
)
def test_labels_without_images_that_can_be_read(tmp_path: Path, name: str, cause: str) -> None:
    (tmp_path / "a.txt").write_text("0 0.5 0.5 0.2 0.2\n")
    (tmp_path / name).write_text("0 0.5 0.5 0.2 0.2\n")
    with pytest.raises(DataError, match=cause):
        load_dataset(tmp_path)


def test_list_with_empty_names_between_commas(tmp_path: Path) -> None:
    for name in "abc":
        write_image(tmp_path / f"{name}.png")
        (tmp_path / f"{name}.txt").write_text("0 0.5 0.5 0.5 0.5\n")
    (tmp_path / "train.txt").write_text("a.png,,b.png,\n,\n")
    (tmp_path / "val.txt").write_text("c.png\n")
    assert load_dataset(tmp_path, "train").num_boxes == 2
