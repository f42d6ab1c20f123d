"""Reasons to doubt a conversion, found by running the models: they find no objects in the images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from converters.measure import MIN_USEFUL_AP
from converters.quantization.calibration import Calibration
from edge_ssd.console.counts import count
from edge_ssd.evaluation.average_precision import AveragePrecision
from edge_ssd.network import Network

if TYPE_CHECKING:
    from edge_ssd.training.model.tiny_ssd import TinySSD

__all__ = ["calibration_domain_warnings", "precision_warnings"]

# Share of the images with objects in which a model that fits them detects something.
_MIN_DETECTED = 0.1
_BATCH = 16


def calibration_domain_warnings(model: TinySSD, calibration: Calibration, score_threshold: float) -> list[str]:
    """Return a line if the float ``model`` detects hardly anything in calibration images that show objects, else none.

    ``score_threshold`` is that of the bundle.
    """
    detected, images = 0, calibration.images
    for start in range(0, len(images), _BATCH):
        class_maps, _ = model.head_maps(images[start : start + _BATCH].astype(np.float32))
        detected += int((_max_scores(class_maps, model.network) >= score_threshold).sum())
    if detected >= _MIN_DETECTED * calibration.num_labeled:
        return []
    return [
        f"the float model detects something in only {detected} of {count(len(images), 'calibration image')}, of which "
        f"{calibration.num_labeled} have labeled objects (score {score_threshold:g}): they are unlike the images it "
        "was trained on, or it needs more training; ranges calibrated on them do not fit"
    ]


def precision_warnings(before: AveragePrecision, after: AveragePrecision) -> list[str]:
    """Return a line if the model finds hardly anything before or after its conversion, else none."""
    if before.ap < MIN_USEFUL_AP:
        return [
            f"the float model finds hardly anything in {count(before.num_images, 'image')} (AP {before.ap:.3f}), and "
            "so does the converted one: train it longer, or measure on images like those it was trained on"
        ]
    if after.ap < MIN_USEFUL_AP:
        return [
            f"the converted model finds hardly anything (AP {after.ap:.3f}; float {before.ap:.3f}): calibrate on "
            "images like those it was trained on, or convert with --quantize mixed or int16x8"
        ]
    return []


def _max_scores(class_maps: Sequence[Any], network: Network) -> npt.NDArray[np.float32]:
    """Return [B], the highest probability of a class other than background over all anchors of each image."""
    columns = network.num_classes + 1
    logits = np.concatenate([maps.numpy().reshape(len(maps), -1, columns) for maps in class_maps], axis=1)
    exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
    scores: npt.NDArray[np.float32] = exponentials[..., 1:].max(axis=-1) / exponentials.sum(axis=-1)
    return scores.max(axis=1)
