"""HTML report of a verification: tables, curves, and the images with the largest differences between the models.

The file is self-contained: styles, curves and images are embedded. ``edge-ssd verify --json`` outputs the same numbers
for programs.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from pathlib import Path

from converters.tflite.compatibility import check_compatibility, portability_problems
from converters.tflite.operators import read_graph
from converters.verification.error_analysis import ErrorAnalysis
from converters.verification.head_contribution import HeadContribution
from converters.verification.limits import Limits
from converters.verification.report_figures import curve_chart, image_data_url
from converters.verification.result import CURVE_IOUS, Verification, describe_change, describe_ratio, mean_precision
from edge_ssd.atomic_write import atomic_path, check_writable
from edge_ssd.console.counts import count, signed
from edge_ssd.console.text import printable
from edge_ssd.errors import SettingError
from edge_ssd.evaluation.false_alarms import FALSE_ALARM_IOU
from edge_ssd.runtime.bundle import Bundle

__all__ = ["check_report", "report_html", "write_report"]

_MAX_IMAGES = 8
_MAX_CLASS_CURVES = 12  # a dataset with more classes gets the mean curves only

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 64rem; margin: 2rem auto; padding: 0 1rem; color: #222;
  background: #fff; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.25rem; margin-top: 2.5rem; }
table { border-collapse: collapse; margin: 1rem 0; }
th, td { padding: .25rem .7rem; text-align: right; border-bottom: 1px solid #ddd; font-variant-numeric: tabular-nums; }
th, td { white-space: nowrap; } th:first-child, td:first-child { text-align: left; }
.wide { overflow-x: auto; }
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: 1rem; margin: 1.5rem 0; }
.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(13rem, 1fr)); gap: 1rem; }
figure { margin: 0; } img { width: 100%; height: auto; } figcaption { font-size: .875rem; color: #555; }
.key { display: inline-block; width: 2rem; border-top: 3px solid #1f6fb4; vertical-align: middle; }
.key.dashed { border-top: 2px dashed #d1495b; }
@media (max-width: 40rem) { body { margin: 1rem auto; } th, td { padding: .25rem .45rem; font-size: .875rem; }
  .pair { gap: .4rem; } figcaption { font-size: .75rem; } }
.pass { color: #17692b; } .fail { color: #a8071a; } .advice { border-left: 4px solid #1f6fb4; padding: .25rem 1rem; }
"""


def check_report(path: Path) -> None:
    """Check that a report can be written to ``path``, with a suffix that no model or image has.

    Raises:
        SettingError: the name does not end in .html or .htm.
        OSError: the file cannot be written.
    """
    if path.suffix.lower() not in (".html", ".htm"):
        raise SettingError(f"{path}: the report is a web page; use a name that ends in .html")
    check_writable(path)


def write_report(path: Path, result: Verification, bundle: Bundle, data: str, limits: Limits) -> None:
    """Write the result of :func:`report_html`, called with the other arguments, to ``path`` atomically."""
    text = report_html(result, bundle, data, limits)
    with atomic_path(path) as temporary:
        temporary.write_text(text, "utf-8")


def report_html(result: Verification, bundle: Bundle, data: str, limits: Limits) -> str:
    """Return the report as HTML; ``data`` describes the dataset."""
    scheme = bundle.details.quantization
    title = f"{bundle.name}: float and {scheme}"
    precision = result.float_result.precision
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{_escape(title)}</title>
<style>{_STYLE}</style>
</head>
<body>
<h1>{_escape(title)}</h1>
<p>COCO average precision on {count(precision.num_images, "image")} with {count(precision.num_objects, "object")} \
({_escape(data)}). All models used the same decoding.</p>
{_table(("", "Keras", "float .tflite", scheme, "difference"), [row.cells() for row in result.rows()])}
{_change(result, limits)}
{_agreement(result)}
{_false_alarms(result)}
{_cost(result, bundle)}
<h2>Precision and recall</h2>
<p><span class="key"></span> float &ensp; <span class="key dashed"></span> {_escape(scheme)}. \
The closer the curves, the better the conversion.</p>
<div class="charts">{_curves(result, scheme)}</div>
{_error_analysis(result.error_analysis)}
<h2>Images with the largest differences</h2>
<p>Detections with a score of at least {bundle.defaults.score_threshold:g}, labeled boxes in white; the largest \
difference first. 0: both models detect the same; 1: only one of them detects an object.</p>
{_image_pairs(result, bundle)}
</body>
</html>
"""


def _change(result: Verification, limits: Limits) -> str:
    text = describe_change(result.difference)
    if (interval := result.interval) is not None:
        text += (
            f": a difference of {signed(result.difference, 4)}, with 95 % confidence between "
            f"{signed(interval.low, 4)} and {signed(interval.high, 4)} (paired bootstrap over the images)"
        )
    kind = "pass" if limits.passed(result) else "fail"
    source = ""
    if result.made_from_model is False:
        source = '<p class="fail">The converted model was not made from this Keras model: other weights.</p>'
    verdicts = source + "".join(f'<p class="{kind}">{_escape(line)}.</p>' for line in limits.verdicts(result))
    return f"<p>{text}.</p>{verdicts}"


def _agreement(result: Verification) -> str:
    agreement = result.agreement
    in_both = count(agreement.matched, "detection", "is", "are")
    text = (
        f"With a score of at least {agreement.score_threshold:g}, {in_both} in both, "
        f"{agreement.only_float} in the float model only, {agreement.only_converted} in the converted one only."
    )
    if agreement.mean_iou is not None and (drift := agreement.mean_score_drift) is not None:
        text += (
            f" Boxes in both overlap with an IoU of {agreement.mean_iou:.3f} (95 % of them with more than "
            f"{agreement.low_iou:.3f}); scores moved by {signed(drift, 3)} (95 % of them by less than "
            f"{agreement.high_score_drift:.3f})."
        )
    return f"<p>{text}</p>"


def _false_alarms(result: Verification) -> str:
    before, after = result.operating_points
    text = (
        f"With this score the converted model reports {after.per_100_images:.1f} objects that are not there per 100 "
        f"images (float: {before.per_100_images:.1f}; {after.describe_images()})"
    )
    if before.recall is not None and after.recall is not None:
        text += f", and finds {after.recall:.1%} of the objects (float: {before.recall:.1%})"
    rule = f"A false alarm overlaps no labeled object of its class with an IoU of {FALSE_ALARM_IOU:g} or more"
    return f"<p>{text}. {rule}.</p>"


def _cost(result: Verification, bundle: Bundle) -> str:
    float_ms, converted_ms = result.latency.milliseconds
    smaller = describe_ratio(*result.sizes, less="smaller", more="larger")
    faster = describe_ratio(float_ms, converted_ms, less="faster", more="slower")
    graph = read_graph(bundle.flatbuffer)
    targets = "; ".join(_escape(str(target)) for target in check_compatibility(graph))
    problems = "".join(f'<p class="fail">{_escape(problem)}</p>' for problem in portability_problems(graph))
    return (
        f"<p>The model takes {result.sizes[1] / 1e6:.2f} MB where float takes {result.sizes[0] / 1e6:.2f} "
        f"({smaller}), and {converted_ms:.2f} ms where float takes {float_ms:.2f} "
        f"({faster}; {result.latency.backend}, {result.latency.threads} thread, interleaved, "
        f"on the machine that wrote this report).</p><p>Its operators run on: {targets}.</p>{problems}"
    )


def _curves(result: Verification, scheme: str) -> str:
    float_matches, _, converted_matches = result.matches
    labels = result.dataset.labels
    rows = [(f"IoU {iou:g}", iou, slice(None)) for iou in CURVE_IOUS]
    if 1 < len(labels) <= _MAX_CLASS_CURVES:
        iou = CURVE_IOUS[0]
        rows += [(f"{label}, IoU {iou:g}", iou, slice(i, i + 1)) for i, label in enumerate(labels)]
    charts = []
    for title, iou, classes in rows:
        before = mean_precision(float_matches[classes], iou)
        after = mean_precision(converted_matches[classes], iou)
        if before is not None and after is not None:
            charts.append(curve_chart(title, before, after, ("float", scheme)))
    return "\n".join(charts)


def _error_analysis(analysis: ErrorAnalysis | None) -> str:
    if analysis is None:
        return ""
    contributions = {row.name: row for row in analysis.contributions}
    rows: list[tuple[str, ...]] = [
        (
            head.output,
            head.dtype,
            "" if head.scale is None else f"{head.scale:.5f}",
            f"{head.low:.2f} to {head.high:.2f}",
            f"{head.relative_rmse:.2%}",
            f"{head.rounding_error:.2%}",
            f"{head.clipped:.2%}",
            *_gain(contributions[head.output]),
        )
        for head in analysis.heads
    ]
    rows += [(name, *[""] * 6, *_gain(contributions[name])) for name in ("all classes", "all boxes")]
    heading = ("output", "type", "scale", "float range", "error", "rounding", "clipped", "AP gain", "95 % interval")
    return (
        "<h2>Causes of the loss</h2>"
        f"<p>On {count(analysis.num_images, 'image')}: {analysis.float_ap:.4f} AP in float, "
        f"{analysis.converted_ap:.4f} converted. Only anchors that may become a detection count. "
        "Error is the root mean square error over that of "
        "the float values; rounding is the part that rounding the output causes; clipped values exceed the calibrated "
        "range. The last columns show the gain of AP when the float model's values replace this head.</p>"
        f'{_table(heading, rows)}<p class="advice">{_escape(analysis.recommendation)}</p>'
    )


def _gain(row: HeadContribution) -> tuple[str, str]:
    interval = "" if row.interval is None else f"{signed(row.interval.low, 4)} to {signed(row.interval.high, 4)}"
    return signed(row.gain, 4), interval


def _image_pairs(result: Verification, bundle: Bundle) -> str:
    scheme, threshold = bundle.details.quantization, bundle.defaults.score_threshold
    parts = []
    for i in result.most_different()[:_MAX_IMAGES]:
        sample = result.dataset.samples[i]
        name = _escape(sample.path.name)
        figures = []
        for kind, evaluation in (("float", result.float_result), (scheme, result.quantized_result)):
            detections = evaluation.predictions[i]
            url = image_data_url(sample.path, sample.boxes_xyxy, detections[detections.confidence >= threshold])
            caption = f"{name}, {_escape(kind)}, differs by {result.differences[i]:.3f}"
            figures.append(f'<figure><img alt="{caption}" src="{url}"><figcaption>{caption}</figcaption></figure>')
        parts.append(f'<div class="pair">{"".join(figures)}</div>')
    return "\n".join(parts)


def _table(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{_escape(cell)}</th>" for cell in heading)
    body = "\n".join(f"<tr>{''.join(f'<td>{_escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    table = f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>"
    return f'<div class="wide">{table}</div>'


def _escape(text: str) -> str:
    """Return text for HTML: labels and names of files may hold markup and control characters."""
    return html.escape(printable(text))
