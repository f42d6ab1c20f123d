"""edge_ssd.data.check_images: damaged, uniform and scaled images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from label_writers import write_d2l_split
from PIL import Image

from edge_ssd.data import check_images
from edge_ssd.data.check_images import ImageChecks, check_image, drop_damaged, read_checked_image
from edge_ssd.data.eval_split import load_eval_split
from edge_ssd.data.load import load_dataset, open_dataset
from edge_ssd.data.source import DataSource
from edge_ssd.errors import DataError
from edge_ssd.runtime.image_file import MISSING_HEIF
from edge_ssd.runtime.preprocess import read_image


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four noisy images with a box each."""
    rows = [f"{name}.png,0,1,2,30,20" for name in "abcd"]
    write_d2l_split(tmp_path, rows, [f"{name}.png" for name in "abcd"])
    for seed, name in enumerate("abcd"):
        noise(seed).save(tmp_path / "images" / f"{name}.png")
    return tmp_path


def noise(seed: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 255, (40, 60, 3), np.uint8))


def cut(path: Path, share: float) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])


def test_damaged_images_are_dropped_and_reported(folder: Path) -> None:
    cut(folder / "images" / "b.png", 0.5)
    noise(2).save(folder / "images" / "c.png", format="JPEG")
    cut(folder / "images" / "c.png", 0.98)
    dataset = load_dataset(folder)
    assert len(dataset) == 4, "the headers are fine"
    usable = drop_damaged(dataset, ImageChecks())
    assert [sample.path.name for sample in usable.samples] == ["a.png", "d.png"]
    assert [problem.path.name for problem in usable.problems] == ["b.png", "c.png"]
    assert all("cannot be decoded (" in problem.message for problem in usable.problems)
    with pytest.raises(DataError, match=r"b\.png: cannot be decoded .*dropped"):
        drop_damaged(dataset, ImageChecks(), strict=True)


def test_dataset_of_damaged_images_only_raises(folder: Path) -> None:
    for path in (folder / "images").iterdir():
        cut(path, 0.5)
    with pytest.raises(DataError, match=r"none of its 4 images can be decoded; the first: .*a\.png"):
        drop_damaged(load_dataset(folder), ImageChecks())


def test_images_to_measure_on_are_decoded_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cut(folder / "images" / "b.png", 0.5)
    opened = open_dataset(folder)
    decoded: list[Path] = []

    def count(path: Path) -> check_images.ImageCheck:
        decoded.append(path)
        return check_image(path)

    monkeypatch.setattr(check_images, "check_image", count)
    for _ in range(2):
        dataset, _ = load_eval_split(opened, ("class_0",))
        assert [sample.path.name for sample in dataset.samples] == ["a.png", "c.png", "d.png"]
    assert len(decoded) == 4
    with pytest.raises(DataError, match=r"b\.png"):
        load_eval_split(open_dataset(DataSource(folder, strict=True)), ("class_0",))


def test_images_of_one_color_and_scaled_values_are_noticed(folder: Path) -> None:
    images = folder / "images"
    Image.new("RGB", (60, 40), (200, 10, 90)).save(images / "a.png")
    pale = np.random.default_rng(0).normal(120, 2, (40, 60, 3)).astype(np.uint8)
    Image.fromarray(pale).save(images / "b.png")
    deep = np.random.default_rng(0).integers(0, 4096, (40, 60)).astype(np.uint16)
    Image.fromarray(deep).save(images / "c.png")
    usable = drop_damaged(load_dataset(folder, strict=True), ImageChecks(), strict=True)
    assert [notice.message for notice in usable.notices[-2:]] == [
        "1 image has 12-bit values in 16 or 32 bits (c.png): scaled to 8 bits",
        "2 images are nearly of one color: a.png, b.png",
    ]


def test_small_object_on_a_uniform_background_is_not_one_color(tmp_path: Path) -> None:
    image = Image.new("RGB", (640, 480), "white")
    image.paste((20, 20, 20), (300, 200, 340, 230))
    image.save(tmp_path / "a.png")
    assert not check_image(tmp_path / "a.png").uniform


def test_checks_agree_with_what_training_reads(folder: Path) -> None:
    images = folder / "images"
    noise(0).convert("RGBA").save(images / "a.png")
    noise(1).quantize(4).save(images / "b.png", transparency=1)
    Image.new("I;16", (60, 40), 1000).save(images / "c.png")
    for path in sorted(images.iterdir()):
        result = read_checked_image(path)
        assert isinstance(result, tuple)
        assert np.array_equal(result[0].pixels, read_image(path))
        check = check_image(path)
        assert (check.uniform, check.scaling) == (result[1].uniform, result[1].scaling)
        assert len(check.thumbnail) == 16 * 17
    cut(images / "a.png", 0.4)
    assert read_checked_image(images / "a.png") == check_image(images / "a.png")


def test_images_that_need_a_package_are_one_line(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failures = [(folder / f"{number}.heic", MISSING_HEIF) for number in range(12)]
    (problem,) = check_images.unreadable_problems(failures, "not a readable image", "unreadable images")
    assert problem.path.name == "0.heic"
    assert "pip install pillow-heif; 12 images" in problem.message
