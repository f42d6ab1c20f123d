"""edge_ssd.training.input.hide_objects: what remains of cut objects is gray, and what shows a kept one is not."""

from __future__ import annotations

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

from edge_ssd.training.input.augment import expand_crop_zoom  # noqa: E402 (after the check for TensorFlow)
from edge_ssd.training.input.hide_objects import hide_objects  # noqa: E402

GRAY = 114


def test_pixels_of_cut_boxes_are_gray_except_in_kept_boxes() -> None:
    images = np.full((2, 8, 10, 3), 200, np.float32)
    cut = np.full((2, 2, 5), -1, np.float32)
    cut[0, 1] = [0, 0.1, 0.25, 0.55, 0.75]  # pixels 1 to 5.5 of 10, and 2 to 6 of 8
    kept = np.full((2, 1, 5), -1, np.float32)
    kept[0, 0] = [3, 0.4, 0, 0.5, 0.5]  # pixels 4 to 5, and 0 to 4
    hidden = hide_objects(images, cut, kept).numpy()
    expected = images.copy()
    expected[0, 2:6, 1:6] = GRAY
    expected[0, 2:4, 4] = 200
    np.testing.assert_array_equal(hidden, expected)


def test_without_cut_objects_images_are_unchanged() -> None:
    images = np.random.default_rng(0).uniform(0, 255, (2, 6, 6, 3)).astype(np.float32)
    labels = np.array([[[0, 0.1, 0.1, 0.6, 0.6]], [[-1, -1, -1, -1, -1]]], np.float32)
    np.testing.assert_array_equal(hide_objects(images, labels[:, :0], labels), images)


@pytest.mark.parametrize("options", [{"zoom_factor": 2.0}, {"crop": True}, {"zoom_factor": 3.0, "crop": True}])
def test_object_that_loses_its_label_is_invisible(options: dict[str, float]) -> None:
    size = 48
    images = np.zeros((64, size, size, 3), np.float32)
    labels = np.full((64, 2, 5), -1, np.float32)
    for left, row in ((0, 0), (28, 1)):  # two objects, of which a window often cuts one
        images[:, 10:40, left : left + 20] = 255
        labels[:, row] = [row, left / size, 10 / size, (left + 20) / size, 40 / size]
    shown, boxes = expand_crop_zoom(images, labels, tf.constant([4, 2]), hide_cut=True, **options)
    unhidden, same_boxes = expand_crop_zoom(images, labels, tf.constant([4, 2]), **options)
    np.testing.assert_array_equal(boxes, same_boxes)
    hidden = 0
    for image, before, rows in zip(shown.numpy(), unhidden.numpy(), boxes.numpy(), strict=True):
        expected = before.copy()
        visible = np.zeros((size, size), bool)
        for _, xmin, ymin, xmax, ymax in rows[rows[:, 0] >= 0] * size:
            visible[int(ymin) : int(np.ceil(ymax)), int(xmin) : int(np.ceil(xmax))] = True
        bright = (image[..., 0] > 160) & ~visible  # half a pixel of an edge may lie beside its box
        assert bright.sum() <= size
        hidden += bool(((before[..., 0] > 160) & ~visible).sum() > size)
        expected[~visible] = image[~visible]
        np.testing.assert_array_equal(image, expected)
    assert hidden
