"""``Detections``: literals computed by hand, and the ``supervision`` package as reference of its idioms."""

from __future__ import annotations

import json
import pickle
from typing import Any

import numpy as np
import pytest

from edge_ssd.runtime.detections import Detection, Detections

MASK = np.array([True, False, True])


def three() -> Detections:
    return Detections(
        xyxy=np.array([[1, 2, 3.456, 4], [0, 0, 10, 20], [5, 5, 5, 9]], np.float32),
        confidence=np.array([0.75, 0.5, 0.25], np.float32),
        class_id=np.array([1, 0, 1], np.int64),
        names=["fork", "banana", "fork"],
        image_size=(20, 10),
    )


def assert_same(detections: Detections, other: Detections) -> None:
    for name in ("xyxy", "confidence", "class_id"):
        mine, theirs = getattr(detections, name), getattr(other, name)
        assert (mine.dtype, mine.shape, mine.tolist()) == (theirs.dtype, theirs.shape, theirs.tolist())
    assert (detections.names, detections.image_size) == (other.names, other.image_size)


def test_iteration_yields_a_detection_for_each_object() -> None:
    rows = list(three())
    assert len(three()) == len(rows) == 3
    assert rows[1] == Detection(label="banana", score=0.5, box=(0, 0, 10, 20), class_id=0)
    assert (rows[0].label, rows[0].score, rows[0].class_id) == ("fork", 0.75, 1)
    assert rows[0].box == pytest.approx((1, 2, 3.456, 4))
    label, score, _box, class_id = rows[2]
    assert (label, score, class_id) == ("fork", 0.25, 1)


def test_to_dict_is_json() -> None:
    assert json.loads(json.dumps(three()[:2].to_dict())) == {
        "width": 10,
        "height": 20,
        "detections": [
            {"label": "fork", "class_id": 1, "score": 0.75, "box": [1, 2, 3.46, 4]},
            {"label": "banana", "class_id": 0, "score": 0.5, "box": [0, 0, 10, 20]},
        ],
    }


@pytest.mark.parametrize(
    ("index", "expected"),
    [
        (1, [0.5]),
        (-1, [0.25]),
        (np.int64(0), [0.75]),
        (slice(1), [0.75]),
        (slice(None, None, -1), [0.25, 0.5, 0.75]),
        (slice(7, None), []),
        (MASK, [0.75, 0.25]),
        (MASK.tolist(), [0.75, 0.25]),
        (np.zeros(3, bool), []),
        ([2, 0, 0], [0.25, 0.75, 0.75]),
        (np.array([-1]), [0.25]),
        ([], []),
    ],
)
def test_index_selects_objects(index: Any, expected: list[float]) -> None:
    chosen = three()[index]
    assert chosen.confidence.tolist() == expected
    by_score = {row.score: row for row in three()}
    assert list(chosen) == [by_score[score] for score in expected]
    assert chosen.image_size == (20, 10)
    assert (chosen.xyxy.dtype, chosen.xyxy.shape) == (np.float32, (len(expected), 4))
    assert (chosen.confidence.dtype, chosen.class_id.dtype) == (np.float32, np.int64)
    supervision = pytest.importorskip("supervision")
    theirs: supervision.Detections = three().to_supervision()[index]
    assert theirs.xyxy.tolist() == chosen.xyxy.tolist()
    assert theirs.confidence.tolist() == expected
    assert theirs.class_id.tolist() == chosen.class_id.tolist()
    assert theirs["class_name"].tolist() == chosen.names


@pytest.mark.machine_independent
@pytest.mark.parametrize(
    "index",
    [3, -4, [0, 3], np.array([True]), None, True, 0.5, "names", (0, 1), (0,), (), ..., [[0]], np.zeros((3, 1), int)],
)
def test_invalid_index_raises(index: Any) -> None:
    with pytest.raises(IndexError):
        three()[index]


def test_selection_is_a_copy() -> None:
    detections = three()
    detections[:].xyxy[:] = 0
    assert_same(detections, three())


def test_area_is_width_times_height() -> None:
    assert three().area == pytest.approx([2.456 * 2, 200, 0])
    assert three().area.dtype == np.float32
    pytest.importorskip("supervision")
    assert three().area.tolist() == three().to_supervision().area.tolist()


def test_merge_keeps_the_order_of_its_parts() -> None:
    merged = Detections.merge(iter([three()[1], three()[[2, 0]], Detections.empty(), Detections.empty((20, 10))]))
    assert_same(merged, three()[[1, 2, 0]])
    supervision = pytest.importorskip("supervision")
    theirs = supervision.Detections.merge([part.to_supervision() for part in (three()[1], three()[[2, 0]])])
    assert theirs.xyxy.tolist() == merged.xyxy.tolist()
    assert theirs["class_name"].tolist() == merged.names


def test_merge_of_nothing_is_empty() -> None:
    assert_same(Detections.merge([]), Detections.empty())
    assert_same(Detections.merge([Detections.empty((4, 6)), Detections.empty()]), Detections.empty((4, 6)))


@pytest.mark.machine_independent
def test_merge_of_different_images_raises() -> None:
    with pytest.raises(ValueError, match=r"different sizes: \[\(4, 6\), \(20, 10\)\]"):
        Detections.merge([three(), Detections.empty((4, 6))])


def test_empty_has_the_shapes_of_no_objects() -> None:
    nothing = Detections.empty((4, 6))
    assert (len(nothing), list(nothing), nothing.names, nothing.image_size) == (0, [], [], (4, 6))
    assert (nothing.xyxy.shape, nothing.xyxy.dtype) == ((0, 4), np.float32)
    assert (nothing.confidence.dtype, nothing.class_id.dtype, nothing.area.shape) == (np.float32, np.int64, (0,))
    assert nothing.to_dict() == {"width": 6, "height": 4, "detections": []}
    assert Detections.empty().image_size == (0, 0)
    assert_same(nothing[nothing.confidence > 0.5], nothing)
    assert nothing.is_empty()
    assert not three().is_empty()


@pytest.mark.machine_independent
def test_detections_can_be_pickled() -> None:
    assert_same(pickle.loads(pickle.dumps(three())), three())


@pytest.mark.machine_independent
def test_parts_of_different_lengths_are_rejected() -> None:
    one = np.zeros((1, 4), np.float32), np.zeros(1, np.float32), np.zeros(1, np.int64)
    Detections(*one, ["a"], (4, 6))
    for names, change in ((["a", "b"], {}), (["a"], {1: np.zeros(2, np.float32)}), (["a"], {2: np.zeros(0, np.int64)})):
        arrays = [change.get(i, array) for i, array in enumerate(one)]
        with pytest.raises(ValueError, match=f"{len(names)} names need boxes"):
            Detections(*arrays, names, (4, 6))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["box", "score", "label"])
def test_attribute_of_one_object_is_explained(name: str) -> None:
    with pytest.raises(AttributeError, match=f"no attribute '{name}', which each object of it has: for found in"):
        getattr(three()[0], name)
