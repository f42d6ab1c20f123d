"""Arguments of the public functions and types: refused at the door, with one line that quotes the value."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from edge_ssd import (
    BoxCoding,
    Defaults,
    Detections,
    EdgeSSDError,
    InputSpec,
    Level,
    Network,
    NetworkError,
    SettingError,
    Tiles,
    box_area,
    box_iou,
    clip_boxes,
    cxcywh_to_xyxy,
    find_model,
    multibox_detection,
    multibox_prior,
    multibox_target,
    nms,
    offset_boxes,
    offset_inverse,
    tiny_ssd,
    xyxy_to_cxcywh,
)
from edge_ssd.boxes import match_greedily
from edge_ssd.checks import MAX_NUMBER, is_finite, shortened

BOX = [0.0, 0.0, 2.0, 1.0]
BOXES = np.array([BOX, [1, 1, 3, 3], [5, 5, 6, 6]], np.float32)
SCORES = np.array([0.9, 0.8, 0.7], np.float32)
CODES = np.zeros((3, 4), np.float32)
LOGITS = np.array([[0, 3], [0, 2], [0, 1]], np.float32)
LABELS = np.array([[[0, 0, 0, 2, 1]]], np.float32)


def with_value(array: np.ndarray, value: float) -> np.ndarray:
    """Return a copy of an array whose last number is ``value``."""
    changed = array.astype(np.float64)
    changed.flat[-1] = value
    return changed


INVALID: dict[str, tuple[Callable[[], Any], str]] = {
    "nms rows": (lambda: nms(np.ones((3, 6)), SCORES), r"boxes_xyxy .* \[N, 4\], got \[3, 6\]: array.*\[:, :4\]"),
    "nms transposed": (lambda: nms(BOXES.T, SCORES), r"got \[4, 3\].*transpose it: \.T"),
    "nms batch": (lambda: nms(BOXES[None], SCORES), r"got \[1, 3, 4\].*one image at a time"),
    "nms one number": (lambda: nms(3, [1]), r"boxes_xyxy must be boxes of shape \[N, 4\], got \[\]"),
    "nms one box": (lambda: nms(BOX, [1]), r"got \[4\]"),
    "nms texts": (
        lambda: nms([["a"] * 4], [1]),
        r"boxes_xyxy must be an array of numbers, got \[\['a', 'a', 'a', 'a'\]\]",
    ),
    "nms ragged": (lambda: nms([[0, 0, 1, 1], [0]], [1, 1]), "boxes_xyxy must be an array of numbers"),
    "nms huge numbers": (lambda: nms(with_value(BOXES, 1e300), SCORES), "boxes_xyxy must be"),
    "nms fewer scores": (
        lambda: nms(BOXES, SCORES[:2]),
        r"scores must have one number for each box, shape \[3\], got \[2\]",
    ),
    "nms columns": (lambda: nms(BOXES, SCORES[:, None]), r"scores .* got \[3, 1\]"),
    "nms no scores": (lambda: nms(BOXES, None), "scores must be an array of numbers, got None"),
    "nms NaN box": (
        lambda: nms(with_value(BOXES, np.nan), SCORES),
        r"must be finite numbers, got nan at index \[2, 3\]",
    ),
    "nms infinite box": (lambda: nms(with_value(BOXES, -np.inf), SCORES), r"got -inf at index \[2, 3\]"),
    "nms NaN score": (lambda: nms(BOXES, with_value(SCORES, np.nan)), r"scores .* got nan at index \[2\]"),
    "nms threshold": (lambda: nms(BOXES, SCORES, 1.5), "iou_threshold must be a number from 0 to 1, got 1.5"),
    "nms NaN threshold": (lambda: nms(BOXES, SCORES, float("nan")), "iou_threshold .* got nan"),
    "nms text threshold": (lambda: nms(BOXES, SCORES, "0.5"), "iou_threshold .* got '0.5'"),
    "nms negative count": (lambda: nms(BOXES, SCORES, max_detections=-1), "max_detections .* from 0, got -1"),
    "nms broken count": (lambda: nms(BOXES, SCORES, max_detections=1.5), "max_detections .* got 1.5"),
    "nms fewer ids": (
        lambda: nms(BOXES, SCORES, 0.5, [0, 1]),
        r"class_ids must have one number for each box, shape \[3\]",
    ),
    "nms NaN id": (lambda: nms(BOXES, SCORES, 0.5, [0, 1, np.nan]), "class_ids must be finite numbers"),
    "nms text ids": (lambda: nms(BOXES, SCORES, 0.5, ["a", "b", "c"]), "class_ids must be an array of numbers"),
    "nms ragged ids": (lambda: nms(BOXES, SCORES, 0.5, [[0], [1, 2], 3]), "class_ids must be an array of numbers"),
    "to cxcywh": (lambda: xyxy_to_cxcywh(np.ones((2, 5))), r"boxes_xyxy .* \[\.\.\., 4\], got \[2, 5\]"),
    "to cxcywh transposed": (lambda: xyxy_to_cxcywh(BOXES.T), "transpose"),
    "to cxcywh NaN": (lambda: xyxy_to_cxcywh(with_value(BOXES, np.nan)), "boxes_xyxy must be finite"),
    "to xyxy": (lambda: cxcywh_to_xyxy([1, 2, 3]), r"boxes_cxcywh .* got \[3\]"),
    "to xyxy infinite": (lambda: cxcywh_to_xyxy(with_value(BOXES, np.inf)), "got inf at index"),
    "area": (lambda: box_area(np.ones((2, 3))), r"got \[2, 3\]"),
    "area NaN": (lambda: box_area(with_value(BOXES, np.nan)), "finite"),
    "iou": (lambda: box_iou(BOXES, np.ones((2, 8))), r"boxes2_xyxy .* got \[2, 8\]"),
    "iou batch": (lambda: box_iou(BOXES[None], BOXES), "boxes1_xyxy .* one image at a time"),
    "iou NaN": (lambda: box_iou(with_value(BOXES, np.nan), BOXES), "boxes1_xyxy must be finite"),
    "area too large": (
        lambda: box_area([[0, 0, 1e300, 1]]),
        r"boxes_xyxy must be numbers of at most 4.6e\+18, got up to 1e\+300",
    ),
    "iou no type": (lambda: box_iou(BOXES, BOXES, "foo"), "dtype must be a floating-point type, got 'foo'"),
    "iou number as type": (lambda: box_iou(BOXES, BOXES, 5), "dtype must be a floating-point type, got 5"),  # type: ignore[arg-type]
    "iou list as type": (lambda: box_iou(BOXES, BOXES, [1]), r"dtype must be .* got \[1\]"),  # type: ignore[list-item]
    "iou type": (lambda: box_iou(BOXES, BOXES, np.int32), "dtype must be a floating-point type, got int32"),
    "clip": (lambda: clip_boxes(np.ones((2, 3)), 1, 1), r"got \[2, 3\]"),
    "clip NaN": (lambda: clip_boxes(with_value(BOXES, np.nan), 1, 1), "finite"),
    "clip negative": (lambda: clip_boxes(BOXES, -1, 1), "height and width must be .* got -1, 1"),
    "clip flag": (lambda: clip_boxes(BOXES, True, 1), "height and width must be .* got True, 1"),
    "clip text": (lambda: clip_boxes(BOXES, "a", 1), "height and width must be .* got 'a', 1"),
    "encode lengths": (lambda: offset_boxes(BOXES, BOXES[:2]), r"must have the same shape, got \[3, 4\] and \[2, 4\]"),
    "encode anchors": (lambda: offset_boxes([[0, 0, 1]], [BOX]), r"anchors_xyxy must be .* got \[1, 3\]"),
    "encode NaN anchor": (lambda: offset_boxes(with_value(BOXES, np.nan), BOXES), "anchors_xyxy must be finite"),
    "encode coding": (lambda: offset_boxes(BOXES, BOXES, "x"), "coding must be of type BoxCoding, got 'x'"),  # type: ignore[arg-type]
    "encode empty anchor": (
        lambda: offset_boxes([[1, 1, 1, 2]], [BOX]),
        r"anchors_xyxy .* positive, got \[0\.0, 1\.0\]",
    ),
    "encode inverted": (
        lambda: offset_boxes([BOX], [[2, 2, 1, 3]]),
        r"boxes_xyxy .* not negative, got \[-1\.0, 1\.0\]",
    ),
    "decode lengths": (lambda: offset_inverse(BOXES, CODES[:2]), "anchors_xyxy and offsets must have the same shape"),
    "decode anchors": (lambda: offset_inverse([[0, 0, 1]], CODES), r"anchors_xyxy must be .* got \[1, 3\]"),
    "decode coding": (lambda: offset_inverse(BOXES, CODES, (10, 5)), r"BoxCoding, got \(10, 5\)"),  # type: ignore[arg-type]
    "decode NaN": (lambda: offset_inverse(BOXES, with_value(CODES, np.nan)), "offsets must be finite"),
    "decode huge": (lambda: offset_inverse(BOXES, with_value(CODES, 1e4)), "offsets are too large .* 10000"),
    "anchors cells": (lambda: multibox_prior(0, 2, [0.2], [1]), "height must be a whole number from 1, got 0"),
    "anchors float cells": (lambda: multibox_prior(2, 2.5, [0.2], [1]), "width .* got 2.5"),
    "anchors many": (lambda: multibox_prior(10**6, 10**6, [0.2], [1]), "1000000 x 1000000 cells have more than"),
    "anchors long": (lambda: multibox_prior(10**30, 1, [0.2], [1]), "choose a smaller height and width"),
    "anchors no sizes": (
        lambda: multibox_prior(2, 2, [], [1]),
        r"sizes must be one or more positive numbers, got \[\]",
    ),
    "anchors one size": (lambda: multibox_prior(2, 2, 0.2, [1]), "sizes .* got 0.2"),
    "anchors ratio": (lambda: multibox_prior(2, 2, [0.2], [1, -1]), r"ratios .* got \[1, -1\]"),
    "detection logits": (
        lambda: multibox_detection([1, 2], CODES, BOXES),
        r"class_logits must have shape \[A, classes",
    ),
    "detection lengths": (lambda: multibox_detection(LOGITS[:2], CODES, BOXES), "2 logits, 3 offsets, 3 anchors"),
    "detection NaN": (
        lambda: multibox_detection(with_value(LOGITS, np.nan), CODES, BOXES),
        "class_logits must be finite",
    ),
    "detection threshold": (
        lambda: multibox_detection(LOGITS, CODES, BOXES, score_threshold=2),
        "score_threshold .* got 2",
    ),
    "detection flag": (
        lambda: multibox_detection(LOGITS, CODES, BOXES, class_agnostic="yes"),  # type: ignore[arg-type]
        "class_agnostic must be True or False, got 'yes'",
    ),
    "detection coding": (
        lambda: multibox_detection(LOGITS, CODES, BOXES, coding=None),  # type: ignore[arg-type]
        "coding must be of type BoxCoding, got None",
    ),
    "targets coding": (lambda: multibox_target(BOXES, LABELS[:0], coding=5), "BoxCoding, got 5"),  # type: ignore[arg-type]
    "model number": (lambda: find_model(5), "a model must be a path or the name of a shipped model, got 5"),  # type: ignore[arg-type]
    "model bytes": (lambda: find_model(b"nano"), "got bytes of length 4"),  # type: ignore[arg-type]
    "detections lists": (lambda: Detections([BOX], [0.5], [0], ["a"], (4, 4)), "xyxy must be of type ndarray, got"),  # type: ignore[arg-type]
    "detections text": (
        lambda: Detections(BOXES[:2], SCORES[:2], np.zeros(2, np.int64), "ab", (4, 4)),  # type: ignore[arg-type]
        "names must be of type list, got 'ab'",
    ),
    "detections size": (lambda: Detections.empty(None), r"image_size must be \(height, width\), got None"),  # type: ignore[arg-type]
    "merged number": (lambda: Detections.merge([5]), "each part must be of type Detections, got 5"),  # type: ignore[list-item]
    "merged none": (lambda: Detections.merge(None), "parts must be of type Iterable, got None"),  # type: ignore[arg-type]
    "scaled text": (lambda: Detections.empty((4, 4)).scaled("x"), r"image_size must be \(height, width\), got 'x'"),  # type: ignore[arg-type]
    "scaled large": (lambda: Detections.empty((4, 4)).scaled((10**50, 1)), "must be at most 2147483647 pixels"),
    "anchors large": (lambda: multibox_prior(1, 1, [1e300], [1]), "sizes must be .* positive numbers"),
    "nms large ids": (lambda: nms([BOX, BOX], [1, 1], 0.5, [1e30, 1]), "class_ids must be finite numbers of at most"),
    "scaled negative": (lambda: Detections.empty((4, 4)).scaled((-1, 2)), "height of image_size .* from 1, got -1"),
    "tiles of text": (lambda: Tiles(2, 2).divide("x"), r"image_size must be \(height, width\), got 'x'"),  # type: ignore[arg-type]
    "tiles flag": (lambda: Tiles(2, 2, whole="x"), "whole of tiles must be True or False, got 'x'"),  # type: ignore[arg-type]
    "defaults": (lambda: Defaults(2, 2, 2), "score_threshold must be a number from 0 to 1, got 2"),
    "targets labels": (
        lambda: multibox_target(BOXES, LABELS[0]),
        r"labels must have shape \[B, M, 5\].*labels\[None\]",
    ),
    "targets NaN": (lambda: multibox_target(BOXES, with_value(LABELS, np.nan)), "labels must be finite"),
    "targets threshold": (lambda: multibox_target(BOXES, LABELS, -0.1), "iou_threshold .* got -0.1"),
    "matching": (lambda: match_greedily(np.ones(3), 0.5), r"iou must be a matrix \[N, M\], got shape \[3\]"),
}


@pytest.mark.machine_independent
@pytest.mark.parametrize("name", INVALID)
def test_public_names_reject_invalid_arguments(name: str) -> None:
    call, message = INVALID[name]
    with pytest.raises(SettingError, match=message) as caught:
        call()
    text = str(caught.value)
    assert "\n" not in text
    assert len(text) < 250


@pytest.mark.machine_independent
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: BoxCoding(True, 5), "xy_scale must be a positive number, got True"),
        (lambda: Network(("a",), 5), "levels of a network must be a tuple, got 5"),  # type: ignore[arg-type]
        (lambda: Network("a", ()), "labels of a network must be a tuple, got 'a'"),  # type: ignore[arg-type]
        (lambda: Network(("a",), (5,)), "each level of a network must be of type Level, got 5"),  # type: ignore[arg-type]
        (lambda: Network(("a",), (), 5), "input of a network must be of type InputSpec, got 5"),  # type: ignore[arg-type]
        (lambda: BoxCoding("a"), "xy_scale must be a positive number, got 'a'"),  # type: ignore[arg-type]
        (lambda: Level(1, 1, 0.2), "anchor sizes .* got 0.2"),  # type: ignore[arg-type]
        (lambda: Level(1, 1, ("a",)), r"anchor sizes .* got \('a',\)"),  # type: ignore[arg-type]
        (lambda: InputSpec(scale="a"), "scale positive; got 'a'"),  # type: ignore[arg-type]
        (lambda: tiny_ssd("banana"), r"labels must be a list of texts, got 'banana': \['banana'\]"),
        (lambda: tiny_ssd(5), "labels must be a list, got 5"),  # type: ignore[arg-type]
        (lambda: tiny_ssd(["a"], input_size=256), "input_size must be"),  # type: ignore[arg-type]
        (lambda: tiny_ssd(["a"], input_size=("a", 3)), r"input_size must be \(height, width\)"),  # type: ignore[arg-type]
        (lambda: tiny_ssd(["a"], width="x"), "width must be a positive number, got 'x'"),  # type: ignore[arg-type]
        (lambda: tiny_ssd(["a"], width=float("inf")), "width .* got inf"),
        (lambda: tiny_ssd(["a"], sizes=[0.2] * 5), "must be lists of numbers, got 0.2"),  # type: ignore[list-item]
        (lambda: tiny_ssd(["a"], ratios=[]), "ratios must have at least one number"),
        (lambda: tiny_ssd(["a"], base_channels=["a"]), "channels must be whole numbers, got 'a'"),  # type: ignore[list-item]
    ],
)
def test_network_rejects_invalid_arguments(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(NetworkError, match=message):
        call()


def test_network_accepts_numpy_numbers() -> None:
    network = tiny_ssd(np.array(["a"]), input_size=np.array([64, 96]), base_channels=np.array([16, 32]))  # type: ignore[arg-type]
    assert network == tiny_ssd(["a"], input_size=(64, 96), base_channels=[16, 32])


def test_geometry_accepts_lists_and_other_number_types() -> None:
    expected = nms(BOXES, SCORES, 0.5, [0, 0, 1], 2).tolist()
    assert nms(BOXES.tolist(), SCORES.tolist(), np.float32(0.5), [0.0, 0.0, 1.0], np.int64(2)).tolist() == expected
    assert nms(BOXES.astype(np.int16), SCORES.astype(np.float16), 1, np.array([-5, -5, 10**9])).tolist() == [0, 1, 2]
    assert nms(np.asfortranarray(BOXES), SCORES).tolist() == nms(BOXES, SCORES).tolist()
    for function in (xyxy_to_cxcywh, cxcywh_to_xyxy, box_area):
        assert function([]).shape[0] == 0
        assert function(BOX).tolist() == function([BOX])[0].tolist()
        strided = np.repeat(BOXES, 2, axis=1)[:, ::2]
        for boxes in (strided, np.asfortranarray(BOXES), BOXES[::-1][::-1], BOXES.tolist()):
            assert function(boxes).tolist() == function(BOXES).tolist()
        assert function(BOXES.reshape(3, 1, 4)).tolist() == function(BOXES)[:, None].tolist()
    assert box_iou(BOX, BOXES).shape == (1, 3)
    assert box_iou([], BOXES).shape == (0, 3)
    assert multibox_target([], LABELS).offsets.shape == (1, 0, 4)
    assert Detections.empty().scaled((4, 6)).image_size == (4, 6)


def test_very_large_numbers_are_finite() -> None:
    large = np.array([[-MAX_NUMBER, 0, MAX_NUMBER, 1]] * 2, np.float32)  # the sum of their squares is larger
    assert not is_finite(large)
    assert xyxy_to_cxcywh(large)[0].tolist() == [0, 0.5, 2 * MAX_NUMBER, 1]
    largest = [[-MAX_NUMBER, -MAX_NUMBER, MAX_NUMBER, MAX_NUMBER]] * 2
    assert box_area(largest).tolist() == [2.0**126] * 2
    assert box_iou(largest, largest)[0, 0] == 1
    assert box_iou([BOX], [BOX], np.float16).tolist() == [[1]]
    assert nms(largest, [0.5, 0.6], 0.5).tolist() == [1]
    for call in (box_area, xyxy_to_cxcywh, cxcywh_to_xyxy, lambda boxes: nms(boxes, [1])):
        with pytest.raises(SettingError, match=r"finite numbers of at most 4.6e\+18, got -3e\+38 at index \[0, 0\]"):
            call([[-3e38, -3e38, 3e38, 3e38]])
    many = np.ones((5000, 4), np.float32)
    assert is_finite(many)
    many[-1, -1] = np.nan
    with pytest.raises(SettingError, match=r"got nan at index \[4999, 3\]"):
        box_area(many)


class Broken:
    def __repr__(self) -> str:
        raise RuntimeError("no text")


@pytest.mark.machine_independent
@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.5, "0.5"),
        ("a", "'a'"),
        (bytes(10**6), "bytes of length 1000000, "),
        (memoryview(bytes(9)), "memoryview of length 9"),
        pytest.param("x" * 10**6, "'xxxxx", id="long text"),
        (list(range(10**6)), "[0, 1, 2, 3, 4, 5, ...]"),
        (np.zeros((1000, 4)), "array([[0., 0., 0., 0.],"),
        (10**5000, ""),
        (Broken(), ""),
    ],
    ids=lambda value: type(value).__name__,
)
def test_shortened_is_one_short_line(value: Any, text: str) -> None:
    short = shortened(value)
    assert short.startswith(text)
    assert len(short) <= 90
    assert "\n" not in short


def test_setting_errors_are_value_errors() -> None:
    with pytest.raises(ValueError, match="boxes_xyxy"):
        nms(BOXES.T, SCORES)
    assert issubclass(SettingError, EdgeSSDError)
