"""Augmentation: pictures and boxes move together."""

from __future__ import annotations

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

from edge_ssd.training.input import augment as augmentation  # noqa: E402 (after the check that TensorFlow is there)

SIZE = 64
OFF = {"horizontal": False, "vertical": False, "zoom_factor": 1.0, "color": 0.0}


def rectangles(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Black pictures with one white rectangle each, and its box, plus a row of padding."""
    rng = np.random.default_rng(0)
    images = np.zeros((count, SIZE, SIZE, 3), np.uint8)
    labels = np.full((count, 2, 5), -1, np.float32)
    for i in range(count):
        (left, top), (width, height) = rng.integers(8, 24, 2), rng.integers(12, 30, 2)
        images[i, top : top + height, left : left + width] = 255
        labels[i, 0] = [2, *np.array([left, top, left + width, top + height]) / SIZE]
    return images, labels


def bright_box(image: np.ndarray) -> list[float]:
    """Box of the white part in 0–1; half-bright edge pixels count as half."""
    rows, columns = (np.asarray(image[..., 0]) > 127).any(axis=1), (np.asarray(image[..., 0]) > 127).any(axis=0)
    ys, xs = np.flatnonzero(rows), np.flatnonzero(columns)
    return [xs[0] / SIZE, ys[0] / SIZE, (xs[-1] + 1) / SIZE, (ys[-1] + 1) / SIZE]


@pytest.mark.parametrize(
    "change", [{"horizontal": True}, {"vertical": True}, {"zoom_factor": 1.5}, {"expand_factor": 2.0}]
)
def test_boxes_follow_the_picture(change: dict[str, float]) -> None:
    images, labels = rectangles(32)
    moved, boxes = augmentation.augment(images, labels, tf.constant([1, 2]), **{**OFF, **change})
    assert moved.dtype == tf.float32
    compared = 0
    for image, (row, padding) in zip(moved.numpy(), boxes.numpy(), strict=True):
        assert (padding == -1).all()
        # The grey around a picture that is zoomed out is below the threshold of "white".
        if row[0] >= 0:
            assert row[0] == 2
            # To the pixel: an edge within a pixel makes it white or not.
            np.testing.assert_allclose(bright_box(image), row[1:], atol=0.6 / SIZE)
            compared += 1
    assert compared >= 24
    changed = (moved.numpy() != images).any(axis=(1, 2, 3))
    assert changed.any()
    if "zoom_factor" not in change:  # the others leave half of the pictures as they are
        assert not changed.all()


def test_the_same_seed_gives_the_same_batch_and_another_another() -> None:
    images, labels = rectangles(8)
    options = {"horizontal": True, "vertical": True, "zoom_factor": 1.4, "color": 0.3}
    first = augmentation.augment(images, labels, tf.constant([7, 0]), **options)
    again = augmentation.augment(images, labels, tf.constant([7, 0]), **options)
    other = augmentation.augment(images, labels, tf.constant([7, 1]), **options)
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], again[1])
    assert (first[0].numpy() != other[0].numpy()).any()


def test_nothing_asked_nothing_changed() -> None:
    images, labels = rectangles(4)
    same, boxes = augmentation.augment(images, labels, tf.constant([1, 2]), **OFF)
    np.testing.assert_array_equal(same, images)
    np.testing.assert_array_equal(boxes, labels)


def test_color_keeps_the_range_and_the_boxes() -> None:
    images = np.random.default_rng(0).integers(0, 256, (6, SIZE, SIZE, 3)).astype(np.uint8)
    labels = rectangles(6)[1]
    recoloured, boxes = augmentation.augment(images, labels, tf.constant([3, 4]), **{**OFF, "color": 0.5})
    assert float(tf.reduce_min(recoloured)) >= 0
    assert float(tf.reduce_max(recoloured)) <= 255
    assert (np.abs(recoloured.numpy() - images).mean(axis=(1, 2, 3)) > 1).all()
    np.testing.assert_array_equal(boxes, labels)


def test_an_object_that_leaves_the_window_is_no_object() -> None:
    images = np.zeros((64, SIZE, SIZE, 3), np.uint8)
    labels = np.tile(np.array([[[0, 0.0, 0.0, 0.04, 0.04]]], np.float32), (64, 1, 1))  # in the very corner
    _, boxes = augmentation.expand_crop_zoom(tf.cast(images, tf.float32), labels, tf.constant([5, 5]), zoom_factor=2.0)
    gone = boxes.numpy()[:, 0, 0] < 0
    assert gone.any()
    assert not gone.all()
    assert (boxes.numpy()[gone] == -1).all()


def test_a_crop_keeps_what_has_its_centre_in_it() -> None:
    images, labels = rectangles(64)
    moved, boxes = augmentation.expand_crop_zoom(tf.cast(images, tf.float32), labels, tf.constant([3, 1]), crop=True)
    kept = boxes.numpy()[:, 0, 0] >= 0
    # SSD's crop holds an object's centre, and here each picture has one object only.
    assert kept.all()
    for image, (row, padding) in zip(moved.numpy(), boxes.numpy(), strict=True):
        assert (padding == -1).all()
        np.testing.assert_allclose(bright_box(image), row[1:], atol=0.6 / SIZE)
    changed = (moved.numpy() != images).any(axis=(1, 2, 3))
    assert 0.3 < changed.mean() < 1
