"""Evaluation and calibration on real labels: all classes, many objects an image, images of many sizes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from converters.quantization.calibration import choose_calibration
from edge_ssd.data.load import load_dataset
from edge_ssd.evaluation.average_precision import average_precision
from edge_ssd.network import InputSpec
from edge_ssd.runtime.detections import Detections
from edge_ssd.runtime.preprocess import read_input


@pytest.mark.parametrize(("name", "split", "classes"), [("bccd", "val", 3), ("playing_cards", "test", 6)])
def test_ap_of_ground_truth_is_one(shared_data: Path, name: str, split, classes: int):
    dataset = load_dataset(shared_data / name, split)
    truth = [
        Detections(
            sample.boxes_xyxy,
            np.linspace(1, 0.5, len(sample.class_ids), dtype=np.float32),
            sample.class_ids,
            [dataset.labels[i] for i in sample.class_ids],
            (0, 0),
        )
        for sample in dataset.samples
    ]
    result = average_precision(dataset, truth)
    assert result.ap == pytest.approx(1)
    assert list(result.per_class.values()) == [pytest.approx(1)] * classes
    # Half of the images unanswered: about half of the objects, whatever the class.
    half = [found if i % 2 else Detections.empty() for i, found in enumerate(truth)]
    assert 0.3 < average_precision(dataset, half).ap < 0.7


@pytest.mark.parametrize("resize", ["stretch", "letterbox"])
def test_calibration_on_images_of_many_sizes(shared_data: Path, resize):
    dataset = load_dataset(shared_data / "raccoon", "test")
    spec = InputSpec(96, 128, resize=resize)
    calibration = choose_calibration(dataset, spec, 5)
    assert calibration.images.shape == (5, 96, 128, 3)
    paths = {sample.path for sample in dataset.samples}
    for name, image in zip(calibration.names, calibration.images, strict=True):
        path = dataset.root / name
        assert path in paths
        assert np.array_equal(image, read_input(path, spec)[0])
