"""Calibration images: the choice, its digest, preprocessing, and warnings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from converters.quantization.calibration import choose_calibration, span_pixel_range
from converters.quantization.image_warnings import calibration_warnings, image_warnings
from edge_ssd.data.dataset import Dataset, Sample
from edge_ssd.errors import DataError
from edge_ssd.network import InputSpec
from edge_ssd.runtime.preprocess import read_input

SPEC = InputSpec(32, 48, resize="letterbox")


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    rng = np.random.default_rng(0)
    samples = []
    for i in range(10):
        path = tmp_path / "images" / f"{i}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (40 + i, 60, 3), np.uint8)).save(path)
        samples.append(Sample(path, np.zeros((0, 4), np.float32), np.zeros(0, np.int64)))
    return Dataset(tmp_path, ("thing",), tuple(samples), "test")


def test_calibration_images_are_preprocessed_as_on_the_device(dataset: Dataset):
    calibration = choose_calibration(dataset, SPEC, 4, seed=1)
    assert calibration.images.shape == (4, 32, 48, 3)
    assert calibration.images.dtype == np.uint8
    for name, image in zip(calibration.names, calibration.images, strict=True):
        assert np.array_equal(image, read_input(dataset.root / name, SPEC)[0])


def test_calibration_depends_on_seed_and_not_on_order(dataset: Dataset):
    first = choose_calibration(dataset, SPEC, 4, seed=1)
    reversed_dataset = dataset.with_samples(dataset.samples[::-1])
    again = choose_calibration(reversed_dataset, SPEC, 4, seed=1)
    assert len(set(first.names)) == 4
    assert again.names == first.names
    assert again.sha256 == first.sha256
    assert np.array_equal(again.images, first.images)
    assert {choose_calibration(dataset, SPEC, 4, seed=seed).names for seed in range(5)} != {first.names}


def test_calibration_digest_covers_images_and_names(dataset: Dataset):
    before = choose_calibration(dataset, SPEC, 10)
    path = dataset.root / before.names[3]
    image = np.asarray(Image.open(path)).copy()
    image[0, 0] ^= 1
    Image.fromarray(image).save(path)
    assert choose_calibration(dataset, SPEC, 10).sha256 != before.sha256
    assert choose_calibration(dataset, SPEC, 9).sha256 != before.sha256


def test_calibration_uses_all_images_of_a_small_dataset(dataset: Dataset):
    calibration = choose_calibration(dataset, SPEC, 200)
    assert calibration.names == tuple(f"images/{i}.png" for i in range(10))


def test_calibration_replaces_damaged_images(dataset: Dataset, caplog: pytest.LogCaptureFixture):
    first = choose_calibration(dataset, SPEC, 4).names[0]
    (dataset.root / first).write_bytes(b"")
    calibration = choose_calibration(dataset, SPEC, 4)
    assert len(set(calibration.names) - {first}) == len(calibration) == 4
    assert f"{first}: cannot be decoded (the file is empty); dropped" in caplog.text
    with pytest.raises(DataError, match=first):
        choose_calibration(dataset, SPEC, 10, strict=True)
    for sample in dataset.samples:
        sample.path.write_bytes(b"")
    with pytest.raises(DataError, match="cannot be decoded"):
        choose_calibration(dataset, SPEC, 10)


def test_span_pixel_range_changes_two_pixels_of_a_copy():
    images = noise(3, 60, 200)
    before, spanned = images.copy(), span_pixel_range(images)
    assert (spanned.min(), spanned.max()) == (0, 255)
    assert ((spanned != before).any(axis=-1).sum(), np.array_equal(images, before)) == (2, True)
    assert span_pixel_range(spanned) is spanned


def noise(count: int, low: int = 0, high: int = 256, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(low, high, (count, 32, 48, 3), np.uint8)


def test_no_warning_for_enough_images_like_those_of_validation():
    assert calibration_warnings(noise(32), noise(8, seed=1)) == ()
    assert calibration_warnings(noise(32)) == ()


def test_warning_for_few_images():
    (warning,) = calibration_warnings(noise(31))
    assert warning.startswith("only 31 calibration images")


def test_warning_for_uniform_images():
    gray = np.repeat(np.arange(64, dtype=np.uint8), 32 * 48 * 3).reshape(64, 32, 48, 3)
    (warning,) = calibration_warnings(gray)
    assert warning.startswith("64 of 64 calibration images have a single color")
    red = gray.copy()
    red[..., 0] = 250
    (warning,) = calibration_warnings(red)
    assert warning.startswith("64 of 64 calibration images have a single color")


def test_warning_for_gray_images():
    images = noise(40)
    images[:30] = images[:30, ..., :1]
    (warning,) = calibration_warnings(images)
    assert warning.startswith("30 of 40 calibration images are gray")
    images[:30, ..., 0] ^= 1  # as compression does
    assert image_warnings(images, "evaluation")[0].startswith("30 of 40 evaluation images are gray")
    assert image_warnings(images[15:], "evaluation")[0].startswith("15 of 25")
    assert image_warnings(images[20:], "evaluation") == []


def test_warning_for_copies_of_one_image():
    (warning,) = calibration_warnings(np.repeat(noise(2), 20, axis=0))
    assert warning.startswith("only 2 of the 40 calibration images are different")


def test_warning_names_the_difference_from_validation_images():
    (warning,) = calibration_warnings(noise(40, 0, 120), noise(20, 100, 256))
    assert "median brightness 59 instead of 178" in warning
    blue = noise(40)
    blue[..., 2] = 255
    blue[..., 0] //= 2
    features = [warning.split("median ")[1].split()[0] for warning in calibration_warnings(blue, noise(20))]
    assert features == ["brightness", "redness", "blueness", "contrast"]
