from __future__ import annotations

import json

import numpy as np
import pytest

from edge_ssd.runtime.detections import Detection, Detections


def some() -> Detections:
    return Detections(
        xyxy=np.array([[1, 2, 3.456, 4], [0, 0, 10, 20]], np.float32),
        confidence=np.array([0.75, 0.5], np.float32),
        class_id=np.array([1, 0]),
        names=["fork", "banana"],
        image_size=(20, 10),
    )


def test_iterating() -> None:
    found = list(some())
    assert len(some()) == len(found) == 2
    assert found[1] == Detection("banana", 0.5, (0, 0, 10, 20))
    assert found[0].label == "fork"
    assert found[0].score == 0.75
    assert found[0].box == pytest.approx((1, 2, 3.456, 4))


def test_as_json() -> None:
    assert json.loads(json.dumps(some().to_dict())) == {
        "width": 10,
        "height": 20,
        "detections": [
            {"label": "fork", "class_id": 1, "score": 0.75, "box": [1, 2, 3.46, 4]},
            {"label": "banana", "class_id": 0, "score": 0.5, "box": [0, 0, 10, 20]},
        ],
    }


def test_nothing_found() -> None:
    nothing = Detections(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64), [], (4, 6))
    assert len(nothing) == 0
    assert not list(nothing)
    assert nothing.to_dict() == {"width": 6, "height": 4, "detections": []}


def test_parts_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match="2 names"):
        Detections(np.zeros((1, 4), np.float32), np.zeros(1, np.float32), np.zeros(1, np.int64), ["a", "b"], (4, 6))
