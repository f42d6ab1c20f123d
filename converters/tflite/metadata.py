"""Standard TFLite metadata, which any TFLite tool can read.

A flatbuffer (schema ``metadata_schema.fbs``, identifier ``M001``) in the model's metadata entry ``TFLITE_METADATA``:
name, input (RGB image, size, normalization), outputs in the order of the output tensors, and the files in the appended
ZIP. See https://ai.google.dev/edge/litert/models/metadata. The numbers in the calls below are field numbers of the
schema.
"""

from __future__ import annotations

from collections.abc import Sequence

from converters.tflite.raw_tables import TableWriter
from converters.tflite.schema_model import read_model, set_metadata, write_model
from edge_ssd.network import Network
from edge_ssd.runtime.bundle import ENTRY_LABELS, ENTRY_METADATA

__all__ = [
    "METADATA_NAME",
    "MIN_PARSER_VERSION",
    "add_feature_content",
    "add_image_tensor",
    "add_label_file",
    "build_metadata",
    "with_metadata",
]

METADATA_NAME = "TFLITE_METADATA"

MIN_PARSER_VERSION = "1.0.0"
"""The oldest metadata parser that supports every field used here."""

_DESCRIPTIONS, _TENSOR_VALUE_LABELS = 1, 3  # AssociatedFileType
_RGB = 1  # ColorSpaceType
_FEATURE_PROPERTIES, _IMAGE_PROPERTIES = 1, 2  # union ContentProperties
_NORMALIZATION_OPTIONS = 1  # union ProcessUnitOptions


def with_metadata(flatbuffer: bytes, network: Network) -> bytes:
    """Return ``flatbuffer`` (a TFLite model with a signature) with the metadata of ``network`` added."""
    model = read_model(flatbuffer)
    names = {output.tensorIndex: output.name.decode() for output in model.signatureDefs[0].outputs}
    outputs = [names[index] for index in model.subgraphs[0].outputs]
    set_metadata(model, METADATA_NAME, build_metadata(network, outputs))
    return write_model(model)


def build_metadata(network: Network, outputs: Sequence[str]) -> bytes:
    """Return the metadata flatbuffer of a model with the output names ``outputs``, in output-tensor order."""
    writer = TableWriter()
    heads = [
        writer.table(
            name=(0, writer.text(name)),
            description=(1, writer.text(_describe(name))),
            content=(3, add_feature_content(writer)),
        )
        for name in outputs
    ]
    subgraph = writer.table(
        name=(0, writer.text("TinySSD")),
        inputs=(2, writer.vector([add_image_tensor(writer, network)])),
        outputs=(3, writer.vector(heads)),
        files=(4, writer.vector([add_label_file(writer)])),
    )
    root = writer.table(
        name=(0, writer.text(f"TinySSD for {', '.join(network.labels)}"[:200])),
        description=(1, writer.text("Single-shot detector; edge_ssd.json in the appended ZIP says how to decode it")),
        subgraphs=(3, writer.vector([subgraph])),
        files=(6, writer.vector([_add_file(writer, ENTRY_METADATA, "how to decode the outputs", _DESCRIPTIONS)])),
        min_parser_version=(7, writer.text(MIN_PARSER_VERSION)),
    )
    return writer.finish(root, b"M001")


def add_feature_content(writer: TableWriter) -> int:
    """Add the table Content of an output tensor that is no image; return its reference for ``writer``."""
    return writer.table(kind=(0, _FEATURE_PROPERTIES, "Uint8"), value=(1, writer.table()))


def add_image_tensor(writer: TableWriter, network: Network) -> int:
    """Add the table TensorMetadata of the input, an RGB image of raw pixels; return its reference for ``writer``."""
    name = writer.text("image")
    description = writer.text("RGB picture, pixels 0-255; the scaling is inside the network")
    height, width = network.input.size
    size = writer.table(width=(0, width, "Uint32"), height=(1, height, "Uint32"))
    properties = writer.table(color_space=(0, _RGB, "Int8"), default_size=(1, size))
    content = writer.table(kind=(0, _IMAGE_PROPERTIES, "Uint8"), value=(1, properties))
    identity = writer.table(mean=(0, writer.vector([0.0], "Float32")), std=(1, writer.vector([1.0], "Float32")))
    unit = writer.table(kind=(0, _NORMALIZATION_OPTIONS, "Uint8"), options=(1, identity))
    return writer.table(
        name=(0, name),
        description=(1, description),
        content=(3, content),
        process_units=(4, writer.vector([unit])),
        stats=(5, writer.table(max=(0, writer.vector([255.0], "Float32")), min=(1, writer.vector([0.0], "Float32")))),
    )


def add_label_file(writer: TableWriter) -> int:
    """Add the table AssociatedFile of the file of labels, for a tensor of class ids; return its reference."""
    return _add_file(writer, ENTRY_LABELS, "class names, one per line", _TENSOR_VALUE_LABELS)


def _add_file(writer: TableWriter, name: str, description: str, kind: int) -> int:
    """Add an AssociatedFile, which is an entry of the appended ZIP; ``kind`` is an AssociatedFileType."""
    return writer.table(name=(0, writer.text(name)), description=(1, writer.text(description)), kind=(2, kind, "Int8"))


def _describe(output: str) -> str:
    kind, _, level = output.partition("_")
    what = "class logits, background first" if kind == "classes" else "box offsets"
    return f"{what}, of level {level}; per cell: anchors, then values"
