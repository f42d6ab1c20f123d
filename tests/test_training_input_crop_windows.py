"""edge_ssd.training.input.crop_windows, against literals and a slow reference of the crop's choice."""

from __future__ import annotations

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

from edge_ssd.training.input import crop_windows as windows  # noqa: E402 (after the check that TensorFlow is installed)
from edge_ssd.training.input.crop_and_resize import crop_and_resize  # noqa: E402


def test_compose_windows_equals_literals() -> None:
    outer = tf.constant([[0.25, 0.5, 0.75, 1.0]])
    np.testing.assert_allclose(windows.compose_windows(outer, tf.constant([[0.0, 0.0, 1.0, 1.0]])), outer)
    np.testing.assert_allclose(
        windows.compose_windows(outer, tf.constant([[0.5, -1.0, 1.0, 0.5]])), [[0.5, 0, 0.75, 0.75]]
    )


class TestTransformBoxes:
    WINDOW = tf.constant([[0.5, 0.0, 1.0, 1.0]])
    LABELS = tf.constant([[[3, 0.625, 0.25, 0.75, 0.5], [4, 0.25, 0.0, 0.625, 0.5], [-1, -1, -1, -1, -1]]], tf.float32)

    def test_boxes_are_moved_and_clipped(self) -> None:
        expected = [[[3, 0.25, 0.25, 0.5, 0.5], [4, 0, 0, 0.25, 0.5], [-1] * 5]]
        np.testing.assert_allclose(windows.transform_boxes(self.WINDOW, self.LABELS), expected)

    def test_require_center_drops_boxes_with_center_outside(self) -> None:
        # The center of the second object is at 0.4375, left of the window.
        expected = [[[3, 0.25, 0.25, 0.5, 0.5], [-1] * 5, [-1] * 5]]
        np.testing.assert_allclose(windows.transform_boxes(self.WINDOW, self.LABELS, require_center=True), expected)

    @pytest.mark.parametrize(("share", "kept"), [(0.33, True), (0.34, False)])
    def test_min_visible_drops_mostly_hidden_boxes(self, share: float, kept: bool) -> None:
        # A third of the second object is in the window.
        boxes = windows.transform_boxes(self.WINDOW, self.LABELS, min_visible=share).numpy()
        assert (boxes[0, 1, 0] == 4) is np.bool_(kept)

    def test_padding_stays_padding(self) -> None:
        padding = tf.fill((1, 2, 5), -1.0)
        np.testing.assert_array_equal(windows.transform_boxes(self.WINDOW, padding, require_center=True), padding)


def slow_select_window(trials: np.ndarray, labels: np.ndarray, min_iou: float) -> np.ndarray:
    """Return the first window with sides of at most 2:1 and the center and minimum IoU of some object."""
    for left, top, right, bottom in trials:
        width, height = right - left, bottom - top
        if max(width, height) > 2 * min(width, height):
            continue
        for class_id, xmin, ymin, xmax, ymax in labels:
            x, y = (xmin + xmax) / 2, (ymin + ymax) / 2
            if class_id < 0 or not (left < x < right and top < y < bottom):
                continue
            intersection = (min(right, xmax) - max(left, xmin)) * (min(bottom, ymax) - max(top, ymin))
            union = width * height + (xmax - xmin) * (ymax - ymin) - intersection
            if intersection / union >= min_iou:
                return np.array([left, top, right, bottom])
    return np.array([0, 0, 1, 1])


def test_select_windows_equals_slow_reference() -> None:
    rng = np.random.default_rng(0)
    count, trials, objects = 60, 12, 3
    corner, size = rng.uniform(0, 0.7, (2, count, objects, 2))
    labels = np.concatenate([np.zeros((count, objects, 1)), corner, corner + (0.02 + size) * (1 - corner)], axis=2)
    labels[rng.random((count, objects)) < 0.3] = -1
    side = rng.uniform(0.2, 1, (count, trials, 2))
    start = rng.uniform(0, 1, (count, trials, 2)) * (1 - side)
    drawn = np.concatenate([start, start + side], axis=2)
    min_iou = rng.choice([0.0, 0.1, 0.3, 0.5, 0.7, 0.9], count)
    chosen = windows.select_windows(*(tf.constant(values, tf.float32) for values in (drawn, labels, min_iou))).numpy()
    expected = [slow_select_window(*values) for values in zip(drawn, labels, min_iou, strict=True)]
    np.testing.assert_allclose(chosen, expected, atol=1e-6)
    is_full = (chosen == [0, 0, 1, 1]).all(axis=1)
    assert 5 < is_full.sum() < 45  # with and without a window that fits


def test_expand_windows_contain_image() -> None:
    drawn = windows.expand_windows(tf.constant([1, 2]), 200, 3.0).numpy()
    assert (drawn[:, :2] <= 0).all()
    assert (drawn[:, 2:] >= 1 - 1e-6).all()
    side = drawn[:, 2] - drawn[:, 0]
    np.testing.assert_allclose(side, drawn[:, 3] - drawn[:, 1], rtol=1e-5)
    assert 70 < (side == 1).sum() < 130
    assert 2.5 < side.max() <= 3.0001


def test_iou_crop_windows_are_inside_image() -> None:
    labels = tf.tile(tf.constant([[[0, 0.2, 0.2, 0.8, 0.8]]], tf.float32), (400, 1, 1))
    drawn = windows.iou_crop_windows(tf.constant([1, 2]), labels).numpy()
    assert drawn.min() >= 0
    assert drawn.max() <= 1
    full = (drawn == [0, 0, 1, 1]).all(axis=1).mean()
    # Also those in which no trial reaches the drawn minimum IoU.
    assert 1 / 14 < full < 0.6


def test_select_windows_and_crop_compile_with_xla() -> None:
    rng = np.random.default_rng(0)
    image = tf.constant(rng.uniform(0, 255, (1, 8, 8, 3)), tf.float32)
    trials = tf.constant([[[0.5, 0.5, 0.6, 1], [0.1, 0.2, 0.8, 0.9]]], tf.float32)
    labels = tf.constant([[[0, 0.2, 0.2, 0.8, 0.8]]], tf.float32)

    def crop() -> tuple[tf.Tensor, tf.Tensor]:
        window = windows.select_windows(trials, labels, tf.constant([0.5]))
        return crop_and_resize(image, window), windows.transform_boxes(window, labels, require_center=True)

    for actual, expected in zip(tf.function(crop, jit_compile=True)(), crop(), strict=True):
        np.testing.assert_allclose(actual, expected, atol=1e-3)
