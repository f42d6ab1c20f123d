"""The passes of a conversion, in order: from a Keras model to a TFLite model.

A pass is a function from :class:`ConversionState` to a changed copy of it, and the schemes for which it runs. To add
one, write the function and add an entry to :data:`PASSES`. What it needs from the caller is part of the job that
:mod:`converters.subprocess_worker` sends to the child process.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from converters.config import ConversionConfig
from converters.quantization import gptq, head_coding, mixed, output_ranges, tflite_conversion
from converters.quantization.calibration import span_pixel_range
from converters.quantization.schemes import CALIBRATED_SCHEMES, INT8_SCHEMES, SCHEMES, Scheme
from converters.tflite.metadata import with_metadata

if TYPE_CHECKING:
    from edge_ssd.training.model.tiny_ssd import TinySSD

__all__ = ["NO_IMAGES", "PASSES", "ConversionState", "Pass", "apply_passes", "select_passes"]

NO_IMAGES: npt.NDArray[np.uint8] = np.empty((0, 0, 0, 3), np.uint8)
"""Calibration images of a scheme that needs none."""


@dataclass(frozen=True, eq=False)
class ConversionState:
    """A network between two passes; ``flatbuffer`` is its TFLite model, empty before the conversion.

    Attributes:
        model: the Keras model, as changed by the passes so far.
        images: uint8 [N, height, width, 3], calibration images; :data:`NO_IMAGES` for a scheme that needs none.
        ranges: name of a head's output → (lowest, highest) value for int8; empty before calibration.

    Raises:
        ValueError: the scheme needs calibration images and there are none.
    """

    config: ConversionConfig
    model: TinySSD
    images: npt.NDArray[np.uint8] = field(default_factory=lambda: NO_IMAGES)
    ranges: Mapping[str, output_ranges.Range] = field(default_factory=dict)
    flatbuffer: bytes = b""

    def __post_init__(self) -> None:
        if self.config.scheme in CALIBRATED_SCHEMES and not len(self.images):
            raise ValueError(f"{self.config.scheme} needs calibration images")


class Pass(NamedTuple):
    """A step of the conversion: the function, what it does in words, and the schemes for which it runs."""

    apply: Callable[[ConversionState], ConversionState]
    title: str
    schemes: tuple[Scheme, ...]


def subtract_background_logit(state: ConversionState) -> ConversionState:
    """Change the Keras model so that its class logits are relative to the background logit."""
    return replace(state, model=head_coding.subtract_background_logit(state.model))


def calibrate_output_ranges(state: ConversionState) -> ConversionState:
    """Choose the int8 ranges of the heads from the anchors that may become a detection in the calibration images."""
    return replace(state, ranges=output_ranges.calibrate_ranges(state.model, state.images))


def apply_gptq(state: ConversionState) -> ConversionState:
    """Round the Keras model's weights to int8 steps, except those of layers that stay float."""
    keep = state.config.kept_layers(state.model.network) if state.config.keep_type == "float" else ()
    return replace(state, model=gptq.apply_gptq(state.model, state.images, keep))


def convert_to_tflite(state: ConversionState) -> ConversionState:
    """Convert the Keras model to the TFLite model ``flatbuffer``."""
    scheme = state.config.scheme
    images = span_pixel_range(state.images) if scheme in INT8_SCHEMES else state.images
    return replace(state, flatbuffer=tflite_conversion.convert_to_tflite(state.model, scheme, images))


def quantize_mixed(state: ConversionState) -> ConversionState:
    """Quantize the float TFLite model to int8, except the layers that the configuration keeps."""
    config, network = state.config, state.model.network
    images, keep = span_pixel_range(state.images), config.kept_layers(network)
    return replace(state, flatbuffer=mixed.quantize_mixed(state.flatbuffer, network, images, keep, config.keep_type))


def set_output_quantization(state: ConversionState) -> ConversionState:
    """Set scale and zero point of the TFLite model's int8 outputs so that they cover ``state.ranges``."""
    return replace(state, flatbuffer=output_ranges.set_output_quantization(state.flatbuffer, state.ranges))


def add_metadata(state: ConversionState) -> ConversionState:
    """Add the standard TFLite metadata (input, outputs, label file) to the TFLite model."""
    return replace(state, flatbuffer=with_metadata(state.flatbuffer, state.model.network))


PASSES = (
    Pass(subtract_background_logit, "centering the logits", CALIBRATED_SCHEMES),
    Pass(calibrate_output_ranges, "calibrating the output ranges", INT8_SCHEMES),
    Pass(apply_gptq, "rounding the weights", CALIBRATED_SCHEMES),
    Pass(convert_to_tflite, "calibrating and writing the TFLite model", SCHEMES),
    Pass(quantize_mixed, "quantizing the chosen layers", ("mixed",)),
    Pass(set_output_quantization, "setting the output ranges", INT8_SCHEMES),
    Pass(add_metadata, "adding metadata", SCHEMES),
)


def select_passes(scheme: Scheme) -> list[Pass]:
    """Return the passes that run for a scheme, in order."""
    return [each for each in PASSES if scheme in each.schemes]


def apply_passes(state: ConversionState, report: Callable[[str], object] = lambda step: None) -> bytes:
    """Run the passes of the state's scheme in this process, and return the TFLite model.

    ``report`` is called before each pass with its title and number, such as "rounding the weights (3 of 6)".
    """
    passes = select_passes(state.config.scheme)
    for number, each in enumerate(passes, 1):
        report(f"{each.title} ({number} of {len(passes)})")
        state = each.apply(state)
    return state.flatbuffer
