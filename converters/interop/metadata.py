"""TFLite metadata with which MediaPipe Tasks and the TFLite Task Library recognize a detector.

They look in ``TFLITE_METADATA`` for the outputs by name, for the order of box coordinates in the properties of the box
tensor, and for the labels in the file that the class tensor refers to.
Sources: ``metadata_schema.fbs`` of TFLite Support; ``detection_postprocessing_graph.cc`` of MediaPipe.
"""

from __future__ import annotations

from typing import Any

from converters.tflite.metadata import MIN_PARSER_VERSION, add_feature_content, add_image_tensor, add_label_file
from converters.tflite.raw_tables import TableWriter
from edge_ssd.network import Network

__all__ = ["postprocess_metadata"]

_BOX_PROPERTIES = 3  # union ContentProperties
_BOUNDARIES = 1  # BoundingBoxType; CoordinateType's default is a ratio of the image size
_XYXY_INDICES = (1, 0, 3, 2)  # positions of left, top, right, bottom in ymin, xmin, ymax, xmax


def postprocess_metadata(network: Network) -> bytes:
    """Return TFLite metadata for the input and the outputs of :func:`converters.interop.graph.postprocess_graph`."""
    writer = TableWriter()
    outputs = [
        _add_boxes(writer, "ymin, xmin, ymax, xmax of the detected boxes, as shares of the input"),
        _add_values(writer, "category", "class ids, from 0, without background", with_labels=True),
        _add_values(writer, "score", "probabilities, best first"),
        _add_values(writer, "number of detections", "how many of the places are filled"),
    ]
    names = [writer.text(name) for name in ("location", "category", "score")]
    group = writer.table(name=(0, writer.text("detection_result")), members=(1, writer.vector(names)))
    subgraph = writer.table(
        name=(0, writer.text("TinySSD")),
        inputs=(2, writer.vector([add_image_tensor(writer, network)])),
        outputs=(3, writer.vector(outputs)),
        groups=(8, writer.vector([group])),
    )
    root = writer.table(
        name=(0, writer.text(f"TinySSD for {', '.join(network.labels)}"[:200])),
        description=(1, writer.text("Single-shot object detector")),
        subgraphs=(3, writer.vector([subgraph])),
        min_parser_version=(7, writer.text(MIN_PARSER_VERSION)),
    )
    return writer.finish(root, b"M001")


def _add_boxes(writer: TableWriter, description: str) -> int:
    order = writer.vector(_XYXY_INDICES, "Uint32")
    properties = writer.table(index=(0, order), kind=(1, _BOUNDARIES, "Int8"))
    return writer.table(
        name=(0, writer.text("location")),
        description=(1, writer.text(description)),
        content=(3, writer.table(kind=(0, _BOX_PROPERTIES, "Uint8"), value=(1, properties))),
    )


def _add_values(writer: TableWriter, name: str, description: str, with_labels: bool = False) -> int:
    fields: dict[str, Any] = {
        "name": (0, writer.text(name)),
        "description": (1, writer.text(description)),
        "content": (3, add_feature_content(writer)),
    }
    if with_labels:
        fields["files"] = (6, writer.vector([add_label_file(writer)]))
    return writer.table(**fields)
