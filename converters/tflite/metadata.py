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

from converters.tflite.flatbuffer_model import read_model, set_metadata, write_model
from converters.tflite.flatbuffer_tables import Tables
from edge_ssd.network import Network

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["METADATA_NAME", "MIN_PARSER_VERSION", "associated_file", "build_metadata", "image_tensor", "with_metadata"]

METADATA_NAME = "TFLITE_METADATA"

_RGB = 1  # ColorSpaceType
_FEATURE_PROPERTIES, _IMAGE_PROPERTIES = 1, 2  # union ContentProperties
_NORMALIZATION_OPTIONS = 1  # union ProcessUnitOptions
_DESCRIPTIONS, _TENSOR_VALUE_LABELS = 1, 3  # AssociatedFileType

# The oldest parser that knows every field used here.
MIN_PARSER_VERSION = "1.0.0"


def with_metadata(flatbuffer: bytes, network: Network) -> bytes:
    """``flatbuffer`` (a TFLite model with a signature) with the metadata of ``network`` added."""
    model = read_model(flatbuffer)
    set_metadata(model, METADATA_NAME, build_metadata(network, _output_names(model)))
    return write_model(model)


def build_metadata(network: Network, outputs: Sequence[str]) -> bytes:
    """The metadata flatbuffer for a model with these output names, in the order of its output tensors."""
    table = Tables(flatbuffers.Builder(2048))
    title = f"TinySSD for {', '.join(network.labels)}"
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
        inputs=(2, table.vector([image_tensor(table, network)])),
        outputs=(3, table.vector(heads)),
        files=(
            4,
            table.vector([associated_file(table, "labels.txt", "class names, one per line", _TENSOR_VALUE_LABELS)]),
        ),
    )
    root = table.make(
        name=(0, table.text(title[:200])),
        description=(1, table.text("Single-shot detector; edge_ssd.json in the appended ZIP says how to decode it")),
        subgraphs=(3, table.vector([subgraph])),
        files=(6, table.vector([associated_file(table, "edge_ssd.json", "how to decode the outputs", _DESCRIPTIONS)])),
        min_parser_version=(7, table.text(MIN_PARSER_VERSION)),
    )
    return table.finish(root, b"M001")


def image_tensor(table: Tables, network: Network) -> int:
    """TensorMetadata of the input: an RGB picture; the file takes its pixels as they are, whatever the network does."""
    return table.make(
        name=(0, table.text("image")),
        description=(1, table.text("RGB picture, pixels 0-255; the scaling is inside the network")),
        content=(3, table.make(kind=(0, _IMAGE_PROPERTIES, "Uint8"), value=(1, _image_properties(table, network)))),
        process_units=(4, table.vector([_identity(table)])),
        stats=(5, table.make(max=(0, table.floats([255.0])), min=(1, table.floats([0.0])))),
    )


def associated_file(table: Tables, name: str, description: str, kind: int) -> int:
    """AssociatedFile: one in the appended ZIP; ``kind`` is an AssociatedFileType."""
    return table.make(name=(0, table.text(name)), description=(1, table.text(description)), kind=(2, kind, "Int8"))


def _image_properties(table: Tables, network: Network) -> int:
    height, width = network.input.size
    size = table.make(width=(0, width, "Uint32"), height=(1, height, "Uint32"))
    return table.make(color_space=(0, _RGB, "Int8"), default_size=(1, size))


def _identity(table: Tables) -> int:
    options = table.make(mean=(0, table.floats([0.0])), std=(1, table.floats([1.0])))
    return table.make(kind=(0, _NORMALIZATION_OPTIONS, "Uint8"), options=(1, options))


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
