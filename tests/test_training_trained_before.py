"""edge_ssd.training.trained_before: validation images that the model of --from was trained on."""

from __future__ import annotations

import dataclasses
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

from edge_ssd.data.dataset import Dataset, Sample
from edge_ssd.data.held_out import HeldOut
from edge_ssd.data.manifest import Manifest
from edge_ssd.network import tiny_ssd
from edge_ssd.training.run_folder import IMAGES
from edge_ssd.training.trained_before import warn_if_trained_before

ROOT = Path("set")


def dataset(*numbers: int, root: Path = ROOT) -> Dataset:
    samples = [Sample(root / f"{number}.png", np.array([[0, 0, 9, 9]]), np.zeros(1), (20, 20)) for number in numbers]
    return Dataset(root, ("cat",), tuple(samples), "voc")


def write_model(folder: Path, held_out: HeldOut | None, manifest: Manifest | None = None) -> Path:
    """Write what is read of a model: the description in its ZIP, and the list of images beside it."""
    folder.mkdir()
    config = {"network": tiny_ssd(("cat",)).to_dict()}
    config |= {} if held_out is None else {"held_out": held_out.to_dict()}
    with zipfile.ZipFile(folder / "model.keras", "w") as archive:
        archive.writestr("config.json", json.dumps({"config": config}))
    if manifest is not None:
        (folder / IMAGES).write_text(json.dumps(manifest.to_dict()))
    return folder / "model.keras"


def warnings(model: Path, training: Dataset, validation: Dataset, caplog: pytest.LogCaptureFixture) -> list[str]:
    caplog.clear()
    warn_if_trained_before(model, training, validation)
    return caplog.messages


def test_validation_images_that_the_model_did_not_hold_out_are_reported(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = write_model(tmp_path / "run", HeldOut(("1.png", "2.png")))
    (line,) = warnings(model, dataset(1, *range(4, 10)), dataset(2, 3), caplog)
    assert line.startswith(f"1 of 2 validation images was trained on by {model} (--from): their AP is too high (3.png)")
    assert not warnings(model, dataset(*range(3, 10)), dataset(1, 2), caplog)
    # Another dataset: it lacks the images that were held out.
    assert not warnings(model, dataset(*range(3, 10)), dataset(20, 21), caplog)
    assert not warnings(write_model(tmp_path / "old", None), dataset(1), dataset(2), caplog)


def test_training_images_that_the_run_folder_lists_are_reported(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    manifest = Manifest.of(dataset(1, 2, 3), dataset(8, 9))
    model = write_model(tmp_path / "run", HeldOut(), manifest)
    (line,) = warnings(model, dataset(1), dataset(2, 3, 8), caplog)
    assert "2 of 3 validation images were trained on" in line
    relabeled = dataset(2, 3)
    samples = tuple(dataclasses.replace(sample, boxes_xyxy=np.array([[1, 1, 5, 5]])) for sample in relabeled.samples)
    assert not warnings(model, dataset(1), relabeled.with_samples(samples), caplog)
    (tmp_path / "run" / IMAGES).write_text("{")
    assert not warnings(model, dataset(1), dataset(2, 3, 8), caplog)
