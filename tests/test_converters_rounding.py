"""Weights rounded together: on the steps of int8, and closer in what the layer computes than each for itself."""

from __future__ import annotations

import numpy as np
import pytest

from edge_ssd.network import tiny_ssd

pytest.importorskip("tensorflow")
pytest.importorskip("ai_edge_litert")
pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Statistics for quantized inputs were expected:UserWarning"),
    pytest.mark.filterwarnings("ignore:(?s).*tf.lite.Interpreter is deprecated:UserWarning"),
]

NETWORK = tiny_ssd(("a", "b"), input_size=(64, 64), width=0.25)


def each_for_itself(weights: np.ndarray) -> np.ndarray:
    steps = np.abs(weights).max(axis=0) / 127
    return np.round(weights / steps) * steps


def test_inputs_that_have_nothing_to_do_with_each_other_leave_plain_rounding():
    from converters.quantization.gptq import gptq_quantize

    weights = np.random.default_rng(0).normal(size=(200, 3))
    assert np.allclose(gptq_quantize(weights, np.eye(200)), each_for_itself(weights), rtol=0, atol=1e-12)


def test_two_inputs_that_are_the_same_share_one_error():
    from converters.quantization.gptq import gptq_quantize

    # In steps of 1 (the channel's greatest weight is 127): 0.4 and 0.4 round to 0 and 0, yet make 0.8 together.
    weights = np.array([[127.0], [0.4], [0.4]])
    together = np.array([[1.0, 0, 0], [0, 1, 1], [0, 1, 1]])
    assert sorted(gptq_quantize(weights, together).ravel().tolist()) == [0, 1, 127]


def test_what_the_layer_computes_is_closer():
    from converters.quantization.gptq import gptq_quantize

    rng = np.random.default_rng(1)
    inputs = np.maximum(rng.normal(size=(2000, 20)) @ rng.normal(size=(20, 150)), 0)
    weights = rng.normal(size=(150, 8))
    found = gptq_quantize(weights, inputs.T @ inputs)
    steps = np.abs(weights).max(axis=0) / 127
    assert np.allclose(found / steps, np.round(found / steps), atol=1e-9)
    assert np.abs(found / steps).max() <= 127 + 1e-9

    def error(apply_gptq: np.ndarray) -> float:
        return float(np.square(inputs @ (apply_gptq - weights)).mean())

    assert error(found) < 0.3 * error(each_for_itself(weights))


def test_dead_inputs_and_dead_channels_do_no_harm():
    from converters.quantization.gptq import gptq_quantize

    weights = np.array([[1.0, 0.0], [0.5, 0.0]])
    found = gptq_quantize(weights, np.zeros((2, 2)))
    assert found[:, 1].tolist() == [0, 0]
    assert np.allclose(found[:, 0], weights[:, 0], atol=1 / 127)


@pytest.fixture(scope="module")
def model():
    import keras

    from edge_ssd.training.model.tiny_ssd import TinySSD

    keras.utils.set_random_seed(0)
    made = TinySSD(NETWORK)
    rng = np.random.default_rng(2)
    for weight in made.weights:  # batch normalisation that does something
        if weight.path.endswith(("gamma", "moving_variance")):
            weight.assign(rng.uniform(0.5, 2, weight.shape))
    return made


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (6, 64, 64, 3), np.uint8)


def heads(model, images: np.ndarray) -> list[np.ndarray]:
    return [values.numpy() for maps in model.head_maps(images) for values in maps]


def test_a_rounded_model_computes_nearly_the_same_and_the_argument_stays(model, images):
    from converters.quantization.gptq import apply_gptq

    before = [weight.copy() for weight in model.get_weights()]
    result = apply_gptq(model, images)
    for one, other in zip(heads(result, images), heads(model, images), strict=True):
        assert np.sqrt(np.mean((one - other) ** 2) / np.mean(other**2)) < 0.02
        assert not np.array_equal(one, other)
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


def test_kept_layers_are_not_rounded(model, images):
    from converters.quantization.gptq import apply_gptq
    from converters.quantization.layers import layer_names

    result = apply_gptq(model, images, keep=layer_names(NETWORK))
    for one, other in zip(heads(result, images), heads(model, images), strict=True):
        assert np.allclose(one, other, rtol=1e-4, atol=1e-4)
    partly = apply_gptq(model, images, keep=("boxes_1",))
    assert np.array_equal(partly.bbox_predictors[1].kernel, model.bbox_predictors[1].kernel)
    assert not np.array_equal(partly.bbox_predictors[0].kernel, model.bbox_predictors[0].kernel)


def test_the_converter_keeps_the_weights_that_it_is_given(model, images):
    from tensorflow.lite.python import schema_py_generated as schema

    from converters.quantization.gptq import apply_gptq
    from converters.quantization.output_ranges import subtract_background_logit
    from converters.quantization.subprocess_worker import convert
    from converters.tflite.schema_model import read_model

    expected = apply_gptq(subtract_background_logit(model), images)
    file = read_model(convert(model, "int8", images))
    (graph,), (signature,) = file.subgraphs, file.signatureDefs
    names = {output.tensorIndex: output.name.decode() for output in signature.outputs}
    seen = 0
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
        seen += 1
    assert seen == 10
