"""edge_ssd.training.loss.anchor_assignment and box_ops, against the NumPy reference and the book's numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

tf = pytest.importorskip("tensorflow")

from edge_ssd import coding, reference_targets  # noqa: E402 (after the check that TensorFlow is installed)
from edge_ssd.boxes import box_iou  # noqa: E402
from edge_ssd.coding import BoxCoding  # noqa: E402
from edge_ssd.network import tiny_ssd  # noqa: E402
from edge_ssd.training import box_ops  # noqa: E402
from edge_ssd.training.loss import anchor_assignment as graph  # noqa: E402

NETWORK = tiny_ssd(["a", "b", "c"])
PADDING = np.full((1, 5), -1, np.float32)


@tf.function(input_signature=[tf.TensorSpec((None, 4)), tf.TensorSpec((None, None, 5))])
def compiled_target(anchors: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return classes [B, A] and masked offsets [B, A, 4]."""
    target = graph.multibox_target(anchors, labels)
    offsets = box_ops.encode_boxes(anchors, target.boxes, BoxCoding())
    return target.classes, offsets * tf.cast(target.classes > 0, tf.float32)[..., None]


def in_graph(anchors: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    classes, offsets = compiled_target(tf.constant(anchors), tf.constant(labels))
    return classes.numpy(), offsets.numpy()


@pytest.mark.parametrize("name", ["one", "many"])
def test_multibox_target_equals_book(name: str, book_vectors: Path) -> None:
    vectors = np.load(book_vectors)
    classes, offsets = in_graph(vectors["anchors_256"], vectors[f"targets_{name}_labels"])
    np.testing.assert_array_equal(classes, vectors[f"targets_{name}_classes"])
    np.testing.assert_allclose(offsets, vectors[f"targets_{name}_offsets"], atol=5e-5)


@st.composite
def label_batches(draw: st.DrawFn) -> np.ndarray:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    batch, rows = draw(st.integers(1, 3)), draw(st.integers(1, 6))
    corner = rng.uniform(0, 0.8, (batch, rows, 2))
    size = rng.uniform(0.03, 0.6, (batch, rows, 2))
    labels = np.concatenate([rng.integers(0, 3, (batch, rows, 1)), corner, corner + size], axis=-1).astype(np.float32)
    labels[rng.random((batch, rows)) < 0.3] = -1
    return labels


@settings(max_examples=25, deadline=None)
@given(label_batches())
def test_multibox_target_equals_reference(labels: np.ndarray) -> None:
    anchors = tiny_ssd(["a", "b", "c"], input_size=(64, 64)).anchors()
    expected = reference_targets.multibox_target(anchors, labels)
    classes, offsets = in_graph(anchors, labels)
    np.testing.assert_array_equal(classes, expected.classes)
    np.testing.assert_allclose(offsets, expected.offsets, atol=5e-5)


def test_multibox_target_without_objects_is_background() -> None:
    classes, offsets = in_graph(NETWORK.anchors(), PADDING[None])
    assert not classes.any()
    assert not offsets.any()


def test_decode_offsets_equals_reference_and_inverts_encode_boxes() -> None:
    rng = np.random.default_rng(0)
    anchors = NETWORK.anchors()
    offsets = rng.normal(size=(len(anchors), 4)).astype(np.float32)
    boxes = box_ops.decode_offsets(anchors, offsets, BoxCoding()).numpy()
    np.testing.assert_allclose(boxes, coding.offset_inverse(anchors, offsets), atol=1e-5)
    np.testing.assert_allclose(box_ops.encode_boxes(anchors, boxes, BoxCoding()), offsets, atol=1e-3)


def test_decode_offsets_is_finite_for_huge_offsets() -> None:
    offsets = np.full((5444, 4), 1e4, np.float32)
    assert np.isfinite(box_ops.decode_offsets(NETWORK.anchors(), offsets, BoxCoding())).all()


class TestTaskAligned:
    """Four anchors in a row, each a quarter of the image wide, and predictions equal to the anchors."""

    ANCHORS = np.array([[0.25 * i, 0, 0.25 * (i + 1), 1] for i in range(4)], np.float32)

    def assign(
        self, labels: list[list[float]], scores: np.ndarray, boxes: np.ndarray, **options: float
    ) -> graph.AnchorTargets:
        return graph.task_aligned_target(
            tf.constant(self.ANCHORS),
            tf.constant(np.array([labels], np.float32)),
            tf.constant(scores[None], tf.float32),
            tf.constant(boxes[None], tf.float32),
            **options,
        )

    def test_quality_target_is_iou_of_best_anchors(self) -> None:
        # The object covers the two left anchors: IoU of either is 1/2.
        target = self.assign([[1, 0, 0, 0.5, 1]], np.full((4, 3), 0.3), self.ANCHORS, top_k=2)
        np.testing.assert_array_equal(target.classes[0], [2, 2, 0, 0])
        np.testing.assert_allclose(target.quality[0], [0.5, 0.5, 0, 0], atol=1e-5)
        np.testing.assert_allclose(target.boxes[0, 0], [0, 0, 0.5, 1])
        np.testing.assert_allclose(target.boxes[0, 3], self.ANCHORS[3])

    def test_alignment_ranks_anchors_by_score_and_predicted_iou(self) -> None:
        boxes = self.ANCHORS.copy()
        boxes[1] = [0, 0, 0.5, 1]  # the second anchor predicts the object exactly
        target = self.assign([[0, 0, 0, 0.5, 1]], np.full((4, 3), 0.3), boxes, top_k=1)
        np.testing.assert_array_equal(target.classes[0], [0, 1, 0, 0])
        assert float(target.quality[0, 1]) == pytest.approx(1)
        scores = np.full((4, 3), 0.01)
        scores[0] = 0.9  # with equal boxes, the anchor of higher score wins
        target = self.assign([[0, 0, 0, 0.5, 1]], scores, self.ANCHORS, top_k=1)
        np.testing.assert_array_equal(target.classes[0], [1, 0, 0, 0])

    def test_anchor_of_two_objects_gets_that_of_higher_iou(self) -> None:
        labels = [[0, 0, 0, 0.25, 1], [1, 0, 0, 1, 1]]
        target = self.assign(labels, np.full((4, 3), 0.3), self.ANCHORS, top_k=4)
        np.testing.assert_array_equal(target.classes[0], [1, 2, 2, 2])

    def test_object_without_anchor_centers_gets_an_anchor(self) -> None:
        target = self.assign([[0, 0.2, 0.1, 0.24, 0.2]], np.full((4, 3), 0.3), self.ANCHORS, top_k=2)
        np.testing.assert_array_equal(target.classes[0], [1, 0, 0, 0])

    def test_padding_is_ignored(self) -> None:
        target = self.assign([[-1.0] * 5, [-1.0] * 5], np.full((4, 3), 0.3), self.ANCHORS, top_k=2)
        assert not np.any(target.classes)
        assert not np.any(target.quality)


def test_box_iou_of_touching_and_of_empty_boxes_is_zero() -> None:
    boxes = np.array([[0, 0, 1, 1], [1, 0, 2, 1], [3, 3, 3, 3], [5, 5, 4, 4]], np.float32)
    iou = box_ops.box_iou(boxes[:, None], boxes[None]).numpy()
    np.testing.assert_allclose(iou, box_iou(boxes, boxes))
    np.testing.assert_allclose(iou, np.diag([1, 1, 0, 0]))
