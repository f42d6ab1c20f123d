"""TFLite's C++ operator ``TFLite_Detection_PostProcess`` alone in a model, to compare with the NumPy postprocessing.

The operator takes box encodings and anchors in the order y, x, h, w, and scores after softmax. Their preparation is not
timed, only ``invoke``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from edge_ssd.boxes import xyxy_to_cxcywh
from edge_ssd.network import Network

__all__ = ["CppOperator"]


class CppOperator:
    """The operator on one thread: :meth:`set_inputs`, then :meth:`invoke`, then :meth:`detections`."""

    def __init__(self, network: Network, score_threshold: float, iou_threshold: float, max_detections: int) -> None:
        from ai_edge_litert.interpreter import Interpreter

        content = _model(network, score_threshold, iou_threshold, max_detections)
        self._native = Interpreter(model_content=content, num_threads=1)
        self._native.allocate_tensors()
        self._boxes, self._scores = (details["index"] for details in self._native.get_input_details())
        self._outputs = [details["index"] for details in self._native.get_output_details()]
        self.invoke = self._native.invoke

    def set_inputs(self, offsets: np.ndarray, probabilities: np.ndarray) -> None:
        """Set offsets, float32 [A, 4] in x, y, w, h, and probabilities, float32 [A, classes + 1], background first."""
        self._native.set_tensor(self._boxes, np.ascontiguousarray(offsets[None, :, [1, 0, 3, 2]]))
        self._native.set_tensor(self._scores, np.ascontiguousarray(probabilities[None]))

    def detections(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return boxes xyxy [K, 4], class ids [K] and scores [K] of the last run."""
        boxes, classes, scores, count = (self._native.get_tensor(index)[0] for index in self._outputs)
        number = int(count)
        return boxes[:number][:, [1, 0, 3, 2]], classes[:number].astype(int), scores[:number]


def _model(network: Network, score_threshold: float, iou_threshold: float, max_detections: int) -> bytes:
    """Return a flatbuffer with the operator; regular (per-class) NMS for more than one class."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema
    from flatbuffers import flexbuffers

    options: dict[str, Any] = {
        "max_detections": max_detections,
        "max_classes_per_detection": 1,
        "detections_per_class": max_detections,
        "use_regular_nms": network.num_classes > 1,
        "nms_score_threshold": score_threshold,
        "nms_iou_threshold": iou_threshold,
        "num_classes": network.num_classes,
        "y_scale": network.coding.xy_scale,
        "x_scale": network.coding.xy_scale,
        "h_scale": network.coding.wh_scale,
        "w_scale": network.coding.wh_scale,
    }
    builder = flexbuffers.Builder()
    with builder.Map():
        for name, value in options.items():
            builder.Key(name)
            {bool: builder.Bool, int: builder.Int, float: builder.Float}[type(value)](value)
    number = network.num_anchors
    anchors = xyxy_to_cxcywh(network.anchors())[:, [1, 0, 3, 2]]
    shapes = {
        "boxes": [1, number, 4],
        "scores": [1, number, network.num_classes + 1],
        "anchors": [number, 4],
        "detected boxes": [1, max_detections, 4],
        "detected classes": [1, max_detections],
        "detected scores": [1, max_detections],
        "count": [1],
    }
    model = schema.ModelT()
    model.version, model.description = 3, b"one operator"
    model.buffers = [schema.BufferT(), schema.BufferT()]
    model.buffers[1].data = np.frombuffer(anchors.astype("<f4").tobytes(), np.uint8)
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.CUSTOM
    code.customCode = b"TFLite_Detection_PostProcess"
    code.version = 1
    model.operatorCodes = [code]
    graph = schema.SubGraphT()
    graph.tensors = []
    for name, shape in shapes.items():
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.type = name.encode(), shape, schema.TensorType.FLOAT32
        tensor.buffer = 1 if name == "anchors" else 0
        graph.tensors.append(tensor)
    operator = schema.OperatorT()
    operator.inputs, operator.outputs = [0, 1, 2], [3, 4, 5, 6]
    operator.customOptions = np.frombuffer(bytes(builder.Finish()), np.uint8)
    graph.inputs, graph.outputs, graph.operators = [0, 1], [3, 4, 5, 6], [operator]
    model.subgraphs = [graph]
    writer = flatbuffers.Builder(1 << 20)
    writer.Finish(model.Pack(writer), b"TFL3")
    return bytes(writer.Output())
