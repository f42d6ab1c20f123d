"""Convert a TinySSD to a TFLite model with TensorFlow's converter."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from converters.quantization.inference_model import INPUT_NAME, build_inference_model
from converters.quantization.schemes import INT8_SCHEMES, Scheme

if TYPE_CHECKING:
    from edge_ssd.training.model.tiny_ssd import TinySSD

__all__ = ["convert_to_tflite"]


def convert_to_tflite(model: TinySSD, scheme: Scheme, images: npt.NDArray[np.uint8]) -> bytes:
    """Return the TFLite model into which TensorFlow's converter turns ``model`` for ``scheme``.

    The input is uint8 pixels, except for "mixed", which gives a float model with float pixels 0–255. For "int8" the
    converter makes the float input uint8 with scale 1 and zero point 0: the model's factor 1/255 becomes part of the
    first convolution's weights, so that neither a cast nor a multiplication remains. (An offset, which the book's
    network does not have, remains an addition: a padded convolution cannot include it.) The other schemes have no such
    step; their model begins with a cast.

    Args:
        images: uint8 [N, height, width, 3], calibration images; only "int8" and "int16x8" use them.
    """
    import tensorflow as tf

    inference_model = build_inference_model(model, "float32" if scheme in INT8_SCHEMES else "uint8")
    function = tf.function(partial(inference_model, training=False), autograph=False).get_concrete_function(
        tf.TensorSpec(inference_model.inputs[0].shape, inference_model.inputs[0].dtype, INPUT_NAME)
    )
    # Not from_keras_model, whose export traces and saves every layer, which takes twice as long as all the rest.
    module = tf.Module()
    module.weights = [weight.value for weight in inference_model.weights]
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], module)
    if scheme not in ("none", "mixed"):
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if scheme == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if scheme == "int8":
        converter.representative_dataset = lambda: _inputs(images, np.float32)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type, converter.inference_output_type = tf.uint8, tf.int8
    if scheme == "int16x8":
        converter.representative_dataset = lambda: _inputs(images, np.uint8)
        converter.target_spec.supported_ops = [
            tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8,
            tf.lite.OpsSet.TFLITE_BUILTINS,  # the cast of the input has no int16 kernel
        ]
        converter.inference_output_type = tf.int16
    return bytes(converter.convert())


def _inputs(images: npt.NDArray[np.uint8], dtype: type) -> Iterator[dict[str, npt.NDArray[np.generic]]]:
    for image in images:
        yield {INPUT_NAME: image[None].astype(dtype)}
