"""edge_ssd.training.input.augment: images and boxes are transformed alike."""

from __future__ import annotations

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

from edge_ssd.training.input import augment as augmentation  # noqa: E402 (after the check that TensorFlow is installed)

SIZE = 64
OFF = {"horizontal": False, "vertical": False, "zoom_factor": 1.0, "color": 0.0}


def rectangles(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return black images with a white rectangle each, and labels with its box and a row of padding."""
    rng = np.random.default_rng(0)
    images = np.zeros((count, SIZE, SIZE, 3), np.uint8)
    labels = np.full((count, 2, 5), -1, np.float32)
    for i in range(count):
        (left, top), (width, height) = rng.integers(8, 24, 2), rng.integers(12, 30, 2)
        images[i, top : top + height, left : left + width] = 255
        labels[i, 0] = [2, *np.array([left, top, left + width, top + height]) / SIZE]
    return images, labels


def bright_box(image: np.ndarray) -> list[float]:
    """Return the xyxy box in 0–1 of the pixels above half brightness."""
    rows, columns = (np.asarray(image[..., 0]) > 127).any(axis=1), (np.asarray(image[..., 0]) > 127).any(axis=0)
    ys, xs = np.flatnonzero(rows), np.flatnonzero(columns)
    return [xs[0] / SIZE, ys[0] / SIZE, (xs[-1] + 1) / SIZE, (ys[-1] + 1) / SIZE]


@pytest.mark.parametrize(
    "change", [{"horizontal": True}, {"vertical": True}, {"zoom_factor": 1.5}, {"expand_factor": 2.0}]
)
def test_boxes_are_transformed_like_images(change: dict[str, float]) -> None:
    images, labels = rectangles(32)
    moved, boxes = augmentation.augment(images, labels, tf.constant([1, 2]), **{**OFF, **change})
    assert moved.dtype == tf.float32
    compared = 0
    for image, (row, padding) in zip(moved.numpy(), boxes.numpy(), strict=True):
        assert (padding == -1).all()
        # The gray around an image that is zoomed out is below the threshold of bright_box.
        if row[0] >= 0:
            assert row[0] == 2
            # To half a pixel: a pixel on an edge is above the threshold or not.
            np.testing.assert_allclose(bright_box(image), row[1:], atol=0.6 / SIZE)
            compared += 1
    assert compared >= 24
    changed = (moved.numpy() != images).any(axis=(1, 2, 3))
    assert changed.any()
    if "zoom_factor" not in change:  # the others leave half of the images unchanged
        assert not changed.all()


def test_augment_depends_on_seed_only() -> None:
    images, labels = rectangles(8)
    options = {"horizontal": True, "vertical": True, "zoom_factor": 1.4, "color": 0.3}
    first = augmentation.augment(images, labels, tf.constant([7, 0]), **options)
    again = augmentation.augment(images, labels, tf.constant([7, 0]), **options)
    other = augmentation.augment(images, labels, tf.constant([7, 1]), **options)
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], again[1])
    assert (first[0].numpy() != other[0].numpy()).any()


def test_augment_with_everything_off_is_identity() -> None:
    images, labels = rectangles(4)
    same, boxes = augmentation.augment(images, labels, tf.constant([1, 2]), **OFF)
    np.testing.assert_array_equal(same, images)
    np.testing.assert_array_equal(boxes, labels)


def test_color_keeps_pixel_range_and_boxes() -> None:
    images = np.random.default_rng(0).integers(0, 256, (6, SIZE, SIZE, 3)).astype(np.uint8)
    labels = rectangles(6)[1]
    recolored, boxes = augmentation.augment(images, labels, tf.constant([3, 4]), **{**OFF, "color": 0.5})
    assert float(tf.reduce_min(recolored)) >= 0
    assert float(tf.reduce_max(recolored)) <= 255
    assert (np.abs(recolored.numpy() - images).mean(axis=(1, 2, 3)) > 1).all()
    np.testing.assert_array_equal(boxes, labels)


def test_zoom_drops_objects_outside_window() -> None:
    images = np.zeros((64, SIZE, SIZE, 3), np.uint8)
    labels = np.tile(np.array([[[0, 0.0, 0.0, 0.04, 0.04]]], np.float32), (64, 1, 1))  # in the corner
    _, boxes = augmentation.expand_crop_zoom(tf.cast(images, tf.float32), labels, tf.constant([5, 5]), zoom_factor=2.0)
    dropped = boxes.numpy()[:, 0, 0] < 0
    assert dropped.any()
    assert not dropped.all()
    assert (boxes.numpy()[dropped] == -1).all()


def test_zoom_after_crop_shows_only_what_the_crop_shows() -> None:
    images, labels = rectangles(64)
    images[:, :4] = 255  # bright, and outside most crops
    labels[:, 1] = [1, 0, 0, 1, 4 / SIZE]
    moved, boxes = augmentation.expand_crop_zoom(
        tf.cast(images, tf.float32), labels, tf.constant([3, 1]), crop=True, zoom_factor=2.0, hide_cut=True
    )
    compared = 0
    for image, rows in zip(moved.numpy(), boxes.numpy(), strict=True):
        if rows[1, 0] < 0 <= rows[0, 0]:  # the object at the top is cut off, with its label
            np.testing.assert_allclose(bright_box(image), rows[0, 1:], atol=1.1 / SIZE)
            compared += 1
    assert compared > 5


def test_crop_keeps_objects_with_center_in_window() -> None:
    images, labels = rectangles(64)
    moved, boxes = augmentation.expand_crop_zoom(tf.cast(images, tf.float32), labels, tf.constant([3, 1]), crop=True)
    kept = boxes.numpy()[:, 0, 0] >= 0
    # SSD's crop contains the center of an object, and each image has one object only.
    assert kept.all()
    for image, (row, padding) in zip(moved.numpy(), boxes.numpy(), strict=True):
        assert (padding == -1).all()
        np.testing.assert_allclose(bright_box(image), row[1:], atol=0.6 / SIZE)
    changed = (moved.numpy() != images).any(axis=(1, 2, 3))
    assert 0.3 < changed.mean() < 1
