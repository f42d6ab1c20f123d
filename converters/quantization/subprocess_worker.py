"""The conversion itself, as a program: ``python -m converters.quantization.subprocess_worker FOLDER``.

Reads ``job.json`` and ``images.npy`` in the folder and writes ``result.tflite``, or ``error.json`` and exits with
status 1. Started by :func:`converters.quantization.quantize.quantize`, which says why it is a process of its own.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from converters.quantization.gptq import apply_gptq
from converters.quantization.inference_model import INPUT_NAME, inference_graph
from converters.quantization.mixed import KeepType, mixed_int8
from converters.quantization.output_ranges import (
    head_ranges,
    set_output_quantization,
    subtract_background_logit,
    with_box_coding,
)
from converters.quantization.quantize import Scheme, needs_calibration
from converters.tflite.metadata import with_metadata
from edge_ssd.coding import BoxCoding
from edge_ssd.errors import EdgeSSDError, ModelError

if TYPE_CHECKING:
    from edge_ssd.training.model.tiny_ssd import TinySSD

__all__ = ["convert", "main"]


def convert(
    model: TinySSD,
    scheme: Scheme,
    images: npt.NDArray[np.uint8] | None = None,
    *,
    keep: Sequence[str] = (),
    keep_type: KeepType = "float",
) -> bytes:
    """The flatbuffer of ``model``, without metadata.

    Where pictures are at hand to fit it on, weights are rounded together (:mod:`converters.quantization.gptq`), and
    int8 heads are given the range that matters (:mod:`converters.quantization.output_ranges`).

    The input is uint8 pixels in every scheme. For int8 the graph takes float pixels and the quantiser makes the
    input uint8 with scale 1 and zero point 0, so no cast and no scaling is left in the file: the model's factor
    1/255 is folded into the first convolution's weights. (An offset, which the book's network does not have, would
    stay as an addition: it cannot be folded into a convolution that pads.) The other schemes have no such step;
    their graph starts with a cast.
    """
    import tensorflow as tf

    if needs_calibration(scheme):
        assert images is not None
        model = subtract_background_logit(model)
        ranges = head_ranges(model, images)
        model = apply_gptq(model, images, keep if keep_type == "float" else ())
    graph = inference_graph(model, "float32" if scheme in ("int8", "mixed") else "uint8")
    converter = tf.lite.TFLiteConverter.from_keras_model(graph)
    if scheme not in ("none", "mixed"):
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if scheme == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if scheme == "int8":
        assert images is not None
        converter.representative_dataset = lambda: _pictures(_spanning(images), np.float32)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type, converter.inference_output_type = tf.uint8, tf.int8
    if scheme == "int16x8":
        assert images is not None
        converter.representative_dataset = lambda: _pictures(images, np.uint8)
        converter.target_spec.supported_ops = [
            tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8,
            tf.lite.OpsSet.TFLITE_BUILTINS,  # the cast of the input has no int16 kernel
        ]
        converter.inference_output_type = tf.int16
    result: bytes = converter.convert()
    if scheme == "mixed":
        assert images is not None
        result = mixed_int8(result, model.network, _spanning(images), keep, keep_type)
    return set_output_quantization(result, ranges) if scheme in ("int8", "mixed") else result


def _pictures(images: npt.NDArray[np.uint8], dtype: type) -> Iterator[dict[str, npt.NDArray[np.generic]]]:
    for image in images:
        yield {INPUT_NAME: image[None].astype(dtype)}


def _spanning(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """``images`` with black and white somewhere among them.

    The input's scale is its measured range / 255: only when that is exactly 0–255 is a uint8 pixel taken as it is.
    Photographs nearly always span it; where they do not, two corner pixels of the first picture are set.
    """
    if images.min() == 0 and images.max() == 255:
        return images
    images = images.copy()
    images[0, 0, 0], images[0, -1, -1] = 0, 255
    return images


def main(folder: Path) -> int:
    """Do the job that lies in ``folder``; the exit status."""
    job = json.loads((folder / "job.json").read_text("utf-8"))
    pictures = folder / "images.npy"
    try:
        from edge_ssd.training.model.tiny_ssd import load_tiny_ssd

        model = load_tiny_ssd(job["model"])
        if job["coding"] is not None:
            model = with_box_coding(model, BoxCoding(**job["coding"]))
        images = np.load(pictures) if pictures.is_file() else None
        converted = convert(model, job["scheme"], images, keep=job["keep"], keep_type=job["keep_type"])
        flatbuffer = with_metadata(converted, model.network)
        (folder / "result.tflite").write_bytes(flatbuffer)
    # Whatever TensorFlow raises must reach the user as one line, and this process has no user.
    except Exception as error:
        if not isinstance(error, EdgeSSDError):
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            error = ModelError(f"{job['shown']}: cannot be converted to {job['scheme']}: {reason[:300]}")
        message = str(error).replace(job["model"], job["shown"])
        report = {"kind": type(error).__name__, "message": message}
        (folder / "error.json").write_text(json.dumps(report), "utf-8")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
