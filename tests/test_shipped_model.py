"""The detectors that ship: what their cards promise, measured on the bytes that ship."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import REPOSITORY

from edge_ssd import Detector, box_iou, read_bundle
from edge_ssd.data.dataset import Dataset, Sample
from edge_ssd.data.load import load_dataset
from edge_ssd.evaluation.evaluate import evaluate
from edge_ssd.evaluation.keras_predictor import KERAS_BATCH_SIZE, KerasPredictor
from edge_ssd.evaluation.tflite_predictor import TFLitePredictor
from edge_ssd.runtime.shipped_models import find_model, shipped_models

FLOAT_MODELS = REPOSITORY / "converters" / "models"

# Bundles and float models together.
MAX_BYTES = 22_000_000

every_shipped = pytest.mark.parametrize("bundle_path", shipped_models().values(), ids=shipped_models())

# The book's test image, measured by eye on an enlarged grid: xyxy in pixels.
FOUR_BANANAS = np.array([[137, 13, 201, 73], [184, 93, 224, 140], [116, 143, 172, 203], [26, 196, 79, 249]], np.float32)


def test_all_four_bananas_of_the_book_and_nothing_else(shared_data: Path) -> None:
    with Detector(find_model("banana"), score_threshold=0.5) as detector:
        detections = detector.detect(shared_data / "photos" / "d2l_banana.jpg")
    iou = box_iou(FOUR_BANANAS, detections.xyxy)
    assert len(detections) == 4
    assert (iou.max(axis=1) >= 0.5).all(), iou
    assert sorted(iou.argmax(axis=1)) == [0, 1, 2, 3]


def test_shipped_model_detects_no_bananas_in_other_images(shared_data: Path) -> None:
    with Detector(find_model("banana"), score_threshold=0.5) as detector:
        assert len(detector.detect(shared_data / "photos" / "d2l_catdog.jpg")) == 0


@every_shipped
def test_shipped_model_ap_equals_model_card(shared_data: Path, bundle_path: Path) -> None:
    """Both files score what is written down, and int8 loses no more than half a point."""
    pytest.importorskip("tensorflow")
    from edge_ssd.training.model.tiny_ssd import load_tiny_ssd

    bundle, model = read_bundle(bundle_path), load_tiny_ssd(float_model(bundle_path))
    assert bundle.network == replace(model.network, coding=bundle.network.coding)
    dataset = validation_images(bundle_path, shared_data)
    before = evaluate(KerasPredictor(model), model.network, dataset, batch_size=KERAS_BATCH_SIZE).precision
    after = evaluate(TFLitePredictor(bundle), bundle.network, dataset).precision
    assert after.ap >= before.ap - 0.005
    rows = table_rows(card(bundle_path))
    for name, measured in (("float", before), ("int8", after)):
        assert rows[name] == [f"{value:.3f}" for value in (measured.ap, measured.ap50, measured.ap75)]
    if bundle_path == find_model("banana"):
        assert before.ap >= 0.75
        assert before.ap50 >= 0.98


@every_shipped
def test_shipped_model_passes_selftest(bundle_path: Path) -> None:
    with Detector(bundle_path) as detector:
        result = detector.selftest()
    assert result.passed, result.problem
    assert result.expected > 0


@every_shipped
def test_model_card_names_the_shipped_file(bundle_path: Path) -> None:
    rows = table_rows(card(bundle_path))
    for path, kind in ((bundle_path, "int8"), (float_model(bundle_path), "float")):
        name = f"`{path.relative_to(REPOSITORY)}`, {kind}"
        assert rows[name] == [str(path.stat().st_size), f"`{hashlib.sha256(path.read_bytes()).hexdigest()}`"]
    # So that a person compares the card with what the program shows.
    assert rows[f"`{bundle_path.relative_to(REPOSITORY)}`, int8"][1] == f"`{read_bundle(bundle_path).sha256}`"


def test_shipped_models_are_small() -> None:
    paths = [*shipped_models().values(), *map(float_model, shipped_models().values())]
    assert sum(path.stat().st_size for path in paths) <= MAX_BYTES
    assert find_model("banana").stat().st_size + float_model(find_model("banana")).stat().st_size < 8e6


def validation_images(bundle_path: Path, shared_data: Path) -> Dataset:
    """The images that a card's table is measured on."""
    labels = read_bundle(bundle_path).network.labels
    if bundle_path.stem.startswith("banana"):
        return load_dataset(shared_data / "bananas", "val", labels=labels)
    photographs = load_dataset(shared_data / "fruit_photos", None, labels=labels)
    # The 40 that tests/benchmarks/pretraining/cutouts.py holds out.
    # In the folder's order, as the cards' commands read them: it decides between equal scores.
    held_out = set(sorted(photographs.samples, key=digest_of_name)[:40])
    return photographs.with_samples(tuple(sample for sample in photographs.samples if sample in held_out))


def digest_of_name(sample: Sample) -> str:
    return hashlib.sha256(sample.path.stem.encode()).hexdigest()


def float_model(bundle_path: Path) -> Path:
    """The weights that a shipped bundle was converted from."""
    return FLOAT_MODELS / f"{bundle_path.stem}.keras"


def card(bundle_path: Path) -> str:
    return bundle_path.with_suffix(".md").read_text(encoding="utf-8")


def table_rows(text: str) -> dict[str, list[str]]:
    """First cell → the others, of every line of a card's tables."""
    lines = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("|")]
    return {cells[0].strip(): [cell.strip() for cell in cells[1:]] for cells in lines}
