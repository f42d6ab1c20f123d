from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_ssd.coding import BoxCoding, offset_boxes, offset_inverse
from edge_ssd.errors import NetworkError

box = st.tuples(st.floats(-1, 1), st.floats(-1, 1), st.floats(0.02, 1), st.floats(0.02, 1)).map(
    lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3])
)


def test_offset_boxes_by_hand() -> None:
    # Anchor center (1, 2), size 2×4; box center (2, 2), size 2×2: half a width to the right, half as high.
    offsets = offset_boxes([[0, 0, 2, 4]], [[1, 1, 3, 3]])
    np.testing.assert_allclose(offsets, [[5, 0, 0, 5 * math.log(0.5)]], atol=2e-5)


def test_offset_inverse_by_hand() -> None:
    # One height down (10 tenths), twice as wide (5 ln 2).
    boxes = offset_inverse([[0, 0, 2, 4]], [[0, 10, 5 * math.log(2), 0]])
    np.testing.assert_allclose(boxes, [[-1, 4, 3, 8]], rtol=1e-6)


def test_offset_inverse_of_zero_is_the_anchor() -> None:
    anchors = np.array([[0.25, 0.5, 0.75, 1.0]], np.float32)
    assert offset_inverse(anchors, np.zeros((1, 4))).tolist() == anchors.tolist()


@given(st.lists(st.tuples(box, box), max_size=8), st.floats(1, 20), st.floats(1, 20))
@settings(deadline=None)
def test_offset_inverse_inverts_offset_boxes(
    pairs: list[tuple[tuple[float, ...], tuple[float, ...]]], xy: float, wh: float
) -> None:
    anchors = np.array([anchor for anchor, _ in pairs], np.float32).reshape(-1, 4)
    boxes = np.array([box for _, box in pairs], np.float32).reshape(-1, 4)
    coding = BoxCoding(xy, wh)
    again = offset_inverse(anchors, offset_boxes(anchors, boxes, coding), coding)
    assert again.shape == boxes.shape
    # 1e-6 in the logarithm, and float32, relative to the anchor, which may be 50 times the box.
    np.testing.assert_allclose(again, boxes, atol=2e-4)


def test_offset_boxes_of_empty_box_is_finite() -> None:
    assert np.isfinite(offset_boxes([[0, 0, 1, 1]], [[0.5, 0.5, 0.5, 0.5]])).all()


@pytest.mark.machine_independent
@pytest.mark.parametrize("bad", [{"xy_scale": 0}, {"wh_scale": -5}, {"xy_scale": math.inf}, {"wh_scale": math.nan}])
def test_box_coding_rejects_invalid_factors(bad: dict[str, float]) -> None:
    with pytest.raises(NetworkError, match=next(iter(bad))):
        BoxCoding(**bad)
