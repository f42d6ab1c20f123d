"""Tiles: division of an image, and merging of detections across tiles."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from real_model import real_model

from edge_ssd import Detections, Detector, SettingError, Tiles, numpy_resize
from edge_ssd.runtime.tiles import Tile, merge_tiles

SIZES = [(1080, 1920), (480, 640), (7, 5), (1, 1), (3000, 40)]
DIVISIONS = [Tiles(2, 2), Tiles(3, 1, overlap=0.0), Tiles(5, 4, overlap=0.5), Tiles(width=300, height=250)]


def found(*rows: tuple[str, float, tuple[float, float, float, float]], size: tuple[int, int]) -> Detections:
    """Return detections from (label, score, box), the class id being the place of the label in "ab"."""
    return Detections(
        np.array([row[2] for row in rows], np.float32).reshape(-1, 4),
        np.array([row[1] for row in rows], np.float32),
        np.array(["ab".index(row[0]) for row in rows], np.int64),
        [row[0] for row in rows],
        size,
    )


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("tiles", DIVISIONS, ids=str)
def test_tiles_cover_every_pixel_with_the_stated_overlap(tiles: Tiles, size: tuple[int, int]) -> None:
    height, width = size
    covered = np.zeros(size, np.int64)
    places = Tiles(tiles.columns, tiles.rows, tiles.width, tiles.height, tiles.overlap, whole=False).divide(size)
    for left, top, right, bottom in places:
        assert 0 <= left < right <= width
        assert 0 <= top < bottom <= height
        covered[top:bottom, left:right] += 1
    assert covered.min() == 1
    assert len({(right - left, bottom - top) for left, top, right, bottom in places}) == 1
    for one, other in itertools.pairwise(place for place in places if place.top == 0):
        assert one.right - other.left >= int(tiles.overlap * (one.right - one.left)) - 1


def test_number_of_tiles_is_that_stated_and_the_whole_image_is_last() -> None:
    places = Tiles(3, 2).divide((1080, 1920))
    assert len(places) == 7
    assert places[-1] == Tile(0, 0, 1920, 1080)
    assert len(Tiles(3, 2, whole=False).divide((1080, 1920))) == 6
    assert Tiles(1, 1).divide((10, 20)) == [Tile(0, 0, 20, 10)]
    assert Tiles(width=640, height=640).divide((480, 500)) == [Tile(0, 0, 500, 480)]


@pytest.mark.parametrize(
    ("text", "tiles"), [("2x3", Tiles(2, 3)), (" 640x480px ", Tiles(width=640, height=480)), ("4X1", Tiles(4, 1))]
)
def test_text_states_tiles(text: str, tiles: Tiles) -> None:
    assert Tiles.parse(text) == tiles
    assert Tiles.parse(str(tiles)) == tiles


@pytest.mark.parametrize(
    "text", ["", "2", "2x", "0x2", "-1x2", "2x2x2", "axb", "1.5x2", "99x99", "0x5px", None, b"2x2"]
)
def test_other_text_raises(text: str) -> None:
    with pytest.raises(SettingError, match="tiles"):
        Tiles.parse(text)


@pytest.mark.parametrize(
    "values",
    [{}, {"columns": 2}, {"columns": 2, "rows": 2, "width": 9}, {"width": 9}, {"columns": -1, "rows": 1}]
    + [{"columns": 2, "rows": 2, "overlap": overlap} for overlap in (-0.1, 0.95, float("nan"), "a")],
)
def test_contradictory_tiles_raise(values: dict[str, int]) -> None:
    with pytest.raises(SettingError, match="tiles"):
        Tiles(**values)


def test_too_many_tiles_of_a_size_raise() -> None:
    with pytest.raises(SettingError, match="choose larger ones"):
        Tiles(width=10, height=10).divide((1080, 1920))


def test_part_of_an_object_gives_way_to_the_whole_object() -> None:
    # The object is cut by the right border of the first tile, and complete in the second.
    tiles = [Tile(0, 0, 60, 100), Tile(40, 0, 100, 100)]
    parts = [
        found(("a", 0.9, (45, 10, 60, 40)), size=(100, 60)),
        found(("a", 0.6, (5, 10, 35, 40)), size=(100, 60)),
    ]
    merged = merge_tiles(parts, tiles, (100, 100), 0.5, 10)
    assert merged.xyxy.tolist() == [[45, 10, 75, 40]]
    assert merged.image_size == (100, 100)


def test_part_of_another_class_or_place_stays() -> None:
    tiles = [Tile(0, 0, 60, 100), Tile(40, 0, 100, 100)]
    parts = [
        found(("b", 0.9, (45, 10, 60, 40)), ("a", 0.8, (50, 60, 60, 90)), size=(100, 60)),
        found(("a", 0.6, (5, 10, 35, 40)), size=(100, 60)),
    ]
    assert merge_tiles(parts, tiles, (100, 100), 0.5, 10).names == ["b", "a", "a"]
    assert merge_tiles(parts, tiles, (100, 100), 0.5, 10, class_agnostic=True).names == ["a", "a"]
    assert merge_tiles(parts, tiles, (100, 100), 0.5, 2).names == ["b", "a"]


def test_border_of_the_image_cuts_no_object() -> None:
    tiles = [Tile(0, 0, 100, 100), Tile(0, 0, 100, 100)]
    parts = [found(("a", 0.9, (90, 0, 100, 10)), size=(100, 100)), found(("a", 0.6, (60, 0, 100, 30)), size=(100, 100))]
    assert len(merge_tiles(parts, tiles, (100, 100), 0.5, 10)) == 2


def test_same_object_in_two_tiles_is_found_once() -> None:
    tiles = [Tile(0, 0, 60, 100), Tile(40, 0, 100, 100)]
    parts = [found(("a", 0.7, (45, 10, 55, 40)), size=(100, 60)), found(("a", 0.8, (5, 10, 15, 40)), size=(100, 60))]
    merged = merge_tiles(parts, tiles, (100, 100), 0.5, 10)
    assert merged.confidence.tolist() == pytest.approx([0.8])
    assert merge_tiles([], [], (10, 10), 0.5, 10).is_empty()


def large_image() -> np.ndarray:
    """Return 768×1024 pixels of noise with the model's self-test image, which is found there only in a tile."""
    with Detector(real_model()) as detector:
        image = detector.bundle.selftest.image
    scene = np.full((768, 1024, 3), 120, np.uint8)
    scene[256:512, 512:768] = image
    return scene


def test_small_objects_are_found_in_tiles() -> None:
    with Detector(real_model()) as detector:
        image = detector.bundle.selftest.image
        expected = detector.detect(image)
        assert len(expected) > 0
        assert len(detector.detect(large_image())) == 0
    with Detector(real_model(), tiles=Tiles(4, 3, overlap=0.0)) as detector:
        found_ones = detector.detect(large_image())
        np.testing.assert_allclose(found_ones.xyxy, expected.xyxy + np.float32([512, 256, 512, 256]))
        np.testing.assert_array_equal(found_ones.confidence, expected.confidence)
        assert detector.timings["invoke"] > 0
        assert detector.reduced_input is None


def test_one_tile_is_plain_detection_bit_for_bit() -> None:
    scene = large_image()[200:600, 400:800]
    with Detector(real_model()) as plain, Detector(real_model(), tiles="1x1") as tiled:
        expected, actual = plain.detect(scene), tiled.detect(scene)
        assert len(expected) > 0
        np.testing.assert_array_equal(actual.xyxy, expected.xyxy)
        np.testing.assert_array_equal(actual.confidence, expected.confidence)


def test_boxes_are_in_pixels_of_the_image_that_an_array_was_reduced_from() -> None:
    scene = large_image()
    with Detector(real_model(), tiles="3x2") as detector:
        plain = detector.detect(scene)
        scaled = detector.detect(scene, image_size=(1536, 2048))
        assert len(plain) > 0
        np.testing.assert_allclose(scaled.xyxy, 2 * plain.xyxy, rtol=1e-6)
        assert scaled.image_size == (1536, 2048)
        halved = detector.detect(numpy_resize(scene, (384, 512)))
        assert halved.image_size == (384, 512)
