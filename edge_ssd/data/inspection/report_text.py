"""Text of a dataset's inspection."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator

import numpy as np

from edge_ssd.console.counts import count
from edge_ssd.console.text import printable
from edge_ssd.data.anchor_fitting.match import MATCH_IOU
from edge_ssd.data.dataset import Problem, problem_lines
from edge_ssd.data.held_out_images import name_some
from edge_ssd.data.inspection.report import DatasetReport
from edge_ssd.data.inspection.summary import Summary

__all__ = ["format_report", "format_summary", "report_lines"]

_HEADINGS = {
    "mislabelled": "files whose suffix does not match their format",
    "exif_rotated": "images rotated by EXIF",
    "depth": "images of more than 8 bits whose values were scaled",
    "uniform": "images nearly of one color",
    "case": "names that differ in upper and lower case only",
    "twins": "images that share a label file",
    "unlabelled": "images without labels, not used",
}
_MAX_SHOWN = 5


def format_report(report: DatasetReport, title: str) -> str:
    """Return a report as text: the summary of each split under ``title`` and its name, then what concerns all."""
    counts = Counter(problem for summary in report.summaries.values() for problem in set(summary.dataset.problems))
    common = {problem: None for problem in _problems(report) if counts[problem] > 1}
    blocks = [format_summary(summary, f"{title} {name}", common) for name, summary in report.summaries.items()]
    lines = [f"problems of several splits: {len(common)}", *(f"  {line}" for line in _shown(common))] if common else []
    lines += report_lines(report)
    return "\n\n".join(filter(None, [*blocks, _join(lines)]))


def format_summary(summary: Summary, title: str, left_out: Collection[Problem] = ()) -> str:
    """Return a summary under ``title`` as text of several lines, with the first 20 problems that are not left out."""
    dataset, num_boxes = summary.dataset, summary.dataset.num_boxes
    lines = [f"{title}: {count(len(dataset), 'image')}, {count(num_boxes, 'box')} ({dataset.format})"]
    if summary.backgrounds:
        lines[0] += f", {count(len(summary.backgrounds), 'image')} without a box ({name_some(summary.backgrounds)})"
    width = max((len(printable(label)) for label in summary.boxes_by_label), default=0)
    for label, boxes in summary.boxes_by_label.items():
        share = f"  {boxes / num_boxes:4.0%}, in {count(summary.images_by_label[label], 'image')}" if num_boxes else ""
        lines.append(f"  {printable(label):<{width}}  {boxes:>7}{share}")
    if summary.side_quantiles:
        low, *_, high = summary.side_quantiles.values()
        median = summary.side_quantiles[50]
        lines.append(f"  longer side of a box: {low:.0%} to {high:.0%} of that of its image, median {median:.0%}")
    if summary.image_sizes:
        common = [f"{w}×{h} ({count})" for (w, h), count in list(summary.image_sizes.items())[:3]]
        more = len(summary.image_sizes) - len(common)
        lines.append(f"  image sizes: {', '.join(common)}{f' and {more} more' if more else ''}")
    anchors = summary.anchors
    if anchors.objects:
        shares = zip(summary.map_sizes, anchors.matched_by_level, strict=True)
        levels = ", ".join(f"{size} {share:.0%}" for size, share in shares)
        whose = " of the book ('edge-ssd train' fits its own)" if summary.is_book else ""
        lines += [
            f"  anchors{whose}: {anchors.matched:.1%} of the boxes match one (IoU ≥ {MATCH_IOU})",
            f"    by level, of which several may match a box: {levels}",
        ]
        if len(anchors.unmatched):
            shortest, longest = (f"{side:.0%}" for side in np.percentile(anchors.unmatched, (5, 95)))
            sides = f"about {longest}" if shortest == longest else f"mostly {shortest} to {longest}"
            lines.append(f"    boxes without a match: longer side {sides} of the input")
    problems = [problem for problem in dataset.problems if problem not in left_out]
    if problems:
        lines.append(f"  {len(problems)} problem{'s' if len(problems) > 1 else ''}:")
        lines += [f"    {line}" for line in _shown(problems)]
    return _join(lines)


def report_lines(report: DatasetReport) -> list[str]:
    """Return a report's unusable splits and notices, and five file findings and duplicates of each kind, as lines."""
    lines = [f"{split}: cannot be used: {reason}" for split, reason in report.unusable.items()]
    notices = dict.fromkeys(notice for summary in report.summaries.values() for notice in summary.dataset.notices)
    lines += [f"note: {notice}" for notice in notices]
    for kind, heading in _HEADINGS.items():
        findings = [f"{finding.path}: {finding.message}" for finding in report.files if finding.kind == kind]
        lines += _section(heading, findings)
    for near in (False, True):
        for across in (True, False):
            groups = [group for group in report.duplicates if (group.near, group.across) == (near, across)]
            lines += _section(_duplicate_heading(near, across), [group.describe(_MAX_SHOWN) for group in groups])
    return lines


def _join(lines: Iterable[str]) -> str:
    """Join lines, in which the names of files and classes may have line feeds."""
    return "\n".join(map(printable, lines))


def _problems(report: DatasetReport) -> Iterator[Problem]:
    for summary in report.summaries.values():
        yield from summary.dataset.problems


def _shown(problems: Iterable[Problem]) -> list[str]:
    return problem_lines(tuple(problems), "--json lists all")


def _duplicate_heading(near: bool, across: bool) -> str:
    kind = "near-duplicate images (by perceptual hash: check them)" if near else "identical image files"
    advice = "ACROSS SPLITS (keep each group in one: edge-ssd data split --again)"
    return f"groups of {kind}, {advice if across else 'within a split'}"


def _section(heading: str, findings: list[str]) -> list[str]:
    if not findings:
        return []
    more = [f"  and {len(findings) - _MAX_SHOWN} more (--json lists all)"] if len(findings) > _MAX_SHOWN else []
    return [f"{heading}: {len(findings)}", *(f"  {line}" for line in findings[:_MAX_SHOWN]), *more]
