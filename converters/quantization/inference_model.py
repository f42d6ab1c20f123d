"""The inference model: a TinySSD for one image, with each head as a separate output.

An int8 tensor has one scale. Heads that are concatenated in the model share the scale of the widest one, and the others
lose precision. The outputs are called ``classes_0``, ``boxes_0``, ``classes_1``, …; these names become the signature's,
by which the runtime finds them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from edge_ssd.network import Network

if TYPE_CHECKING:
    import keras

    from edge_ssd.training.model.tiny_ssd import TinySSD

__all__ = ["INPUT_NAME", "build_inference_model", "describe_heads"]

INPUT_NAME = "image"

# Prefix of the tensor names, as in the shipped files. Keras's default would depend on the models built before.
_MODEL_NAME = "functional_28"


def build_inference_model(model: TinySSD, input_dtype: Literal["uint8", "float32"]) -> keras.Model:
    """Return a functional model of ``model``: one image [1, height, width, 3] of pixels 0–255 → an output per head.

    "uint8" adds a cast; with "float32" full-integer quantization can make the input uint8 without one.
    """
    import keras

    image = keras.Input(batch_shape=(1, *model.network.input.size, 3), dtype=input_dtype, name=INPUT_NAME)
    class_maps, box_maps = model.head_maps(image, training=False)
    outputs = {f"classes_{i}": values for i, values in enumerate(class_maps)}
    outputs |= {f"boxes_{i}": values for i, values in enumerate(box_maps)}
    return keras.Model(image, outputs, name=_MODEL_NAME)


def describe_heads(network: Network) -> list[dict[str, int | str]]:
    """Return level, kind, output name, map size and anchors per cell of each head, for the bundle's description."""
    return [
        {
            "level": i,
            "kind": kind,
            "output": f"{kind}_{i}",
            "height": level.height,
            "width": level.width,
            "anchors_per_cell": level.anchors_per_cell,
        }
        for i, level in enumerate(network.levels)
        for kind in ("classes", "boxes")
    ]
