"""Matching and weighted average precision: by hand, against the evaluator, and against pycocotools."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools_ap import pycocotools_ap

from edge_ssd.data.dataset import Dataset, Sample
from edge_ssd.evaluation.average_precision import average_precision
from edge_ssd.evaluation.bootstrap import Interval, paired_bootstrap_ci
from edge_ssd.evaluation.matching import RECALLS, match_images, precision_at_recalls, weighted_ap
from edge_ssd.runtime.detections import Detections

pytest.importorskip("faster_coco_eval")


def sample(boxes, class_ids=None) -> Sample:
    boxes = np.array(boxes, np.float32).reshape(-1, 4)
    ids = np.zeros(len(boxes), np.int64) if class_ids is None else np.array(class_ids, np.int64)
    return Sample(Path("p.png"), boxes, ids)


def found(boxes, scores, class_ids=None) -> Detections:
    boxes = np.array(boxes, np.float32).reshape(-1, 4)
    ids = np.zeros(len(boxes), np.int64) if class_ids is None else np.array(class_ids, np.int64)
    return Detections(boxes, np.array(scores, np.float32), ids, [str(i) for i in ids], (100, 100))


def dataset(samples, labels=("a",)) -> Dataset:
    return Dataset(Path("set"), labels, tuple(samples), "by hand")


def random_case(seed: int, images: int = 12, labels: int = 3):
    """Boxes near objects and elsewhere, all scores different."""
    rng = np.random.default_rng(seed)
    samples, predictions = [], []
    for _ in range(images):
        count = int(rng.integers(0, 5))
        corner = rng.uniform(0, 70, (count, 2))
        truth = np.concatenate([corner, corner + rng.uniform(8, 30, (count, 2))], axis=1)
        ids = rng.integers(0, labels, count)
        moved = np.repeat(truth, 2, axis=0) + rng.normal(0, 2.5, (2 * count, 4))
        stray = rng.uniform(0, 60, (3, 2))
        boxes = np.concatenate([moved, np.concatenate([stray, stray + 20], axis=1)])
        boxes[:, 2:] = np.maximum(boxes[:, 2:], boxes[:, :2] + 1)
        guess = np.concatenate([np.repeat(ids, 2), rng.integers(0, labels, 3)])
        samples.append(sample(truth, ids))
        predictions.append(found(boxes, rng.permutation(10_000)[: len(boxes)] / 10_000, guess))
    samples.append(sample([[0, 0, 10, 10]], [0]))  # at least one object
    predictions.append(found(np.zeros((0, 4)), []))
    return dataset(samples, tuple("abc"[:labels])), predictions


# By hand.


def test_each_detection_matches_unmatched_object_of_highest_iou():
    # Two objects side by side; the best-scored detection lies on the first, the second one lies there too.
    truth = sample([[0, 0, 10, 10], [20, 0, 30, 10]])
    predictions = [found([[0, 0, 10, 10], [0, 0, 10, 9], [20, 0, 30, 6]], [0.9, 0.8, 0.7])]
    (matches,) = match_images(dataset([truth]), predictions)
    assert matches.scores.tolist() == pytest.approx([0.9, 0.8, 0.7])
    assert matches.true_positive[0].tolist() == [True, False, True]  # IoU 1; matched already; 0.6
    assert matches.true_positive[2].tolist() == [True, False, True]  # at 0.60, reached exactly
    assert matches.true_positive[3].tolist() == [True, False, False]  # at 0.65
    assert matches.objects.tolist() == [2]


def test_precision_is_sampled_from_monotonic_curve():
    truth = sample([[0, 0, 10, 10], [20, 0, 30, 10]])
    predictions = [found([[40, 40, 50, 50], [0, 0, 10, 10], [20, 0, 30, 10]], [0.9, 0.8, 0.7])]
    (matches,) = match_images(dataset([truth]), predictions)
    table = precision_at_recalls(matches)
    # Precisions along the list are 0, 1/2 and 2/3; made monotonic, 2/3 everywhere.
    assert table[0] == pytest.approx(np.full(101, 2 / 3))
    assert weighted_ap([matches]) == pytest.approx(2 / 3)


def test_precision_beyond_reached_recall_is_zero():
    truth = sample([[0, 0, 10, 10], [20, 0, 30, 10]])
    (matches,) = match_images(dataset([truth]), [found([[0, 0, 10, 10]], [0.9])])
    assert precision_at_recalls(matches)[0].tolist() == [1.0] * 51 + [0.0] * 50
    assert RECALLS[50] == pytest.approx(0.5)


def test_class_without_objects_has_no_curve():
    data = dataset([sample([[0, 0, 10, 10]], [0])], ("a", "b"))
    one, other = match_images(data, [found([[0, 0, 10, 10], [0, 0, 5, 5]], [0.9, 0.8], [0, 1])])
    assert precision_at_recalls(other) is None
    assert weighted_ap([one, other]) == 1.0
    assert np.isnan(weighted_ap([other]))


def test_weighted_ap_without_detections_is_zero():
    matches = match_images(dataset([sample([[0, 0, 10, 10]])]), [found(np.zeros((0, 4)), [])])
    assert weighted_ap(matches) == 0.0


# Against others.


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=15)
def test_weighted_ap_equals_evaluator(seed: int):
    data, predictions = random_case(seed)
    matches = match_images(data, predictions)
    expected = average_precision(data, predictions)
    assert weighted_ap(matches) == pytest.approx(expected.ap, abs=1e-9)
    for label, own in zip(data.labels, matches, strict=True):
        if expected.per_class[label] is not None:
            assert weighted_ap([own]) == pytest.approx(expected.per_class[label], abs=1e-9)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=15)
def test_integer_weight_equals_copies_of_image(seed: int):
    data, predictions = random_case(seed)
    weights = np.random.default_rng(seed).integers(0, 4, len(data))
    weights[-1] = max(weights[-1], 1)
    copies = [i for i, weight in enumerate(weights.tolist()) for _ in range(weight)]
    repeated = replace(data, samples=tuple(data.samples[i] for i in copies))
    expected = average_precision(repeated, [predictions[i] for i in copies]).ap
    assert weighted_ap(match_images(data, predictions), weights.astype(np.float32)) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_weighted_ap_equals_pycocotools(seed: int):
    data, predictions = random_case(seed, images=25)
    ap, ap50, ap75 = pycocotools_ap(data, predictions)
    result = average_precision(data, predictions)
    assert (result.ap, result.ap50, result.ap75) == pytest.approx((ap, ap50, ap75), abs=1e-9)
    assert weighted_ap(match_images(data, predictions)) == pytest.approx(ap, abs=1e-9)


# The interval.


def test_bootstrap_of_equal_models_is_zero():
    matches = match_images(*random_case(0))
    assert paired_bootstrap_ci(matches, matches, resamples=50) == Interval(0.0, 0.0)


def test_bootstrap_interval_contains_difference_and_is_antisymmetric():
    data, predictions = random_case(1, images=40)
    worse = [found(each.xyxy + 2, each.confidence, each.class_id) for each in predictions]
    one, other = match_images(data, predictions), match_images(data, worse)
    difference = weighted_ap(one) - weighted_ap(other)
    interval = paired_bootstrap_ci(one, other, resamples=200)
    assert 0 < interval.low < difference < interval.high
    turned = paired_bootstrap_ci(other, one, resamples=200)
    assert (turned.low, turned.high) == pytest.approx((-interval.high, -interval.low))
    assert paired_bootstrap_ci(one, other, resamples=200, seed=1) != interval


def test_bootstrap_equals_resampling_with_evaluator():
    data, predictions = random_case(2, images=10)
    worse = [found(each.xyxy + 1.5, each.confidence, each.class_id) for each in predictions]
    interval = paired_bootstrap_ci(match_images(data, predictions), match_images(data, worse), resamples=25, seed=3)
    rng, differences = np.random.default_rng(3), []
    for _ in range(25):
        drawn = sorted(rng.integers(0, len(data), len(data)).tolist())
        repeated = replace(data, samples=tuple(data.samples[i] for i in drawn))
        scores = [average_precision(repeated, [each[i] for i in drawn]).ap for each in (predictions, worse)]
        differences.append(scores[0] - scores[1])
    assert (interval.low, interval.high) == pytest.approx(tuple(np.quantile(differences, (0.025, 0.975))), abs=1e-9)


def test_bootstrap_of_one_image_is_none():
    data = dataset([sample([[0, 0, 10, 10]])])
    matches = match_images(data, [found([[0, 0, 10, 10]], [0.9])])
    assert paired_bootstrap_ci(matches, matches) is None


def test_bootstrap_ignores_resamples_without_objects():
    empty = sample(np.zeros((0, 4)))
    data = dataset([sample([[0, 0, 10, 10]]), empty])
    matches = match_images(data, [found([[0, 0, 10, 10]], [0.9]), found(np.zeros((0, 4)), [])])
    assert paired_bootstrap_ci(matches, matches, resamples=30) == Interval(0.0, 0.0)
