from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_ssd.errors import NetworkError
from edge_ssd.network import Network, tiny_ssd
from edge_ssd.reference_detection import multibox_detection
from edge_ssd.runtime.detections import Detections
from edge_ssd.runtime.postprocess import Head, Postprocess

# Small, for many random heads: maps of 4×4, 2×2 and 1×1 cells, 84 anchors.
SMALL = {
    q: tiny_ssd([f"label {i}" for i in range(q)], input_size=(32, 32), sizes=[(0.3, 0.4)] * 3) for q in (1, 2, 5, 9)
}


def heads(
    network: Network, values: np.ndarray, last: int, scale: float | None = None, zero_point: int = 0
) -> list[Head]:
    """Split rows [A, last] into one head [1, H, W, C] per level."""
    split, start = [], 0
    for level in network.levels:
        rows = values[start : start + level.num_anchors]
        start += level.num_anchors
        shape = (1, level.height, level.width, level.anchors_per_cell * last)
        split.append(Head(rows.reshape(shape), scale, zero_point))
    return split


def reference(network: Network, logits: np.ndarray, offsets: np.ndarray, **options: float | bool | None) -> np.ndarray:
    return multibox_detection(logits, offsets, network.anchors(), coding=network.coding, **options)  # type: ignore[arg-type]


def assert_same(decoded: Detections, rows: np.ndarray) -> None:
    assert decoded.xyxy.dtype == decoded.confidence.dtype == np.float32
    assert decoded.class_id.dtype == np.int64
    assert decoded.class_id.tolist() == rows[:, 0].tolist()
    assert decoded.confidence.tolist() == rows[:, 1].tolist()
    np.testing.assert_allclose(decoded.xyxy, rows[:, 2:], rtol=1e-5, atol=1e-6)


def test_postprocess_one_object_by_hand() -> None:
    network = SMALL[1]
    logits = np.tile(np.array([5, -5], np.float32), (network.num_anchors, 1))
    offsets = np.zeros((network.num_anchors, 4), np.float32)
    logits[70] = [0, math.log(3)]  # the second level's second cell, third anchor: probability 3/4
    decoded = Postprocess(network)(heads(network, logits, 2), heads(network, offsets, 4))
    assert decoded.class_id.tolist() == [0]
    np.testing.assert_allclose(decoded.confidence, [0.75], rtol=1e-6)
    np.testing.assert_allclose(decoded.xyxy, network.anchors()[70:71], atol=1e-6)


def test_postprocess_quantized_heads_by_hand() -> None:
    # Steps of 1/2 and a zero point: 2 and 6 stand for 0 and 2, so the probability is sigmoid(2).
    network = SMALL[1]
    logits = np.tile(np.array([100, -100], np.int8), (network.num_anchors, 1))
    logits[3] = [2, 6]
    offsets = np.full((network.num_anchors, 4), -7, np.int8)
    decoded = Postprocess(network)(heads(network, logits, 2, 0.5, 2), heads(network, offsets, 4, 0.25, -7))
    np.testing.assert_allclose(decoded.confidence, [1 / (1 + math.exp(-2))], rtol=1e-6)
    np.testing.assert_allclose(decoded.xyxy, network.anchors()[3:4], atol=1e-6)


@given(
    q=st.sampled_from([1, 2, 5, 9]),
    dtype=st.sampled_from([np.int8, np.uint8, np.int16, np.float32]),
    scale=st.sampled_from([0.003, 0.05, 0.0731, 0.4]),
    zero_point=st.integers(-100, 100),
    score_threshold=st.one_of(st.floats(0, 1), st.sampled_from([0.0, 0.3, 0.5, 0.7, 1.0])),
    iou_threshold=st.sampled_from([0.3, 0.5, 1.0]),
    max_detections=st.sampled_from([None, 1, 5]),
    class_agnostic=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
@settings(deadline=None, max_examples=200)
def test_postprocess_equals_reference_on_dequantized_heads(
    q: int,
    dtype: type,
    scale: float,
    zero_point: int,
    score_threshold: float,
    iou_threshold: float,
    max_detections: int | None,
    class_agnostic: bool,
    seed: int,
) -> None:
    network, random = SMALL[q], np.random.default_rng(seed)
    shape = (network.num_anchors, q + 1)
    if dtype is np.float32:
        logits, offsets = random.normal(0, 3, shape).astype(dtype), random.normal(0, 3, (len(network.anchors()), 4))
        offsets = offsets.astype(dtype)
        parts = heads(network, logits, q + 1), heads(network, offsets, 4)
    else:
        zero_point = 0 if dtype is np.int16 else zero_point % 100
        limits = np.iinfo(dtype)
        quantized = random.integers(limits.min, limits.max + 1, shape).astype(dtype)
        codes = random.integers(limits.min, limits.max + 1, (shape[0], 4)).astype(dtype)
        scale = scale / 256 if dtype is np.int16 else scale
        # Minus the maximum, which softmax ignores: rows of equal scores then have equal scores in the reference.
        logits = (quantized.astype(np.float32) - quantized.max(axis=1, keepdims=True)) * np.float32(scale)
        offsets = (codes.astype(np.float32) - np.float32(zero_point)) * np.float32(scale)
        parts = heads(network, quantized, q + 1, scale, zero_point), heads(network, codes, 4, scale, zero_point)
    options = {
        "score_threshold": score_threshold,
        "iou_threshold": iou_threshold,
        "max_detections": max_detections,
        "class_agnostic": class_agnostic,
    }
    assert_same(Postprocess(network)(*parts, **options), reference(network, logits, offsets, **options))  # type: ignore[arg-type]


@pytest.mark.parametrize("number", [1, 2, 3])
def test_postprocess_few_candidates_of_many_classes(number: int) -> None:
    """The order of summation must not depend on the number of anchors, or the last bit would."""
    network = tiny_ssd([str(i) for i in range(20)], input_size=(32, 32), sizes=[(0.3, 0.4)] * 3)
    for seed in range(40):
        random = np.random.default_rng(seed)
        codes = random.integers(-30, 30, (network.num_anchors, 21)).astype(np.int8)
        codes[:, 0] = 127
        codes[:number, 0], codes[:number, 7] = -40, 60
        parts = heads(network, codes, 21, 0.07), heads(network, np.zeros((len(codes), 4), np.int8), 4, 0.1)
        logits = (codes.astype(np.float32) - codes.max(axis=1, keepdims=True)) * np.float32(0.07)
        detections = Postprocess(network)(*parts, iou_threshold=1.0)
        assert len(detections.confidence) == number
        assert_same(detections, reference(network, logits, np.zeros((len(codes), 4), np.float32), iou_threshold=1.0))


def test_postprocess_equal_probabilities_score_equal_and_keep_order() -> None:
    """Scores depend on the difference of logits only: dequantized separately, they would differ by rounding."""
    network = SMALL[1]
    logits = np.tile(np.array([127, -128], np.int8), (network.num_anchors, 1))
    rows = np.arange(3, 60)
    logits[rows] = np.stack([rows - 90, rows - 50], axis=1)
    parts = heads(network, logits, 2, 0.0731, -7), heads(network, np.zeros((network.num_anchors, 4), np.int8), 4, 1.0)
    decoded = Postprocess(network)(*parts, iou_threshold=1.0)
    assert len(decoded.confidence) == len(rows)
    assert len(set(decoded.confidence.tolist())) == 1
    np.testing.assert_allclose(decoded.xyxy, network.anchors()[rows], atol=1e-6)


@given(step=st.integers(-60, 60), zero_point=st.integers(-20, 20), scale=st.floats(0.01, 0.3))
@settings(deadline=None)
def test_postprocess_keeps_score_at_threshold(step: int, zero_point: int, scale: float) -> None:
    """A threshold equal to an anchor's score must pass the integer comparison."""
    network = SMALL[1]
    logits = np.tile(np.array([127, -128], np.int8), (network.num_anchors, 1))
    logits[40] = [zero_point, zero_point + step]
    real = (logits.astype(np.float32) - np.float32(zero_point)) * np.float32(scale)
    offsets = np.zeros((network.num_anchors, 4), np.int8)
    powers = np.exp(real[40] - real[40].max())
    score = float((powers / powers.sum())[1])
    parts = heads(network, logits, 2, scale, zero_point), heads(network, offsets, 4, 1.0)
    decoded = Postprocess(network)(*parts, score_threshold=score, iou_threshold=1.0)
    assert np.float32(score) in decoded.confidence
    above = float(np.nextafter(np.float32(score), np.float32(2)))
    assert np.float32(score) not in Postprocess(network)(*parts, score_threshold=above, iou_threshold=1.0).confidence


def test_postprocess_equals_reference_on_book_network() -> None:
    network, random = tiny_ssd(["banana"]), np.random.default_rng(5)
    logits = random.normal(0, 1.5, (5444, 2)).astype(np.float32)
    offsets = random.normal(0, 2, (5444, 4)).astype(np.float32)
    decoded = Postprocess(network)(heads(network, logits, 2), heads(network, offsets, 4), score_threshold=0.6)
    rows = reference(network, logits, offsets, score_threshold=0.6)
    assert len(rows) > 50
    assert_same(decoded, rows)


def test_postprocess_selects_classes() -> None:
    network, random = SMALL[5], np.random.default_rng(2)
    logits = random.normal(0, 3, (network.num_anchors, 6)).astype(np.float32)
    parts = heads(network, logits, 6), heads(network, np.zeros((network.num_anchors, 4), np.float32), 4)
    postprocess = Postprocess(network)
    everything = postprocess(*parts)
    chosen = postprocess(*parts, classes=[1, 3])
    mine = np.isin(everything.class_id, [1, 3])
    assert 0 < mine.sum() < len(mine)
    assert chosen.confidence.tolist() == everything.confidence[mine].tolist()
    # Class-agnostic NMS keeps one box; excluded classes neither appear nor suppress.
    alone = postprocess(*parts, classes=[1], class_agnostic=True)
    assert set(alone.class_id.tolist()) == {1}
    assert len(postprocess(*parts, classes=[])) == 0


def test_score_threshold_per_class() -> None:
    network, random = SMALL[5], np.random.default_rng(2)
    logits = random.normal(0, 3, (network.num_anchors, 6)).astype(np.float32)
    parts = heads(network, logits, 6), heads(network, np.zeros((network.num_anchors, 4), np.float32), 4)
    postprocess, thresholds = Postprocess(network), [0.9, 0.3, 0.6, 1.0, 0.0]
    # NMS is per class: the result for all classes is that of each class alone.
    alone = [postprocess(*parts, score_threshold=least, classes=[i]) for i, least in enumerate(thresholds)]
    together = postprocess(*parts, score_threshold=thresholds)
    assert len(together.confidence) > len(postprocess(*parts, score_threshold=0.9).confidence)
    for i, some in enumerate(alone):
        assert together.confidence[together.class_id == i].tolist() == some.confidence.tolist()
    assert (np.diff(together.confidence) <= 0).all()


def test_postprocess_settings_and_quantization_may_change_between_calls() -> None:
    network, random = SMALL[2], np.random.default_rng(6)
    codes = random.integers(-128, 128, (network.num_anchors, 3)).astype(np.int8)
    offsets = np.zeros((network.num_anchors, 4), np.int8)
    one = Postprocess(network)
    for scale in (0.02, 0.1, 0.02):
        for threshold in (0.4, 0.8):
            for classes in (None, [1]):
                parts = heads(network, codes, 3, scale, 5), heads(network, offsets, 4, 0.1)
                detections = one(*parts, score_threshold=threshold, classes=classes)
                fresh = Postprocess(network)(*parts, score_threshold=threshold, classes=classes)
                assert detections.confidence.tolist() == fresh.confidence.tolist()
                assert detections.class_id.tolist() == fresh.class_id.tolist()


def test_postprocess_accepts_mixed_float_and_quantized_heads() -> None:
    """A converter may leave single heads in float."""
    network, random = SMALL[2], np.random.default_rng(7)
    codes = random.integers(-128, 128, (network.num_anchors, 3)).astype(np.int8)
    offsets = random.integers(-50, 50, (network.num_anchors, 4)).astype(np.int8)
    real, real_offsets = (codes.astype(np.float32) + 3) * np.float32(0.05), offsets.astype(np.float32) * np.float32(0.1)
    classes, boxes = heads(network, codes, 3, 0.05, -3), heads(network, offsets, 4, 0.1)
    classes[1], boxes[0] = heads(network, real, 3)[1], heads(network, real_offsets, 4)[0]
    assert_same(Postprocess(network)(classes, boxes), reference(network, real, real_offsets))


def test_postprocess_with_every_anchor_above_threshold() -> None:
    network, random = tiny_ssd(["banana"]), np.random.default_rng(8)
    logits = np.tile(np.array([-128, 127], np.int8), (network.num_anchors, 1))
    offsets = random.integers(-40, 40, (network.num_anchors, 4)).astype(np.int8)
    detections = Postprocess(network)(
        heads(network, logits, 2, 0.1), heads(network, offsets, 4, 0.05), max_detections=100
    )
    real = logits.astype(np.float32) * np.float32(0.1), offsets.astype(np.float32) * np.float32(0.05)
    assert_same(detections, reference(network, *real, max_detections=100))
    assert len(detections.confidence) == 100


def test_postprocess_boxes_have_no_negative_zero() -> None:
    network = SMALL[1]
    logits = np.tile(np.array([5, -5], np.float32), (network.num_anchors, 1))
    offsets = np.zeros((network.num_anchors, 4), np.float32)
    logits[-4] = [0, 5]  # the only cell of the last level: an anchor of 0.3 around the center, scaled to the input
    offsets[-4, 2:] = 5 * np.log(1 / np.float32(0.3))
    detections = Postprocess(network)(heads(network, logits, 2), heads(network, offsets, 4))
    np.testing.assert_allclose(detections.xyxy, [[0, 0, 1, 1]], atol=1e-6)
    assert not (np.signbit(detections.xyxy) & (detections.xyxy == 0)).any()


def test_postprocess_accepts_heads_without_batch_axis() -> None:
    network = SMALL[1]
    logits = np.random.default_rng(3).normal(0, 3, (network.num_anchors, 2)).astype(np.float32)
    offsets = np.zeros((network.num_anchors, 4), np.float32)

    def squeeze(parts: list[Head]) -> list[Head]:
        return [Head(part.values[0]) for part in parts]

    postprocess = Postprocess(network)
    four = postprocess(heads(network, logits, 2), heads(network, offsets, 4))
    three = postprocess(squeeze(heads(network, logits, 2)), squeeze(heads(network, offsets, 4)))
    assert len(four.confidence) > 0
    assert three.confidence.tolist() == four.confidence.tolist()


@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan, 3e38])
def test_postprocess_drops_boxes_that_are_not_finite(bad: float) -> None:
    network = SMALL[1]
    logits = np.tile(np.array([5, -5], np.float32), (network.num_anchors, 1))
    offsets = np.zeros((network.num_anchors, 4), np.float32)
    logits[0], logits[60] = [0, 9], [0, 5]
    offsets[0, 2] = bad
    decoded = Postprocess(network)(heads(network, logits, 2), heads(network, offsets, 4))
    assert np.isfinite(decoded.xyxy).all()
    # −inf is the logarithm of width 0: an empty box.
    assert len(decoded.confidence) == (2 if bad == -np.inf else 1)


def test_postprocess_of_nan_logits_is_empty() -> None:
    network = SMALL[1]
    logits = np.full((network.num_anchors, 2), np.nan, np.float32)
    parts = heads(network, logits, 2), heads(network, np.zeros((network.num_anchors, 4), np.float32), 4)
    assert len(Postprocess(network)(*parts, score_threshold=0.1).confidence) == 0


def test_postprocess_empty_result_has_right_shapes() -> None:
    network = SMALL[2]
    logits = np.tile(np.array([100, -100, -100], np.int8), (network.num_anchors, 1))
    offsets = np.zeros((network.num_anchors, 4), np.int8)
    decoded = Postprocess(network)(heads(network, logits, 3, 0.1), heads(network, offsets, 4, 0.1))
    assert decoded.xyxy.shape == (0, 4)
    assert_same(decoded, np.zeros((0, 6)))


def test_postprocess_does_not_modify_heads() -> None:
    network = SMALL[2]
    random = np.random.default_rng(4)
    logits = random.integers(-128, 128, (network.num_anchors, 3)).astype(np.int8)
    offsets = random.integers(-128, 128, (network.num_anchors, 4)).astype(np.int8)
    for array in (logits, offsets):
        array.flags.writeable = False
    assert len(Postprocess(network)(heads(network, logits, 3, 0.1), heads(network, offsets, 4, 0.1)).confidence) > 0


@pytest.mark.parametrize("wrong", ["too few heads", "another map", "another number of classes"])
def test_postprocess_rejects_heads_of_another_network(wrong: str) -> None:
    network = SMALL[2]
    size = network.num_anchors
    classes: Sequence[Head] = heads(network, np.zeros((size, 3), np.float32), 3)
    boxes: Sequence[Head] = heads(network, np.zeros((size, 4), np.float32), 4)
    if wrong == "too few heads":
        boxes = boxes[:-1]
    elif wrong == "another map":
        boxes = [boxes[1], boxes[0], *boxes[2:]]
    else:
        classes = heads(network, np.zeros((size, 2), np.float32), 2)
    with pytest.raises(NetworkError, match="heads"):
        Postprocess(network)(classes, boxes)
