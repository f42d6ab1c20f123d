"""Mixed precision: int8, except chosen layers that stay float or get int16 activations.

The package ai-edge-quantizer quantizes a float flatbuffer. Its recipes select operators by the names of their output
tensors, which are therefore set to those of :mod:`converters.quantization.layers` first. Activation ranges are minimum
and maximum over the calibration images, as in the other schemes; the package's default, a moving average, clips peaks.
"""

from __future__ import annotations

import contextlib
import io
import re
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from converters.quantization.inference_model import INPUT_NAME
from converters.quantization.layers import layer_names
from converters.quantization.schemes import KeepType
from converters.tflite.schema_model import read_model, write_model
from edge_ssd.network import Network

__all__ = ["quantize_mixed"]

_SIGNATURE = "serving_default"


def quantize_mixed(
    flatbuffer: bytes, network: Network, images: npt.NDArray[np.uint8], keep: Sequence[str], keep_type: KeepType
) -> bytes:
    """Quantize a float TFLite model of float pixels 0–255 to int8, except the layers ``keep``; the result takes uint8.

    Args:
        images: uint8 [N, height, width, 3], calibration images.
        keep: names of the layers that are not int8, see :func:`~converters.quantization.layers.layer_names`.
        keep_type: type of their activations, and of the output if the layer is a head.

    Raises:
        ModuleNotFoundError: ai-edge-quantizer is not installed.
    """
    from ai_edge_quantizer import calibrator, qtyping, quantizer
    from ai_edge_quantizer.algorithm_manager import AlgorithmName
    from ai_edge_quantizer.utils import qsv_utils

    operation, unquantized = qtyping.TFLOperationName, AlgorithmName.NO_QUANTIZE
    named = _set_tensor_names(flatbuffer, network)
    model = quantizer.Quantizer(bytearray(named))
    model.add_static_config(".*", operation.ALL_SUPPORTED, activation_num_bits=8, weight_num_bits=8)
    model.update_quantization_recipe(f"^{INPUT_NAME};", operation.INPUT, _uint8_config(qtyping))
    # The package has one type for all outputs. As float, they keep the type of their layer, followed by a DEQUANTIZE
    # if that is not float, which can be removed.
    model.update_quantization_recipe(".*", operation.OUTPUT, algorithm_key=unquantized)
    for name in keep:
        pattern = f"^{re.escape(name)};"  # an operator's name is those of its outputs, each followed by a semicolon
        if keep_type == "float":
            model.update_quantization_recipe(pattern, operation.CONV_2D, algorithm_key=unquantized)
        else:
            model.add_static_config(pattern, operation.CONV_2D, activation_num_bits=16, weight_num_bits=8)
    inputs = [{INPUT_NAME: image[None].astype(np.float32)} for image in images]
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        # About the memory that keeping all tensors needs.
        warnings.filterwarnings("ignore", message=".*experimental_preserve_all_tensors")
        ranges = calibrator.Calibrator(bytearray(named), num_threads=1, qsv_update_func=qsv_utils.min_max_update)
        ranges.calibrate({_SIGNATURE: inputs}, model._recipe_manager)
        quantized = bytes(model.quantize(ranges.get_model_qsvs()).quantized_model)
    return _remove_output_dequantize(quantized)


def _uint8_config(qtyping: Any) -> Any:
    """Return the quantization of the input; the package requires a weight configuration as well."""
    return qtyping.OpQuantizationConfig(
        activation_tensor_config=qtyping.TensorQuantizationConfig(
            num_bits=8, symmetric=False, dtype=qtyping.TensorDataType.UINT
        ),
        weight_tensor_config=qtyping.TensorQuantizationConfig(
            num_bits=8, symmetric=True, granularity=qtyping.QuantGranularity.CHANNELWISE
        ),
        compute_precision=qtyping.ComputePrecision.INTEGER,
    )


def _set_tensor_names(flatbuffer: bytes, network: Network) -> bytes:
    """Name the input ``image`` and the output of every convolution after its layer."""
    model = read_model(flatbuffer)
    (graph,), (signature,) = model.subgraphs, model.signatureDefs
    heads = {output.tensorIndex: output.name.decode() for output in signature.outputs}
    body = iter(layer_names(network))
    for operator in _operators(model, "CONV_2D"):
        (output,) = operator.outputs
        graph.tensors[output].name = heads.get(output) or next(body)
    graph.tensors[graph.inputs[0]].name = INPUT_NAME
    return write_model(model)


def _remove_output_dequantize(flatbuffer: bytes) -> bytes:
    """Remove DEQUANTIZE operators before outputs, so that an int8 output stays int8."""
    model = read_model(flatbuffer)
    (graph,), (signature,) = model.subgraphs, model.signatureDefs
    sources = {operator.outputs[0]: operator.inputs[0] for operator in _operators(model, "DEQUANTIZE")}
    replaced = {index: sources[index] for index in graph.outputs if index in sources}
    graph.operators = [operator for operator in graph.operators if operator.outputs[0] not in replaced]
    graph.outputs = [replaced.get(index, index) for index in graph.outputs]
    for output in signature.outputs:
        output.tensorIndex = replaced.get(output.tensorIndex, output.tensorIndex)
    return write_model(model)


def _operators(model: Any, name: str) -> Iterator[Any]:
    """Yield the operators of a ``ModelT`` that have this built-in operator code."""
    from tensorflow.lite.python import schema_py_generated as schema

    for operator in model.subgraphs[0].operators:
        code = model.operatorCodes[operator.opcodeIndex]
        if max(code.builtinCode, code.deprecatedBuiltinCode) == getattr(schema.BuiltinOperator, name):
            yield operator
