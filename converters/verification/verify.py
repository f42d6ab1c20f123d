"""Is a bundle as good as the model it was made from?

Three things run over the same pictures and are decoded by the same code: the Keras model, its float ``.tflite`` (so
that a loss of the conversion as such is told from one of the quantisation), and the bundle.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from converters.quantization.output_ranges import with_box_coding
from converters.quantization.quantize import quantize
from converters.verification.agreement import Agreement, agreement, detection_differences
from converters.verification.error_analysis import Diagnosis, diagnose
from converters.verification.latency import Latency, interleaved_latency
from converters.verification.report_curves import CURVE_IOUS, curve
from edge_ssd.console.progress import Progress
from edge_ssd.data.dataset import Dataset
from edge_ssd.errors import BundleError
from edge_ssd.evaluation.average_precision import AveragePrecision
from edge_ssd.evaluation.bootstrap import Interval, paired_bootstrap_ci
from edge_ssd.evaluation.evaluate import Evaluation, evaluate
from edge_ssd.evaluation.keras_predictor import KERAS_BATCH_SIZE, KerasPredictor
from edge_ssd.evaluation.matching import ClassMatches, match_images
from edge_ssd.evaluation.tflite_predictor import TFLitePredictor
from edge_ssd.runtime.bundle import Bundle
from edge_ssd.runtime.preprocess import preprocess, read_image

if TYPE_CHECKING:
    from edge_ssd.training.model.tiny_ssd import TinySSD

__all__ = ["Row", "Verification", "float_bundle", "verify"]


@dataclass(frozen=True)
class Row:
    """A measure of the three models."""

    name: str
    keras: float
    float_tflite: float
    converted: float


@dataclass(frozen=True)
class Verification:
    """Three evaluations over the samples of ``dataset``, and what follows from them.

    Attributes:
        float_result, float_tflite_result, quantized_result: of the Keras model, its float ``.tflite``, the bundle.
        interval: the 95 % interval of ``loss``, None where there are too few pictures to tell.
        sizes: bytes of the float and the converted flatbuffer.
        latency: of the float and the converted flatbuffer, in turn, on one thread.
        diagnosis: None where it was not asked for.
    """

    dataset: Dataset
    float_result: Evaluation
    float_tflite_result: Evaluation
    quantized_result: Evaluation
    interval: Interval | None
    agreement: Agreement
    sizes: tuple[int, int]
    latency: Latency
    diagnosis: Diagnosis | None = None

    @property
    def loss(self) -> float:
        """AP lost on the way; negative where the converted model came out better."""
        return self.float_result.precision.ap - self.quantized_result.precision.ap

    def within(self, budget: float) -> bool:
        """Whether the loss is at most ``budget``."""
        # Rounded as it is shown: 0.005 lost is within a budget of 0.005.
        return round(self.loss, 6) <= budget

    @property
    def speed_up(self) -> float:
        """How many times faster than its float ``.tflite`` the bundle is."""
        return self.latency.milliseconds[0] / self.latency.milliseconds[1]

    @property
    def size_ratio(self) -> float:
        """How many times smaller than its float ``.tflite`` the bundle's model is."""
        return self.sizes[0] / self.sizes[1]

    @cached_property
    def matches(self) -> tuple[list[ClassMatches], list[ClassMatches], list[ClassMatches]]:
        """What is right of each model's detections, class by class, in the order of the three results."""
        results = (self.float_result, self.float_tflite_result, self.quantized_result)
        one, two, three = (match_images(self.dataset, result.predictions) for result in results)
        return one, two, three

    @cached_property
    def disagreements(self) -> tuple[float, ...]:
        """:func:`~converters.verification.agreement.detection_differences` on each picture."""
        pairs = zip(self.float_result.predictions, self.quantized_result.predictions, strict=True)
        return tuple(detection_differences(*pair, self.agreement.score_threshold) for pair in pairs)

    def worst(self) -> list[int]:
        """Indices of the samples, the one that the two models see most differently first."""
        order: list[int] = np.argsort(-np.array(self.disagreements), kind="stable").tolist()
        return order

    def rows(self) -> list[Row]:
        """AP, AP50, AP75 and, with more than one class, AP of each."""
        results = (self.float_result, self.float_tflite_result, self.quantized_result)
        scores = [result.precision for result in results]
        rows = [Row(title, *(getattr(score, name) for score in scores)) for title, name in _MEASURES]
        return rows + _per_class(scores)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        samples = self.dataset.samples
        milliseconds = self.latency.milliseconds
        return {
            "float": self.float_result.precision.to_dict(),
            "float_tflite": self.float_tflite_result.precision.to_dict(),
            "quantized": self.quantized_result.precision.to_dict(),
            "loss": round(self.loss, 6),
            "loss_interval": None
            if self.interval is None
            else [round(self.interval.low, 6), round(self.interval.high, 6)],
            "agreement": self.agreement.to_dict(),
            "size": {"float": self.sizes[0], "quantized": self.sizes[1], "ratio": round(self.size_ratio, 3)},
            "latency": {
                "float_ms": round(milliseconds[0], 3),
                "quantized_ms": round(milliseconds[1], 3),
                "speed_up": round(self.speed_up, 3),
                "backend": self.latency.backend,
                "threads": self.latency.threads,
            },
            "pictures": [
                {"picture": samples[i].path.name, "disagreement": round(self.disagreements[i], 6)} for i in self.worst()
            ],
            "curves": self._curves(),
            "diagnosis": None if self.diagnosis is None else self.diagnosis.to_dict(),
        }

    def _curves(self) -> dict[str, Any]:
        """Precision at recalls 0, 0.01, … 1, averaged over the classes, by IoU threshold."""
        curves: dict[str, Any] = {}
        for name, matches in (("float", self.matches[0]), ("quantized", self.matches[2])):
            found = {f"{iou:g}": curve(matches, iou) for iou in CURVE_IOUS}
            curves[name] = {iou: None if row is None else row.round(4).tolist() for iou, row in found.items()}
        return curves


_MEASURES = (("AP", "ap"), ("AP50", "ap50"), ("AP75", "ap75"))


def verify(
    bundle: Bundle,
    model: TinySSD,
    model_path: Path,
    dataset: Dataset,
    *,
    explain: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> Verification:
    """Evaluate all three on ``dataset``; raises :class:`BundleError` when they are not the same network.

    Args:
        explain: whether to look for the heads that the loss comes from, too.
        say: told of each step, one line.
    """
    # A bundle may write its boxes in other units than the model, which changes none of them.
    model = with_box_coding(model, bundle.network.coding)
    if bundle.network != model.network:
        raise BundleError(
            f"{bundle.path}: was not made from {model_path}: {_difference(bundle, model)}; "
            "give the model that it was made from"
        )
    say("converting the model to float, for comparison")
    plain = float_bundle(bundle, model_path)
    say(f"measuring on {len(dataset)} pictures")
    reference, converted = KerasPredictor(model), TFLitePredictor(bundle)
    with Progress("float", "pictures") as progress:
        before = evaluate(reference, model.network, dataset, batch_size=KERAS_BATCH_SIZE, progress=progress)
    with Progress("float .tflite", "pictures") as progress:
        between = evaluate(TFLitePredictor(plain), model.network, dataset, progress=progress)
    with Progress("converted", "pictures") as progress:
        after = evaluate(converted, model.network, dataset, progress=progress)
    image, _ = preprocess(read_image(dataset.samples[0].path), model.network.input)
    result = Verification(
        dataset=dataset,
        float_result=before,
        float_tflite_result=between,
        quantized_result=after,
        interval=None,
        agreement=agreement(before.predictions, after.predictions, bundle.defaults.score_threshold),
        sizes=(len(plain.flatbuffer), len(bundle.flatbuffer)),
        latency=interleaved_latency([plain.flatbuffer, bundle.flatbuffer], image),
    )
    diagnosis = diagnose(converted, reference, model.network, dataset) if explain else None
    interval = paired_bootstrap_ci(result.matches[0], result.matches[2])
    return replace(result, interval=interval, diagnosis=diagnosis)


def float_bundle(bundle: Bundle, model_path: Path) -> Bundle:
    """``bundle`` with the float flatbuffer of the Keras model at ``model_path`` in place of its own."""
    return replace(bundle, flatbuffer=quantize(model_path, "none", coding=bundle.network.coding))


def _per_class(scores: list[AveragePrecision]) -> list[Row]:
    """One class would only repeat the mean."""
    rows = []
    for label in scores[0].per_class if len(scores[0].per_class) > 1 else ():
        first, second, third = (score.per_class[label] for score in scores)
        if first is not None and second is not None and third is not None:
            rows.append(Row(label, first, second, third))
    return rows


def _difference(bundle: Bundle, model: TinySSD) -> str:
    mine, theirs = bundle.network.to_dict(), model.network.to_dict()
    if mine["labels"] != theirs["labels"]:
        return f"its labels are {', '.join(mine['labels'])}, the model's {', '.join(theirs['labels'])}"
    names = [name for name in mine if mine[name] != theirs[name]]
    return f"the networks differ in {', '.join(names)}"
