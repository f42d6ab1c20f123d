"""Bounding-box arithmetic in the TensorFlow graph: IoU, and offsets to anchors as in :mod:`edge_ssd.coding`."""

from __future__ import annotations

import tensorflow as tf

from edge_ssd.coding import BoxCoding

__all__ = ["box_area", "box_intersection", "box_iou", "center_inside", "decode_offsets", "encode_boxes"]

_EPSILON = 1e-6  # as in edge_ssd.coding: keeps the logarithm of an empty box finite


def box_area(boxes: tf.Tensor) -> tf.Tensor:
    """Return the areas [...] of boxes [..., 4], xyxy; 0 for an inverted box."""
    return tf.nn.relu(boxes[..., 2] - boxes[..., 0]) * tf.nn.relu(boxes[..., 3] - boxes[..., 1])


def box_iou(boxes1: tf.Tensor, boxes2: tf.Tensor) -> tf.Tensor:
    """Return the IoU of boxes [..., 4] that broadcast against each other, xyxy; 0 for two empty boxes."""
    intersection = box_intersection(boxes1, boxes2)
    union = box_area(boxes1) + box_area(boxes2) - intersection
    return intersection / tf.maximum(union, 1e-12)


def box_intersection(boxes1: tf.Tensor, boxes2: tf.Tensor) -> tf.Tensor:
    """Return the areas of the intersections of boxes [..., 4] that broadcast against each other, xyxy."""
    width, height = (
        tf.nn.relu(tf.minimum(boxes1[..., i + 2], boxes2[..., i + 2]) - tf.maximum(boxes1[..., i], boxes2[..., i]))
        for i in (0, 1)  # one coordinate at a time: broadcasting pairs of numbers takes three times as long
    )
    return width * height


def center_inside(boxes: tf.Tensor, regions: tf.Tensor) -> tf.Tensor:
    """Return the mask [...] of ``boxes`` [..., 4] whose center is strictly inside ``regions`` [..., 4], both xyxy."""
    is_inside_x, is_inside_y = (
        (center > regions[..., i]) & (center < regions[..., i + 2])
        for i, center in enumerate(tf.unstack((boxes[..., :2] + boxes[..., 2:]) / 2, axis=-1))
    )
    return is_inside_x & is_inside_y


def encode_boxes(anchors: tf.Tensor, boxes: tf.Tensor, coding: BoxCoding) -> tf.Tensor:
    """Return the offsets of ``boxes`` [..., A, 4] to ``anchors`` [A, 4], as :func:`edge_ssd.coding.offset_boxes`."""
    (anchor_center, anchor_size), (center, size) = _center_size(anchors), _center_size(boxes)
    xy = (center - anchor_center) / anchor_size * coding.xy_scale
    return tf.concat([xy, tf.math.log(_EPSILON + size / anchor_size) * coding.wh_scale], axis=-1)


def decode_offsets(anchors: tf.Tensor, offsets: tf.Tensor, coding: BoxCoding) -> tf.Tensor:
    """Return boxes [..., A, 4], xyxy, from offsets to ``anchors`` [A, 4], by :func:`edge_ssd.coding.offset_inverse`."""
    anchor_center, anchor_size = _center_size(anchors)
    center = offsets[..., :2] / coding.xy_scale * anchor_size + anchor_center
    # An untrained network may predict any size; e⁶ anchors exceeds every image and is far from overflow.
    half = tf.exp(tf.minimum(offsets[..., 2:] / coding.wh_scale, 6.0)) * anchor_size / 2
    return tf.concat([center - half, center + half], axis=-1)


def _center_size(boxes: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    return (boxes[..., :2] + boxes[..., 2:]) / 2, boxes[..., 2:] - boxes[..., :2]
