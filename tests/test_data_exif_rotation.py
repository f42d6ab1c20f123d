"""edge_ssd.data.exif_rotation: boxes that were made before the image's rotation by EXIF."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from label_writers import write_d2l_split, write_image, write_voc_xml
from PIL import Image

from edge_ssd.data.check_images import check_image
from edge_ssd.data.exif_rotation import rotate_box
from edge_ssd.data.image_header import read_image_header
from edge_ssd.data.load import load_dataset
from edge_ssd.runtime.image_file import rotate_upright

BOX = (5.0, 3.0, 25.0, 10.0)
STORED = "<size><width>60</width><height>40</height></size>"
SEEN = "<size><width>40</width><height>60</height></size>"


def write_set(root: Path, rows: Sequence[tuple[str, int | None, str, tuple[float, ...]]]) -> Path:
    """Write images of 60×40 as stored, each with an EXIF orientation, a <size> element and a box."""
    for name, orientation, size, box in rows:
        write_image(root / f"{name}.jpg", orientation=orientation)
        write_voc_xml(root / f"{name}.xml", f"{name}.jpg", [("bolt", box)], size)  # type: ignore[list-item]
    return root


def boxes(root: Path) -> list[list[float]]:
    return [sample.boxes_xyxy[0].tolist() for sample in load_dataset(root).samples]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_rotate_box_follows_the_pixels(orientation: int) -> None:
    pixels = np.zeros((6, 9), np.uint8)
    pixels[1:3, 2:7] = 255
    seen = np.asarray(rotate_upright(Image.fromarray(pixels), orientation))
    left, top, right, bottom = (int(side) for side in rotate_box((2, 1, 7, 3), orientation, (6, 9)))
    expected = np.zeros_like(seen)
    expected[top:bottom, left:right] = 255
    assert (seen == expected).all()
    # A reversed box stays reversed, so that it is reported.
    reversed_box = rotate_box((7, 3, 2, 1), orientation, (6, 9))
    assert reversed_box[0] > reversed_box[2]
    assert reversed_box[1] > reversed_box[3]


def test_boxes_of_the_stored_size_are_rotated_in_all_orientations(tmp_path: Path) -> None:
    write_set(tmp_path, [(f"{value}", value, STORED, BOX) for value in range(1, 9)])
    dataset = load_dataset(tmp_path)
    expected = [list(rotate_box(BOX, value, (40, 60))) for value in range(1, 9)]
    assert [sample.boxes_xyxy[0].tolist() for sample in dataset.samples] == expected
    assert dataset.problems == ()
    (notice,) = dataset.notices
    assert "7 images were labeled before the rotation by EXIF" in notice.message


def test_boxes_of_the_size_as_seen_are_kept(tmp_path: Path) -> None:
    write_set(tmp_path, [("a", 6, SEEN, BOX), ("b", 3, STORED, BOX), ("c", None, STORED, BOX)])
    dataset = load_dataset(tmp_path, strict=True)
    assert boxes(tmp_path) == [list(BOX)] * 3
    assert dataset.notices == ()


def test_mirrored_images_alone_are_kept(tmp_path: Path) -> None:
    write_set(tmp_path, [("a", 3, STORED, BOX), ("b", 2, STORED, BOX)])
    assert boxes(tmp_path) == [list(BOX)] * 2


def test_contradicting_images_leave_the_others_as_they_are(tmp_path: Path) -> None:
    write_set(tmp_path, [("a", 6, STORED, BOX), ("b", 6, SEEN, BOX), ("c", 3, STORED, BOX)])
    assert boxes(tmp_path) == [list(rotate_box(BOX, 6, (40, 60))), list(BOX), list(BOX)]


def test_box_that_fits_the_stored_image_only_decides_for_the_set(tmp_path: Path) -> None:
    rows = ["a.jpg,0,20,5,58,30", "b.jpg,0,5,3,25,10", "c.jpg,0,5,3,25,10"]
    write_d2l_split(tmp_path, rows, [])
    for name, orientation in (("a", 6), ("b", 8), ("c", 3)):
        write_image(tmp_path / "images" / f"{name}.jpg", orientation=orientation)
    expected = [rotate_box((20, 5, 58, 30), 6, (40, 60)), rotate_box(BOX, 8, (40, 60)), rotate_box(BOX, 3, (40, 60))]
    assert boxes(tmp_path) == [list(box) for box in expected]


def test_other_splits_decide_for_a_split_that_shows_nothing(tmp_path: Path) -> None:
    write_set(tmp_path / "train", [("a", 6, STORED, BOX)])
    write_set(tmp_path / "val", [("b", 3, STORED, BOX)])
    assert load_dataset(tmp_path, "val").samples[0].boxes_xyxy[0].tolist() == list(rotate_box(BOX, 3, (40, 60)))


@pytest.mark.parametrize("value", [0, 9, 65537])
def test_impossible_orientation_is_none(tmp_path: Path, value: int) -> None:
    write_set(tmp_path, [("a", value, STORED, BOX)])
    assert boxes(tmp_path) == [list(BOX)]
    assert load_dataset(tmp_path, strict=True).samples[0].size == (40, 60)


@pytest.mark.parametrize("suffix", ["tif", "png"])
def test_sizes_of_all_file_formats_are_after_the_rotation(tmp_path: Path, suffix: str) -> None:
    """Pillow states the size of a TIFF after the rotation, that of a PNG before it."""
    path = tmp_path / f"a.{suffix}"
    write_image(path, orientation=6)
    assert (read_image_header(path).size, check_image(path).header) == ((60, 40), read_image_header(path))
    write_voc_xml(tmp_path / "a.xml", path.name, [("bolt", BOX)], SEEN)
    dataset = load_dataset(tmp_path, strict=True)
    assert (dataset.samples[0].boxes_xyxy.tolist(), dataset.notices) == ([list(BOX)], ())
