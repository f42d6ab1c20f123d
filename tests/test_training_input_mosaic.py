"""edge_ssd.training.input.mosaic: boxes are exact, and no visible object is without its label."""

from __future__ import annotations

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

from test_training_input_augment import SIZE, bright_box, rectangles  # noqa: E402 (after the check for TensorFlow)

from edge_ssd.training.input.copy_paste import paste_objects  # noqa: E402
from edge_ssd.training.input.label_rows import mosaic_rows  # noqa: E402
from edge_ssd.training.input.mosaic import mosaic  # noqa: E402

COUNT = 32


def one_bright_tile(tile: int) -> tuple[np.ndarray, np.ndarray]:
    """Return black images [COUNT, 4, …], each with one white object in one tile, and their labels."""
    images = np.zeros((COUNT, 4, SIZE, SIZE, 3), np.uint8)
    labels = np.full((COUNT, 4, 2, 5), -1, np.float32)
    images[:, tile], labels[:, tile] = rectangles(COUNT)
    return images, labels


@pytest.mark.parametrize("tile", range(4))
def test_boxes_of_each_tile_follow_their_pixels(tile: int) -> None:
    composed, labels = mosaic(*one_bright_tile(tile), tf.constant([3, tile]), rows=8)
    assert composed.shape == (COUNT, SIZE, SIZE, 3)
    assert labels.shape == (COUNT, 8, 5)
    seen = 0
    for image, rows in zip(composed.numpy(), labels.numpy(), strict=True):
        objects = rows[rows[:, 0] >= 0]
        if len(objects):
            assert objects[:, 0].tolist() == [2]
            # To half a pixel: a pixel on an edge is above the threshold or not.
            np.testing.assert_allclose(bright_box(image), objects[0, 1:], atol=0.6 / SIZE)
            xmin, ymin, xmax, ymax = objects[0, 1:]
            # In its own tile: the tiles meet between 0.3 and 0.7.
            assert (xmax <= 0.72) if tile % 2 == 0 else (xmin >= 0.28)
            assert (ymax <= 0.72) if tile < 2 else (ymin >= 0.28)
            seen += 1
        else:  # neither visible nor labeled
            assert image.max() < 127
    assert seen > COUNT / 2


def test_objects_without_enough_area_or_row_are_hidden() -> None:
    images = np.zeros((COUNT, 4, SIZE, SIZE, 3), np.uint8)
    labels = np.full((COUNT, 4, 2, 5), -1, np.float32)
    images[:, :, :28], images[:, :, 36:] = 255, 255  # two objects that no window of a tile shows as a whole
    labels[:, :, 0], labels[:, :, 1] = [0, 0, 0, 1, 28 / SIZE], [1, 0, 36 / SIZE, 1, 1]
    _, all_labels = mosaic(images, labels, tf.constant([1, 1]), rows=8)
    composed, few = mosaic(images, labels, tf.constant([1, 1]), rows=3)
    np.testing.assert_array_equal(few, all_labels[:, :3])
    num_objects = (all_labels.numpy()[..., 0] >= 0).sum(axis=1)
    assert num_objects.max() > 4
    for image, rows in zip(composed.numpy(), few.numpy(), strict=True):
        outside = np.ones((SIZE, SIZE), bool)
        for _, xmin, ymin, xmax, ymax in rows[rows[:, 0] >= 0] * SIZE:
            outside[int(ymin) : int(np.ceil(ymax)), int(xmin) : int(np.ceil(xmax))] = False
        # Edges that a box shares with black may brighten the pixels beside it.
        assert ((image[..., 0] > 160) & outside).sum() <= 2 * SIZE


def test_mosaic_depends_on_seed_only() -> None:
    images, labels = one_bright_tile(1)
    first, again = (mosaic(images, labels, tf.constant([5, 0]), rows=8) for _ in range(2))
    other = mosaic(images, labels, tf.constant([5, 1]), rows=8)
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], again[1])
    assert (first[0].numpy() != other[0].numpy()).any()


@pytest.mark.parametrize(
    ("objects", "expected"),
    [
        ([1, 1], 4),  # four times the maximum
        ([4, 1, 1, 1, 1], 16),
        ([13, 13, 13, 13], 52),  # always 13 objects
        ([9, 17, 9, 17, 30], 66 + 46),  # means of 16.4 and a deviation of 7.7
    ],
)
def test_number_of_label_rows_follows_the_objects(objects: list[int], expected: int) -> None:
    labels = np.full((len(objects), max(objects), 5), -1, np.float32)
    for rows, number in zip(labels, objects, strict=True):
        rows[:number, 0] = 0
    assert mosaic_rows(labels) == expected


def test_wide_images_and_pasted_objects_keep_exact_boxes() -> None:
    height, width = 40, 64
    images = np.zeros((COUNT, height, width, 3), np.uint8)
    images[:, 10:30, 16:40] = 255
    labels = np.tile(np.array([[[1, 16 / width, 10 / height, 40 / width, 30 / height]]], np.float32), (COUNT, 1, 1))
    black, empty = np.zeros_like(images), np.full_like(labels, -1)
    tiles = np.stack([black, black, images, black], axis=1)
    tile_labels = np.stack([empty, empty, labels, empty], axis=1)
    composed, rows = mosaic(tiles, tile_labels, tf.constant([0, 0]), rows=4)
    pasted, pasted_rows = paste_objects(
        tf.cast(black, tf.float32), empty, tf.cast(images, tf.float32), labels, tf.constant([0, 1]), probability=1.0
    )
    for shown, shown_rows in ((composed, rows), (pasted, pasted_rows)):
        compared = 0
        for image, objects in zip(shown.numpy(), shown_rows.numpy(), strict=True):
            boxes = objects[objects[:, 0] >= 0][:, 1:] * [width, height, width, height]
            ys, xs = np.nonzero(image[..., 0] > 127)
            assert len(boxes) == (len(ys) > 0)
            for box in boxes:
                actual = [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]
                np.testing.assert_allclose(actual, box, atol=0.6)
                compared += 1
        assert compared > COUNT / 2
