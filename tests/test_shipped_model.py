"""The banana detector that ships: what its card promises, measured on the bytes that ship."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import REPOSITORY

from edge_ssd import Detector, box_iou, read_bundle
from edge_ssd.data.load import load_dataset
from edge_ssd.evaluation.bundle_heads import bundle_heads
from edge_ssd.evaluation.evaluate import evaluate
from edge_ssd.evaluation.keras_heads import KERAS_BATCH_SIZE, keras_heads
from edge_ssd.runtime.models import default_model

FLOAT_MODEL = REPOSITORY / "converters" / "models" / "banana.keras"

# The book's test picture, measured by eye on an enlarged grid: xyxy in pixels.
FOUR_BANANAS = np.array([[137, 13, 201, 73], [184, 93, 224, 140], [116, 143, 172, 203], [26, 196, 79, 249]], np.float32)


def test_all_four_bananas_of_the_book_and_nothing_else(shared_data: Path) -> None:
    with Detector(default_model(), score_threshold=0.5) as detector:
        detections = detector.detect(shared_data / "photos" / "d2l_banana.jpg")
    iou = box_iou(FOUR_BANANAS, detections.xyxy)
    assert len(detections) == 4
    assert (iou.max(axis=1) >= 0.5).all(), iou
    assert sorted(iou.argmax(axis=1)) == [0, 1, 2, 3]


def test_a_cat_and_a_dog_are_no_bananas(shared_data: Path) -> None:
    with Detector(default_model(), score_threshold=0.5) as detector:
        assert len(detector.detect(shared_data / "photos" / "d2l_catdog.jpg")) == 0


def test_its_average_precision_is_the_cards(shared_data: Path) -> None:
    """Both files score what is written down, and int8 loses no more than half a point."""
    pytest.importorskip("tensorflow")
    from edge_ssd.training.model import load_tiny_ssd

    bundle, model = read_bundle(default_model()), load_tiny_ssd(FLOAT_MODEL)
    assert bundle.network == replace(model.network, coding=bundle.network.coding)
    dataset = load_dataset(shared_data / "bananas", "val", labels=bundle.network.labels)
    before = evaluate(keras_heads(model), model.network, dataset, batch_size=KERAS_BATCH_SIZE).precision
    after = evaluate(bundle_heads(bundle), bundle.network, dataset).precision
    assert before.ap >= 0.75
    assert before.ap50 >= 0.98
    assert after.ap >= before.ap - 0.005
    card = default_model().with_suffix(".md").read_text(encoding="utf-8")
    for value in (before.ap, before.ap50, after.ap, after.ap50):
        assert f"{value:.3f}" in card


def test_the_card_names_these_very_files_and_they_are_small() -> None:
    card = default_model().with_suffix(".md").read_text(encoding="utf-8")
    for path in (default_model(), FLOAT_MODEL):
        assert hashlib.sha256(path.read_bytes()).hexdigest() in card, path.name
    assert default_model().stat().st_size + FLOAT_MODEL.stat().st_size < 8e6
