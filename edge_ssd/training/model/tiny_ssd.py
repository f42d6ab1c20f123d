"""TinySSD in Keras 3, with the book's names for its parts (d2l, "Single Shot Multibox Detection").

Input images are pixels 0–255, NHWC; a layer of the model scales them. Feature maps are NHWC too, so that a flattened
head has the order of the anchor table: level, row, column, anchor.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from edge_ssd.atomic_write import atomic_path
from edge_ssd.console.activity import Activity
from edge_ssd.data.held_out import HeldOut
from edge_ssd.data.held_out_images import parse_held_out
from edge_ssd.errors import EdgeSSDError, ModelError
from edge_ssd.network import DownSampling, Network
from edge_ssd.runtime.model_file import find_keras_file
from edge_ssd.training.model.keras_file_check import check_keras_file
from edge_ssd.training.model.normalization import FusedBatchNormalization

__all__ = [
    "TinySSD",
    "base_net",
    "bbox_predictor",
    "cls_predictor",
    "concat_preds",
    "down_sample_blk",
    "flatten_pred",
    "get_blk",
    "load_tiny_ssd",
    "save_tiny_ssd",
    "weights_by_layer",
]

# Keras's default of 0.99 needs hundreds of steps to forget the initial statistics; small datasets have fewer steps.
_NORM_MOMENTUM = 0.9


def cls_predictor(num_anchors: int, num_classes: int, **options: Any) -> layers.Layer:
    """Return a level's class head: [B, H, W, C] → [B, H, W, num_anchors · (num_classes + 1)], logits of each cell."""
    return layers.Conv2D(num_anchors * (num_classes + 1), 3, padding="same", **options)


def bbox_predictor(num_anchors: int, **options: Any) -> layers.Layer:
    """Return a level's box head: [B, H, W, C] → [B, H, W, num_anchors · 4], offsets of each cell."""
    return layers.Conv2D(num_anchors * 4, 3, padding="same", **options)


def flatten_pred(pred: Any) -> Any:
    """Reshape [B, H, W, C] to [B, H·W·C], channels fastest, as the anchors are ordered."""
    return ops.reshape(pred, (ops.shape(pred)[0], -1))


def concat_preds(preds: Sequence[Any]) -> Any:
    """Flatten ``preds``, each level's head [B, H, W, C], and concatenate them to one tensor [B, total]."""
    return ops.concatenate([flatten_pred(pred) for pred in preds], axis=1)


def down_sample_blk(num_channels: int, down_sampling: DownSampling = "pool", **options: Any) -> keras.Sequential:
    """Return a block that halves the map: two 3×3 convolutions to ``num_channels``, batch norm, ReLU; 2×2 max pooling.

    With ``down_sampling`` "stride" the first convolution has stride 2 and there is no pooling.
    """
    block: list[layers.Layer] = []
    for i in range(2):
        strides = 2 if down_sampling == "stride" and i == 0 else 1
        block += [
            layers.Conv2D(num_channels, 3, strides, padding="same", name=f"conv_{i}"),
            FusedBatchNormalization(momentum=_NORM_MOMENTUM, name=f"norm_{i}"),
            layers.ReLU(name=f"relu_{i}"),
        ]
    if down_sampling == "pool":
        block.append(layers.MaxPool2D(pool_size=2, strides=2, name="pool"))
    return keras.Sequential(block, **options)


def base_net(
    channels: Sequence[int] = (16, 32, 64), down_sampling: DownSampling = "pool", **options: Any
) -> keras.Sequential:
    """Return the network of the first feature map: one down-sampling block per entry of ``channels``."""
    blocks = [down_sample_blk(count, down_sampling, name=f"block_{i}") for i, count in enumerate(channels)]
    return keras.Sequential(blocks, **options)


def get_blk(i: int, network: Network) -> layers.Layer:
    """Return block ``i``, from 0, of ``network``: the base net, then down-sampling blocks, then a global max pool."""
    if i == 0:
        return base_net(network.base_channels, network.down_sampling, name="base_net")
    if i == len(network.levels) - 1:
        return layers.GlobalMaxPool2D(keepdims=True, name="global_max_pool")
    return down_sample_blk(network.block_channels[i - 1], network.down_sampling, name=f"down_sample_{i}")


@keras.saving.register_keras_serializable(package="edge_ssd")
class TinySSD(keras.Model):
    """Detector that a :class:`~edge_ssd.network.Network` describes.

    Call it with images [B, H, W, 3] (pixels 0–255, any numeric dtype) to get class logits [B, A, q+1] and offsets
    [B, A, 4], both float32.

    Attributes:
        held_out: the images that training did not train on, which are stored in the ``.keras`` file; None if unknown.
    """

    def __init__(self, network: Network, **options: Any) -> None:
        super().__init__(**options)
        self.network = network
        self.held_out: HeldOut | None = None
        self.scaling = layers.Rescaling(network.input.scale, network.input.offset, name="scaling")
        self.blocks = [get_blk(i, network) for i in range(len(network.levels))]
        # Zeros, so that a trained network without the path gives the same outputs with a new one.
        self.top_down = [
            layers.Conv2D(channels, 1, kernel_initializer="zeros", name=f"top_down_{i}")
            for i, channels in enumerate((network.base_channels[-1], *network.block_channels[:-1]))
            if network.top_down
        ]
        self.cls_predictors = [
            cls_predictor(level.anchors_per_cell, network.num_classes, name=f"classes_{i}")
            for i, level in enumerate(network.levels)
        ]
        self.bbox_predictors = [
            bbox_predictor(level.anchors_per_cell, name=f"boxes_{i}") for i, level in enumerate(network.levels)
        ]
        # Now, so that a new model has its weights.
        self.build((None, *network.input.size, 3))

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Create the weights, unless they exist; faster than Keras' own way, which runs the network."""
        if self.built:
            return
        shape = tuple(input_shape)
        for level, block in enumerate(self.blocks):
            block.build(shape)
            shape = block.compute_output_shape(shape)
            self.cls_predictors[level].build(shape)
            self.bbox_predictors[level].build(shape)
            if 0 < level <= len(self.top_down):
                self.top_down[level - 1].build(shape)

    def head_maps(self, images: Any, training: bool = False) -> tuple[list[Any], list[Any]]:
        """Return each level's class map [B, h, w, a·(q+1)] and box map [B, h, w, 4a], float32; a: anchors per cell."""
        class_maps, box_maps = [], []
        for level, features in enumerate(self._head_inputs(images, training)):
            class_maps.append(ops.cast(self.cls_predictors[level](features), "float32"))
            box_maps.append(ops.cast(self.bbox_predictors[level](features), "float32"))
        return class_maps, box_maps

    def _head_inputs(self, images: Any, training: bool) -> Iterator[Any]:
        """Yield the map [B, h, w, C] that the heads of each level read; each before the next block is computed if
        there is no top-down path.
        """
        features, maps = self.scaling(images), []
        for block in self.blocks:
            features = block(features, training=training)
            if not self.top_down:
                yield features
            maps.append(features)
        if self.top_down:
            for level in reversed(range(len(self.top_down))):
                maps[level] = self.add_coarser(level, maps[level], maps[level + 1])
            yield from maps

    def add_coarser(self, level: int, features: Any, coarser: Any) -> Any:
        """Return ``features`` [B, h, w, C] of ``level`` plus those of the level after it, as its heads read them.

        The sum is that of the top-down path of Lin et al., "Feature Pyramid Networks for Object Detection", 2017, with
        nearest up-sampling. The 1×1 convolution comes before the up-sampling, where it has a quarter of the cells, and
        a ReLU follows, since the heads are linear. In TFLite the sum includes it.
        """
        height, width = self.network.levels[level].height, self.network.levels[level].width
        up_sampled = ops.image.resize(self.top_down[level](coarser), (height, width), interpolation="nearest")
        return ops.relu(ops.add(features, up_sampled))

    def call(self, images: Any, training: bool = False) -> tuple[Any, Any]:
        class_maps, box_maps = self.head_maps(images, training=training)
        anchors, classes = self.network.num_anchors, self.network.num_classes
        class_logits = ops.reshape(concat_preds(class_maps), (-1, anchors, classes + 1))
        return class_logits, ops.reshape(concat_preds(box_maps), (-1, anchors, 4))

    def get_config(self) -> dict[str, Any]:
        config = {"network": self.network.to_dict(), "name": self.name}
        # Earlier versions ignore the entry, and their files lack it.
        return config if self.held_out is None else {**config, "held_out": self.held_out.to_dict()}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: object = None) -> TinySSD:
        model = cls(Network.from_dict(config["network"]), name=config.get("name"))
        model.held_out = parse_held_out(config)
        return model


def weights_by_layer(model: TinySSD) -> dict[str, list[Any]]:
    """Return the weights of every layer by its path without the model's name, which differs between instances."""
    layers: dict[str, list[Any]] = {}
    for weight in model.weights:
        layers.setdefault(str(weight.path).partition("/")[2].rpartition("/")[0], []).append(weight)
    return layers


def save_tiny_ssd(model: TinySSD, path: str | os.PathLike[str]) -> None:
    """Write the model to ``path``, a ``.keras`` file, atomically."""
    with atomic_path(path) as temporary:
        model.save(temporary)


def load_tiny_ssd(path: str | os.PathLike[str]) -> TinySSD:
    """Read a ``.keras`` file that :func:`save_tiny_ssd` wrote, or that of a run's folder; it computes in float32.

    Raises:
        ModelError: the file is missing, damaged or not a TinySSD, or a weight is not finite.
    """
    path = find_keras_file(path)
    if not zipfile.is_zipfile(path):
        raise ModelError(f"{path}: not a .keras file (or cut short); expected a model that 'edge-ssd train' wrote")
    if path.suffix != ".keras":
        raise ModelError(f"{path}: the name of a Keras model must end in .keras")
    check_keras_file(path)
    try:
        with Activity(f"loading {path.name}"):
            model = keras.saving.load_model(path, compile=False)
    except EdgeSSDError as error:
        raise ModelError(f"{path}: {error}; expected a model that 'edge-ssd train' wrote") from None
    except Exception as error:  # Keras raises many types for a damaged or foreign file
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise ModelError(f"{path}: Keras cannot load it: {reason[0][:200]}") from error
    if not isinstance(model, TinySSD):
        raise ModelError(f"{path}: holds a {type(model).__name__}, not a TinySSD that 'edge-ssd train' wrote")
    for weight in model.weights:
        if not np.isfinite(weight.numpy()).all():
            raise ModelError(f"{path}: the weights {weight.path} are not finite; the training diverged")
    return model
