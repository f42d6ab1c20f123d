"""The standard TFLite metadata: what any tool can read about the file without knowing Edge SSD.

A flatbuffer of its own (schema ``metadata_schema.fbs``, identifier ``M001``) in the model's metadata entry
``TFLITE_METADATA``: name, input (RGB picture, size, normalisation), outputs in the file's order, and the files that
are appended as a ZIP. See https://ai.google.dev/edge/litert/models/metadata. The schema's generated classes are in
no package that is maintained and small, so the few tables are built slot by slot; the numbers are the fields'
positions in the schema.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import flatbuffers

from edge_ssd.network import Network

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["METADATA_NAME", "build_metadata", "with_metadata"]

METADATA_NAME = "TFLITE_METADATA"

_RGB = 1  # ColorSpaceType
_FEATURE_PROPERTIES, _IMAGE_PROPERTIES = 1, 2  # union ContentProperties
_NORMALIZATION_OPTIONS = 1  # union ProcessUnitOptions
_DESCRIPTIONS, _TENSOR_VALUE_LABELS = 1, 3  # AssociatedFileType

# The oldest parser that knows every field used here.
_MIN_PARSER_VERSION = "1.0.0"

# schema.fbs: a Buffer's data is force_align: 16, which Python's generated classes leave out. Kernels that load
# whole vectors rely on it.
_BUFFER_ALIGNMENT = 16


def with_metadata(flatbuffer: bytes, network: Network) -> bytes:
    """``flatbuffer`` (a TFLite model with a signature) with the metadata of ``network`` added."""
    from tensorflow.lite.python import schema_py_generated as schema

    class AlignedBuffer(schema.BufferT):
        def Pack(self, builder: Any) -> Any:
            data = None
            if self.data is not None:
                content = bytes(self.data)
                builder.Prep(_BUFFER_ALIGNMENT, len(content))
                data = builder.CreateByteVector(content)
            schema.BufferStart(builder)
            if data is not None:
                schema.BufferAddData(builder, data)
            return schema.BufferEnd(builder)

    def aligned(data: Any) -> AlignedBuffer:
        buffer = AlignedBuffer()
        buffer.data = data
        return buffer

    model = schema.ModelT.InitFromPackedBuf(bytearray(flatbuffer), 0)
    outputs = _output_names(model)
    model.buffers = [aligned(buffer.data) for buffer in model.buffers]
    model.buffers.append(aligned(build_metadata(network, outputs)))
    entry = schema.MetadataT()
    entry.name, entry.buffer = METADATA_NAME, len(model.buffers) - 1
    model.metadata = [*(model.metadata or []), entry]
    builder = flatbuffers.Builder(len(flatbuffer) + 4096)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def build_metadata(network: Network, outputs: Sequence[str]) -> bytes:
    """The metadata flatbuffer for a model with these output names, in the order of its output tensors."""
    builder = flatbuffers.Builder(2048)
    table = _Tables(builder)
    title = f"TinySSD for {', '.join(network.labels)}"
    image = table.make(
        name=(0, table.text("image")),
        description=(1, table.text("RGB picture, pixels 0-255; the scaling is inside the network")),
        content=(3, table.make(kind=(0, _IMAGE_PROPERTIES, "Uint8"), value=(1, _image_properties(table, network)))),
        # The file takes pixels as they are, whatever the network does with them.
        process_units=(4, table.vector([_identity(table)])),
        stats=(5, table.make(max=(0, table.floats([255.0])), min=(1, table.floats([0.0])))),
    )
    heads = [
        table.make(
            name=(0, table.text(name)),
            description=(1, table.text(_describe(name))),
            content=(3, table.make(kind=(0, _FEATURE_PROPERTIES, "Uint8"), value=(1, table.make()))),
        )
        for name in outputs
    ]
    subgraph = table.make(
        name=(0, table.text("TinySSD")),
        inputs=(2, table.vector([image])),
        outputs=(3, table.vector(heads)),
        files=(4, table.vector([_file(table, "labels.txt", "class names, one per line", _TENSOR_VALUE_LABELS)])),
    )
    root = table.make(
        name=(0, table.text(title[:200])),
        description=(1, table.text("Single-shot detector; edge_ssd.json in the appended ZIP says how to decode it")),
        subgraphs=(3, table.vector([subgraph])),
        files=(6, table.vector([_file(table, "edge_ssd.json", "how to decode the outputs", _DESCRIPTIONS)])),
        min_parser_version=(7, table.text(_MIN_PARSER_VERSION)),
    )
    builder.Finish(root, b"M001")
    return bytes(builder.Output())


class _Tables:
    """Flatbuffer tables by slot number; everything a table refers to is made before it."""

    def __init__(self, builder: Any) -> None:
        self._builder = builder

    def make(self, **fields: tuple[int, int] | tuple[int, int, str]) -> int:
        """A table with ``name=(slot, reference)`` or ``name=(slot, number, number type)``."""
        self._builder.StartObject(1 + max((field[0] for field in fields.values()), default=-1))
        for field in fields.values():
            if len(field) == 2:
                self._builder.PrependUOffsetTRelativeSlot(field[0], field[1], 0)
            else:
                getattr(self._builder, f"Prepend{field[2]}Slot")(field[0], field[1], 0)
        reference: int = self._builder.EndObject()
        return reference

    def text(self, value: str) -> int:
        reference: int = self._builder.CreateString(value)
        return reference

    def vector(self, references: Sequence[int]) -> int:
        self._builder.StartVector(4, len(references), 4)
        for item in reversed(references):
            self._builder.PrependUOffsetTRelative(item)
        reference: int = self._builder.EndVector()
        return reference

    def floats(self, values: Sequence[float]) -> int:
        self._builder.StartVector(4, len(values), 4)
        for value in reversed(values):
            self._builder.PrependFloat32(value)
        reference: int = self._builder.EndVector()
        return reference


def _image_properties(table: _Tables, network: Network) -> int:
    height, width = network.input.size
    size = table.make(width=(0, width, "Uint32"), height=(1, height, "Uint32"))
    return table.make(color_space=(0, _RGB, "Int8"), default_size=(1, size))


def _identity(table: _Tables) -> int:
    options = table.make(mean=(0, table.floats([0.0])), std=(1, table.floats([1.0])))
    return table.make(kind=(0, _NORMALIZATION_OPTIONS, "Uint8"), options=(1, options))


def _file(table: _Tables, name: str, description: str, kind: int) -> int:
    return table.make(name=(0, table.text(name)), description=(1, table.text(description)), kind=(2, kind, "Int8"))


def _describe(output: str) -> str:
    kind, _, level = output.partition("_")
    what = "class logits, background first" if kind == "classes" else "box offsets"
    return f"{what}, of level {level}; per cell: anchors, then values"


def _output_names(model: Any) -> list[str]:
    """The signature's names of the outputs, in the order of the graph's output tensors."""
    by_tensor: Mapping[int, str] = {
        output.tensorIndex: output.name.decode() for output in model.signatureDefs[0].outputs
    }
    return [by_tensor[int(index)] for index in model.subgraphs[0].outputs]
