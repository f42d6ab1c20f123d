"""int8 heads: logits relative to background's, and steps for the anchors that matter."""

from __future__ import annotations

import math

import numpy as np
import pytest

from converters.quantization.output_ranges import (
    candidate_anchors,
    equalize_box_scales,
    head_ranges,
    min_logit,
    set_output_quantization,
    subtract_background_logit,
    with_box_coding,
)
from edge_ssd.network import tiny_ssd
from edge_ssd.reference_detection import softmax
from edge_ssd.runtime.interpreter import open_interpreter

pytest.importorskip("tensorflow")
pytest.importorskip("ai_edge_litert")
pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Statistics for quantized inputs were expected:UserWarning"),
    pytest.mark.filterwarnings("ignore:(?s).*tf.lite.Interpreter is deprecated:UserWarning"),
]

NETWORK = tiny_ssd(("a", "b"), input_size=(64, 64), width=0.25)


@pytest.fixture(scope="module")
def model():
    import keras

    from edge_ssd.training.model.tiny_ssd import TinySSD

    keras.utils.set_random_seed(0)
    return TinySSD(NETWORK)


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (4, 64, 64, 3), np.uint8)


def test_scores_stay_and_background_is_0(model, images):
    before = [weight.copy() for weight in model.get_weights()]
    other = subtract_background_logit(model)
    for one, two in zip(model.head_maps(images)[0], other.head_maps(images)[0], strict=True):
        logits, shifted = one.numpy().reshape(-1, 3), two.numpy().reshape(-1, 3)
        assert (shifted[:, 0] == 0).all()
        assert np.allclose(softmax(logits), softmax(shifted), atol=1e-6)
    for one, two in zip(model.head_maps(images)[1], other.head_maps(images)[1], strict=True):
        assert np.array_equal(one, two)
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


class Written:
    """A model whose heads are given: at level 0, anchor 3 scores and has small offsets, the others are background."""

    network = NETWORK

    def head_maps(self, images):
        import tensorflow as tf

        pictures = len(images)
        classes, boxes = [], []
        for level in NETWORK.levels:
            logits = np.full((pictures, level.num_anchors, 3), (0, -30, -40), np.float32)
            offsets = np.zeros((pictures, level.num_anchors, 4), np.float32)
            offsets[..., 0], offsets[..., 3] = -20, 15
            if level is NETWORK.levels[0]:
                logits[:, :50, 2] = 4
                offsets[:, :50] = (-2, 0, 1, 3)
            shape = (pictures, level.height, level.width, -1)
            classes.append(tf.constant(logits.reshape(shape)))
            boxes.append(tf.constant(offsets.reshape(shape)))
        return classes, boxes


def test_ranges_are_those_of_the_anchors_that_matter():
    ranges = head_ranges(Written(), np.zeros((20, 64, 64, 3), np.uint8))
    assert set(ranges) == {f"{kind}_{i}" for kind in ("classes", "boxes") for i in range(5)}
    # From where two classes together score 0.001 to the highest logit, and a tenth more.
    lowest = math.log(0.0005)
    for i in range(5):
        assert ranges[f"classes_{i}"] == pytest.approx((lowest, 4 + 0.1 * (4 - lowest)))
    # −2 to 3 and a tenth more on both sides; where nothing matters, all there is.
    assert ranges["boxes_0"] == pytest.approx((-2.5, 3.5))
    assert ranges["boxes_3"] == (-20, 15)


def test_least_logit_is_a_score_of_a_thousandth_shared_by_the_classes():
    assert min_logit(NETWORK) == pytest.approx(math.log(0.001 / 2))


def test_what_matters_is_what_scores_or_the_best_there_is():
    best = np.full(1000, -30.0)
    best[:300] = np.linspace(-4.5, 5, 300)  # a score of 0.01 is a logit of -4.595
    assert candidate_anchors(best).tolist() == [True] * 300 + [False] * 700
    best[200:300] = -5
    assert candidate_anchors(best).sum() == 200
    best[150:200] = -6  # 150 score: the next best are taken along
    assert candidate_anchors(best).sum() == 250
    assert candidate_anchors(np.array([-50.0, -60.0])).all()


def test_new_steps_round_what_the_old_ones_rounded(model, images):
    from converters.quantization.subprocess_worker import convert

    flatbuffer = convert(model, "int8", images)
    before = open_interpreter(flatbuffer).invoke(images[0])
    ranges = dict.fromkeys(before, (-1.0, 1.55))
    after = open_interpreter(set_output_quantization(flatbuffer, ranges)).invoke(images[0])
    for name, head in after.items():
        assert head.scale == pytest.approx(0.01)
        assert head.zero_point == -28
        values = np.clip((before[name].values.astype(float) - before[name].zero_point) * before[name].scale, -1, 1.55)
        found = (head.values.astype(float) - head.zero_point) * head.scale
        inside = np.abs(values) < 0.9  # elsewhere the old steps may have cut off what the new ones keep
        assert np.abs(found - values)[inside].max() <= (before[name].scale + 0.01) / 2 + 1e-6


def test_float_heads_stay_as_they_are(model):
    from converters.quantization.subprocess_worker import convert

    flatbuffer = convert(model, "none")
    image = np.zeros((64, 64, 3), np.uint8)
    heads = [open_interpreter(data).invoke(image) for data in (flatbuffer, set_output_quantization(flatbuffer, {}))]
    assert all(np.array_equal(heads[0][name].values, heads[1][name].values) for name in heads[0])


def test_boxes_in_other_units_are_the_same_boxes(model, images):
    from edge_ssd.coding import BoxCoding, offset_inverse

    anchors = model.network.anchors()
    even = equalize_box_scales(model)
    assert even.network.coding == BoxCoding(10, 10)
    assert equalize_box_scales(even) is even
    other = with_box_coding(even, BoxCoding(3, 7))
    (logits, offsets), *rest = (each(images[:2].astype(np.float32)) for each in (model, even, other))
    expected = offset_inverse(anchors, offsets.numpy()[1], model.network.coding)
    for each, (its_logits, its_offsets) in zip((even, other), rest, strict=True):
        np.testing.assert_array_equal(its_logits, logits)
        found = offset_inverse(anchors, its_offsets.numpy()[1], each.network.coding)
        np.testing.assert_allclose(found, expected, atol=1e-5)
    # x, y of every anchor as before, w, h twice as long.
    ratio = rest[0][1].numpy() / offsets.numpy()
    np.testing.assert_allclose(np.nanmedian(ratio, axis=(0, 1)), [1, 1, 2, 2], rtol=1e-3)
