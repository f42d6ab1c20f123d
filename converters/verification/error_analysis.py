"""Analysis of the loss of a conversion, head by head.

Each head is compared with the float model's (range, quantization, error). Then the float model's values replace one
head after the other, the same decoding runs, and average precision is measured again: the gain is the cost of that
head. Replacing all heads gives the float model's average precision.

Replacing a head does not undo the error in its input, so the gain tells which *outputs* carry the error. Whether the
head's own rounding or the layers before it cause it shows in ``HeadError.rounding_error``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from converters.verification.head_contribution import HeadContribution, head_contributions
from converters.verification.head_error import HeadError, head_errors
from converters.verification.recommendation import recommend
from edge_ssd.data.dataset import Dataset
from edge_ssd.data.splits import subsample_evenly
from edge_ssd.evaluation.evaluate import HeadOutputs, Predictor, decode, iter_batches
from edge_ssd.evaluation.matching import ClassMatches, match_images, weighted_ap
from edge_ssd.network import Network
from edge_ssd.runtime.postprocess import Postprocess
from edge_ssd.runtime.preprocess import ResizeTransform

__all__ = ["MAX_IMAGES", "ErrorAnalysis", "analyze_errors"]

MAX_IMAGES = 200
"""The heads of all images are in memory: 140 kB per image and class for a network with 5444 anchors."""

_BATCH_SIZE = 16


@dataclass(frozen=True)
class ErrorAnalysis:
    """Errors of a converted model's heads on ``num_images`` images, and the average precision that each of them costs.

    Attributes:
        float_ap, converted_ap: average precision of the two models on these images.
        contributions: AP gained with the float model's head, for each head, then "all classes" and "all boxes".
        recommendation: one line: the probable cause of the loss, and which options to try.
    """

    num_images: int
    float_ap: float
    converted_ap: float
    heads: tuple[HeadError, ...]
    contributions: tuple[HeadContribution, ...]
    recommendation: str

    def to_dict(self) -> dict[str, Any]:
        """Return the values as a dictionary of plain JSON types, rounded to six digits."""
        facts = {
            "pictures": self.num_images,
            "float_ap": self.float_ap,
            "converted_ap": self.converted_ap,
            "heads": [asdict(head) for head in self.heads],
            "attributions": [asdict(row) for row in self.contributions],
            "recommendation": self.recommendation,
        }
        return {name: _round_floats(value) for name, value in facts.items()}


def analyze_errors(converted: Predictor, reference: Predictor, network: Network, dataset: Dataset) -> ErrorAnalysis:
    """Compare ``converted`` with the float ``reference`` head by head, on up to 200 images spread over ``dataset``."""
    dataset = subsample_evenly(dataset, MAX_IMAGES)
    converted_outputs: list[HeadOutputs] = []
    reference_outputs: list[HeadOutputs] = []
    transforms: list[ResizeTransform] = []
    for images, resized in iter_batches(dataset.samples, network.input, _BATCH_SIZE):
        converted_outputs += converted(images)
        reference_outputs += reference(images)
        transforms += resized
    postprocess = Postprocess(network)

    def match(outputs: Sequence[HeadOutputs]) -> list[ClassMatches]:
        return match_images(dataset, [decode(postprocess, *pair) for pair in zip(outputs, transforms, strict=True)])

    heads = tuple(head_errors(network, converted_outputs, reference_outputs))
    contributions = tuple(head_contributions(network, converted_outputs, reference_outputs, match))
    float_ap, converted_ap = weighted_ap(match(reference_outputs)), weighted_ap(match(converted_outputs))
    recommendation = recommend(float_ap, float_ap - converted_ap, heads, contributions)
    return ErrorAnalysis(len(dataset), float_ap, converted_ap, heads, contributions, recommendation)


def _round_floats(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _round_floats(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_round_floats(item) for item in value]
    return round(value, 6) if isinstance(value, float) else value
