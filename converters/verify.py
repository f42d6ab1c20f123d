"""Is a bundle as good as the model it was made from? Both are run over the same pictures and decoded alike."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_ssd.boxes import box_iou
from edge_ssd.data.dataset import Dataset
from edge_ssd.errors import BundleError
from edge_ssd.evaluation.average_precision import AveragePrecision, Predictions
from edge_ssd.evaluation.bundle_heads import bundle_heads
from edge_ssd.evaluation.evaluate import Evaluation, evaluate
from edge_ssd.evaluation.keras_heads import KERAS_BATCH_SIZE, keras_heads
from edge_ssd.progress import Progress
from edge_ssd.runtime.bundle import Bundle

if TYPE_CHECKING:
    from edge_ssd.training.model import TinySSD

__all__ = ["Verification", "disagreement", "verify"]


@dataclass(frozen=True)
class Verification:
    """Both evaluations, over the samples of ``dataset``."""

    dataset: Dataset
    float_result: Evaluation
    quantized_result: Evaluation

    @property
    def loss(self) -> float:
        """AP lost on the way; negative where the converted model came out better."""
        return self.float_result.precision.ap - self.quantized_result.precision.ap

    def within(self, budget: float) -> bool:
        """Whether the loss is at most ``budget``."""
        # Rounded as it is shown: 0.005 lost is within a budget of 0.005.
        return round(self.loss, 6) <= budget

    def rows(self) -> list[tuple[str, float, float]]:
        """(name, float, quantized) of each measure."""
        before, after = self.float_result.precision, self.quantized_result.precision
        return [
            ("AP", before.ap, after.ap),
            ("AP50", before.ap50, after.ap50),
            ("AP75", before.ap75, after.ap75),
            *_per_class(before, after),
        ]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {
            "float": self.float_result.precision.to_dict(),
            "quantized": self.quantized_result.precision.to_dict(),
            "loss": round(self.loss, 6),
        }


def verify(bundle: Bundle, model: TinySSD, model_path: Path, dataset: Dataset) -> Verification:
    """Evaluate both on ``dataset``; raises :class:`BundleError` when they are not the same network."""
    if bundle.network != model.network:
        raise BundleError(
            f"{bundle.path}: was not made from {model_path}: {_difference(bundle, model)}; "
            "give the model that it was made from"
        )
    with Progress("float", "pictures") as progress:
        before = evaluate(keras_heads(model), model.network, dataset, batch_size=KERAS_BATCH_SIZE, progress=progress)
    with Progress("converted", "pictures") as progress:
        after = evaluate(bundle_heads(bundle), bundle.network, dataset, progress=progress)
    return Verification(dataset, before, after)


def disagreement(one: Predictions, other: Predictions, score_threshold: float) -> float:
    """How differently two models see one picture: 0 for the same, about 1 for every object only one of them sees.

    Of the detections with at least ``score_threshold``, each takes the best overlap that the other model has in
    its class; what is missing of 1 is added up, and what the scores differ by.
    """
    total = 0.0
    for mine, theirs in ((one, other), (other, one)):
        shown = mine.scores >= score_threshold
        if not shown.any():
            continue
        iou = box_iou(mine.boxes_xyxy[shown], theirs.boxes_xyxy)
        iou = np.where(mine.class_ids[shown, None] == theirs.class_ids[None, :], iou, 0)
        if iou.shape[1] == 0:
            total += float(shown.sum())
            continue
        best = iou.argmax(axis=1)
        overlap = iou[np.arange(len(best)), best]
        scores = np.where(overlap > 0, np.abs(mine.scores[shown] - theirs.scores[best]), 0)
        total += float((1 - overlap).sum() + scores.sum())
    return total / 2


def _per_class(before: AveragePrecision, after: AveragePrecision) -> list[tuple[str, float, float]]:
    """One class would only repeat the mean."""
    if len(before.per_class) == 1:
        return []
    return [
        (label, ap, after_ap)
        for label, ap in before.per_class.items()
        if ap is not None and (after_ap := after.per_class[label]) is not None
    ]


def _difference(bundle: Bundle, model: TinySSD) -> str:
    mine, theirs = bundle.network.to_dict(), model.network.to_dict()
    if mine["labels"] != theirs["labels"]:
        return f"its labels are {', '.join(mine['labels'])}, the model's {', '.join(theirs['labels'])}"
    names = [name for name in mine if mine[name] != theirs[name]]
    return f"the networks differ in {', '.join(names)}"
