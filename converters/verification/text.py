"""Text of a verification for the terminal."""

from __future__ import annotations

from converters.verification.error_analysis import ErrorAnalysis
from converters.verification.limits import Limits
from converters.verification.result import Verification, describe_ratio
from edge_ssd.console.counts import count, signed
from edge_ssd.console.table import format_table

__all__ = ["format_verification"]

# The space widens the column.
_METRICS_HEADER = ("", " Keras", "float .tflite", "converted", "difference")


def format_verification(result: Verification, data: str, limits: Limits) -> str:
    """Return the result as text; ``data`` describes the dataset."""
    precision = result.float_result.precision
    lines = [
        f"{count(precision.num_images, 'image')} of {data}, {count(precision.num_objects, 'object')}",
        format_table([_METRICS_HEADER, *(row.cells() for row in result.rows())]),
    ]
    if (interval := result.interval) is not None:
        low, high = signed(interval.low, 4), signed(interval.high, 4)
        lines.append(f"AP difference: {signed(result.difference, 4)}, 95 % interval {low} to {high}")
    lines += [*_agreement(result), _false_alarms(result), *_cost(result)]
    if result.error_analysis is not None:
        lines += _error_analysis(result.error_analysis)
    lines += limits.verdicts(result)
    return "\n".join(lines)


def _agreement(result: Verification) -> list[str]:
    agreement = result.agreement
    total = agreement.matched + agreement.only_float + agreement.only_converted
    if not total:
        return [f"neither model detects anything with a score of {agreement.score_threshold:g}"]
    lines = [
        f"of {count(total, 'detection')} with a score of {agreement.score_threshold:g}: {agreement.matched} in both, "
        f"{agreement.only_float} only float, {agreement.only_converted} only converted"
    ]
    if agreement.mean_iou is not None and agreement.mean_score_drift is not None:
        lines.append(
            f"boxes in both: IoU {agreement.mean_iou:.3f} (95 % above {agreement.low_iou:.3f}), score "
            f"{signed(agreement.mean_score_drift, 3)} (95 % within ±{agreement.high_score_drift:.3f})"
        )
    return lines


def _false_alarms(result: Verification) -> str:
    before, after = result.operating_points
    text = (
        f"false alarms with a score of {after.threshold:g}: {before.per_100_images:.1f} float, "
        f"{after.per_100_images:.1f} converted per 100 images ({after.describe_images()})"
    )
    if before.recall is None or after.recall is None:
        return text
    return f"{text}; recall {before.recall:.3f} float, {after.recall:.3f} converted"


def _cost(result: Verification) -> list[str]:
    float_ms, converted_ms = result.latency.milliseconds
    smaller = describe_ratio(*result.sizes, less="smaller", more="larger")
    faster = describe_ratio(float_ms, converted_ms, less="faster", more="slower")
    return [
        f"size: {result.sizes[0] / 1e6:.2f} → {result.sizes[1] / 1e6:.2f} MB ({smaller})",
        f"latency: {float_ms:.2f} → {converted_ms:.2f} ms ({faster}; "
        f"{result.latency.backend}, {result.latency.threads} thread, interleaved)",
    ]


def _error_analysis(analysis: ErrorAnalysis) -> list[str]:
    gains = {row.name: signed(row.gain, 4) for row in analysis.contributions}
    rows: list[tuple[str, ...]] = [
        (
            head.output,
            head.dtype,
            "" if head.scale is None else f"{head.scale:.5f}",
            f"{head.low:.1f} to {head.high:.1f}",
            f"{head.relative_rmse:.1%}",
            f"{head.rounding_error:.1%}",
            f"{head.clipped:.2%}",
            gains[head.output],
        )
        for head in analysis.heads
    ]
    header = ("output", "type", "scale", "float range", "error", "rounding", "clipped", "AP gain")
    rows += [(name, *[""] * 6, gains[name]) for name in ("all classes", "all boxes")]
    return [
        f"head by head, on {count(analysis.num_images, 'image')}; AP gain when the float model's values replace the "
        "head:",
        format_table([header, *rows], left=3, indent="  "),
        analysis.recommendation,
    ]
