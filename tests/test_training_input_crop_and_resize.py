"""edge_ssd.training.input.crop_and_resize, against literals, Pillow (where it enlarges) and the device's resize."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

tf = pytest.importorskip("tensorflow")

from edge_ssd.network import InputSpec  # noqa: E402 (after the check that TensorFlow is installed)
from edge_ssd.runtime.preprocess import preprocess  # noqa: E402
from edge_ssd.training.input.crop_and_resize import crop_and_resize, resampling_weights  # noqa: E402

RAMP = np.arange(8, dtype=np.float32) * 10  # values of eight pixels


def resample_row(window: tuple[float, float], pixels: np.ndarray = RAMP) -> np.ndarray:
    """Return a row of pixels resampled from ``window``; pixels outside count as 0."""
    weights = resampling_weights(
        tf.constant([window[0]], tf.float32), tf.constant([window[1]], tf.float32), len(pixels)
    )
    return weights.numpy()[0] @ pixels


class TestResamplingWeights:
    def test_full_window_is_identity(self) -> None:
        np.testing.assert_array_equal(resample_row((0, 1)), RAMP)

    def test_window_moved_by_one_pixel(self) -> None:
        np.testing.assert_array_equal(resample_row((1 / 8, 9 / 8)), [10, 20, 30, 40, 50, 60, 70, 0])

    def test_window_of_three_quarters_enlarges(self) -> None:
        # From pixel 1 to pixel 7: output pixel o lies at 1 + (o + ½) · ¾ − ½ of the ramp, 0.875, 1.625, …
        # Counting from pixel centers instead of edges would put it at 1, 1.75, …: an eighth of a pixel off.
        np.testing.assert_allclose(resample_row((1 / 8, 7 / 8)), 8.75 + 7.5 * np.arange(8), atol=1e-4)

    def test_enlarged_window_at_edge_clamps(self) -> None:
        # The left half, twice as large: the first center lies a quarter of a pixel left of the ramp's first one.
        np.testing.assert_allclose(resample_row((0, 0.5)), [0, 2.5, 7.5, 12.5, 17.5, 22.5, 27.5, 32.5], atol=1e-4)

    def test_window_of_double_size_takes_means_of_two(self) -> None:
        # Four pixels of the image and two outside it on each side.
        np.testing.assert_allclose(resample_row((-0.5, 1.5)), [0, 0, 5, 25, 45, 65, 0, 0], atol=1e-3)

    def test_window_of_triple_size_interpolates_means_of_two(self) -> None:
        # Centers of the outputs inside the image: 1.5 (−1.5 + 3), 4.5; of the means 5, 25, 45, 65: 1, 3, 5, 7. The
        # third output lies half outside.
        expected = [10, 40, 65 * 2 / 3]
        np.testing.assert_allclose(resample_row((-9 / 8, 15 / 8))[3:6], expected, atol=1e-3)

    def test_weight_of_half_pixel_is_half(self) -> None:
        weights = resampling_weights(tf.constant([-0.5 / 8]), tf.constant([7.5 / 8]), 8)
        np.testing.assert_allclose(tf.reduce_sum(weights, axis=2)[0], [0.5, 1, 1, 1, 1, 1, 1, 1], atol=1e-6)


@pytest.mark.parametrize(
    "window",
    [(0, 0, 1, 1), (0.1, 0.2, 0.6, 0.9), (0, 0, 0.3, 0.35), (0.55, 0.6, 1, 1), (0.013, 0.4, 0.99, 0.777)],
    ids=str,
)
def test_crop_and_resize_equals_pillow(window: tuple[float, float, float, float]) -> None:
    height, width = 24, 40
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3)).astype(np.float32)
    box = tuple(np.multiply(window, (width, height) * 2).tolist())
    expected = [
        np.asarray(Image.fromarray(image[..., i]).resize((width, height), Image.Resampling.BILINEAR, box=box))
        for i in range(3)
    ]
    actual = crop_and_resize(tf.constant(image[None]), tf.constant([window], tf.float32))[0]
    np.testing.assert_allclose(actual, np.stack(expected, axis=-1), atol=0.02)


def test_crop_and_resize_onto_gray_equals_preprocess() -> None:
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    # A window of twice the size: an image of half the size, which starts at pixels 16, 8.
    actual = crop_and_resize(tf.constant(image[None], tf.float32), tf.constant([[-0.5, -0.25, 1.5, 1.75]]))[0].numpy()
    small, _ = preprocess(image, InputSpec(32, 32))
    np.testing.assert_allclose(actual[8:40, 16:48], small, atol=0.51)  # preprocess rounds to integers
    outside = np.ones((64, 64), bool)
    outside[8:40, 16:48] = False
    np.testing.assert_allclose(actual[outside], 114, atol=1e-3)
