"""The passes of a conversion: every scheme and every kind of network keeps the outputs of the Keras model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_model import SIDE, convert_network, dequantize, small_network, train_small_model

from converters.config import ConversionConfig
from converters.passes import PASSES, ConversionState
from converters.quantization.layers import DEFAULT_KEEP
from converters.quantization.output_ranges import candidate_anchors, min_logit
from converters.quantization.schemes import SCHEMES
from converters.tflite.metadata import METADATA_NAME
from edge_ssd.network import Network, tiny_ssd
from edge_ssd.runtime.bundle import read_bundle
from edge_ssd.runtime.interpreter import open_interpreter

pytest.importorskip("tensorflow")
pytest.importorskip("ai_edge_litert")

ANCHORS = ((0.1, 0.15, 0.2), (0.3, 0.4), (0.5,), (0.7, 0.8), (0.9, 0.95))
NETWORKS = {
    "many classes, narrow": tiny_ssd([f"c{i}" for i in range(20)], input_size=(64, 64), width=0.25),
    "rectangular, other anchors": tiny_ssd(
        ("a", "b"), input_size=(64, 96), width=0.25, sizes=ANCHORS, ratios=(1.0, 3.0), resize="letterbox"
    ),
    "top-down, odd maps": tiny_ssd(("a",), input_size=(72, 100), width=0.25, top_down=True),
    "six levels": tiny_ssd(("a",), input_size=(128, 128), width=0.25, sizes=[(0.2, 0.3)] * 6),
}


@pytest.fixture(scope="module")
def strided_model(squares: Path, tmp_path_factory):
    from edge_ssd.training.model.tiny_ssd import load_tiny_ssd

    path = tmp_path_factory.mktemp("strided") / "strided.keras"
    train_small_model(squares, path, down_sampling="stride")
    return load_tiny_ssd(path)


@pytest.mark.parametrize(
    ("scheme", "names"),
    [
        (
            "int8",
            "subtract_background_logit calibrate_output_ranges apply_gptq convert_to_tflite set_output_quantization "
            "add_metadata",
        ),
        (
            "mixed",
            "subtract_background_logit calibrate_output_ranges apply_gptq convert_to_tflite quantize_mixed "
            "set_output_quantization add_metadata",
        ),
        ("int16x8", "subtract_background_logit apply_gptq convert_to_tflite add_metadata"),
        ("dynamic", "convert_to_tflite add_metadata"),
        ("float16", "convert_to_tflite add_metadata"),
        ("none", "convert_to_tflite add_metadata"),
    ],
)
def test_passes_of_each_scheme(scheme, names: str):
    assert [each.apply.__name__ for each in PASSES if scheme in each.schemes] == names.split()


def test_calibrated_scheme_requires_calibration_images(squares_tiny_ssd):
    with pytest.raises(ValueError, match="int8 needs calibration images"):
        ConversionState(ConversionConfig(), squares_tiny_ssd)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_scheme_keeps_the_outputs_of_the_model(scheme, squares_tiny_ssd, squares_images, squares_flatbuffer):
    interpreter = open_interpreter(squares_flatbuffer(scheme))
    assert interpreter.input_shape == (1, SIDE, SIDE, 3)
    # Relative RMSE of each head: rounding of int8 weights, and for int8 also of every layer's output.
    allowed = {"int8": 0.08, "mixed": 0.08, "int16x8": 0.04, "dynamic": 0.05, "float16": 0.003, "none": 1e-4}[scheme]
    dtype = {"int8": np.int8, "int16x8": np.int16}.get(scheme, np.float32)
    heads = interpreter.invoke(squares_images[0])
    assert all(head.values.dtype == dtype for head in heads.values())
    assert set(heads) == {f"{kind}_{i}" for kind in ("classes", "boxes") for i in range(5)}
    assert_heads_close(squares_tiny_ssd, squares_images[:1], heads, classes=allowed, boxes=allowed)


@pytest.mark.parametrize("scheme", ["int8", "mixed"])
def test_strided_network_keeps_the_outputs_of_the_model(scheme, strided_model, squares_images):
    flatbuffer = convert_network(strided_model, scheme, squares_images, DEFAULT_KEEP)
    heads = open_interpreter(flatbuffer).invoke(squares_images[0])
    assert_heads_close(strided_model, squares_images[:1], heads, classes=0.03, boxes=0.05)


def assert_heads_close(model, image, heads, **max_error: float) -> None:
    """Check the relative RMSE of the candidate anchors of each converted head; other anchors are clipped."""
    for i, maps in enumerate(zip(*model.head_maps(image), strict=True)):
        expected = by_anchor(model.network, *(values.numpy() for values in maps))
        actual = by_anchor(model.network, dequantize(heads[f"classes_{i}"]), dequantize(heads[f"boxes_{i}"]))
        candidates = candidate_anchors(expected[0].max(axis=1))
        for kind, one, other in zip(("classes", "boxes"), actual, expected, strict=True):
            error = np.sqrt(np.mean((one - other)[candidates] ** 2) / np.mean(other[candidates] ** 2))
            assert error < max_error[kind], (kind, i)


def by_anchor(network: Network, logits: np.ndarray, offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return logits [A, classes] relative to the background logit, at least ``min_logit``, and offsets [A, 4]."""
    return np.maximum(relative_logits(logits, network), min_logit(network)), offsets.reshape(-1, 4)


def relative_logits(logits: np.ndarray, network: Network) -> np.ndarray:
    rows = logits.reshape(-1, network.num_classes + 1)
    return rows[:, 1:] - rows[:, :1]


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS.keys())
def test_int8_heads_of_every_shape_keep_the_outputs_of_the_model(network: Network):
    import keras

    from edge_ssd.training.model.tiny_ssd import TinySSD

    keras.utils.set_random_seed(0)
    model = TinySSD(network)
    for layer in model.top_down:
        layer.kernel.assign(keras.random.normal(layer.kernel.shape, stddev=0.2))
    images = np.random.default_rng(0).integers(0, 256, (4, *network.input.size, 3), np.uint8)
    heads = open_interpreter(convert_network(model, "int8", images)).invoke(images[0])
    for kind, maps in zip(("classes", "boxes"), model.head_maps(images[:1]), strict=True):
        for i, values in enumerate(maps):
            head, expected = heads[f"{kind}_{i}"], values.numpy()
            actual = dequantize(head)
            assert actual.shape == expected.shape
            if kind == "classes":
                # Untrained logits differ by about one step, because the steps are chosen for trained ones.
                actual, expected = (relative_logits(logits, network) for logits in (actual, expected))
                assert np.abs(actual - expected).max() < 0.6 * head.scale
                continue
            assert np.sqrt(np.mean((actual - expected) ** 2) / np.mean(expected**2)) < 0.1


def test_int8_bundle_has_equal_box_scales(squares_conversion):
    original, network = small_network(), read_bundle(squares_conversion.path).network
    assert (original.coding.xy_scale, original.coding.wh_scale) == (10, 5)
    assert (network.coding.xy_scale, network.coding.wh_scale) == (10, 10)
    assert replace(network, coding=original.coding) == original


def test_int8_uses_pixels_directly_and_a_scale_for_each_box_head(squares_flatbuffer):
    from ai_edge_litert.interpreter import Interpreter

    native = Interpreter(model_content=squares_flatbuffer("int8"))
    (pixels,) = native.get_input_details()
    assert pixels["dtype"] is np.uint8
    assert pixels["quantization"] == (1.0, 0)
    heads = native.get_signature_runner().get_output_details()
    scales = {kind: {heads[f"{kind}_{i}"]["quantization"][0] for i in range(5)} for kind in ("classes", "boxes")}
    assert (len(heads), len(scales["classes"]), len(scales["boxes"])) == (10, 1, 5)


def test_int8_has_no_operators_besides_the_layers(squares_conversion):
    # Two convolutions in each of six blocks and two heads at each of five levels, which include batch norm and ReLU.
    # QUANTIZE converts the uint8 pixels to int8. (The last level's pool has a single cell here.)
    counts = {operator.name: count for operator, count in squares_conversion.graph.operator_counts().items()}
    assert counts == {"CONV_2D": 22, "MAX_POOL_2D": 6, "QUANTIZE": 1}


def test_flatbuffer_contains_metadata_and_aligned_buffers(squares_flatbuffer):
    from tensorflow.lite.python import schema_py_generated as schema

    data = squares_flatbuffer("int8")
    model = schema.Model.GetRootAs(data)
    names = [model.Metadata(i).Name().decode() for i in range(model.MetadataLength())]
    assert names.count(METADATA_NAME) == 1
    content = model.Buffers(model.Metadata(names.index(METADATA_NAME)).Buffer()).DataAsNumpy().tobytes()
    assert content[4:8] == b"M001"
    assert b"labels.txt" in content
    # TFLite's kernels rely on 16 bytes (force_align in its schema).
    for i in range(model.BuffersLength()):
        buffer = model.Buffers(i)
        if not buffer.DataIsNone():
            assert buffer._tab.Vector(buffer._tab.Offset(4)) % 16 == 0
    assert len(model.Buffers(1)._tab.Bytes) == len(data)
