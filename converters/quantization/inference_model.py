"""The graph that is converted: a TinySSD for one picture, with every head as an output of its own.

Int8 gives a tensor one scale, so heads that are joined before they leave the graph share the widest one's, and
the others lose their fine steps. Hence one output per level and kind, called ``classes_0``, ``boxes_0``,
``classes_1``, …; the names become the signature's, by which the runtime finds them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from edge_ssd.network import Network

if TYPE_CHECKING:
    import keras

    from edge_ssd.training.model.tiny_ssd import TinySSD

__all__ = ["INPUT_NAME", "Head", "heads_of", "inference_graph"]

INPUT_NAME = "image"

Head = dict[str, int | str]


def inference_graph(model: TinySSD, pixels: Literal["uint8", "float32"]) -> keras.Model:
    """``model`` on one picture [1, height, width, 3] of pixels 0–255, as a graph with named outputs.

    The batch is fixed, as TFLite wants it. ``pixels`` is the input's type *in this graph*: "uint8" puts a cast
    in front; "float32" leaves it to full-integer quantisation to make the input uint8, without any cast.
    """
    import keras

    image = keras.Input(batch_shape=(1, *model.network.input.size, 3), dtype=pixels, name=INPUT_NAME)
    class_maps, box_maps = model.head_maps(image, training=False)
    outputs = {f"classes_{i}": values for i, values in enumerate(class_maps)}
    outputs |= {f"boxes_{i}": values for i, values in enumerate(box_maps)}
    return keras.Model(image, outputs)


def heads_of(network: Network) -> list[Head]:
    """The outputs of :func:`inference_graph` as the bundle's description lists them."""
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
