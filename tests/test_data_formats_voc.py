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
    assert "1 listed image does not exist, such as 'four'" in load_dataset(tmp_path, "val").problems[0].message


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


def test_voc_copy_of_a_label_file_does_not_replace_it(tmp_path: Path) -> None:
    write_pair(tmp_path, "a")
    write_voc_xml(tmp_path / "annotations" / "a (1).xml", "a.png", [("cat", (5, 6, 7, 8))])
    dataset = load_dataset(tmp_path)
    assert dataset.samples[0].boxes_xyxy.tolist() == [[1, 2, 30, 20]]
    assert dataset.problems[0].path.name == "a (1).xml"
    assert "repeats the labels of a.png" in dataset.problems[0].message


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
    assert text or "not a Pascal VOC label file (the file is empty)" in dataset.problems[0].message
    with pytest.raises(DataError, match=r"b\.xml"):
        load_dataset(tmp_path, strict=True)


def test_declared_encoding_of_chinese_text_is_read(tmp_path: Path) -> None:
    write_pair(tmp_path, "a")
    path = tmp_path / "annotations" / "a.xml"
    text = path.read_text(encoding="utf-8").replace(">cat<", ">猫<")
    path.write_bytes(f'<?xml version="1.0" encoding="gb2312"?>\n{text}'.encode("gb2312"))
    assert load_dataset(tmp_path, strict=True).labels == ("猫",)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8"])
def test_declared_utf_16_is_read_whether_or_not_it_is_true(tmp_path: Path, encoding: str) -> None:
    write_pair(tmp_path, "a")
    path = tmp_path / "annotations" / "a.xml"
    text = path.read_text(encoding="utf-8").replace(">cat<", ">猫<")
    path.write_text(f'<?xml version="1.0" encoding="utf-16"?>\n{text}', encoding=encoding)
    assert load_dataset(tmp_path, strict=True).labels == ("猫",)


def test_invalid_xml_file_alone_raises_with_its_name(tmp_path: Path) -> None:
    write_pair(tmp_path, "a")
    (tmp_path / "annotations" / "a.xml").write_text("<annotation>", encoding="utf-8")
    with pytest.raises(DataError, match=r"no object of its label files can be read; the first problem: .*a\.xml"):
        load_dataset(tmp_path)


@pytest.mark.parametrize(
    ("element", "fault"),
    [
        (
            "<object><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax></bndbox></object>",
            "object 2 has no name",
        ),
        ("<object><name>cat</name></object>", "(no <bndbox>)"),
        (
            "<object><name>cat</name><bndbox><xmin>1</xmin><ymin>3o</ymin></bndbox></object>",
            "object 2 (cat) has no box of four numbers (ymin is '3o')",
        ),
        ("<object><name>cat</name><bndbox><xmin/></bndbox></object>", "(<xmin> is empty)"),
        ("<object><name>cat</name><bndbox><ymin>1</ymin></bndbox></object>", "(no <xmin>)"),
        (
            "<object><name>cat</name><polygon><x1>1</x1><y1>2</y1></polygon></object>",
            "object 2 (cat) has no box of four numbers (expected two points",
        ),
    ],
)
def test_unreadable_object_drops_its_image(tmp_path: Path, element: str, fault: str) -> None:
    write_pair(tmp_path, "a")
    write_pair(tmp_path, "b")
    path = tmp_path / "annotations" / "a.xml"
    path.write_text(path.read_text(encoding="utf-8").replace("</annotation>", f"{element}</annotation>"))
    dataset = load_dataset(tmp_path)
    assert [sample.path.name for sample in dataset.samples] == ["b.png"]
    assert fault in dataset.problems[0].message
    assert "a.png is dropped" in dataset.problems[0].message


@pytest.mark.parametrize(
    "shape",
    [
        "<polygon><x1>1</x1><y1>2</y1><x2>30</x2><y2>5</y2><x3>9</x3><y3>20</y3></polygon>",
        "<polygon><pt><x>1</x><y>20</y></pt><pt><x>30</x><y>2</y></pt></polygon>",
        "<robndbox><cx>15.5</cx><cy>11</cy><w>18</w><h>29</h><angle>1.5707963267948966</angle></robndbox>",
    ],
)
def test_other_shapes_become_their_enclosing_box(tmp_path: Path, shape: str) -> None:
    write_image(tmp_path / "a.png")
    text = f"<annotation><filename>a.png</filename><object><name>cat</name>{shape}</object></annotation>"
    (tmp_path / "a.xml").write_text(text, encoding="utf-8")
    dataset = load_dataset(tmp_path, strict=True)
    assert dataset.samples[0].boxes_xyxy.tolist() == [pytest.approx([1, 2, 30, 20])]
    assert "1 of 1 objects are polygons, masks or rotated boxes" in dataset.notices[0].message


def test_enclosing_box_that_exceeds_its_image_is_clipped_without_a_problem(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png")
    shape = "<polygon><x1>-9</x1><y1>2</y1><x2>30</x2><y2>50</y2></polygon>"
    text = f"<annotation><filename>a.png</filename><object><name>cat</name>{shape}</object></annotation>"
    (tmp_path / "a.xml").write_text(text, encoding="utf-8")
    assert load_dataset(tmp_path, strict=True).samples[0].boxes_xyxy.tolist() == [[0, 2, 30, 40]]


@pytest.mark.parametrize(
    ("label_file", "image", "split"),
    [
        ("annots/a.xml", "images/a.jpg", ""),
        ("Valid/xml/a.XML", "Valid/pics/a.JPG", "val"),
        ("labels/test/a.xml", "images/test/a.png", "test"),
        ("VOCdevkit/VOC2012/Annotations/a.xml", "VOCdevkit/VOC2012/JPEGImages/a.jpg", ""),
        ("a.xml", "a.jpeg", ""),
    ],
)
def test_voc_files_are_found_in_any_folder(tmp_path: Path, label_file: str, image: str, split: str) -> None:
    write_image(tmp_path / image)
    write_voc_xml(tmp_path / label_file, "a.jpg", [CAT])
    (tmp_path / "settings.xml").write_text("<project/>", encoding="utf-8")
    opened = open_dataset(tmp_path)
    assert (opened.format, opened.splits) == ("voc", (split,) if split else ())
    (sample,) = [sample for sample in opened.load(strict=True).samples if len(sample.class_ids)]
    assert sample.path == tmp_path / image


def test_stated_size_of_another_image_is_reported(tmp_path: Path) -> None:
    write_pair(tmp_path, "a", size="<size><width>120</width><height>80</height></size>")
    dataset = load_dataset(tmp_path)
    assert dataset.num_boxes == 1
    assert "states 120×80 for a.png, which has 60×40" in dataset.problems[0].message


@pytest.mark.parametrize(
    ("text", "labels", "notices"),
    [
        ("dog\ncat\n", ("dog", "cat"), []),
        ("dog\ncat\ncow\n", ("cat", "dog"), ["it is not used for the order of the classes: 'cow' is in no label file"]),
        ("dog\n", ("cat", "dog"), ["it is not used for the order of the classes: 'cat' is in the label files only"]),
    ],
)
def test_voc_classes_are_in_the_order_of_a_file_that_names_exactly_them(
    tmp_path: Path, text: str, labels: tuple[str, ...], notices: list[str]
) -> None:
    write_pair(tmp_path, "a")
    write_pair(tmp_path, "b", [("dog", (1, 2, 30, 20))])
    (tmp_path / "labels.txt").write_text(text, encoding="utf-8")
    dataset = load_dataset(tmp_path)
    assert (dataset.format, dataset.labels) == ("voc", labels)
    assert [notice.message for notice in dataset.notices] == notices
