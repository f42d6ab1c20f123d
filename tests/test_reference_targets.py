from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from slow_iou import slow_iou

from edge_ssd.coding import BoxCoding
from edge_ssd.network import tiny_ssd
from edge_ssd.reference_targets import assign_anchors, multibox_target

ANCHORS = np.array([[0, 0, 4, 4], [4, 0, 8, 4], [0, 4, 4, 8]], np.float32)
PADDING = [-1, -1, -1, -1, -1]
small_box = st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(1, 4), st.integers(1, 4)).map(
    lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3])
)


def slow_assign(anchors: list[tuple[int, ...]], objects: list[tuple[int, ...]], threshold: float) -> list[int]:
    assigned = [-1] * len(anchors)
    if not objects:
        return assigned
    for i, anchor in enumerate(anchors):
        overlaps = [slow_iou(anchor, box) for box in objects]
        if max(overlaps) >= threshold:
            assigned[i] = overlaps.index(max(overlaps))
    pairs = [(i, j) for i in range(len(anchors)) for j in range(len(objects))]
    for _ in range(min(len(anchors), len(objects))):
        i, j = max(pairs, key=lambda pair: (slow_iou(anchors[pair[0]], objects[pair[1]]), -pair[0], -pair[1]))
        assigned[i] = j
        pairs = [pair for pair in pairs if pair[0] != i and pair[1] != j]
    return assigned


def test_assign_anchors_by_hand() -> None:
    # The first object is anchor 0 itself. The second has IoU 1/16 with anchor 1, its maximum.
    assert assign_anchors(ANCHORS, [[0, 0, 4, 4], [5, 0, 6, 1]]).tolist() == [0, 1, -1]


def test_assign_anchors_uses_no_anchor_twice() -> None:
    # Anchor 0 is the best of both objects; the worse pair gets the next anchor, although it does not overlap.
    assert assign_anchors(ANCHORS, [[0, 0, 4, 3], [0, 0, 4, 4]]).tolist() == [1, 0, -1]


def test_assign_anchors_matches_iou_equal_to_threshold() -> None:
    objects = [[0, 0, 4, 2], [4, 0, 8, 4]]
    assert assign_anchors(ANCHORS[:2], [[0, 0, 4, 2]], 0.5).tolist() == [0, -1]
    # Anchor 2 has IoU exactly 1/2 with the last object, whose best anchor is another one.
    anchors = [[0, 0, 4, 4], [4, 0, 8, 4], [4, 0, 8, 2]]
    assert assign_anchors(anchors, objects, 0.5).tolist() == [0, 1, 1]
    assert assign_anchors(anchors, objects, 0.51).tolist() == [0, 1, -1]


@given(st.lists(small_box, min_size=4, max_size=8), st.lists(small_box, max_size=4), st.sampled_from([0.25, 0.5, 0.75]))
@settings(deadline=None)
def test_assign_anchors_equals_reference(
    anchors: list[tuple[int, ...]], objects: list[tuple[int, ...]], threshold: float
) -> None:
    assigned = assign_anchors(anchors, np.array(objects, np.float32).reshape(-1, 4), threshold)
    assert assigned.tolist() == slow_assign(anchors, objects, threshold)


def test_multibox_target_by_hand() -> None:
    targets = multibox_target(ANCHORS, [[[3, 0, 0, 4, 4], [0, 5, 0, 7, 2], PADDING]])
    assert targets.classes.tolist() == [[4, 1, 0]]
    assert targets.masks.tolist() == [[1, 1, 0]]
    # Object 1 has the center x of anchor 1, half its width and height, and lies a quarter of the anchor higher.
    half = 5 * np.log(0.5)
    np.testing.assert_allclose(targets.offsets, [[[0, 0, 0, 0], [0, -2.5, half, half], [0, 0, 0, 0]]], atol=2e-5)


def test_multibox_target_uses_coding() -> None:
    targets = multibox_target(ANCHORS, [[[0, 5, 0, 9, 4]]], coding=BoxCoding(xy_scale=1))
    np.testing.assert_allclose(targets.offsets[0, 1], [0.25, 0, 0, 0], atol=2e-5)


def test_multibox_target_images_are_independent() -> None:
    targets = multibox_target(ANCHORS, [[PADDING], [[0, 0, 0, 4, 4]]])
    assert targets.masks.tolist() == [[0, 0, 0], [1, 0, 0]]
    assert targets.offsets.shape == (2, 3, 4)


@pytest.mark.parametrize("rows", [np.zeros((2, 0, 5)), np.full((2, 3, 5), -1.0)])
def test_multibox_target_of_images_without_objects(rows: np.ndarray) -> None:
    targets = multibox_target(ANCHORS, rows)
    assert not targets.masks.any()
    assert not targets.classes.any()
    assert targets.offsets.shape == (2, 3, 4)


@pytest.mark.parametrize("which", ["one", "many"])
def test_multibox_target_equals_book(book_vectors: Path, which: str) -> None:
    with np.load(book_vectors) as vectors:
        targets = multibox_target(tiny_ssd(["banana"]).anchors(), vectors[f"targets_{which}_labels"])
        assert (targets.masks == vectors[f"targets_{which}_masks"]).all()
        assert (targets.classes == vectors[f"targets_{which}_classes"]).all()
        np.testing.assert_allclose(targets.offsets, vectors[f"targets_{which}_offsets"], rtol=0, atol=2e-5)
