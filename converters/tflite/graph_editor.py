"""Append operators to the graph of a TFLite model: the float operators that decoding of detections needs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from converters.tflite.schema_model import read_model, write_model

__all__ = ["GraphEditor"]

# Source: TFLite's op_version.cc. Version of an operator that accepts an input type; other operators need version 1.
_DEQUANTIZE_VERSIONS = {"UINT8": 1, "INT8": 2, "INT16": 3}
_CAST_VERSIONS = {"UINT8": 1, "INT8": 3, "INT16": 2}


class GraphEditor:
    """Editor of a TFLite model with one subgraph. An ``int`` tensor is its index in the subgraph's list of tensors.

    Methods that append an operator return its output. ``model`` is the ``ModelT`` that :meth:`finish` writes.
    """

    def __init__(self, flatbuffer: bytes) -> None:
        from tensorflow.lite.python import schema_py_generated as schema

        self._schema = schema
        self.model: Any = read_model(flatbuffer)
        (self._graph,) = self.model.subgraphs
        (self._signature,) = self.model.signatureDefs

    def output(self, name: str) -> int:
        """Return the index of the tensor that the signature calls ``name`` in its outputs."""
        (index,) = (int(entry.tensorIndex) for entry in self._signature.outputs if entry.name.decode() == name)
        return index

    def shape(self, tensor: int) -> tuple[int, ...]:
        """Return the shape of the tensor with the index ``tensor``."""
        return tuple(int(size) for size in self._graph.tensors[tensor].shape)

    def constant(self, name: str, values: npt.NDArray[Any]) -> int:
        """Add a constant tensor ``name`` with float32 or int32 ``values``; return its index."""
        buffer = self._schema.BufferT()
        buffer.data = np.ascontiguousarray(values.astype(values.dtype.newbyteorder("<"))).tobytes()
        self.model.buffers.append(buffer)
        kind = {"f": self._schema.TensorType.FLOAT32, "i": self._schema.TensorType.INT32}[values.dtype.kind]
        return self._tensor(name, values.shape, kind, len(self.model.buffers) - 1)

    def scale(self, tensor: int) -> float | None:
        """Return the quantization scale of the tensor with the index ``tensor``; None if it is float32."""
        if self._graph.tensors[tensor].type == self._schema.TensorType.FLOAT32:
            return None
        (scale,) = self._graph.tensors[tensor].quantization.scale
        return float(scale)

    def dequantize(self, tensor: int) -> int:
        """Append a DEQUANTIZE of ``tensor`` to float32; return its output's index, or ``tensor`` if that is float32."""
        if self.scale(tensor) is None:
            return tensor
        return self._float("DEQUANTIZE", tensor, self._schema.DequantizeOptionsT(), _DEQUANTIZE_VERSIONS)

    def cast(self, tensor: int) -> int:
        """Append a CAST of the stored integers to float32; return its index, or ``tensor`` if that is float32."""
        if self.scale(tensor) is None:
            return tensor
        options = self._schema.CastOptionsT()
        options.inDataType = self._graph.tensors[tensor].type  # outDataType 0 is FLOAT32
        return self._float("CAST", tensor, options, _CAST_VERSIONS)

    def reshape(self, tensor: int, shape: Sequence[int]) -> int:
        """Append a RESHAPE to ``shape``, which has the same number of elements; return the output tensor's index."""
        assert math.prod(shape) == math.prod(self.shape(tensor))
        options = self._schema.ReshapeOptionsT()
        options.newShape = list(shape)
        shape_tensor = self.constant(f"shape_{tensor}", np.array(shape, np.int32))
        return self._append("RESHAPE", [tensor, shape_tensor], self._tensor(f"reshaped_{tensor}", shape), options)

    def concatenate(self, tensors: Sequence[int], axis: int) -> int:
        """Append a concatenation of ``tensors`` along ``axis``; return the output tensor's index."""
        options = self._schema.ConcatenationOptionsT()
        options.axis = axis
        shape = list(self.shape(tensors[0]))
        shape[axis] = sum(self.shape(tensor)[axis] for tensor in tensors)
        return self._append("CONCATENATION", list(tensors), self._tensor(f"joined_{tensors[0]}", shape), options)

    def softmax(self, tensor: int) -> int:
        """Append a softmax over the last axis of ``tensor``; return the output tensor's index."""
        options = self._schema.SoftmaxOptionsT()
        options.beta = 1.0
        return self._append("SOFTMAX", [tensor], self._tensor(f"softmax_{tensor}", self.shape(tensor)), options)

    def take_columns(self, tensor: int, columns: Sequence[int]) -> int:
        """Append a GATHER of the positions ``columns`` on the last axis of ``tensor``; return the output's index."""
        options = self._schema.GatherOptionsT()
        shape = self.shape(tensor)
        options.axis = len(shape) - 1
        indices = self.constant(f"columns_{tensor}", np.array(columns, np.int32))
        result = self._tensor(f"taken_{tensor}", (*shape[:-1], len(columns)))
        return self._append("GATHER", [tensor, indices], result, options)

    def take_rows(self, tensor: int, indices: int) -> int:
        """Append a GATHER of rows of ``tensor`` by the int32 tensor ``indices``; return the output tensor's index."""
        result = self._tensor(f"taken_{tensor}", (*self.shape(indices), *self.shape(tensor)[1:]))
        return self._append("GATHER", [tensor, indices], result, self._schema.GatherOptionsT())

    def top_k(self, tensor: int, count: int) -> tuple[int, int]:
        """Append a TOPK_V2 of ``count`` on the last axis; return the tensors of descending values and of positions."""
        shape = (*self.shape(tensor)[:-1], count)
        values = self._tensor(f"top_{tensor}", shape)
        indices = self._tensor(f"places_{tensor}", shape, self._schema.TensorType.INT32)
        count_tensor = self.constant(f"count_{tensor}", np.array(count, np.int32))
        self._operator("TOPK_V2", [tensor, count_tensor], [values, indices], self._schema.TopKV2OptionsT())
        return values, indices

    def subtract(self, left: int, right: int) -> int:
        """Append ``left`` − ``right``; return the output's index. A last axis 1 of ``right`` is broadcast."""
        return self._elementwise("SUB", left, right, self._schema.SubOptionsT())

    def multiply(self, left: int, right: int) -> int:
        """Append the elementwise product, broadcast as in :meth:`subtract`; return the output tensor's index."""
        return self._elementwise("MUL", left, right, self._schema.MulOptionsT())

    def add(self, left: int, right: int) -> int:
        """Append the elementwise sum, broadcast as in :meth:`subtract`; return the output tensor's index."""
        return self._elementwise("ADD", left, right, self._schema.AddOptionsT())

    def minimum(self, left: int, right: int) -> int:
        """Append the elementwise minimum, broadcast as in :meth:`subtract`; return the output tensor's index."""
        return self._elementwise("MINIMUM", left, right, self._schema.MaximumMinimumOptionsT())

    def sum_all(self, tensor: int) -> int:
        """Append the sum over ``tensor`` of shape [n]; return the index of the output, of shape [1]."""
        options = self._schema.ReducerOptionsT()
        options.keepDims = True
        result = self._tensor(f"sum_{tensor}", (1,))
        axis = self.constant(f"axis_{tensor}", np.array([0], np.int32))
        return self._append("SUM", [tensor, axis], result, options)

    def custom(
        self, code: str, inputs: Sequence[int], outputs: Sequence[tuple[int, ...]], options: dict[str, Any]
    ) -> list[int]:
        """Append the custom operator ``code`` with ``options`` and outputs of these shapes; return their indices."""
        from flatbuffers import flexbuffers

        results = [self._tensor(f"{code}_{len(self._graph.tensors)}", shape) for shape in outputs]
        operator = self._operator("CUSTOM", list(inputs), results, None, custom_code=code)
        operator.customOptions = list(flexbuffers.Dumps(options))
        operator.customOptionsFormat = self._schema.CustomOptionsFormat.FLEXBUFFERS
        return results

    def rename(self, tensor: int, name: str) -> None:
        """Change the name of ``tensor`` in the graph to ``name``; names in the signature stay."""
        self._graph.tensors[tensor].name = name

    def set_outputs(self, tensors: Sequence[int], names: Sequence[str]) -> None:
        """Make ``tensors`` the model's outputs, in this order, called ``names`` in the signature."""
        self._graph.outputs = list(tensors)
        self._signature.outputs = []
        # In alphabetical order, as the converter writes them.
        for name, tensor in sorted(zip(names, tensors, strict=True)):
            entry = self._schema.TensorMapT()
            entry.name, entry.tensorIndex = name, tensor
            self._signature.outputs.append(entry)

    def finish(self) -> bytes:
        """Return the flatbuffer of the edited model."""
        return write_model(self.model)

    def _float(self, name: str, tensor: int, options: Any, versions: dict[str, int]) -> int:
        """Add a conversion to float32; ``versions`` maps the type of ``tensor`` to the operator's version."""
        kind = self._graph.tensors[tensor].type
        key = next(key for key, value in vars(self._schema.TensorType).items() if value == kind)
        result = self._tensor(f"float_{tensor}", self.shape(tensor))
        return self._append(name, [tensor], result, options, versions[key])

    def _elementwise(self, name: str, left: int, right: int, options: Any) -> int:
        """Add an elementwise operator; the result has the shape of ``left``."""
        assert self.shape(left)[:-1] == self.shape(right)[:-1]
        assert self.shape(right)[-1] in (1, self.shape(left)[-1])
        return self._append(name, [left, right], self._tensor(f"{name.lower()}_{left}", self.shape(left)), options)

    def _tensor(self, name: str, shape: Sequence[int], kind: int = 0, buffer: int = 0) -> int:
        """Add a tensor; by default float32 (type 0) and without constant data (buffer 0)."""
        tensor = self._schema.TensorT()
        tensor.shape, tensor.type, tensor.buffer, tensor.name = list(shape), kind, buffer, name
        tensor.hasRank = True
        self._graph.tensors.append(tensor)
        return len(self._graph.tensors) - 1

    def _append(self, name: str, inputs: list[int], result: int, options: Any, version: int = 1) -> int:
        """Add an operator whose only output is the tensor ``result``, and return it."""
        self._operator(name, inputs, [result], options, version)
        return result

    def _operator(
        self,
        name: str,
        inputs: list[int],
        outputs: list[int],
        options: Any,
        version: int = 1,
        custom_code: str | None = None,
    ) -> Any:
        """Add an operator on tensors by index and return it; ``name`` is that of the BuiltinOperator."""
        operator = self._schema.OperatorT()
        operator.opcodeIndex = self._code(getattr(self._schema.BuiltinOperator, name), version, custom_code)
        operator.inputs, operator.outputs = inputs, outputs
        if options is not None:
            operator.builtinOptions = options
            kind = type(options).__name__.removesuffix("T")
            operator.builtinOptionsType = getattr(self._schema.BuiltinOptions, kind)
        self._graph.operators.append(operator)
        return operator

    def _code(self, builtin: int, version: int, custom_code: str | None) -> int:
        """Return the index of an operator code, which is added if the model lacks it."""
        key = (builtin, version, custom_code)
        for i, code in enumerate(self.model.operatorCodes):
            custom = code.customCode.decode() if isinstance(code.customCode, bytes) else code.customCode
            if (max(code.builtinCode, code.deprecatedBuiltinCode), code.version, custom) == key:
                return i
        code = self._schema.OperatorCodeT()
        # Both fields, as the converter does: older runtimes read only the deprecated one. All codes are below 127.
        code.builtinCode = code.deprecatedBuiltinCode = builtin
        code.version, code.customCode = version, custom_code
        self.model.operatorCodes.append(code)
        return len(self.model.operatorCodes) - 1
