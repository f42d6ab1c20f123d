"""Graph of a profile: a detector's graph with box decoding and NMS appended for other runtimes.

The network's operators are those of the bundle. Each head is converted to float before the levels are concatenated, so
that every head keeps its own scale. Softmax is computed in float, because int8 has 256 steps and scores would tie. The
custom operator ``TFLite_Detection_PostProcess``, which every TFLite runtime registers, decodes and suppresses.

Source: ``tensorflow/lite/kernels/detection_postprocess.cc``.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from converters.quantization.inference_model import describe_heads
from converters.tflite.graph_editor import GraphEditor
from edge_ssd.boxes import xyxy_to_cxcywh
from edge_ssd.network import Network
from edge_ssd.runtime.bundle import Defaults

__all__ = ["POSTPROCESS_OPERATOR", "POSTPROCESS_SCORE", "anchors_yxhw", "postprocess_graph"]

POSTPROCESS_OPERATOR = "TFLite_Detection_PostProcess"

POSTPROCESS_SCORE = 0.05
"""Minimum score of the operator. It is low because readers have their own thresholds, and above 0 because NMS of all
anchors takes as long as the network."""

_YXHW = (1, 0, 3, 2)  # positions of y, x, h, w in x, y, w, h

# The operator distributes the classes over the interpreter's threads, and with T > 1 threads it skips class T (its
# counter of the next class starts one too high). With at most two classes no number of threads triggers this bug.
_CLASSES_PER_OPERATOR = 2


def anchors_yxhw(network: Network) -> npt.NDArray[np.float32]:
    """Return the A anchors of ``network``, float32 [A, 4]: center y, center x, height, width, 0–1 of the input."""
    return np.ascontiguousarray(xyxy_to_cxcywh(network.anchors())[:, _YXHW]).astype(np.float32)


def postprocess_graph(flatbuffer: bytes, network: Network, defaults: Defaults) -> GraphEditor:
    """Return a bundle's ``flatbuffer`` as a graph with four outputs: boxes, classes, scores and count, in this order.

    With at most D detections: boxes [1, D, 4] as ymin, xmin, ymax, xmax in 0–1 of the input, not clipped; classes
    [1, D], 0-based without background; scores [1, D], best first; count [1]. All are float32; entries beyond the count
    have score 0. Boxes of different classes do not suppress each other. In the signature the outputs are output_3 …
    output_0, the names of TensorFlow 2's detection models, which some readers expect.

    D and the IoU threshold are those of ``defaults``; its score threshold is not used, see :data:`POSTPROCESS_SCORE`.
    """
    editor = GraphEditor(flatbuffer)
    offsets, probabilities = _concatenated_heads(editor, network)
    anchors = editor.constant("anchors", anchors_yxhw(network))
    count, results = defaults.max_detections, []
    shapes = [(1, count, 4), (1, count), (1, count), (1,)]
    for first in range(0, network.num_classes, _CLASSES_PER_OPERATOR):
        classes = range(first, min(first + _CLASSES_PER_OPERATOR, network.num_classes))
        scores = editor.take_columns(probabilities, [1 + i for i in classes])
        inputs = [offsets, scores, anchors]
        options = _options(network, defaults, classes)
        results.append(editor.custom(POSTPROCESS_OPERATOR, inputs, shapes, options))
    outputs = results[0] if len(results) == 1 else _merge(editor, results, count)
    # Names from TensorFlow 1's converter; some readers identify the outputs by them.
    for i, tensor in enumerate(outputs):
        editor.rename(tensor, f"{POSTPROCESS_OPERATOR}:{i}" if i else POSTPROCESS_OPERATOR)
    editor.set_outputs(outputs, ("output_3", "output_2", "output_1", "output_0"))
    return editor


def _concatenated_heads(editor: GraphEditor, network: Network) -> tuple[int, int]:
    """Return encoded boxes [1, A, 4] as y, x, h, w, and probabilities [1, A, q + 1] with background first."""
    heads = describe_heads(network)
    boxes = [editor.dequantize(editor.output(str(row["output"]))) for row in heads if row["kind"] == "boxes"]
    classes = [editor.output(str(row["output"])) for row in heads if row["kind"] == "classes"]
    offsets = editor.take_columns(_rows(editor, network, boxes, 4), _YXHW)
    return offsets, editor.softmax(_logits(editor, network, classes))


def _logits(editor: GraphEditor, network: Network, heads: Sequence[int]) -> int:
    """Return class logits [1, A, q + 1]; those of quantized heads relative to background.

    Equal scores must stay equal, because the order of the anchors then decides: the stored integers are subtracted,
    which is exact, and the difference is scaled. Edge SSD's runtime does the same.
    """
    joined = _rows(editor, network, [editor.cast(head) for head in heads], network.num_classes + 1)
    scales = [editor.scale(head) for head in heads]
    if all(scale is None for scale in scales):
        return joined
    difference = editor.subtract(joined, editor.take_columns(joined, [0]))
    row_scales = [
        np.full(level.num_anchors, 1.0 if scale is None else scale, np.float32)
        for level, scale in zip(network.levels, scales, strict=True)
    ]
    return editor.multiply(difference, editor.constant("scales", np.concatenate(row_scales)[None, :, None]))


def _rows(editor: GraphEditor, network: Network, heads: Sequence[int], columns: int) -> int:
    """Concatenate float heads [1, h, w, a·columns] of all levels to [1, A, columns]."""
    rows = [
        editor.reshape(head, (1, level.num_anchors, columns)) for head, level in zip(heads, network.levels, strict=True)
    ]
    return editor.concatenate(rows, axis=1)


def _options(network: Network, defaults: Defaults, classes: Sequence[int]) -> dict[str, float | bool]:
    return {
        "max_detections": defaults.max_detections,
        "max_classes_per_detection": 1,
        "detections_per_class": defaults.max_detections,
        "use_regular_nms": True,  # per class; fast NMS suppresses across classes
        "nms_score_threshold": POSTPROCESS_SCORE,
        "nms_iou_threshold": defaults.iou_threshold,
        "num_classes": len(classes),
        "y_scale": network.coding.xy_scale,
        "x_scale": network.coding.xy_scale,
        "h_scale": network.coding.wh_scale,
        "w_scale": network.coding.wh_scale,
    }


def _merge(editor: GraphEditor, results: Sequence[Sequence[int]], count: int) -> list[int]:
    """Return the best ``count`` detections of several operators, each of which has its own classes."""
    boxes, classes, scores, counts = ([outputs[i] for outputs in results] for i in range(4))
    first_classes = np.repeat(np.arange(len(results)) * _CLASSES_PER_OPERATOR, count).astype(np.float32)
    ids = editor.add(editor.concatenate(classes, axis=1), editor.constant("first_classes", first_classes[None]))
    best, indices = editor.top_k(editor.concatenate(scores, axis=1), count)
    total = editor.sum_all(editor.concatenate(counts, axis=0))
    return [
        editor.take_rows(editor.reshape(editor.concatenate(boxes, axis=1), (len(results) * count, 4)), indices),
        editor.take_rows(editor.reshape(ids, (len(results) * count,)), indices),
        best,
        editor.minimum(total, editor.constant("most", np.array([count], np.float32))),
    ]
