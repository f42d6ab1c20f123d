"""Windows and what is seen through them: literals, Pillow as the judge of the filter, loops as that of the crop."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

tf = pytest.importorskip("tensorflow")

from edge_ssd.training.input import crop_windows as windows  # noqa: E402 (after the check that TensorFlow is there)
from edge_ssd.training.input.crop_and_resize import crop_and_resize, resampling_weights  # noqa: E402

RAMP = np.arange(8, dtype=np.float32) * 10  # what each of eight pixels holds


def seen(window: tuple[float, float], pixels: np.ndarray = RAMP) -> np.ndarray:
    """A row of pixels through a window from one end to the other; what is outside counts as nothing."""
    weights = resampling_weights(
        tf.constant([window[0]], tf.float32), tf.constant([window[1]], tf.float32), len(pixels)
    )
    return weights.numpy()[0] @ pixels


class TestARow:
    def test_all_of_it_is_itself(self) -> None:
        np.testing.assert_array_equal(seen((0, 1)), RAMP)

    def test_a_whole_pixel_to_the_right(self) -> None:
        np.testing.assert_array_equal(seen((1 / 8, 9 / 8)), [10, 20, 30, 40, 50, 60, 70, 0])

    def test_enlarged_by_a_third(self) -> None:
        # From pixel 1 to pixel 7: what is seen at o lies at 1 + (o + ½) · ¾ − ½ of the ramp, 0.875, 1.625, …
        # Counting from pixel centres instead of edges would put it at 1, 1.75, …: an eighth of a pixel off.
        np.testing.assert_allclose(seen((1 / 8, 7 / 8)), 8.75 + 7.5 * np.arange(8), atol=1e-4)

    def test_at_the_very_edge_nothing_comes_from_outside(self) -> None:
        # The left half, twice as large: the first centre lies a quarter of a pixel left of the ramp's own.
        np.testing.assert_allclose(seen((0, 0.5)), [0, 2.5, 7.5, 12.5, 17.5, 22.5, 27.5, 32.5], atol=1e-4)

    def test_shrunk_to_half(self) -> None:
        # Four pixels of picture and two of nothing on each side; a triangle four pixels wide, cut at the edge: the
        # weights of the first are 3, 3, 1 of 7, further in 1, 3, 3, 1 of 8.
        np.testing.assert_allclose(seen((-0.5, 1.5)), [0, 0, 50 / 7, 25, 45, 70 - 50 / 7, 0, 0], atol=1e-3)

    def test_half_a_pixel_of_picture_is_half_as_much(self) -> None:
        weights = resampling_weights(tf.constant([-0.5 / 8]), tf.constant([7.5 / 8]), 8)
        np.testing.assert_allclose(tf.reduce_sum(weights, axis=2)[0], [0.5, 1, 1, 1, 1, 1, 1, 1], atol=1e-6)


@pytest.mark.parametrize(
    "window",
    [(0, 0, 1, 1), (0.1, 0.2, 0.6, 0.9), (0, 0, 0.3, 0.35), (0.55, 0.6, 1, 1), (0.013, 0.4, 0.99, 0.777)],
    ids=str,
)
def test_the_filter_is_pillows(window: tuple[float, float, float, float]) -> None:
    height, width = 24, 40
    picture = np.random.default_rng(0).integers(0, 256, (height, width, 3)).astype(np.float32)
    box = tuple(np.multiply(window, (width, height) * 2).tolist())
    expected = [
        np.asarray(Image.fromarray(picture[..., i]).resize((width, height), Image.Resampling.BILINEAR, box=box))
        for i in range(3)
    ]
    actual = crop_and_resize(tf.constant(picture[None]), tf.constant([window], tf.float32))[0]
    np.testing.assert_allclose(actual, np.stack(expected, axis=-1), atol=0.02)


def test_a_picture_shrunk_onto_grey_is_as_the_device_shrinks_it() -> None:
    from edge_ssd.network import InputSpec
    from edge_ssd.runtime.preprocess import preprocess

    picture = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    # Twice as large a window: a picture of half the size, which starts at pixels 16, 8.
    actual = crop_and_resize(tf.constant(picture[None], tf.float32), tf.constant([[-0.5, -0.25, 1.5, 1.75]]))[0].numpy()
    small, _ = preprocess(picture, InputSpec(32, 32))
    np.testing.assert_allclose(actual[8:40, 16:48], small, atol=1.01)  # the device rounds twice to whole numbers
    outside = np.ones((64, 64), bool)
    outside[8:40, 16:48] = False
    np.testing.assert_allclose(actual[outside], 114, atol=1e-3)


def test_windows_within_windows() -> None:
    outer = tf.constant([[0.25, 0.5, 0.75, 1.0]])
    np.testing.assert_allclose(windows.compose_windows(outer, tf.constant([[0.0, 0.0, 1.0, 1.0]])), outer)
    np.testing.assert_allclose(
        windows.compose_windows(outer, tf.constant([[0.5, -1.0, 1.0, 0.5]])), [[0.5, 0, 0.75, 0.75]]
    )


class TestBoxesIn:
    WINDOW = tf.constant([[0.5, 0.0, 1.0, 1.0]])
    LABELS = tf.constant([[[3, 0.625, 0.25, 0.75, 0.5], [4, 0.25, 0.0, 0.625, 0.5], [-1, -1, -1, -1, -1]]], tf.float32)

    def test_moved_and_clipped(self) -> None:
        expected = [[[3, 0.25, 0.25, 0.5, 0.5], [4, 0, 0, 0.25, 0.5], [-1] * 5]]
        np.testing.assert_allclose(windows.transform_boxes(self.WINDOW, self.LABELS), expected)

    def test_the_centre_must_be_inside(self) -> None:
        # That of the second object lies at 0.4375, left of the window.
        expected = [[[3, 0.25, 0.25, 0.5, 0.5], [-1] * 5, [-1] * 5]]
        np.testing.assert_allclose(windows.transform_boxes(self.WINDOW, self.LABELS, require_center=True), expected)

    @pytest.mark.parametrize(("share", "kept"), [(0.33, True), (0.34, False)])
    def test_enough_must_be_visible(self, share: float, kept: bool) -> None:
        # A third of the second object is in the window.
        boxes = windows.transform_boxes(self.WINDOW, self.LABELS, min_visible=share).numpy()
        assert (boxes[0, 1, 0] == 4) is np.bool_(kept)

    def test_no_object_at_all(self) -> None:
        nothing = tf.fill((1, 2, 5), -1.0)
        np.testing.assert_array_equal(windows.transform_boxes(self.WINDOW, nothing, require_center=True), nothing)


def slow_choice(trials: np.ndarray, labels: np.ndarray, least: float) -> np.ndarray:
    """The first window whose sides are at most 2:1 and in which an object has its centre and enough overlap."""
    for left, top, right, bottom in trials:
        width, height = right - left, bottom - top
        if max(width, height) > 2 * min(width, height):
            continue
        for class_id, xmin, ymin, xmax, ymax in labels:
            x, y = (xmin + xmax) / 2, (ymin + ymax) / 2
            if class_id < 0 or not (left < x < right and top < y < bottom):
                continue
            shared = (min(right, xmax) - max(left, xmin)) * (min(bottom, ymax) - max(top, ymin))
            union = width * height + (xmax - xmin) * (ymax - ymin) - shared
            if shared / union >= least:
                return np.array([left, top, right, bottom])
    return np.array([0, 0, 1, 1])


def test_the_crop_is_what_loops_would_choose() -> None:
    rng = np.random.default_rng(0)
    count, trials, objects = 60, 12, 3
    corner, size = rng.uniform(0, 0.7, (2, count, objects, 2))
    labels = np.concatenate([np.zeros((count, objects, 1)), corner, corner + (0.02 + size) * (1 - corner)], axis=2)
    labels[rng.random((count, objects)) < 0.3] = -1
    side = rng.uniform(0.2, 1, (count, trials, 2))
    start = rng.uniform(0, 1, (count, trials, 2)) * (1 - side)
    drawn = np.concatenate([start, start + side], axis=2)
    least = rng.choice([0.0, 0.1, 0.3, 0.5, 0.7, 0.9], count)
    chosen = windows.select_windows(*(tf.constant(values, tf.float32) for values in (drawn, labels, least))).numpy()
    expected = [slow_choice(*values) for values in zip(drawn, labels, least, strict=True)]
    np.testing.assert_allclose(chosen, expected, atol=1e-6)
    whole = (chosen == [0, 0, 1, 1]).all(axis=1)
    assert 5 < whole.sum() < 45  # both ways out were taken


def test_expanded_windows_hold_the_whole_picture() -> None:
    drawn = windows.expand_windows(tf.constant([1, 2]), 200, 3.0).numpy()
    assert (drawn[:, :2] <= 0).all()
    assert (drawn[:, 2:] >= 1 - 1e-6).all()
    side = drawn[:, 2] - drawn[:, 0]
    np.testing.assert_allclose(side, drawn[:, 3] - drawn[:, 1], rtol=1e-5)
    assert 70 < (side == 1).sum() < 130
    assert 2.5 < side.max() <= 3.0001


def test_cropped_windows_stay_inside_and_some_are_whole() -> None:
    labels = tf.tile(tf.constant([[[0, 0.2, 0.2, 0.8, 0.8]]], tf.float32), (400, 1, 1))
    drawn = windows.iou_crop_windows(tf.constant([1, 2]), labels).numpy()
    assert drawn.min() >= 0
    assert drawn.max() <= 1
    whole = (drawn == [0, 0, 1, 1]).all(axis=1).mean()
    # And some in which no trial fits an object as closely as was drawn.
    assert 1 / 14 < whole < 0.6


def test_xla_compiles_it() -> None:
    rng = np.random.default_rng(0)
    picture = tf.constant(rng.uniform(0, 255, (1, 8, 8, 3)), tf.float32)
    trials = tf.constant([[[0.5, 0.5, 0.6, 1], [0.1, 0.2, 0.8, 0.9]]], tf.float32)
    labels = tf.constant([[[0, 0.2, 0.2, 0.8, 0.8]]], tf.float32)

    def crop() -> tuple[tf.Tensor, tf.Tensor]:
        window = windows.select_windows(trials, labels, tf.constant([0.5]))
        return crop_and_resize(picture, window), windows.transform_boxes(window, labels, require_center=True)

    for actual, expected in zip(tf.function(crop, jit_compile=True)(), crop(), strict=True):
        np.testing.assert_allclose(actual, expected, atol=1e-3)
