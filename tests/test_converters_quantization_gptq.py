"""GPTQ: weights on int8 steps, with a smaller error of the layer's output than rounding each weight alone."""

from __future__ import annotations

import numpy as np
import pytest

from converters.quantization.gptq import apply_gptq, gptq_quantize
from converters.quantization.head_coding import subtract_background_logit
from converters.quantization.layers import layer_names

pytest.importorskip("tensorflow")
pytest.importorskip("ai_edge_litert")


def round_to_nearest(weights: np.ndarray) -> np.ndarray:
    scales = np.abs(weights).max(axis=0) / 127
    return np.round(weights / scales) * scales


def test_gptq_of_uncorrelated_inputs_rounds_to_nearest():
    weights = np.random.default_rng(0).normal(size=(200, 3))
    assert np.allclose(gptq_quantize(weights, np.eye(200)), round_to_nearest(weights), rtol=0, atol=1e-12)


def test_gptq_compensates_between_equal_inputs():
    # With a scale of 1 (the channel's maximum is 127), 0.4 and 0.4 round to 0 and 0, but their sum is 0.8.
    weights = np.array([[127.0], [0.4], [0.4]])
    hessian = np.array([[1.0, 0, 0], [0, 1, 1], [0, 1, 1]])
    assert sorted(gptq_quantize(weights, hessian).ravel().tolist()) == [0, 1, 127]


def test_gptq_reduces_error_of_the_output():
    rng = np.random.default_rng(1)
    inputs = np.maximum(rng.normal(size=(2000, 20)) @ rng.normal(size=(20, 150)), 0)
    weights = rng.normal(size=(150, 8))
    quantized = gptq_quantize(weights, inputs.T @ inputs)
    scales = np.abs(weights).max(axis=0) / 127
    assert np.allclose(quantized / scales, np.round(quantized / scales), atol=1e-9)
    assert np.abs(quantized / scales).max() <= 127 + 1e-9

    def error(rounded: np.ndarray) -> float:
        return float(np.square(inputs @ (rounded - weights)).mean())

    assert error(quantized) < 0.3 * error(round_to_nearest(weights))


def test_gptq_handles_zero_inputs_and_zero_channels():
    weights = np.array([[1.0, 0.0], [0.5, 0.0]])
    quantized = gptq_quantize(weights, np.zeros((2, 2)))
    assert quantized[:, 1].tolist() == [0, 0]
    assert np.allclose(quantized[:, 0], weights[:, 0], atol=1 / 127)


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (6, 64, 64, 3), np.uint8)


def heads(model, images: np.ndarray) -> list[np.ndarray]:
    return [values.numpy() for maps in model.head_maps(images) for values in maps]


def test_apply_gptq_keeps_outputs_and_argument(untrained_model, images: np.ndarray):
    before = [weight.copy() for weight in untrained_model.get_weights()]
    result = apply_gptq(untrained_model, images)
    for one, other in zip(heads(result, images), heads(untrained_model, images), strict=True):
        assert np.sqrt(np.mean((one - other) ** 2) / np.mean(other**2)) < 0.02
        assert not np.array_equal(one, other)
    assert all(np.array_equal(a, b) for a, b in zip(before, untrained_model.get_weights(), strict=True))


def test_apply_gptq_does_not_round_kept_layers(untrained_model, images: np.ndarray):
    result = apply_gptq(untrained_model, images, keep=layer_names(untrained_model.network))
    for one, other in zip(heads(result, images), heads(untrained_model, images), strict=True):
        assert np.allclose(one, other, rtol=1e-4, atol=1e-4)
    result = apply_gptq(untrained_model, images, keep=("boxes_1",))
    assert np.array_equal(result.bbox_predictors[1].kernel, untrained_model.bbox_predictors[1].kernel)
    assert not np.array_equal(result.bbox_predictors[0].kernel, untrained_model.bbox_predictors[0].kernel)


def test_tflite_converter_keeps_gptq_weights(untrained_model, dim_images: np.ndarray, untrained_int8: bytes):
    from tensorflow.lite.python import schema_py_generated as schema

    from converters.tflite.schema_model import read_model

    expected = apply_gptq(subtract_background_logit(untrained_model), dim_images)
    file = read_model(untrained_int8)
    (graph,), (signature,) = file.subgraphs, file.signatureDefs
    names = {output.tensorIndex: output.name.decode() for output in signature.outputs}
    checked = 0
    for operator in graph.operators:
        code = file.operatorCodes[operator.opcodeIndex]
        name = names.get(operator.outputs[0])
        if name is None or max(code.builtinCode, code.deprecatedBuiltinCode) != schema.BuiltinOperator.CONV_2D:
            continue
        tensor = graph.tensors[operator.inputs[1]]
        scale = np.asarray(tensor.quantization.scale, np.float64)[:, None, None, None]
        stored = np.frombuffer(bytes(file.buffers[tensor.buffer].data), np.int8).reshape(tensor.shape)
        kind, level = name.split("_")
        layer = (expected.cls_predictors if kind == "classes" else expected.bbox_predictors)[int(level)]
        assert np.allclose(stored * scale, layer.kernel.numpy().transpose(3, 0, 1, 2), rtol=1e-5, atol=1e-8)
        checked += 1
    assert checked == 10
