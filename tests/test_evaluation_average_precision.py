"""Average precision: hand-worked cases, and the same numbers as pycocotools."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pycocotools_ap import pycocotools_ap

from edge_ssd.data.dataset import Dataset, Sample
from edge_ssd.errors import DataError
from edge_ssd.evaluation.average_precision import average_precision
from edge_ssd.runtime.detections import Detections

BOX = [10.0, 20.0, 50.0, 60.0]
FAR = [100.0, 100.0, 140.0, 140.0]


def dataset(*images: tuple[list[list[float]], list[int]], labels: tuple[str, ...] = ("banana",)) -> Dataset:
    samples = tuple(
        Sample(Path(f"{i}.jpg"), np.array(boxes, np.float32).reshape(-1, 4), np.array(ids, np.int64))
        for i, (boxes, ids) in enumerate(images)
    )
    return Dataset(Path("set"), labels, samples, "test")


def found(boxes: list[list[float]], scores: list[float], class_ids: list[int]) -> Detections:
    return Detections(
        np.array(boxes, np.float32).reshape(-1, 4),
        np.array(scores, np.float32),
        np.array(class_ids, np.int64),
        [str(i) for i in class_ids],
        (400, 400),
    )


def test_ap_of_perfect_detector_is_one():
    truth = dataset(([BOX], [0]), ([FAR], [0]))
    result = average_precision(truth, [found([BOX], [0.9], [0]), found([FAR], [0.3], [0])])
    assert (result.ap, result.ap50, result.ap75) == (1, 1, 1)
    assert result.per_class == {"banana": 1}
    assert (result.num_images, result.num_objects) == (2, 2)


def test_ap_of_one_object_of_two_by_hand():
    # Precision is 1 up to recall 0.5, then 0: of COCO's 101 recall points 0.00 … 1.00, 51 are reached.
    result = average_precision(dataset(([BOX], [0]), ([FAR], [0])), [found([BOX], [0.9], [0]), found([], [], [])])
    assert result.ap == pytest.approx(51 / 101)


def test_ap_false_positive_ranked_first_halves_precision():
    result = average_precision(dataset(([BOX], [0])), [found([FAR, BOX], [0.9, 0.8], [0, 0])])
    assert result.ap == pytest.approx(0.5)


def test_ap_counts_inexact_box_at_lower_thresholds_only():
    # 40 × 40 against 40 × 31 within it: IoU 0.775 passes 0.50, 0.55, … 0.75, six thresholds of ten.
    shorter = [10.0, 20.0, 50.0, 51.0]
    result = average_precision(dataset(([BOX], [0])), [found([shorter], [0.9], [0])])
    assert (result.ap50, result.ap75) == (1, 1)
    assert result.ap == pytest.approx(0.6)


def test_ap_of_wrong_class_is_zero():
    truth = dataset(([BOX], [0]), ([FAR], [1]), labels=("fork", "knife"))
    result = average_precision(truth, [found([BOX], [0.9], [1]), found([FAR], [0.9], [1])])
    assert result.per_class == {"fork": 0, "knife": pytest.approx(0.5)}
    assert result.ap == pytest.approx(0.25)


def test_ap_of_class_without_objects_is_none():
    truth = dataset(([BOX], [0]), labels=("fork", "knife"))
    result = average_precision(truth, [found([BOX, FAR], [0.9, 0.8], [0, 1])])
    assert result.per_class == {"fork": 1, "knife": None}
    assert result.ap == 1
    assert result.to_dict()["per_class"] == {"fork": 1, "knife": None}


def test_ap_without_detections_is_zero():
    result = average_precision(dataset(([BOX], [0])), [found([], [], [])])
    assert (result.ap, result.ap50, result.ap75) == (0, 0, 0)


def test_ap_counts_false_positives_in_images_without_objects():
    result = average_precision(dataset(([BOX], [0]), ([], [])), [found([BOX], [0.5], [0]), found([FAR], [0.9], [0])])
    assert result.ap == pytest.approx(0.5)


def test_ap_without_objects_raises():
    with pytest.raises(DataError, match="none of its 1 image has an object"):
        average_precision(dataset(([], [])), [found([], [], [])])


def test_average_precision_needs_one_prediction_per_image():
    with pytest.raises(ValueError, match="1 images but 0 predictions"):
        average_precision(dataset(([BOX], [0])), [])


@pytest.mark.parametrize(
    "bad",
    [found([[np.nan, 20, 50, 60]], [0.9], [0]), found([[10, 20, np.inf, 60]], [0.9], [0]), found([BOX], [np.inf], [0])],
)
def test_average_precision_rejects_predictions_that_are_not_finite(bad: Detections):
    with pytest.raises(ValueError, match="predictions must be finite"):
        average_precision(dataset(([BOX], [0])), [bad])


def test_average_precision_prints_nothing(capfd, caplog):
    average_precision(dataset(([BOX], [0])), [found([BOX], [0.9], [0])])
    assert capfd.readouterr() == ("", "")
    assert caplog.records == []


def test_average_precision_does_not_modify_argument():
    prediction = found([BOX], [0.9], [0])
    average_precision(dataset(([BOX], [0])), [prediction])
    assert prediction.xyxy.tolist() == [BOX]


@pytest.mark.filterwarnings("ignore")  # pycocotools' own
@pytest.mark.parametrize("seed", range(5))
def test_average_precision_equals_pycocotools(seed: int):
    rng = np.random.default_rng(seed)
    truth, predictions = random_case(rng, images=20, labels=("a", "b", "c"))
    result = average_precision(truth, predictions)
    ap, ap50, ap75 = pycocotools_ap(truth, predictions)
    assert 0 < result.ap < 1  # a case in which there is something to get wrong
    assert (result.ap, result.ap50, result.ap75) == pytest.approx((ap, ap50, ap75), abs=1e-6)


def random_case(rng, images: int, labels: tuple[str, ...]) -> tuple[Dataset, list[Detections]]:
    """Objects, most of them found more or less exactly, some twice, some as another class, and false alarms."""
    truth, predictions = [], []
    for _ in range(images):
        count = int(rng.integers(0, 6))
        corner, size = rng.uniform(0, 200, (count, 2)), rng.uniform(5, 150, (count, 2))
        boxes = np.concatenate([corner, corner + size], axis=1)
        ids = rng.integers(0, len(labels), count)
        truth.append((boxes.tolist(), ids.tolist()))
        hits = rng.integers(0, count, int(rng.integers(0, 2 * count + 1))) if count else np.zeros(0, int)
        noise = rng.normal(0, 0.1, (len(hits), 4)) * np.tile(size[hits], 2)
        near = np.sort((boxes[hits] + noise).reshape(-1, 2, 2), axis=1).reshape(-1, 4)
        false = np.sort(rng.uniform(0, 300, (int(rng.integers(0, 4)), 2, 2)), axis=1).reshape(-1, 4)
        found_ids = np.where(rng.random(len(hits)) < 0.9, ids[hits], rng.integers(0, len(labels), len(hits)))
        class_ids = np.concatenate([found_ids, rng.integers(0, len(labels), len(false))])
        # Few different scores, so that ties occur.
        scores = rng.integers(1, 20, len(class_ids)) / 20
        predictions.append(found(np.concatenate([near, false]).tolist(), scores.tolist(), class_ids.tolist()))
    return dataset(*truth, labels=labels), predictions
