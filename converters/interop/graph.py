"""The end of a detector's graph as other runtimes want it: the boxes decoded and suppressed inside the model.

The network's own operators stay byte for byte what they are in the plain bundle. Behind them every head is made
float, and only then joined with those of the other levels, so that no head's scale is imposed on another. Softmax is
computed in float, since in int8 its output has 256 steps, and scores tie. The rest is the custom operator
``TFLite_Detection_PostProcess``, which every runtime of TFLite models brings along.

Source: ``tensorflow/lite/kernels/detection_postprocess.cc``.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from converters.quantization.inference_model import heads_of
from converters.tflite.graph_editor import GraphEditor
from edge_ssd.boxes import xyxy_to_cxcywh
from edge_ssd.network import Network
from edge_ssd.runtime.bundle import Defaults

__all__ = ["POSTPROCESS_OPERATOR", "POSTPROCESS_SCORE", "anchors_yxhw", "postprocess_graph"]

POSTPROCESS_OPERATOR = "TFLite_Detection_PostProcess"

# The lowest score that the operator looks at. Readers have thresholds of their own, so it is low; and not 0, since
# comparing all anchors with each other takes it as long as the whole network.
POSTPROCESS_SCORE = 0.05

# Ours is x, y, w, h; the operator's is y, x, h, w.
_YXHW = (1, 0, 3, 2)

# The operator shares the classes out among the interpreter's threads, and with T > 1 of them never looks at class T
# (its counter of the next class starts one too far). No number of threads goes wrong with up to two classes.
_CLASSES_AT_ONCE = 2


def anchors_yxhw(network: Network) -> npt.NDArray[np.float32]:
    """The anchors as float32 [A, 4], y and x of the centre, height, width; 0–1 of the input."""
    return np.ascontiguousarray(xyxy_to_cxcywh(network.anchors())[:, _YXHW]).astype(np.float32)


def postprocess_graph(flatbuffer: bytes, network: Network, defaults: Defaults) -> GraphEditor:
    """Four outputs: boxes, classes, scores, count, in this order.

    With D detections at most: boxes [1, D, 4] as ymin, xmin, ymax, xmax in 0–1 of the input, not clipped; classes
    [1, D], 0-based without background; scores [1, D], best first; count [1]. All float32; places behind the count
    have score 0. Boxes of different classes do not suppress each other. In the signature the outputs are called
    output_3 … output_0, as in TensorFlow 2's own models, by which name some readers look for them.

    Args:
        flatbuffer: of a plain bundle of ``network``, of any quantisation.
        defaults: D, and the IoU threshold. The score threshold is not used, see :data:`POSTPROCESS_SCORE`.
    """
    editor = GraphEditor(flatbuffer)
    offsets, probabilities = _joined(editor, network)
    anchors = editor.constant("anchors", anchors_yxhw(network))
    found = []
    for first in range(0, network.num_classes, _CLASSES_AT_ONCE):
        classes = range(first, min(first + _CLASSES_AT_ONCE, network.num_classes))
        scores = editor.take_columns(probabilities, [1 + i for i in classes])
        inputs = [offsets, scores, anchors]
        found.append(
            editor.custom(POSTPROCESS_OPERATOR, inputs, _shapes(defaults), _options(network, defaults, classes))
        )
    outputs = found[0] if len(found) == 1 else _merged(editor, found, defaults.max_detections)
    # The names that TensorFlow 1's converter gave them; some readers tell the order by them.
    for i, tensor in enumerate(outputs):
        editor.rename(tensor, f"{POSTPROCESS_OPERATOR}:{i}" if i else POSTPROCESS_OPERATOR)
    editor.set_outputs(outputs, ("output_3", "output_2", "output_1", "output_0"))
    return editor


def _joined(editor: GraphEditor, network: Network) -> tuple[int, int]:
    """Encoded boxes [1, A, 4] as y, x, h, w, and probabilities [1, A, q + 1] with background first."""
    heads = heads_of(network)
    boxes = [editor.dequantize(editor.output(str(row["output"]))) for row in heads if row["kind"] == "boxes"]
    classes = [editor.output(str(row["output"])) for row in heads if row["kind"] == "classes"]
    offsets = editor.take_columns(_rows(editor, network, boxes, 4), _YXHW)
    return offsets, editor.softmax(_logits(editor, network, classes))


def _logits(editor: GraphEditor, network: Network, heads: Sequence[int]) -> int:
    """Class logits [1, A, q + 1]; of quantised heads, less those of background.

    Two anchors that score the same are told apart by their order, so equal has to stay equal: the whole numbers are
    subtracted, which is exact, and the difference is scaled. The runtime of the plain bundle does the same.
    """
    joined = _rows(editor, network, [editor.cast(head) for head in heads], network.num_classes + 1)
    scales = [editor.scale(head) for head in heads]
    if all(scale is None for scale in scales):
        return joined
    difference = editor.subtract(joined, editor.take_columns(joined, [0]))
    of_rows = [
        np.full(level.num_anchors, 1.0 if scale is None else scale, np.float32)
        for level, scale in zip(network.levels, scales, strict=True)
    ]
    return editor.multiply(difference, editor.constant("scales", np.concatenate(of_rows)[None, :, None]))


def _rows(editor: GraphEditor, network: Network, heads: Sequence[int], columns: int) -> int:
    """Float heads [1, h, w, a·columns] of all levels as [1, A, columns]."""
    rows = [
        editor.reshape(head, (1, level.num_anchors, columns)) for head, level in zip(heads, network.levels, strict=True)
    ]
    return editor.concatenate(rows, axis=1)


def _shapes(defaults: Defaults) -> list[tuple[int, ...]]:
    count = defaults.max_detections
    return [(1, count, 4), (1, count), (1, count), (1,)]


def _options(network: Network, defaults: Defaults, classes: Sequence[int]) -> dict[str, float | bool]:
    return {
        "max_detections": defaults.max_detections,
        "max_classes_per_detection": 1,
        "detections_per_class": defaults.max_detections,
        "use_regular_nms": True,  # class by class; the other kind suppresses across classes
        "nms_score_threshold": POSTPROCESS_SCORE,
        "nms_iou_threshold": defaults.iou_threshold,
        "num_classes": len(classes),
        "y_scale": network.coding.xy_scale,
        "x_scale": network.coding.xy_scale,
        "h_scale": network.coding.wh_scale,
        "w_scale": network.coding.wh_scale,
    }


def _merged(editor: GraphEditor, found: Sequence[Sequence[int]], count: int) -> list[int]:
    """The best ``count`` of what several of the operators found, each for its own classes."""
    boxes, classes, scores, counts = ([outputs[i] for outputs in found] for i in range(4))
    first_classes = np.repeat(np.arange(len(found)) * _CLASSES_AT_ONCE, count).astype(np.float32)
    ids = editor.add(editor.concatenate(classes, axis=1), editor.constant("first_classes", first_classes[None]))
    best, places = editor.top_k(editor.concatenate(scores, axis=1), count)
    total = editor.sum_all(editor.concatenate(counts, axis=0))
    return [
        editor.take_rows(editor.reshape(editor.concatenate(boxes, axis=1), (len(found) * count, 4)), places),
        editor.take_rows(editor.reshape(ids, (len(found) * count,)), places),
        best,
        editor.minimum(total, editor.constant("most", np.array([count], np.float32))),
    ]
