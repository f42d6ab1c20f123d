"""Compare a bundle with the Keras model that it was converted from.

Three models run on the same images with the same decoding: the Keras model, its float ``.tflite`` (which separates the
loss of the conversion from that of quantization), and the bundle.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from converters.bundle.weights_digest import is_made_from
from converters.config import ConversionConfig
from converters.measure import detect_all, measure
from converters.passes import ConversionState
from converters.quantization.head_coding import with_box_coding
from converters.subprocess_worker import apply_in_subprocess
from converters.verification.agreement import compare_detections
from converters.verification.error_analysis import analyze_errors
from converters.verification.latency import interleaved_latency
from converters.verification.result import Verification
from edge_ssd.console.activity import Activity
from edge_ssd.console.counts import count
from edge_ssd.data.dataset import Dataset, Sample
from edge_ssd.errors import BundleError
from edge_ssd.evaluation.bootstrap import paired_bootstrap_ci
from edge_ssd.evaluation.false_alarms import operating_point, score_detections
from edge_ssd.evaluation.keras_predictor import KerasPredictor
from edge_ssd.evaluation.tflite_predictor import TFLitePredictor
from edge_ssd.runtime.bundle import Bundle
from edge_ssd.runtime.preprocess import read_input

if TYPE_CHECKING:
    from edge_ssd.training.model.tiny_ssd import TinySSD

__all__ = ["verify"]

_log = logging.getLogger(__name__)


def verify(
    bundle: Bundle,
    model: TinySSD,
    model_path: Path,
    dataset: Dataset,
    background: Sequence[Sample] = (),
    *,
    explain: bool = False,
) -> Verification:
    """Evaluate the model, its float ``.tflite`` and the bundle; ``explain`` also finds the heads that cause the loss.

    ``background`` are images without objects: false alarms are counted in them and in those of ``dataset``.

    Raises:
        BundleError: the bundle and the model, from the file ``model_path``, are different networks.
    """
    # The box coding of a bundle may differ from its model's; decoded boxes are the same.
    model = with_box_coding(model, bundle.network.coding)
    network = model.network
    if bundle.network != network:
        raise BundleError(
            f"{bundle.path}: was not made from {model_path}: {_network_difference(bundle, model)}; "
            "give the model that it was made from"
        )
    made_from_model = is_made_from(bundle, model)
    if made_from_model is False:
        _log.warning(
            "%s was not made from %s: its weights are those of another run, or of another epoch of it; the differences "
            "below are not those of the conversion. Give the model that it was made from, or convert this one again",
            bundle.path,
            model_path,
        )
    _log.info("converting the model to float, for comparison")
    state = ConversionState(ConversionConfig(scheme="none"), model)
    float_bundle = replace(bundle, flatbuffer=apply_in_subprocess(state, model_path))
    _log.info("measuring on %s", count(len(dataset), "image"))
    keras, converted = KerasPredictor(model), TFLitePredictor(bundle)
    float_result = measure(keras, network, dataset, "float")
    float_tflite_result = measure(TFLitePredictor(float_bundle), network, dataset, "float .tflite")
    quantized_result = measure(converted, network, dataset, "converted")
    image, _ = read_input(dataset.samples[0].path, network.input)
    threshold = bundle.defaults.score_threshold
    empty = [detect_all(predictor, network, background, "without objects") for predictor in (keras, converted)]
    scores = [
        score_detections(dataset, result.predictions, detections)
        for result, detections in zip((float_result, quantized_result), empty, strict=True)
    ]
    with Activity("timing"):
        latency = interleaved_latency([float_bundle.flatbuffer, bundle.flatbuffer], [image, image])
    result = Verification(
        dataset=dataset,
        float_result=float_result,
        float_tflite_result=float_tflite_result,
        quantized_result=quantized_result,
        interval=None,
        agreement=compare_detections(float_result.predictions, quantized_result.predictions, threshold),
        operating_points=(operating_point(scores[0], threshold), operating_point(scores[1], threshold)),
        sizes=(len(float_bundle.flatbuffer), len(bundle.flatbuffer)),
        latency=latency,
        error_analysis=analyze_errors(converted, keras, network, dataset) if explain else None,
        made_from_model=made_from_model,
    )
    with Activity("computing the interval"):
        return replace(result, interval=paired_bootstrap_ci(result.matches[2], result.matches[0]))


def _network_difference(bundle: Bundle, model: TinySSD) -> str:
    ours, theirs = bundle.network.to_dict(), model.network.to_dict()
    if ours["labels"] != theirs["labels"]:
        return f"its labels are {', '.join(ours['labels'])}, the model's {', '.join(theirs['labels'])}"
    names = [name for name in ours if ours[name] != theirs[name]]
    return f"the networks differ in {', '.join(names)}"
