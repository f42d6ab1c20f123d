"""edge_ssd.data.formats.voc: layouts and faults of XML files."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest
from label_writers import Box, write_image, write_voc_xml

from edge_ssd.data.load import load_dataset, open_dataset
from edge_ssd.errors import DataError

CAT = ("cat", (1, 2, 30, 20))


def write_pair(root: Path, stem: str, objects: Iterable[tuple[str, Box]] = (CAT,), size: str = "") -> None:
    write_image(root / "images" / f"{stem}.png")
    write_voc_xml(root / "annotations" / f"{stem}.xml", f"{stem}.png", objects, size)


def test_voc_split_lists_select_images(tmp_path: Path) -> None:
    for stem, label in (("one", "cat"), ("two", "dog"), ("three", "cat")):
        write_image(tmp_path / "JPEGImages" / f"{stem}.jpg")
        write_voc_xml(tmp_path / "Annotations" / f"{stem}.xml", f"{stem}.jpg", [(label, (1, 2, 30, 20))])
    lists = tmp_path / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("one\ntwo\n", encoding="utf-8")
    (lists / "val.txt").write_text("three 1\n", encoding="utf-8")
    (lists / "trainval.txt").write_text("one\ntwo\nthree\n", encoding="utf-8")
    assert open_dataset(tmp_path).splits == ("train", "val")
    # "dog" is in train only: class ids are the same in every split.
    assert load_dataset(tmp_path, "val").labels == ("cat", "dog")
    assert [sample.path.stem for sample in load_dataset(tmp_path, "train").samples] == ["one", "two"]
    (lists / "val.txt").write_text("three\nfour\n", encoding="utf-8")
    assert len(load_dataset(tmp_path, "train")) == 2
    with pytest.raises(DataError, match=r"four\.xml: .* missing"):
        load_dataset(tmp_path, "val")


def test_voc_files_beside_images_in_a_nested_folder(tmp_path: Path) -> None:
    root = tmp_path / "download"
    for split in ("train", "test"):
        write_image(root / "cards" / "images" / split / "x.JPG")
        write_voc_xml(root / "cards" / "images" / split / "x.xml", "x.JPG", [("ace", (1, 2, 30, 20))])
    (root / "README").write_text("text", encoding="utf-8")
    assert open_dataset(root).splits == ("train", "test")
    assert load_dataset(root, "test").samples[0].path.name == "x.JPG"


def test_voc_prefers_the_image_named_like_the_label_file(tmp_path: Path) -> None:
    write_image(tmp_path / "images" / "renamed.png")
    write_image(tmp_path / "images" / "old.png")
    write_voc_xml(tmp_path / "annotations" / "renamed.xml", "old.png", [("ace", (1, 2, 30, 20))])
    assert load_dataset(tmp_path).samples[0].path.name == "renamed.png"


def test_voc_file_without_objects_is_background(tmp_path: Path) -> None:
    write_pair(tmp_path, "a")
    write_pair(tmp_path, "b", objects=[])
    dataset = load_dataset(tmp_path)
    assert [len(sample.class_ids) for sample in dataset.samples] == [1, 0]
    assert dataset.problems == ()


@pytest.mark.parametrize(
    "text", ["", "<annotation>", "<html></html>", "\x00\x01", "<?xml version='1.0' encoding='none'?><a/>"]
)
def test_invalid_xml_file_is_dropped_and_reported(tmp_path: Path, text: str) -> None:
    write_pair(tmp_path, "a")
    write_pair(tmp_path, "b")
    (tmp_path / "annotations" / "b.xml").write_text(text, encoding="utf-8")
    dataset = load_dataset(tmp_path)
    assert len(dataset) == 1
    assert len(dataset.problems) == 1
    assert dataset.problems[0].path.name == "b.xml"
    with pytest.raises(DataError, match=r"b\.xml"):
        load_dataset(tmp_path, strict=True)


def test_invalid_xml_file_alone_raises_with_its_name(tmp_path: Path) -> None:
    write_pair(tmp_path, "a")
    (tmp_path / "annotations" / "a.xml").write_text("<annotation>", encoding="utf-8")
    with pytest.raises(DataError, match=r"have no objects.*the first problem: .*a\.xml"):
        load_dataset(tmp_path)


def test_object_without_a_name_is_dropped(tmp_path: Path) -> None:
    write_pair(tmp_path, "a", [CAT, ("", (1, 1, 2, 2))])
    dataset = load_dataset(tmp_path)
    assert dataset.num_boxes == 1
    assert "object 2 has no name" in dataset.problems[0].message


def test_stated_size_of_another_image_is_reported(tmp_path: Path) -> None:
    write_pair(tmp_path, "a", size="<size><width>120</width><height>80</height></size>")
    dataset = load_dataset(tmp_path)
    assert dataset.num_boxes == 1
    assert "states 120×80 for a.png, which has 60×40" in dataset.problems[0].message
