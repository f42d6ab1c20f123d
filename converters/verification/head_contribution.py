"""Contribution of each head to the loss of average precision, measured by replacing it with the float model's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from edge_ssd.console.progress import Progress
from edge_ssd.evaluation.bootstrap import Interval, paired_bootstrap_ci
from edge_ssd.evaluation.evaluate import HeadOutputs
from edge_ssd.evaluation.matching import ClassMatches, weighted_ap
from edge_ssd.network import Network
from edge_ssd.runtime.postprocess import Head

__all__ = ["HeadContribution", "head_contributions"]

# A smaller gain is noise on any labeled dataset of practical size.
_MIN_SIGNIFICANT_AP = 0.002
# Of a dozen intervals each; their ends need less precision than those of the main one.
_RESAMPLES = 300


@dataclass(frozen=True)
class HeadContribution:
    """Average precision with the heads ``outputs`` taken from the float model, all others from the converted one.

    Attributes:
        name: of the head, or "all classes", "all boxes".
        outputs: names of the replaced outputs.
        ap: average precision with the replacement.
        gain: ``ap`` minus the converted model's.
        interval: 95 % confidence interval of ``gain``; None for fewer than two images.
    """

    name: str
    outputs: tuple[str, ...]
    ap: float
    gain: float
    interval: Interval | None

    @property
    def is_significant(self) -> bool:
        """Whether the gain is at least 0.002 AP and its confidence interval, if measured, is above 0."""
        return self.gain >= _MIN_SIGNIFICANT_AP and (self.interval is None or self.interval.low > 0)


def head_contributions(
    network: Network,
    converted: Sequence[HeadOutputs],
    reference: Sequence[HeadOutputs],
    match: Callable[[Sequence[HeadOutputs]], Sequence[ClassMatches]],
) -> list[HeadContribution]:
    """Return the contribution of each head, then of all class heads and of all box heads.

    Args:
        converted, reference: outputs of the converted and the float model, one entry per image.
        match: decodes the outputs for all images and matches the detections with the labels, class by class.
    """
    names = [f"{kind}_{level}" for level in range(len(network.levels)) for kind in ("classes", "boxes")]
    groups: dict[str, tuple[str, ...]] = {name: (name,) for name in names}
    groups |= {f"all {kind}": tuple(name for name in names if name.startswith(kind)) for kind in ("classes", "boxes")}
    converted_matches = match(converted)
    converted_ap = weighted_ap(converted_matches)
    contributions = []
    with Progress("explain", "heads") as progress:
        for name, outputs in groups.items():
            matches = match([_replace(*pair, outputs) for pair in zip(converted, reference, strict=True)])
            ap = weighted_ap(matches)
            interval = paired_bootstrap_ci(matches, converted_matches, resamples=_RESAMPLES)
            contributions.append(HeadContribution(name, outputs, ap, ap - converted_ap, interval))
            progress(len(contributions), len(groups))
    return contributions


def _replace(converted: HeadOutputs, reference: HeadOutputs, outputs: Sequence[str]) -> HeadOutputs:
    """Return the heads of ``converted`` with those named in ``outputs`` taken from ``reference``."""

    def choose(kind: str, side: int) -> list[Head]:
        pairs = zip(converted[side], reference[side], strict=True)
        return [theirs if f"{kind}_{level}" in outputs else ours for level, (ours, theirs) in enumerate(pairs)]

    return choose("classes", 0), choose("boxes", 1)
