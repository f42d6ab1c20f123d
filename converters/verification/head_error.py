"""Error of each converted head against the float model's, on the anchors that may become a detection."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from converters.quantization.output_ranges import candidate_anchors, min_logit
from edge_ssd.evaluation.evaluate import HeadOutputs
from edge_ssd.network import Network
from edge_ssd.runtime.postprocess import Head

__all__ = ["HeadError", "head_errors"]

Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True)
class HeadError:
    """Quantization of one converted head, and its error on the anchors that may become a detection.

    Class logits are compared as decoding uses them: relative to background and clipped where the score is negligible.

    Attributes:
        kind: "classes" or "boxes".
        dtype: type of the output, such as "int8".
        scale, zero_point: quantization parameters; ``scale`` is None for a float head.
        low, high: minimum and maximum of the float model's values.
        relative_rmse: root mean square error over the root mean square of the float values.
        rounding_error: the ``relative_rmse`` of an ideal rounding to the quantization steps; 0 for a float head.
        clipped: share of values that saturate at an end of the type's range, 0–1.
    """

    output: str
    kind: str
    level: int
    dtype: str
    scale: float | None
    zero_point: int
    low: float
    high: float
    relative_rmse: float
    rounding_error: float
    clipped: float

    @property
    def is_dominated_by_rounding(self) -> bool:
        """Whether the output's own rounding makes at least half of the squared error; the input caused the rest."""
        return self.rounding_error**2 >= 0.5 * self.relative_rmse**2


def head_errors(
    network: Network, converted: Sequence[HeadOutputs], reference: Sequence[HeadOutputs]
) -> Iterator[HeadError]:
    """Yield the error of each class and box head against the float ``reference``; both have one entry per image."""
    for level in range(len(network.levels)):
        logits = _rows([class_heads[level] for class_heads, _ in reference], network.num_classes + 1)
        candidates = candidate_anchors((logits[:, 1:] - logits[:, :1]).max(axis=1))
        for kind, side, columns in (("classes", 0, network.num_classes + 1), ("boxes", 1, 4)):
            heads = [outputs[side][level] for outputs in converted]
            reference_heads = [outputs[side][level] for outputs in reference]
            expected, actual = (
                _decoded_values(kind, network, _rows(each, columns)[candidates]) for each in (reference_heads, heads)
            )
            rms = max(float(np.sqrt(np.mean(expected**2))), 1e-12)
            scale, dtype = heads[0].scale, heads[0].values.dtype
            rounding_error = clipped = 0.0
            if scale is not None:
                stored = _rows([Head(head.values) for head in heads], columns)[candidates]
                at_limit = (stored == np.iinfo(dtype).min) | (stored == np.iinfo(dtype).max)
                if kind == "classes":
                    at_limit = at_limit[:, 1:] | at_limit[:, :1]
                # A logit is the difference of two rounded ones, unless the background logit is constant.
                rounded = 2 if kind == "classes" and np.ptp(stored[:, 0]) != 0 else 1
                # An error that is uniform over one step has the variance 1/12 of the squared step.
                rounding_error = float(np.sqrt(rounded / 12) * scale / rms)
                clipped = float((at_limit & (abs(actual - expected) > 1.5 * scale)).mean())
            yield HeadError(
                output=f"{kind}_{level}",
                kind=kind,
                level=level,
                dtype=dtype.name,
                scale=scale,
                zero_point=heads[0].zero_point,
                low=float(expected.min()),
                high=float(expected.max()),
                relative_rmse=float(np.sqrt(np.mean((actual - expected) ** 2))) / rms,
                rounding_error=rounding_error,
                clipped=clipped,
            )


def _decoded_values(kind: str, network: Network, rows: Doubles) -> Doubles:
    """Return rows of a head as decoding uses them: logits relative to background, at least ``min_logit``."""
    return rows if kind == "boxes" else np.maximum(rows[:, 1:] - rows[:, :1], min_logit(network))


def _rows(heads: Sequence[Head], columns: int) -> Doubles:
    """Return the dequantized values of one head in all images, float64 [images * anchors, columns]."""
    values = np.stack([head.values for head in heads]).reshape(-1, columns).astype(np.float64)
    scale, zero_point = heads[0].scale, heads[0].zero_point
    return values if scale is None else (values - zero_point) * scale
