"""Operators read from small flatbuffers, and from malformed bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tflite_models import Node, OperatorCode, tflite_model

from converters.tflite.operators import Operator, read_graph
from edge_ssd.errors import BundleError
from edge_ssd.runtime.bundle import read_bundle
from edge_ssd.runtime.shipped_models import find_model

CONV = OperatorCode(3, 3, version=3)
OLD_POOL = OperatorCode(17, version=2)
GELU = OperatorCode(127, 150)
CUSTOM = OperatorCode(32, 32, "MyOp")
UNKNOWN = OperatorCode(127, 999)


def model(codes: list[OperatorCode], used: list[int]) -> bytes:
    """Return a model that uses the operator codes with the given indices, on no tensors."""
    return tflite_model(codes, [Node(index) for index in used])


def test_operator_counts_are_sorted_by_frequency():
    assert list(read_graph(model([CONV, OLD_POOL], [0, 1, 0, 0])).operator_counts().items()) == [
        (Operator("CONV_2D", 3), 3),
        (Operator("MAX_POOL_2D", 2), 1),
    ]


def test_read_graph_names_newer_custom_and_unknown_operators():
    assert read_graph(model([GELU, CUSTOM, UNKNOWN], [0, 1, 2])).operator_counts() == {
        Operator("GELU", 1): 1,
        Operator("MyOp", 1, custom=True): 1,
        Operator("BUILTIN_999", 1): 1,
    }


def test_read_graph_of_empty_model_has_no_operators():
    assert read_graph(model([], [])).operator_counts() == {}


def test_multiply_adds_of_shipped_network_match_hand_count():
    # (side of the feature map, channels in, channels out) of the 3×3 convolutions; each block halves the map.
    body = [
        *((256, 3, 16), (256, 16, 16), (128, 16, 32), (128, 32, 32), (64, 32, 64), (64, 64, 64)),
        *((32, 64, 128), (32, 128, 128), (16, 128, 128), (16, 128, 128), (8, 128, 128), (8, 128, 128)),
    ]
    # Four anchors per cell, with two class logits and four offsets each.
    heads = [(32, 64, 24), (16, 128, 24), (8, 128, 24), (4, 128, 24), (1, 128, 24)]
    expected = sum(side * side * 9 * before * after for side, before, after in body + heads)
    assert expected == 976_628_736
    assert read_graph(read_bundle(find_model("banana")).flatbuffer).multiply_adds == expected


def test_multiply_adds_of_strided_separable_convolution():
    tf = pytest.importorskip("tensorflow")
    layers = tf.keras.layers
    model = tf.keras.Sequential([layers.Input((9, 12, 8)), layers.DepthwiseConv2D(3, 2, "same"), layers.Conv2D(10, 1)])
    flatbuffer = tf.lite.TFLiteConverter.from_keras_model(model).convert()
    # 5 × 6 cells: nine weights per channel, then one per pair of channels.
    assert read_graph(flatbuffer).multiply_adds == 5 * 6 * (9 * 8 + 8 * 10)


@pytest.mark.parametrize("data", [b"", b"TFL3", bytes(64), b"\xff" * 64, model([CONV], [0])[:40]])
def test_read_graph_refuses_malformed_bytes(data: bytes):
    with pytest.raises(BundleError, match="operators of the model cannot be read"):
        read_graph(data)


def test_read_graph_refuses_missing_operator_code():
    with pytest.raises(BundleError):
        read_graph(model([CONV], [7]))


@given(st.integers(0, 199), st.integers(0, 255))
def test_read_graph_of_corrupted_model_raises_only_bundle_error(position: int, value: int):
    data = bytearray(model([CONV, OLD_POOL, CUSTOM], [0, 1, 2, 0]))
    data[position % len(data)] = value
    try:
        counts = read_graph(bytes(data)).operator_counts()
    except BundleError:
        return
    assert all(count > 0 for count in counts.values())
