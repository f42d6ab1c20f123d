"""edge_ssd.training.input.augmented_sheet, and the option ``--augmented`` of ``edge-ssd data inspect``."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edge_ssd.cli import main
from edge_ssd.data.load import load_dataset
from edge_ssd.data.synthetic.generate import make_synthetic
from edge_ssd.network import InputSpec
from edge_ssd.training.input.augmented_sheet import augmented_sheet
from edge_ssd.training.recipe import Recipe


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    make_synthetic(folder, num_train=6, num_val=2, seed=0)
    return folder


def test_augmented_sheet_has_column_for_each_augmentation_and_three_for_all(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sheet = tmp_path / "sheet.png"
    options = [f"--augmented={sheet}", "--input-size=64x64", "--crop", "--expand=2", "--no-flip"]
    assert main(["data", "inspect", str(data), *options]) == 0
    out = capsys.readouterr().out
    assert "6 images" in out
    assert f"{sheet}: augmented training images of {data}" in out
    with Image.open(sheet) as image:
        # Unchanged, expand, crop, zoom, color and three of all together; six images with their captions.
        assert image.size == (8 * 204 + 4, 4 + 6 * (200 + 16 + 4))
        columns = [image.crop((4 + 204 * i, 4, 204 + 204 * i, 204)).tobytes() for i in range(8)]
    assert len(set(columns)) > 5
    assert main(["data", "inspect", str(data), *options, "--json"]) == 0
    json.loads(capsys.readouterr().out)


def test_augmented_sheet_shows_mosaics_copy_paste_and_the_last_epoch_without_mosaics(data: Path) -> None:
    recipe = Recipe(flip=False, zoom=1.0, color=0.0, mosaic=0.5, copy_paste=1.0)
    sheet = augmented_sheet(load_dataset(data, "train"), InputSpec(64, 64), recipe)
    # Unchanged, mosaic, copy-paste, and three of both together.
    assert sheet.width == 4 + 6 * 204
    original, mosaic, pasted, *both = (np.asarray(sheet.crop((4 + 204 * i, 4, 204 + 204 * i, 204))) for i in range(6))

    def differs(image: np.ndarray) -> float:
        return float((np.abs(image.astype(int) - original).max(axis=2) > 40).mean())

    assert differs(mosaic) > 0.5
    assert 0 < differs(pasted) < 0.5
    assert [differs(image) > 0.5 for image in both] == [True, True, False]


def test_augmented_sheet_without_augmentation_has_unchanged_images(data: Path) -> None:
    sheet = augmented_sheet(load_dataset(data, "train"), InputSpec(), Recipe(flip=False, zoom=1.0, color=0.0))
    assert sheet.width == 4 + 260
    # The first image, with its box.
    with Image.open(sorted((data / "bananas_train" / "images").iterdir())[0]) as first:
        equal = np.asarray(sheet)[4:260, 4:260] == np.asarray(first.convert("RGB"))
    assert equal.all(axis=2).mean() > 0.9


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--augmented=sheet.txt"], "give it a name that ends in .png"),
        (["--crop", "--zoom=2"], "--crop, --zoom: these need --augmented FILE.png"),
        (["--augmented=sheet.png", "--zoom=9"], "zoom must be in 1–4"),
    ],
)
def test_augmented_sheet_rejects_invalid_options(
    data: Path,
    options: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["data", "inspect", str(data), *options]) == 2
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
