"""Calibration pictures: the choice, its digest, and that they are what the device would see."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from converters.quantization.calibration import calibration_warnings, choose_calibration
from edge_ssd.data.dataset import Dataset, Sample
from edge_ssd.errors import ImageError, SettingError
from edge_ssd.network import InputSpec
from edge_ssd.runtime.preprocess import preprocess, read_image

SPEC = InputSpec(32, 48, resize="letterbox")


@pytest.fixture
def pictures(tmp_path: Path) -> Dataset:
    rng = np.random.default_rng(0)
    samples = []
    for i in range(10):
        path = tmp_path / "images" / f"{i}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (40 + i, 60, 3), np.uint8)).save(path)
        samples.append(Sample(path, np.zeros((0, 4), np.float32), np.zeros(0, np.int64)))
    return Dataset(tmp_path, ("thing",), tuple(samples), "test")


def test_they_are_what_the_device_would_see(pictures: Dataset):
    calibration = choose_calibration(pictures, SPEC, 4, seed=1)
    assert calibration.images.shape == (4, 32, 48, 3)
    assert calibration.images.dtype == np.uint8
    for name, image in zip(calibration.names, calibration.images, strict=True):
        assert np.array_equal(image, preprocess(read_image(pictures.root / name), SPEC)[0])


def test_the_choice_follows_the_seed_and_not_the_order(pictures: Dataset):
    first = choose_calibration(pictures, SPEC, 4, seed=1)
    turned = pictures.with_samples(pictures.samples[::-1])
    again = choose_calibration(turned, SPEC, 4, seed=1)
    assert len(set(first.names)) == 4
    assert again.names == first.names
    assert again.sha256 == first.sha256
    assert np.array_equal(again.images, first.images)
    assert {choose_calibration(pictures, SPEC, 4, seed=seed).names for seed in range(5)} != {first.names}


def test_the_digest_knows_the_pictures_and_their_names(pictures: Dataset):
    before = choose_calibration(pictures, SPEC, 10)
    path = pictures.root / before.names[3]
    image = np.asarray(Image.open(path)).copy()
    image[0, 0] ^= 1
    Image.fromarray(image).save(path)
    assert choose_calibration(pictures, SPEC, 10).sha256 != before.sha256
    assert choose_calibration(pictures, SPEC, 9).sha256 != before.sha256


def test_fewer_pictures_than_asked_for_are_all_taken(pictures: Dataset):
    calibration = choose_calibration(pictures, SPEC, 200)
    assert calibration.names == tuple(f"images/{i}.png" for i in range(10))


@pytest.mark.parametrize("count", [0, -1, 201])
def test_the_count_is_bounded(pictures: Dataset, count: int):
    with pytest.raises(SettingError, match="from 1 to 200"):
        choose_calibration(pictures, SPEC, count)


def test_an_unreadable_picture_is_named(pictures: Dataset):
    pictures.samples[0].path.write_bytes(b"")
    with pytest.raises(ImageError, match=r"0\.png"):
        choose_calibration(pictures, SPEC, 10)


# Warnings.


def noise(count: int, low: int = 0, high: int = 256, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(low, high, (count, 32, 48, 3), np.uint8)


def test_enough_pictures_like_those_of_validation_give_no_warning():
    assert calibration_warnings(noise(32), noise(8, seed=1)) == ()
    assert calibration_warnings(noise(32)) == ()


def test_few_pictures_are_warned_of():
    (warning,) = calibration_warnings(noise(31))
    assert warning.startswith("only 31 calibration pictures")


def test_constant_pictures_are_warned_of():
    grey = np.repeat(np.arange(64, dtype=np.uint8), 32 * 48 * 3).reshape(64, 32, 48, 3)
    (warning,) = calibration_warnings(grey)
    assert warning.startswith("64 of 64 calibration pictures are of one colour")


def test_copies_of_one_picture_are_warned_of():
    (warning,) = calibration_warnings(np.repeat(noise(2), 20, axis=0))
    assert warning.startswith("the 40 calibration pictures are only 2 different ones")


def test_pictures_unlike_those_of_validation_are_warned_of_by_what_differs():
    warnings = calibration_warnings(noise(40, 0, 120), noise(20, 100, 256))
    assert [warning.split(": ")[1].split()[0] for warning in warnings] == ["brightness"]
    assert "against 178" in warnings[0]
    blue = noise(40)
    blue[..., 2] = 255
    blue[..., 0] //= 2
    named = [warning.split(": ")[1].split()[0] for warning in calibration_warnings(blue, noise(20))]
    assert named == ["brightness", "redness", "blueness", "contrast"]
