"""Calibration pictures: the choice, its digest, and that they are what the device would see."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from converters.calibration import choose_calibration
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
