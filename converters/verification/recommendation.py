"""Recommendation for a model that lost average precision in conversion."""

from __future__ import annotations

from collections.abc import Sequence

from converters.measure import MIN_USEFUL_AP
from converters.verification.head_contribution import HeadContribution
from converters.verification.head_error import HeadError
from edge_ssd.console.counts import signed

__all__ = ["recommend"]

# A smaller loss of AP is negligible.
_NEGLIGIBLE_LOSS = 0.003
# A head that clips a larger share of its values was calibrated on too narrow a range.
_MAX_CLIPPED = 0.001


def recommend(
    float_ap: float, loss: float, heads: Sequence[HeadError], contributions: Sequence[HeadContribution]
) -> str:
    """Return one line: the probable cause of the ``loss`` of ``float_ap``, and what to try."""
    if float_ap < MIN_USEFUL_AP:
        return (
            f"The float model finds hardly anything in these images (AP {float_ap:.3f}), which no conversion changes: "
            "train it longer, or measure on images like those it was trained on."
        )
    if loss <= _NEGLIGIBLE_LOSS:
        fact = f"No AP is lost ({-loss:.4f} gained)" if loss < 0 else f"AP loss is negligible ({loss:.4f})"
        return f"{fact}. No layer needs higher precision."
    clipped = [head for head in heads if head.clipped > _MAX_CLIPPED]
    if clipped:
        names = ", ".join(f"{head.output} ({head.clipped:.1%})" for head in clipped)
        return (
            f"Calibrate on more or other images: values of {names} exceed the calibrated range and are clipped "
            "(--calibration-images, or --data with images like those in use)."
        )
    significant = sorted((row for row in contributions if row.is_significant), key=lambda row: -row.gain)
    single = [row for row in significant if len(row.outputs) == 1]
    if single:
        costs = ", ".join(f"{row.name} {signed(row.gain, 4)}" for row in single)
        by_rounding = {head.output for head in heads if head.is_dominated_by_rounding}
        keep = [row.name for row in single if row.name in by_rounding]
        if keep:
            return (
                f"Keep heads with a large rounding error out of int8: --quantize mixed --keep {','.join(keep)} "
                f"(AP gain: {costs})."
            )
        return (
            f"The error originates in the layers before the heads (AP gain: {costs}): keep early layers out of int8, "
            "--quantize mixed --keep 'base_net/*', or use --quantize int16x8."
        )
    if significant:
        group = significant[0]
        pattern = "classes_*" if group.outputs[0].startswith("classes") else "boxes_*"
        return (
            f"No single head causes the loss, but {group.name} together cost {group.gain:.4f} AP: try --quantize mixed "
            f"--keep '{pattern}', and if that does not help --quantize int16x8."
        )
    return (
        "Replacing any head by the float model's gives no significant gain on these images: the loss is spread over "
        "the network. Measure on more images, then try --quantize mixed or int16x8."
    )
