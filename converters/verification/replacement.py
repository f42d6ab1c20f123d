"""Comparison of a bundle with an older one that it is to replace, on the same images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from converters.verification.latency import Latency, interleaved_latency
from converters.verification.result import describe_ratio
from edge_ssd.console.activity import Activity
from edge_ssd.console.counts import count, signed
from edge_ssd.console.progress import Progress
from edge_ssd.console.table import format_table
from edge_ssd.data.dataset import Dataset, Sample
from edge_ssd.errors import BundleError
from edge_ssd.evaluation.average_precision import AveragePrecision
from edge_ssd.evaluation.bootstrap import Interval, paired_bootstrap_ci
from edge_ssd.evaluation.evaluate import evaluate, predict
from edge_ssd.evaluation.false_alarms import OperatingPoint, operating_point, score_detections
from edge_ssd.evaluation.matching import ClassMatches, match_images
from edge_ssd.evaluation.tflite_predictor import TFLitePredictor
from edge_ssd.runtime.bundle import Bundle
from edge_ssd.runtime.preprocess import read_input

__all__ = ["Replacement", "compare_bundles"]


@dataclass(frozen=True)
class Replacement:
    """Measurements of two bundles on the same images; pairs are of the old and the new one.

    Attributes:
        interval: 95 % confidence interval of ``difference``; None for fewer than two images.
        operating_points: false alarms and recall, each with the score threshold of its bundle.
        sizes: bytes of the flatbuffers.
        latency: median of an inference, measured in turns, on one thread.
    """

    precisions: tuple[AveragePrecision, AveragePrecision]
    interval: Interval | None
    operating_points: tuple[OperatingPoint, OperatingPoint]
    sizes: tuple[int, int]
    latency: Latency

    @property
    def difference(self) -> float:
        """AP (0–1) of the new bundle minus that of the old one: negative for a loss."""
        return self.precisions[1].ap - self.precisions[0].ap

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers in plain JSON types, rounded."""
        names = ("old", "new")
        return {
            **{name: precision.to_dict() for name, precision in zip(names, self.precisions, strict=True)},
            "difference": round(self.difference, 6),
            "difference_interval": self.interval and [round(self.interval.low, 6), round(self.interval.high, 6)],
            "false_alarms": {n: point.to_dict() for n, point in zip(names, self.operating_points, strict=True)},
            "size": dict(zip(names, self.sizes, strict=True)),
            "latency": {
                **{f"{n}_ms": round(ms, 3) for n, ms in zip(names, self.latency.milliseconds, strict=True)},
                "backend": self.latency.backend,
                "threads": self.latency.threads,
            },
        }

    def to_text(self, data: str) -> str:
        """Return the result as text; ``data`` describes the dataset."""
        new = self.precisions[1]
        lines = [
            f"{count(new.num_images, 'image')} of {data}, {count(new.num_objects, 'object')}",
            format_table([("", "  old", "  new", "difference"), *self._rows()]),
        ]
        if self.interval is not None:
            low, high = signed(self.interval.low, 4), signed(self.interval.high, 4)
            change = f"{signed(self.difference, 4)}, 95 % interval {low} to {high}"
            lines.append(f"AP difference: {change}: {self._verdict()}")
        for name, point in zip(("old", "new"), self.operating_points, strict=True):
            lines.append(f"{name} with its score threshold {point.threshold:g}: {point.describe()}")
        (old_ms, new_ms), (before, after) = self.latency.milliseconds, self.sizes
        lines += [
            f"size: {before / 1e6:.2f} → {after / 1e6:.2f} MB ({describe_ratio(before, after, 'smaller', 'larger')})",
            f"latency: {old_ms:.2f} → {new_ms:.2f} ms ({describe_ratio(old_ms, new_ms, 'faster', 'slower')}; "
            f"{self.latency.backend}, {self.latency.threads} thread, interleaved)",
        ]
        return "\n".join(lines)

    def _rows(self) -> list[tuple[str, ...]]:
        old, new = self.precisions
        values: list[tuple[str, float | None, float | None]] = [
            ("AP", old.ap, new.ap),
            ("AP50", old.ap50, new.ap50),
            ("AP75", old.ap75, new.ap75),
        ]
        if len(new.per_class) > 1:
            values += [(label, old.per_class[label], ap) for label, ap in new.per_class.items()]
        return [
            (name, f"{before:.3f}", f"{after:.3f}", signed(after - before, 4))
            for name, before, after in values
            if before is not None and after is not None
        ]

    def _verdict(self) -> str:
        assert self.interval is not None
        if self.interval.low > 0:
            return "the new model is better"
        return "the new model is worse" if self.interval.high < 0 else "no significant difference"


def compare_bundles(old: Bundle, new: Bundle, dataset: Dataset, background: Sequence[Sample] = ()) -> Replacement:
    """Measure both bundles on ``dataset``; false alarms are counted in ``background`` too, images without objects.

    Raises:
        BundleError: they have other labels.
        BackendError: no interpreter on this machine runs one of them.
    """
    if old.labels != new.labels:
        raise BundleError(
            f"{new.source}: its labels are {', '.join(new.labels)}, those of {old.source} {', '.join(old.labels)}; "
            "measure each with edge-ssd evaluate"
        )
    precisions: list[AveragePrecision] = []
    matches: list[list[ClassMatches]] = []
    points: list[OperatingPoint] = []
    for name, bundle in (("old", old), ("new", new)):
        predictor = TFLitePredictor(bundle)
        with Progress(name, "images") as progress:
            result = evaluate(predictor, bundle.network, dataset, progress=progress)
        with Progress("without objects", "images") as progress:
            empty = predict(predictor, bundle.network, background, progress=progress)
        scores = score_detections(dataset, result.predictions, empty)
        precisions.append(result.precision)
        matches.append(match_images(dataset, result.predictions))
        points.append(operating_point(scores, bundle.defaults.score_threshold))
    images = [read_input(dataset.samples[0].path, bundle.network.input)[0] for bundle in (old, new)]
    with Activity("timing"):
        latency = interleaved_latency([old.flatbuffer, new.flatbuffer], images)
    with Activity("computing the interval"):
        interval = paired_bootstrap_ci(matches[1], matches[0])
    sizes = len(old.flatbuffer), len(new.flatbuffer)
    return Replacement((precisions[0], precisions[1]), interval, (points[0], points[1]), sizes, latency)
