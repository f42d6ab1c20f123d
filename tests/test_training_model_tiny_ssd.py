"""edge_ssd.training.model: the book's network, its parts with the shapes that the book prints, and its files."""

from __future__ import annotations

import json
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import REPOSITORY

tf = pytest.importorskip("tensorflow")
import keras  # noqa: E402 (after the check that TensorFlow is installed)

from edge_ssd.data.held_out import HeldOut  # noqa: E402
from edge_ssd.errors import ModelError  # noqa: E402
from edge_ssd.network import Network, tiny_ssd  # noqa: E402
from edge_ssd.runtime.bundle import read_bundle  # noqa: E402
from edge_ssd.runtime.shipped_models import shipped_models  # noqa: E402
from edge_ssd.training.initial_weights import InitialWeights, copy_weights  # noqa: E402
from edge_ssd.training.model.normalization import FusedBatchNormalization  # noqa: E402
from edge_ssd.training.model.tiny_ssd import (  # noqa: E402
    TinySSD,
    base_net,
    bbox_predictor,
    cls_predictor,
    concat_preds,
    down_sample_blk,
    flatten_pred,
    load_tiny_ssd,
    save_tiny_ssd,
)

SMALL = tiny_ssd(["fork", "scissors"], input_size=(64, 64), width=0.25)


def test_heads_and_concatenation_have_book_shapes() -> None:
    first = cls_predictor(5, 10)(np.zeros((2, 20, 20, 8), np.float32))
    second = cls_predictor(3, 10)(np.zeros((2, 10, 10, 16), np.float32))
    assert first.shape == (2, 20, 20, 55)
    assert second.shape == (2, 10, 10, 33)
    assert concat_preds([first, second]).shape == (2, 25300)
    assert bbox_predictor(5)(np.zeros((2, 20, 20, 8), np.float32)).shape == (2, 20, 20, 20)


def test_blocks_have_book_shapes() -> None:
    assert down_sample_blk(10)(np.zeros((2, 20, 20, 3), np.float32)).shape == (2, 10, 10, 10)
    assert base_net()(np.zeros((2, 256, 256, 3), np.float32)).shape == (2, 32, 32, 64)


def test_flatten_pred_keeps_anchor_order() -> None:
    # Channels fastest, then columns, then rows.
    pred = np.arange(2 * 2 * 3 * 4).reshape(2, 2, 3, 4)
    np.testing.assert_array_equal(flatten_pred(pred), pred.reshape(2, 24))


def test_default_network_is_the_book_network() -> None:
    model = TinySSD(tiny_ssd(["banana"]))
    logits, offsets = model(np.zeros((2, 256, 256, 3), np.uint8))
    assert logits.shape == (2, 5444, 2)
    assert offsets.shape == (2, 5444, 4)
    assert model.count_params() == 1_012_360
    class_maps, box_maps = model.head_maps(np.zeros((1, 256, 256, 3), np.float32))
    assert [tuple(level.shape[1:]) for level in class_maps] == [(side, side, 8) for side in (32, 16, 8, 4, 1)]
    assert [tuple(level.shape[1:]) for level in box_maps] == [(side, side, 16) for side in (32, 16, 8, 4, 1)]


def test_tiny_ssd_of_rectangular_input_and_seven_classes() -> None:
    network = tiny_ssd([f"class {i}" for i in range(7)], input_size=(240, 320), width=0.25)
    logits, offsets = TinySSD(network)(np.zeros((1, 240, 320, 3), np.uint8))
    assert logits.shape == (1, 6344, 8)
    assert offsets.shape == (1, 6344, 4)


def test_stride_halves_map_in_first_convolution() -> None:
    image = np.zeros((2, 20, 20, 8), np.float32)
    strided = down_sample_blk(10, down_sampling="stride")
    assert strided(image).shape == (2, 10, 10, 10)
    assert strided.layers[0](image).shape == (2, 10, 10, 10)


@pytest.mark.parametrize("size", [(64, 64), (70, 99)])
@pytest.mark.parametrize("top_down", [False, True])
def test_strided_blocks_have_level_sizes(size: tuple[int, int], top_down: bool) -> None:
    network = tiny_ssd(["a", "b"], input_size=size, width=0.25, down_sampling="stride", top_down=top_down)
    class_maps, box_maps = TinySSD(network).head_maps(np.zeros((1, *size, 3), np.uint8))
    for classes, boxes, level in zip(class_maps, box_maps, network.levels, strict=True):
        assert classes.shape == (1, level.height, level.width, 12)
        assert boxes.shape == (1, level.height, level.width, 16)


@pytest.mark.parametrize("down_sampling", ["pool", "stride"])
def test_top_down_path_adds_up_sampled_maps_of_coarser_levels(down_sampling: str) -> None:
    # Maps of 32×48, 16×24, 8×12, 1×1: every cell lies in the coarser cell of half its row and column.
    options = {
        "input_size": (64, 96),
        "base_channels": (8,),
        "block_channels": (16, 24),
        "down_sampling": down_sampling,
    }
    plain, model = TinySSD(tiny_ssd(["a"], **options)), TinySSD(tiny_ssd(["a"], **options, top_down=True))
    assert model.count_params() == plain.count_params() + (16 + 1) * 8 + (24 + 1) * 16
    copy_weights(InitialWeights.of(plain, "plain"), model)
    images = np.random.default_rng(0).integers(0, 256, (2, 64, 96, 3)).astype(np.float32)
    for expected, actual in zip(plain(images), model(images), strict=True):
        np.testing.assert_array_equal(actual, expected)  # a new path adds zeros

    rng = np.random.default_rng(1)
    weights = [(rng.normal(size=(16, 8)), rng.normal(size=8)), (rng.normal(size=(24, 16)), rng.normal(size=16))]
    for layer, (kernel, bias) in zip(model.top_down, weights, strict=True):
        layer.set_weights([kernel[None, None], bias])
    features, maps = plain.scaling(images), []
    for block in plain.blocks:
        features = block(features)
        maps.append(np.asarray(features, np.float64))
    for level in (1, 0):
        kernel, bias = weights[level]
        added = (maps[level + 1] @ kernel + bias).repeat(2, axis=1).repeat(2, axis=2)
        maps[level] = np.maximum(maps[level] + added, 0)
    class_maps, box_maps = model.head_maps(images)
    for level, features in enumerate(maps):
        np.testing.assert_allclose(class_maps[level], model.cls_predictors[level](features), rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(box_maps[level], model.bbox_predictors[level](features), rtol=1e-4, atol=1e-4)


def test_block_has_two_convolutions() -> None:
    network = tiny_ssd(["a"], input_size=(64, 64), base_channels=(8, 8), block_channels=(8,))
    model = TinySSD(network)
    kernels = [weight for weight in model.trainable_weights if weight.path.endswith("kernel")]
    assert len(kernels) == 3 * 2 + 2 * len(network.levels)
    assert model(np.zeros((1, 64, 64, 3), np.uint8))[0].shape == (1, network.num_anchors, 2)


def test_model_scales_pixels() -> None:
    image = np.random.default_rng(0).integers(0, 256, (1, 64, 64, 3)).astype(np.uint8)
    model = TinySSD(SMALL)
    np.testing.assert_allclose(model.scaling(image), image / 255, atol=1e-6)


def test_saved_model_loads_with_equal_outputs(tmp_path: Path) -> None:
    model = TinySSD(SMALL)
    for weight in model.weights:
        weight.assign(np.random.default_rng(len(weight.shape)).uniform(0.1, 0.5, weight.shape))
    save_tiny_ssd(model, tmp_path / "model.keras")
    again = load_tiny_ssd(tmp_path / "model.keras")
    assert again.network == SMALL
    image = np.random.default_rng(0).integers(0, 256, (1, 64, 64, 3)).astype(np.uint8)
    for expected, actual in zip(model(image), again(image), strict=True):
        np.testing.assert_array_equal(expected, actual)
    assert [path.name for path in tmp_path.iterdir()] == ["model.keras"]


def test_held_out_images_are_stored_in_the_file(tmp_path: Path) -> None:
    model = TinySSD(SMALL)
    assert model.held_out is None
    save_tiny_ssd(model, tmp_path / "older.keras")
    assert load_tiny_ssd(tmp_path / "older.keras").held_out is None
    model.held_out = HeldOut(("a/1.jpg", "ü.png"))
    save_tiny_ssd(model, tmp_path / "model.keras")
    assert load_tiny_ssd(tmp_path / "model.keras").held_out == model.held_out
    # As earlier versions read it.
    with zipfile.ZipFile(tmp_path / "model.keras") as archive:
        config = json.loads(archive.read("config.json"))["config"]
    assert (Network.from_dict(config["network"]), config["held_out"]) == (SMALL, {"names": ["a/1.jpg", "ü.png"]})


@pytest.mark.parametrize("name", ["banana", "banana-small", "banana-nano"])
def test_shipped_model_loads(name: str) -> None:
    path = REPOSITORY / "converters" / "models" / f"{name}.keras"
    with zipfile.ZipFile(path) as file:
        description = json.loads(file.read("config.json"))["config"]["network"]
    if name != "banana":  # these were written when a description had fields for separable convolutions
        assert (description["convolution"], description["head"], description["block_convolutions"]) == (
            "plain",
            "plain",
            2,
        )
    model = load_tiny_ssd(path)
    assert model.network == Network.from_dict(description)
    bundle = read_bundle(shipped_models()[name])
    assert model.network == replace(bundle.network, coding=model.network.coding)


def test_bfloat16_model_is_saved_in_float32(tmp_path: Path) -> None:
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = TinySSD(SMALL)
    finally:
        keras.config.set_dtype_policy("float32")
    assert model(np.zeros((1, 64, 64, 3), np.uint8))[0].dtype == "float32"
    save_tiny_ssd(model, tmp_path / "model.keras")
    again = load_tiny_ssd(tmp_path / "model.keras")
    assert {weight.dtype for weight in again.weights} == {"float32"}
    assert again.blocks[0].compute_dtype == "float32"


def test_fused_batch_norm_equals_keras() -> None:
    """Same output, gradient and moving statistics; the fused kernel counts n − 1 in the moving variance."""
    inputs = tf.constant(np.random.default_rng(0).normal(3, 2, (4, 8, 8, 5)), tf.float32)
    outputs, gradients, statistics = [], [], []
    for layer in (keras.layers.BatchNormalization(), FusedBatchNormalization()):
        layer.build(inputs.shape)
        layer.gamma.assign(np.linspace(0.5, 2, 5))
        layer.beta.assign(np.linspace(-1, 1, 5))
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            result = layer(inputs, training=True)
            loss = tf.reduce_sum(result**3)
        outputs.append(result)
        gradients.append(tape.gradient(loss, [inputs, layer.gamma.value, layer.beta.value]))
        statistics.append((layer.moving_mean.numpy(), layer.moving_variance.numpy(), layer(inputs, training=False)))
    np.testing.assert_allclose(outputs[0], outputs[1], atol=2e-5)
    for expected, actual in zip(*gradients, strict=True):
        np.testing.assert_allclose(expected, actual, rtol=1e-3, atol=2e-3)
    np.testing.assert_allclose(statistics[0][0], statistics[1][0], rtol=1e-5)
    count = 4 * 8 * 8
    variance = 0.99 + (statistics[0][1] - 0.99) * count / (count - 1)
    np.testing.assert_allclose(statistics[1][1], variance, rtol=1e-5)
    np.testing.assert_allclose(statistics[0][2], statistics[1][2], rtol=1e-3, atol=1e-3)


class TestInvalidFiles:
    def test_load_rejects_missing_file(self, tmp_path: Path) -> None:
        with pytest.raises(ModelError, match=r"nothing\.keras: no such file"):
            load_tiny_ssd(tmp_path / "nothing.keras")

    def test_load_rejects_text_file(self, tmp_path: Path) -> None:
        (tmp_path / "text.keras").write_text("hello")
        with pytest.raises(ModelError, match=r"text\.keras: not a \.keras file"):
            load_tiny_ssd(tmp_path / "text.keras")

    def test_load_rejects_other_keras_model(self, tmp_path: Path) -> None:
        other = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
        other.save(tmp_path / "other.keras")
        with pytest.raises(ModelError, match="holds a Sequential, not a TinySSD"):
            load_tiny_ssd(tmp_path / "other.keras")

    def test_load_rejects_truncated_file(self, tmp_path: Path) -> None:
        save_tiny_ssd(TinySSD(SMALL), tmp_path / "whole.keras")
        data = (tmp_path / "whole.keras").read_bytes()
        (tmp_path / "cut.keras").write_bytes(data[: len(data) // 2])
        with pytest.raises(ModelError, match=r"cut\.keras: "):
            load_tiny_ssd(tmp_path / "cut.keras")

    def test_load_rejects_invalid_network(self, tmp_path: Path) -> None:
        save_tiny_ssd(TinySSD(SMALL), tmp_path / "whole.keras")
        with zipfile.ZipFile(tmp_path / "whole.keras") as whole, zipfile.ZipFile(tmp_path / "odd.keras", "w") as odd:
            for name in whole.namelist():
                odd.writestr(name, whole.read(name).replace(b'"height": 64', b'"height": 63'))
        with pytest.raises(ModelError, match=r"odd\.keras: .*63x64 is too small"):
            load_tiny_ssd(tmp_path / "odd.keras")

    def test_load_rejects_weights_that_are_not_finite(self, tmp_path: Path) -> None:
        model = TinySSD(SMALL)
        model.cls_predictors[0].bias.assign(np.full(model.cls_predictors[0].bias.shape, np.nan))
        save_tiny_ssd(model, tmp_path / "nan.keras")
        with pytest.raises(ModelError, match="classes_0/bias are not finite"):
            load_tiny_ssd(tmp_path / "nan.keras")
