"""Mixed quantisation: int8, but for chosen layers that stay float or get int16 activations.

By the package ai-edge-quantizer, from the float flatbuffer. Its recipes choose operators by the names of their output
tensors, so these are first given the names of :mod:`converters.quantization.layers`. Ranges are the lowest and
highest value that
the calibration pictures give, as in the other schemes; the package's own default, a moving average, cuts peaks off.
"""

from __future__ import annotations

import contextlib
import io
import re
import warnings
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from converters.quantization.inference_model import INPUT_NAME
from converters.quantization.layers import layer_names
from converters.tflite.schema_model import read_model, write_model
from edge_ssd.network import Network

__all__ = ["KeepType", "mixed_int8"]

KeepType = Literal["float", "int16"]

_SIGNATURE = "serving_default"


def mixed_int8(
    flatbuffer: bytes, network: Network, images: npt.NDArray[np.uint8], keep: Sequence[str], keep_type: KeepType
) -> bytes:
    """Quantise ``flatbuffer``, a float model whose input is float pixels 0–255.

    Args:
        images: uint8 [N, height, width, 3] to take ranges from.
        keep: names of layers, see :func:`~converters.quantization.layers.layer_names`.
        keep_type: what those are computed in; a kept head's output is of that type too.

    The result takes uint8 pixels as they are. Raises ModuleNotFoundError where the package is not installed.
    """
    from ai_edge_quantizer import calibrator, qtyping, quantizer
    from ai_edge_quantizer.algorithm_manager import AlgorithmName
    from ai_edge_quantizer.utils import qsv_utils

    operation = qtyping.TFLOperationName
    named = _with_layer_names(flatbuffer, network)
    job = quantizer.Quantizer(bytearray(named))
    job.add_static_config(".*", operation.ALL_SUPPORTED, activation_num_bits=8, weight_num_bits=8)
    job.update_quantization_recipe(f"^{INPUT_NAME};", operation.INPUT, _uint8(qtyping))
    # The package knows one type for all outputs. Float leaves them as their layers give them, with a DEQUANTIZE behind
    # those that are not float, which can be taken off again.
    job.update_quantization_recipe(".*", operation.OUTPUT, algorithm_key=AlgorithmName.NO_QUANTIZE)
    for name in keep:
        if keep_type == "float":
            job.update_quantization_recipe(_exactly(name), operation.CONV_2D, algorithm_key=AlgorithmName.NO_QUANTIZE)
        else:
            job.add_static_config(_exactly(name), operation.CONV_2D, activation_num_bits=16, weight_num_bits=8)
    pictures = [{INPUT_NAME: image[None].astype(np.float32)} for image in images]
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        # That keeping all tensors costs memory: so it does, for a minute.
        warnings.filterwarnings("ignore", message=".*experimental_preserve_all_tensors")
        ranges = calibrator.Calibrator(bytearray(named), num_threads=1, qsv_update_func=qsv_utils.min_max_update)
        ranges.calibrate({_SIGNATURE: pictures}, job._recipe_manager)
        quantized = bytes(job.quantize(ranges.get_model_qsvs()).quantized_model)
    return _without_last_dequantize(quantized)


def _exactly(name: str) -> str:
    # An operator's name is those of its outputs, each closed by a semicolon.
    return f"^{re.escape(name)};"


def _uint8(qtyping: Any) -> Any:
    """Pixels come in as they are; the weights' part is what the package expects beside it."""
    return qtyping.OpQuantizationConfig(
        activation_tensor_config=qtyping.TensorQuantizationConfig(
            num_bits=8, symmetric=False, dtype=qtyping.TensorDataType.UINT
        ),
        weight_tensor_config=qtyping.TensorQuantizationConfig(
            num_bits=8, symmetric=True, granularity=qtyping.QuantGranularity.CHANNELWISE
        ),
        compute_precision=qtyping.ComputePrecision.INTEGER,
    )


def _with_layer_names(flatbuffer: bytes, network: Network) -> bytes:
    """The input and every convolution's output named as a user names them."""
    from tensorflow.lite.python import schema_py_generated as schema

    model = read_model(flatbuffer)
    (graph,), (signature,) = model.subgraphs, model.signatureDefs
    heads = {output.tensorIndex: output.name.decode() for output in signature.outputs}
    body = iter(layer_names(network))
    for operator in graph.operators:
        code = model.operatorCodes[operator.opcodeIndex]
        if max(code.builtinCode, code.deprecatedBuiltinCode) == schema.BuiltinOperator.CONV_2D:
            (output,) = operator.outputs
            graph.tensors[output].name = heads.get(output) or next(body)
    graph.tensors[graph.inputs[0]].name = INPUT_NAME
    return write_model(model)


def _without_last_dequantize(flatbuffer: bytes) -> bytes:
    """Each output as its layer gives it: int8 stays int8."""
    from tensorflow.lite.python import schema_py_generated as schema

    model = read_model(flatbuffer)
    (graph,), (signature,) = model.subgraphs, model.signatureDefs
    sources = {}
    for operator in graph.operators:
        code = model.operatorCodes[operator.opcodeIndex]
        if max(code.builtinCode, code.deprecatedBuiltinCode) == schema.BuiltinOperator.DEQUANTIZE:
            sources[operator.outputs[0]] = operator.inputs[0]
    ends = {index: sources[index] for index in graph.outputs if index in sources}
    graph.operators = [operator for operator in graph.operators if operator.outputs[0] not in ends]
    graph.outputs = [ends.get(index, index) for index in graph.outputs]
    for output in signature.outputs:
        output.tensorIndex = ends.get(output.tensorIndex, output.tensorIndex)
    return write_model(model)
