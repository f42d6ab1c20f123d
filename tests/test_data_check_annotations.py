"""edge_ssd.data.check_annotations: faults of boxes and images."""

from __future__ import annotations

from pathlib import Path

import pytest
from label_writers import write_d2l_split, write_image
from PIL import Image

from edge_ssd.data import image_header
from edge_ssd.data.image_header import read_image_header
from edge_ssd.data.load import load_dataset
from edge_ssd.errors import DataError


@pytest.mark.parametrize(
    ("box", "kept", "word"),
    [
        ("10,10,10,20", None, "no area"),
        ("10,20,30,20", None, "no area"),
        ("30,10,20,20", None, "reversed"),
        ("10,30,20,20", None, "reversed"),
        ("70,1,80,5", None, "outside"),
        ("-9,-9,0,0", None, "outside"),
        ("-5,-6,10,12", [0, 0, 10, 12], "clipped"),
        ("50,30,61,41", [50, 30, 60, 40], "clipped"),
    ],
)
def test_invalid_box_is_dropped_or_clipped_and_reported(
    tmp_path: Path, box: str, kept: list[float] | None, word: str
) -> None:
    write_d2l_split(tmp_path, ["0.png,0,1,2,30,20", f"0.png,0,{box}"], ["0.png"])
    dataset = load_dataset(tmp_path)
    expected = [[1.0, 2.0, 30.0, 20.0]] + ([kept] if kept else [])
    assert dataset.samples[0].boxes_xyxy.tolist() == expected
    assert len(dataset.problems) == 1
    assert dataset.problems[0].path == tmp_path / "label.csv"
    assert word in dataset.problems[0].message
    assert "line 3" in dataset.problems[0].message
    with pytest.raises(DataError, match=word):
        load_dataset(tmp_path, strict=True)


@pytest.mark.parametrize("box", ["nan,1,5,5", "1,1,inf,5"])
def test_image_with_a_box_that_is_not_finite_is_dropped(tmp_path: Path, box: str) -> None:
    write_d2l_split(tmp_path, ["0.png,0,1,2,30,20", f"0.png,0,{box}", "1.png,0,1,2,30,20"])
    dataset = load_dataset(tmp_path)
    assert [sample.path.name for sample in dataset.samples] == ["1.png"]
    assert [str(problem).split(": ", 1)[1].split()[:2] for problem in dataset.problems] == [["line", "3:"]]
    assert "is not finite; 0.png is dropped" in dataset.problems[0].message


def test_box_up_to_the_image_border_is_valid(tmp_path: Path) -> None:
    write_d2l_split(tmp_path, ["0.png,0,0,0,60,40"], ["0.png"])
    assert load_dataset(tmp_path, strict=True).samples[0].boxes_xyxy.tolist() == [[0, 0, 60, 40]]


def test_image_with_invalid_boxes_only_is_not_background(tmp_path: Path) -> None:
    write_d2l_split(tmp_path, ["0.png,0,1,2,30,20", "1.png,0,5,5,5,5"])
    dataset = load_dataset(tmp_path)
    assert [sample.path.name for sample in dataset.samples] == ["0.png"]
    assert [problem.path.name for problem in dataset.problems] == ["label.csv", "1.png"]


@pytest.mark.parametrize(
    ("rows", "match"),
    [
        (["0.png,0,5,5,5,5"], r"no usable labeled image; the first of 2 problems: .*no area"),
        (["7.png,0,1,2,3,4"], r"label\.csv: 1 of 1 .*does not exist, the first is '7\.png': complete the dataset"),
        (["../../secret.png,0,1,2,3,4"], "does not exist"),  # outside the dataset
        (["0.png,0,x,1,2,3"], r"label\.csv: line 2: expected an image, a label and a box.*0\.png is dropped"),
        (["0.png,0,1,2,3"], r"label\.csv: line 2: expected an image, a label and a box.*0\.png is dropped"),
    ],
)
def test_unusable_dataset_raises(tmp_path: Path, rows: list[str], match: str) -> None:
    write_image(tmp_path / "secret.png")
    write_d2l_split(tmp_path / "set", rows, ["0.png"])
    with pytest.raises(DataError, match=match):
        load_dataset(tmp_path / "set")


def test_image_in_a_subfolder_is_found(tmp_path: Path) -> None:
    write_image(tmp_path / "images" / "day" / "a.png")
    write_d2l_split(tmp_path, ["day/a.png,0,1,2,3,4"], [])
    assert load_dataset(tmp_path).samples[0].path == tmp_path / "images" / "day" / "a.png"


def test_image_name_of_another_case_is_found_with_a_notice(tmp_path: Path) -> None:
    write_d2l_split(tmp_path, ["IMG.jpg,0,1,2,3,4"], ["IMG.JPG"])
    dataset = load_dataset(tmp_path)
    assert dataset.samples[0].path.name == "IMG.JPG"
    assert "other upper and lower case in the label files ('IMG.jpg' is 'IMG.JPG')" in dataset.notices[0].message


@pytest.mark.parametrize("content", [b"", b"not an image", b"\x89PNG\r\n\x1a\n" + b"\0" * 20])
def test_unreadable_image_is_dropped_and_reported(tmp_path: Path, content: bytes) -> None:
    write_d2l_split(tmp_path, ["0.png,0,1,2,3,4", "1.png,0,1,2,3,4"])
    (tmp_path / "images" / "1.png").write_bytes(content)
    dataset = load_dataset(tmp_path)
    assert len(dataset) == 1
    assert dataset.problems[0].path.name == "1.png"
    assert "not a readable image" in dataset.problems[0].message
    with pytest.raises(DataError, match=r"1\.png"):
        load_dataset(tmp_path, strict=True)


@pytest.mark.parametrize("name", ["a.jpg", "a.png"])
@pytest.mark.parametrize(("orientation", "size"), [(None, (40, 60)), (3, (40, 60)), (6, (60, 40)), (8, (60, 40))])
def test_image_header_size_is_after_exif_rotation(
    tmp_path: Path, name: str, orientation: int | None, size: tuple[int, int]
) -> None:
    write_image(tmp_path / name, orientation=orientation)
    assert read_image_header(tmp_path / name).size == size


def test_boxes_are_checked_after_exif_rotation(tmp_path: Path) -> None:
    write_d2l_split(tmp_path, ["a.jpg,0,1,1,40,60"], [])
    write_image(tmp_path / "images" / "a.jpg", orientation=6)
    assert load_dataset(tmp_path, strict=True).samples[0].size == (60, 40)


def test_header_of_a_plain_jpeg_is_that_of_pillow(tmp_path: Path) -> None:
    for number, options in enumerate(({}, {"progressive": True}, {"quality": 95, "subsampling": 0}, {"comment": b"x"})):
        for mode in ("RGB", "L", "CMYK"):
            path = tmp_path / f"{number}{mode}.jpg"
            Image.new(mode, (61, 37)).save(path, **options)
            with Image.open(path) as image:
                expected = image_header.header_of_image(image)
            assert read_image_header(path) == expected
