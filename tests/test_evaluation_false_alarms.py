"""False alarms: which detections are, the rate and its interval, and the threshold that limits it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_ssd.data.dataset import Dataset, Sample
from edge_ssd.data.load import load_dataset
from edge_ssd.evaluation.false_alarms import (
    DetectionScores,
    OperatingPoint,
    images_needed,
    lowest_threshold,
    operating_point,
    score_detections,
)
from edge_ssd.runtime.detections import Detections

LABELS = ("cat", "dog")
CAT, DOG = 0, 1


def sample(*objects: tuple[int, tuple[float, float, float, float]]) -> Sample:
    return Sample(
        Path("image.png"),
        np.array([box for _, box in objects], np.float32).reshape(-1, 4),
        np.array([class_id for class_id, _ in objects], np.int64),
    )


def found(*detections: tuple[int, float, tuple[float, float, float, float]]) -> Detections:
    return Detections(
        np.array([box for *_, box in detections], np.float32).reshape(-1, 4),
        np.array([score for _, score, _ in detections], np.float32),
        np.array([class_id for class_id, *_ in detections], np.int64),
        [LABELS[class_id] for class_id, *_ in detections],
        (100, 100),
    )


def dataset(*samples: Sample) -> Dataset:
    return Dataset(Path("set"), LABELS, samples, "voc")


def scores_of(false_alarms: list[float], num_images: int, num_background: int = 0) -> DetectionScores:
    scores = np.sort(np.array(false_alarms, np.float64))[::-1]
    return DetectionScores(scores, np.zeros(len(scores), bool), np.array([0.9, 0.4]), num_images, num_background, 4)


BOX = (10.0, 10.0, 50.0, 50.0)


def test_detections_that_overlap_an_object_of_their_class_are_no_false_alarms() -> None:
    predictions = found(
        (CAT, 0.9, BOX),
        (CAT, 0.8, (10, 10, 50, 52)),  # a second box of the object
        (CAT, 0.7, (40, 10, 80, 50)),  # IoU 1/7
        (CAT, 0.6, (45, 10, 85, 50)),  # IoU 1/15
        (DOG, 0.5, BOX),  # an object of another class
        (CAT, 0.4, (60, 60, 90, 90)),
        (CAT, 0.3, (100, 60, 100, 90)),  # outside of the image: empty after clipping
    )
    scores = score_detections(dataset(sample((CAT, BOX))), [predictions])
    assert scores.false_alarms == pytest.approx([0.6, 0.5, 0.4])
    assert scores.true_positives == pytest.approx([0.9])
    assert (scores.num_images, scores.num_background, scores.num_objects) == (1, 0, 1)
    point = operating_point(scores, 0.45)
    assert (point.false_alarms, point.in_background, point.per_100_images, point.recall) == (2, 0, 200, 1)


def test_every_detection_without_objects_is_a_false_alarm() -> None:
    labeled = dataset(sample((CAT, BOX)), sample())
    predictions = [found((CAT, 0.9, BOX)), found((DOG, 0.7, BOX))]
    background = [found((CAT, 0.6, BOX), (CAT, 0.8, (60, 60, 90, 90))), Detections.empty()]
    scores = score_detections(labeled, predictions, background)
    assert scores.false_alarms == pytest.approx([0.8, 0.7, 0.6])
    assert scores.in_background.all()
    assert (scores.num_images, scores.num_background) == (4, 3)
    only = scores.of_background()
    assert (only.num_images, only.num_background, only.num_objects) == (3, 3, 0)
    assert operating_point(only, 0.65).per_100_images == pytest.approx(200 / 3)
    assert operating_point(only, 0.65).recall is None


def test_no_detections_raise_no_false_alarms() -> None:
    scores = score_detections(dataset(sample((CAT, BOX))), [Detections.empty()])
    point = operating_point(scores, 0.5)
    assert (point.false_alarms, point.per_100_images, point.recall) == (0, 0, 0)
    assert point.describe().startswith(
        "0.0 false alarms per 100 images (0 in 1 image with objects; 95 % interval 0.0 to"
    )


def test_scores_equal_to_the_threshold_count() -> None:
    scores = scores_of([0.5], 1)
    assert operating_point(scores, 0.5).false_alarms == 1
    assert operating_point(scores, 0.51).false_alarms == 0


# Exact interval of a Poisson count, from tables: Breslow and Day, volume 2, table 2.10.
@pytest.mark.parametrize(
    ("count", "low", "high"), [(0, 0, 3.689), (1, 0.025, 5.572), (5, 1.623, 11.668), (20, 12.217, 30.888)]
)
def test_interval_is_that_of_a_poisson_count(count: int, low: float, high: float) -> None:
    interval = OperatingPoint(0.5, count, 0, 100, 0, None).interval
    assert interval.low == pytest.approx(low, rel=0.03, abs=0.02)
    assert interval.high == pytest.approx(high, rel=0.01)


@pytest.mark.parametrize(("limit", "images"), [(1, 99), (0.5, 199), (10, 9), (100, 0), (3, 33)])
def test_images_needed_for_a_limit(limit: float, images: int) -> None:
    assert images_needed(limit) == images
    assert lowest_threshold(scores_of([], images), limit) == 0
    if images:
        assert lowest_threshold(scores_of([], images - 1), limit) is None


@pytest.mark.parametrize(
    ("scores", "num_images", "threshold"),
    [
        ([0.614, 0.3], 99, 0.62),  # none may pass: one more is expected in other images
        ([0.62], 99, 0.63),
        ([0.62, 0.3], 198, 0.63),
        ([0.9, 0.62, 0.3], 199, 0.63),  # one may pass
        ([0.9, 0.62, 0.3], 299, 0.31),
        ([0.9, 0.62, 0.3], 399, 0),
        ([1.0], 99, 1.01),
        ([0.7, 0.7, 0.7], 299, 0.71),
    ],
)
def test_lowest_threshold_lets_few_false_alarms_pass(scores: list[float], num_images: int, threshold: float) -> None:
    assert lowest_threshold(scores_of(scores, num_images), 1) == pytest.approx(threshold)


@given(
    st.lists(st.floats(0.0625, 1, width=32), max_size=12),
    st.integers(1, 1200),
    st.sampled_from([0.5, 1.0, 2.5, 10.0]),
)
def test_lowest_threshold_is_the_lowest_of_the_grid(false_alarms: list[float], num_images: int, limit: float) -> None:
    scores = scores_of(false_alarms, num_images)
    threshold = lowest_threshold(scores, limit)

    def is_allowed(value: float) -> bool:
        return (operating_point(scores, value).false_alarms + 1) * 100 <= limit * (num_images + 1) + 1e-6

    assert (threshold is None) is (num_images < images_needed(limit))
    if threshold is None:
        return
    assert is_allowed(threshold)
    lower = [step / 100 for step in range(round(threshold * 100))]
    # A score within 1e-8 of a threshold counts as equal to it.
    assert not any(is_allowed(value - 1e-8) for value in lower)


def test_description_and_dictionary_have_both_kinds_of_images() -> None:
    point = OperatingPoint(0.62, 3, 2, 112, 12, 0.8125)
    assert point.describe() == (
        "2.7 false alarms per 100 images (1 in 100 images with objects, 2 in 12 without; 95 % interval 0.5 to 7.8), "
        "recall 0.81"
    )
    assert point.to_dict() == {
        "score_threshold": 0.62,
        "per_100_images": 2.678571,
        "interval": [round(point.interval.low, 6), round(point.interval.high, 6)],
        "count": 3,
        "num_images": 112,
        "count_in_background": 2,
        "num_background": 12,
        "recall": 0.8125,
    }


def test_real_labels_are_no_false_alarms_of_their_images(shared_data: Path) -> None:
    labeled = load_dataset(shared_data / "playing_cards", "test")
    truth = [
        Detections(
            sample.boxes_xyxy,
            np.full(len(sample.class_ids), 0.9, np.float32),
            sample.class_ids,
            [labeled.labels[i] for i in sample.class_ids],
            (0, 0),
        )
        for sample in labeled.samples
    ]
    scores = score_detections(labeled, truth)
    assert len(scores.false_alarms) == 0
    assert operating_point(scores, 0.5).recall == 1
    # The same boxes as detections in images without objects.
    assert operating_point(score_detections(labeled, truth, truth), 0.5).in_background == labeled.num_boxes
