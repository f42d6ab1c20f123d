"""TFLite metadata, read back with the flatbuffers package."""

from __future__ import annotations

import flatbuffers.encode
import flatbuffers.number_types as types
import pytest
from flatbuffers.table import Table

from converters.tflite.metadata import build_metadata
from edge_ssd.network import tiny_ssd

NETWORK = tiny_ssd(("fork", "knife"), input_size=(64, 96))
OUTPUTS = ["boxes_1", "classes_0"]


def root(data: bytes) -> Table:
    return Table(data, flatbuffers.encode.Get(types.UOffsetTFlags.packer_type, data, 0))


def position(table: Table, slot: int) -> int:
    offset = table.Offset(4 + 2 * slot)
    assert offset, f"field {slot} is missing"
    return table.Pos + offset


def child(table: Table, slot: int) -> Table:
    return Table(table.Bytes, table.Indirect(position(table, slot)))


def children(table: Table, slot: int) -> list[Table]:
    offset = position(table, slot) - table.Pos
    start = table.Vector(offset)
    return [Table(table.Bytes, table.Indirect(start + 4 * i)) for i in range(table.VectorLen(offset))]


def text(table: Table, slot: int) -> str:
    return table.String(position(table, slot)).decode()


def number(table: Table, slot: int, kind) -> int:
    return table.Get(kind, position(table, slot))


def floats(table: Table, slot: int) -> list[float]:
    offset = position(table, slot) - table.Pos
    start = table.Vector(offset)
    return [table.Get(types.Float32Flags, start + 4 * i) for i in range(table.VectorLen(offset))]


@pytest.fixture
def metadata() -> Table:
    data = build_metadata(NETWORK, OUTPUTS)
    assert data[4:8] == b"M001"
    return root(data)


def test_metadata_has_name_and_minimum_parser_version(metadata: Table):
    assert text(metadata, 0) == "TinySSD for fork, knife"
    assert text(metadata, 7) == "1.0.0"


def test_metadata_describes_input_as_rgb_image_of_raw_pixels(metadata: Table):
    (graph,) = children(metadata, 3)
    (image,) = children(graph, 2)
    assert text(image, 0) == "image"
    content = child(image, 3)
    assert number(content, 0, types.Uint8Flags) == 2  # ImageProperties
    properties = child(content, 1)
    assert number(properties, 0, types.Int8Flags) == 1  # RGB
    size = child(properties, 1)
    assert (number(size, 0, types.Uint32Flags), number(size, 1, types.Uint32Flags)) == (96, 64)
    (unit,) = children(image, 4)
    assert number(unit, 0, types.Uint8Flags) == 1  # NormalizationOptions
    assert (floats(child(unit, 1), 0), floats(child(unit, 1), 1)) == ([0], [1])
    assert (floats(child(image, 5), 0), floats(child(image, 5), 1)) == ([255], [0])


def test_metadata_keeps_output_order(metadata: Table):
    (graph,) = children(metadata, 3)
    heads = children(graph, 3)
    assert [text(head, 0) for head in heads] == OUTPUTS
    assert "box offsets" in text(heads[0], 1)
    assert "level 0" in text(heads[1], 1)


def test_metadata_names_appended_files(metadata: Table):
    (graph,) = children(metadata, 3)
    (labels,) = children(graph, 4)
    assert (text(labels, 0), number(labels, 2, types.Int8Flags)) == ("labels.txt", 3)  # TENSOR_VALUE_LABELS
    (description,) = children(metadata, 6)
    assert text(description, 0) == "edge_ssd.json"
