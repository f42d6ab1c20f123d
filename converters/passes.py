"""The passes of a conversion, in order: from a Keras model to the content of a file.

A pass is a function from :class:`~converters.state.ConversionState` to a changed copy of it, and the schemes that it
belongs to. To add one, write the function and add an entry to one of the three lists, which run in this order:

- ``MODEL_PASSES`` define the network that the bundle describes.
- ``NETWORK_PASSES`` quantize and convert it, in a child process (:mod:`converters.subprocess_worker`).
- ``FILE_PASSES`` measure the result and write it into a bundle.
"""

from __future__ import annotations

import contextlib
import logging
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from converters.bundle.selftest import choose_selftest, placeholder_selftest
from converters.bundle.tool_versions import tool_versions
from converters.bundle.writer import BundleContent, bundle_bytes
from converters.interop.check import check_profile
from converters.interop.export import profile_bytes, profile_model, profile_warnings
from converters.measure import measure_bundle, measure_model
from converters.quantization import gptq, head_coding, mixed, output_ranges, tflite_conversion
from converters.quantization.calibration import span_pixel_range
from converters.quantization.schemes import CALIBRATED_SCHEMES, INT8_SCHEMES, SCHEMES, Scheme
from converters.state import ConversionState
from converters.tflite.metadata import with_metadata
from edge_ssd.data.splits import subsample_evenly

__all__ = ["FILE_PASSES", "MODEL_PASSES", "NETWORK_PASSES", "Pass", "apply_passes"]

_log = logging.getLogger(__name__)

# The best of these becomes the self-test; more images take more time and are hardly better.
_SELFTEST_CANDIDATES = 32


class Pass(NamedTuple):
    """A step of the conversion: the function, and the schemes for which it runs."""

    apply: Callable[[ConversionState], ConversionState]
    schemes: tuple[Scheme, ...]


def equalize_box_scales(state: ConversionState) -> ConversionState:
    """Give box sizes the same scale as box centers."""
    return replace(state, model=head_coding.equalize_box_scales(state.model))


def subtract_background_logit(state: ConversionState) -> ConversionState:
    """Make class logits relative to the background logit."""
    return replace(state, model=head_coding.subtract_background_logit(state.model))


def calibrate_output_ranges(state: ConversionState) -> ConversionState:
    """Choose the int8 ranges of the heads from their candidate anchors."""
    return replace(state, ranges=output_ranges.calibrate_ranges(state.model, state.images))


def apply_gptq(state: ConversionState) -> ConversionState:
    """Round the weights to int8 steps, except those of layers that stay float."""
    keep = state.kept_layers if state.config.keep_type == "float" else ()
    return replace(state, model=gptq.apply_gptq(state.model, state.images, keep))


def convert_to_tflite(state: ConversionState) -> ConversionState:
    """Convert the Keras model to a TFLite model."""
    scheme = state.config.scheme
    images = None
    if scheme in CALIBRATED_SCHEMES:
        images = span_pixel_range(state.images) if scheme in INT8_SCHEMES else state.images
    return replace(state, flatbuffer=tflite_conversion.convert_to_tflite(state.model, scheme, images))


def quantize_mixed(state: ConversionState) -> ConversionState:
    """Quantize a float TFLite model to int8, except the layers to keep."""
    images, network = span_pixel_range(state.images), state.model.network
    flatbuffer = mixed.quantize_mixed(state.flatbuffer, network, images, state.kept_layers, state.config.keep_type)
    return replace(state, flatbuffer=flatbuffer)


def set_output_quantization(state: ConversionState) -> ConversionState:
    """Set the scales of int8 outputs to the chosen ranges."""
    return replace(state, flatbuffer=output_ranges.set_output_quantization(state.flatbuffer, state.ranges))


def add_metadata(state: ConversionState) -> ConversionState:
    """Add the standard TFLite metadata."""
    return replace(state, flatbuffer=with_metadata(state.flatbuffer, state.model.network))


def measure_accuracy(state: ConversionState) -> ConversionState:
    """Measure average precision before and after conversion, if the configuration asks for it."""
    if not state.config.measure:
        return state
    assert state.dataset is not None
    _log.info("measuring average precision on %d images, before and after", len(state.dataset))
    before = state.float_precision or measure_model(state.model, state.dataset)
    with _draft_bundle(state) as path:
        after = measure_bundle(path, state.dataset)
    return replace(state, float_precision=before, quantized_precision=after)


def embed_selftest(state: ConversionState) -> ConversionState:
    """Run the bundle on the image to embed, or choose one."""
    assert state.dataset is not None
    _log.info("choosing an image for the self-test")
    paths = [sample.path for sample in subsample_evenly(state.dataset, _SELFTEST_CANDIDATES).samples]
    if state.config.selftest_image is not None:
        paths = [state.config.selftest_image]
    with _draft_bundle(state) as path:
        return replace(state, selftest=choose_selftest(path, paths))


def build_file(state: ConversionState) -> ConversionState:
    """Write the bundle, or the file for another runtime, to memory."""
    content, profile = _bundle_content(state), state.config.profile
    if profile is None:
        return replace(state, file=bundle_bytes(content))
    for line in profile_warnings(profile, content.network):
        _log.warning("%s", line)
    flatbuffer = profile_model(state.flatbuffer, content.network, content.defaults)
    check_profile(flatbuffer, content, state.out)
    return replace(state, flatbuffer=flatbuffer, file=profile_bytes(profile, flatbuffer, content))


MODEL_PASSES = (Pass(equalize_box_scales, SCHEMES),)

NETWORK_PASSES = (
    Pass(subtract_background_logit, CALIBRATED_SCHEMES),
    Pass(calibrate_output_ranges, INT8_SCHEMES),
    Pass(apply_gptq, CALIBRATED_SCHEMES),
    Pass(convert_to_tflite, SCHEMES),
    Pass(quantize_mixed, ("mixed",)),
    Pass(set_output_quantization, INT8_SCHEMES),
    Pass(add_metadata, SCHEMES),
)

FILE_PASSES = (
    Pass(measure_accuracy, SCHEMES),
    Pass(embed_selftest, SCHEMES),
    Pass(build_file, SCHEMES),
)


def apply_passes(state: ConversionState, passes: Sequence[Pass]) -> ConversionState:
    """Apply the passes of the state's scheme in this process."""
    for each in passes:
        if state.config.scheme in each.schemes:
            _log.debug("pass %s", each.apply.__name__)
            state = each.apply(state)
    return state


@contextlib.contextmanager
def _draft_bundle(state: ConversionState) -> Iterator[Path]:
    """Write a bundle without self-test to a temporary file, to be opened as on the device."""
    with tempfile.TemporaryDirectory(prefix="edge-ssd-") as folder:
        path = Path(folder) / "draft.tflite"
        path.write_bytes(bundle_bytes(_bundle_content(state)))
        yield path


def _bundle_content(state: ConversionState) -> BundleContent:
    config, network = state.config, state.model.network
    accuracy = None
    if state.float_precision is not None and state.quantized_precision is not None:
        accuracy = {
            "float": state.float_precision.to_dict(),
            "quantized": state.quantized_precision.to_dict(),
            "data": state.dataset_name,
        }
    return BundleContent(
        name=config.name or state.out.stem,
        network=network,
        flatbuffer=state.flatbuffer,
        quantization=config.scheme,
        defaults=config.thresholds,
        selftest=state.selftest or placeholder_selftest(network, config.thresholds.score_threshold),
        calibration=state.calibration,
        kept_layers=dict.fromkeys(state.kept_layers, config.keep_type),
        tools=tool_versions(config.scheme),
        accuracy=accuracy,
    )
