"""Int8 output ranges: those of the anchors that may become a detection."""

from __future__ import annotations

import math

import numpy as np
import pytest
from small_model import dequantize

from converters.quantization.output_ranges import (
    calibrate_ranges,
    candidate_anchors,
    min_logit,
    set_output_quantization,
)
from edge_ssd.network import tiny_ssd
from edge_ssd.runtime.interpreter import open_interpreter

pytest.importorskip("tensorflow")
pytest.importorskip("ai_edge_litert")

NETWORK = tiny_ssd(("a", "b"), input_size=(64, 64), width=0.25)


class FixedHeads:
    """A model with given outputs: 50 anchors of level 0 score and have small offsets, all others are background."""

    network = NETWORK

    def head_maps(self, images):
        import tensorflow as tf

        classes, boxes = [], []
        for level in NETWORK.levels:
            logits = np.full((len(images), level.num_anchors, 3), (0, -30, -40), np.float32)
            offsets = np.zeros((len(images), level.num_anchors, 4), np.float32)
            offsets[..., 0], offsets[..., 3] = -20, 15
            if level is NETWORK.levels[0]:
                logits[:, :50, 2] = 4
                offsets[:, :50] = (-2, 0, 1, 3)
            shape = (len(images), level.height, level.width, -1)
            classes.append(tf.constant(logits.reshape(shape)))
            boxes.append(tf.constant(offsets.reshape(shape)))
        return classes, boxes


def test_ranges_are_those_of_candidate_anchors():
    ranges = calibrate_ranges(FixedHeads(), np.zeros((20, 64, 64, 3), np.uint8))
    assert set(ranges) == {f"{kind}_{i}" for kind in ("classes", "boxes") for i in range(5)}
    # From the logit at which both classes have a total score of 0.001 to the highest one, and a tenth more.
    low = math.log(0.0005)
    for i in range(5):
        assert ranges[f"classes_{i}"] == pytest.approx((low, 4 + 0.1 * (4 - low)))
    # −2 to 3 and a tenth more on both sides; without a candidate, the range of all anchors.
    assert ranges["boxes_0"] == pytest.approx((-2.5, 3.5))
    assert ranges["boxes_3"] == (-20, 15)


def test_min_logit_is_a_score_of_a_thousandth_shared_by_the_classes():
    assert min_logit(NETWORK) == pytest.approx(math.log(0.001 / 2))


def test_candidate_anchors_reach_the_score_threshold_or_are_the_best():
    best = np.full(1000, -30.0)
    best[:300] = np.linspace(-4.5, 5, 300)  # a score of 0.01 is a logit of -4.595
    assert candidate_anchors(best).tolist() == [True] * 300 + [False] * 700
    best[200:300] = -5
    assert candidate_anchors(best).sum() == 200
    best[150:200] = -6  # 150 reach the threshold; the next best make up the minimum
    assert candidate_anchors(best).sum() == 250
    assert candidate_anchors(np.array([-50.0, -60.0])).all()


def test_set_output_quantization_changes_only_the_rounding(untrained_int8: bytes, dim_images: np.ndarray):
    before = open_interpreter(untrained_int8).invoke(dim_images[0])
    ranges = dict.fromkeys(before, (-1.0, 1.55))
    after = open_interpreter(set_output_quantization(untrained_int8, ranges)).invoke(dim_images[0])
    for name, head in after.items():
        assert head.scale == pytest.approx(0.01)
        assert head.zero_point == -28
        values = np.clip(dequantize(before[name]).astype(float), -1, 1.55)
        inside = np.abs(values) < 0.9  # outside, the old range may have clipped what the new one represents
        error = np.abs(dequantize(head).astype(float) - values)[inside]
        assert error.max() <= (before[name].scale + 0.01) / 2 + 1e-6


def test_set_output_quantization_keeps_float_outputs(squares_flatbuffer):
    flatbuffer, image = squares_flatbuffer("none"), np.zeros((64, 64, 3), np.uint8)
    heads = [open_interpreter(data).invoke(image) for data in (flatbuffer, set_output_quantization(flatbuffer, {}))]
    assert all(np.array_equal(heads[0][name].values, heads[1][name].values) for name in heads[0])


def test_calibration_images_without_0_and_255_keep_the_input_scale(untrained_int8: bytes, dim_images: np.ndarray):
    (details,) = open_interpreter(untrained_int8)._native.get_input_details()
    assert details["quantization"] == (1.0, 0)
    assert (dim_images.min(), dim_images.max()) == (60, 200)  # the argument is unchanged
