"""Operators read from flatbuffers that are built here, and from bytes that are none."""

from __future__ import annotations

import flatbuffers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from converters.tflite.operators import Operator, count_operators, read_graph
from edge_ssd.errors import BundleError
from edge_ssd.runtime.bundle import read_bundle
from edge_ssd.runtime.models import default_model

# (deprecated_builtin_code, builtin_code, custom_code, version); None leaves the field out, as writers do for defaults.
CONV = (3, 3, None, 3)
OLD_POOL = (17, None, None, 2)
NEWER = (127, 150, None, 1)
CUSTOM = (32, 32, "MyOp", 1)
UNKNOWN = (127, 999, None, 1)


def model(codes, used) -> bytes:
    """A TFLite model of one subgraph whose operators are ``used``, indices into ``codes``."""
    builder = flatbuffers.Builder(256)
    tables = []
    for old, new, custom, version in codes:
        name = builder.CreateString(custom) if custom else None
        builder.StartObject(4)
        builder.PrependInt8Slot(0, old, 0)
        if name is not None:
            builder.PrependUOffsetTRelativeSlot(1, name, 0)
        builder.PrependInt32Slot(2, version, 1)
        builder.PrependInt32Slot(3, new or 0, 0)
        tables.append(builder.EndObject())
    operators = []
    for index in used:
        builder.StartObject(3)
        builder.PrependUint32Slot(0, index, 0)
        operators.append(builder.EndObject())
    operator_vector = vector(builder, operators)
    builder.StartObject(4)
    builder.PrependUOffsetTRelativeSlot(3, operator_vector, 0)
    graphs = vector(builder, [builder.EndObject()])
    code_vector = vector(builder, tables)
    builder.StartObject(5)
    builder.PrependUint32Slot(0, 3, 0)
    builder.PrependUOffsetTRelativeSlot(1, code_vector, 0)
    builder.PrependUOffsetTRelativeSlot(2, graphs, 0)
    builder.Finish(builder.EndObject(), b"TFL3")
    return bytes(builder.Output())


def vector(builder, references) -> int:
    builder.StartVector(4, len(references), 4)
    for reference in reversed(references):
        builder.PrependUOffsetTRelative(reference)
    return builder.EndVector()


def test_operators_are_counted_most_frequent_first():
    assert list(count_operators(model([CONV, OLD_POOL], [0, 1, 0, 0])).items()) == [
        (Operator("CONV_2D", 3), 3),
        (Operator("MAX_POOL_2D", 2), 1),
    ]


def test_codes_beyond_127_and_custom_operators():
    assert count_operators(model([NEWER, CUSTOM, UNKNOWN], [0, 1, 2])) == {
        Operator("GELU", 1): 1,
        Operator("MyOp", 1, custom=True): 1,
        Operator("BUILTIN_999", 1): 1,
    }


def test_an_empty_graph_has_none():
    assert count_operators(model([], [])) == {}


def test_multiply_adds_of_the_books_network():
    # (side of the map, channels in, channels out) of the 3×3 convolutions, block by block; each block halves the map.
    body = [
        *((256, 3, 16), (256, 16, 16), (128, 16, 32), (128, 32, 32), (64, 32, 64), (64, 64, 64)),
        *((32, 64, 128), (32, 128, 128), (16, 128, 128), (16, 128, 128), (8, 128, 128), (8, 128, 128)),
    ]
    # Four anchors a cell, with two class scores and four offsets each.
    heads = [(32, 64, 24), (16, 128, 24), (8, 128, 24), (4, 128, 24), (1, 128, 24)]
    expected = sum(side * side * 9 * before * after for side, before, after in body + heads)
    assert expected == 976_628_736
    assert read_graph(read_bundle(default_model()).flatbuffer).multiply_adds == expected


def test_multiply_adds_of_a_separable_convolution_with_a_stride():
    tf = pytest.importorskip("tensorflow")
    layers = tf.keras.layers
    model = tf.keras.Sequential([layers.Input((9, 12, 8)), layers.DepthwiseConv2D(3, 2, "same"), layers.Conv2D(10, 1)])
    flatbuffer = tf.lite.TFLiteConverter.from_keras_model(model).convert()
    # 5 × 6 cells: nine weights a channel, then one for each pair of channels.
    assert read_graph(flatbuffer).multiply_adds == 5 * 6 * (9 * 8 + 8 * 10)


@pytest.mark.parametrize("data", [b"", b"TFL3", bytes(64), b"\xff" * 64, model([CONV], [0])[:40]])
def test_other_bytes_are_refused(data: bytes):
    with pytest.raises(BundleError, match="operators of the model cannot be read"):
        count_operators(data)


def test_an_operator_without_a_code_is_refused():
    with pytest.raises(BundleError):
        count_operators(model([CONV], [7]))


@given(st.integers(0, 199), st.integers(0, 255))
def test_a_changed_byte_raises_nothing_else(place: int, value: int):
    data = bytearray(model([CONV, OLD_POOL, CUSTOM], [0, 1, 2, 0]))
    data[place % len(data)] = value
    try:
        counted = count_operators(bytes(data))
    except BundleError:
        return
    assert all(count > 0 for count in counted.values())
