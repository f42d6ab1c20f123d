"""The TFLite metadata by which MediaPipe Tasks and the TFLite Task Library recognise a detector.

They go by what ``TFLITE_METADATA`` says: the outputs are found by their names there, the order of a box's sides by
its properties, and the labels by the file that the tensor of classes refers to.
Sources: ``metadata_schema.fbs`` of TFLite Support; ``detection_postprocessing_graph.cc`` of MediaPipe.
"""

from __future__ import annotations

from typing import Any

import flatbuffers

from converters.tflite.flatbuffer_tables import Tables
from converters.tflite.metadata import MIN_PARSER_VERSION, associated_file, image_tensor
from edge_ssd.network import Network
from edge_ssd.runtime.bundle import ENTRY_LABELS

__all__ = ["postprocess_metadata"]

_FEATURE_PROPERTIES, _BOX_PROPERTIES = 1, 3  # union ContentProperties
_VALUE_LABELS = 3  # AssociatedFileType
_BOUNDARIES = 1  # BoundingBoxType; the coordinates are a share of the picture, CoordinateType's default
_LEFT_TOP_RIGHT_BOTTOM = (1, 0, 3, 2)  # where they are in a box of ymin, xmin, ymax, xmax


def postprocess_metadata(network: Network) -> bytes:
    """For the four outputs of :func:`converters.interop.graph.postprocess_graph`."""
    table = Tables(flatbuffers.Builder(4096))
    outputs = [
        _boxes(table, "ymin, xmin, ymax, xmax of the detected boxes, as shares of the input"),
        _values(table, "category", "class ids, from 0, without background", _VALUE_LABELS),
        _values(table, "score", "probabilities, best first"),
        _values(table, "number of detections", "how many of the places are filled"),
    ]
    names = [table.text(name) for name in ("location", "category", "score")]
    group = table.make(name=(0, table.text("detection_result")), members=(1, table.vector(names)))
    subgraph = table.make(
        name=(0, table.text("TinySSD")),
        inputs=(2, table.vector([image_tensor(table, network)])),
        outputs=(3, table.vector(outputs)),
        groups=(8, table.vector([group])),
    )
    root = table.make(
        name=(0, table.text(f"TinySSD for {', '.join(network.labels)}"[:200])),
        description=(1, table.text("Single-shot object detector")),
        subgraphs=(3, table.vector([subgraph])),
        min_parser_version=(7, table.text(MIN_PARSER_VERSION)),
    )
    return table.finish(root, b"M001")


def _boxes(table: Tables, description: str) -> int:
    order = table.unsigned(_LEFT_TOP_RIGHT_BOTTOM)
    properties = table.make(index=(0, order), kind=(1, _BOUNDARIES, "Int8"))
    return table.make(
        name=(0, table.text("location")),
        description=(1, table.text(description)),
        content=(3, table.make(kind=(0, _BOX_PROPERTIES, "Uint8"), value=(1, properties))),
    )


def _values(table: Tables, name: str, description: str, labels: int | None = None) -> int:
    fields: dict[str, Any] = {
        "name": (0, table.text(name)),
        "description": (1, table.text(description)),
        "content": (3, table.make(kind=(0, _FEATURE_PROPERTIES, "Uint8"), value=(1, table.make()))),
    }
    if labels is not None:
        fields["files"] = (6, table.vector([associated_file(table, ENTRY_LABELS, "class names, one per line", labels)]))
    return table.make(**fields)
