"""What is in a data set: counts, sizes, faults."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from edge_ssd.data.anchor_fitting.match import MATCH_IOU, AnchorMatch, match_anchors, network_boxes
from edge_ssd.data.dataset import Dataset, Problem, problem_lines
from edge_ssd.errors import ImageError
from edge_ssd.network import Network, tiny_ssd

__all__ = ["Summary", "format_summary", "summarise", "undecodable"]

_QUANTILES = (0, 5, 50, 95, 100)


@dataclass(frozen=True)
class Summary:
    """Counts of a data set.

    Attributes:
        format: name of the label format.
        pictures, backgrounds: pictures in all, and those without a box.
        boxes: in all.
        boxes_by_label: label → boxes, in the order of the class ids.
        pictures_by_label: label → pictures with at least one box of it.
        side_quantiles: quantile in percent → longer side of a box as a share of its picture's longer side.
        picture_sizes: (width, height) → pictures, most frequent first.
        anchors: how the boxes fit a network's anchors.
        map_sizes: "height×width" of that network's levels.
        problems, notices: as the loader reported them.
    """

    format: str
    pictures: int
    backgrounds: int
    boxes: int
    boxes_by_label: dict[str, int]
    pictures_by_label: dict[str, int]
    side_quantiles: dict[int, float]
    picture_sizes: dict[tuple[int, int], int]
    anchors: AnchorMatch
    map_sizes: tuple[str, ...]
    problems: tuple[Problem, ...]
    notices: tuple[Problem, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {
            "format": self.format,
            "pictures": self.pictures,
            "backgrounds": self.backgrounds,
            "boxes": self.boxes,
            "boxes_by_label": dict(self.boxes_by_label),
            "pictures_by_label": dict(self.pictures_by_label),
            "side_quantiles": {str(key): round(value, 4) for key, value in self.side_quantiles.items()},
            "picture_sizes": [
                {"width": width, "height": height, "pictures": count}
                for (width, height), count in self.picture_sizes.items()
            ],
            "anchors": {**self.anchors.to_dict(), "levels": list(self.map_sizes)},
            "problems": [{"file": str(problem.path), "message": problem.message} for problem in self.problems],
            "notices": [{"file": str(notice.path), "message": notice.message} for notice in self.notices],
        }


def summarise(dataset: Dataset, network: Network | None = None) -> Summary:
    """Count what a data set holds, and compare its boxes with the anchors of ``network`` (default: the book's)."""
    network = network or tiny_ssd(dataset.labels)
    counts, pictures = np.zeros((2, len(dataset.labels)), np.int64)
    sizes: dict[tuple[int, int], int] = {}
    shares: list[float] = []
    for sample in dataset.samples:
        counts += np.bincount(sample.class_ids, minlength=len(dataset.labels))
        pictures[np.unique(sample.class_ids)] += 1
        if sample.size is not None:
            height, width = sample.size
            sizes[width, height] = sizes.get((width, height), 0) + 1
            sides = (sample.boxes_xyxy[:, 2:] - sample.boxes_xyxy[:, :2]).max(axis=1, initial=0)
            shares.extend((sides / max(height, width)).tolist())
    quantiles = {q: float(np.percentile(shares, q)) for q in _QUANTILES} if shares else {}
    return Summary(
        format=dataset.format,
        pictures=len(dataset),
        backgrounds=sum(not len(sample.class_ids) for sample in dataset.samples),
        boxes=dataset.num_boxes,
        boxes_by_label={label: int(count) for label, count in zip(dataset.labels, counts, strict=True)},
        pictures_by_label={label: int(count) for label, count in zip(dataset.labels, pictures, strict=True)},
        side_quantiles=quantiles,
        picture_sizes=dict(sorted(sizes.items(), key=lambda item: (-item[1], item[0]))),
        anchors=match_anchors(network_boxes(dataset, network.input), network.levels),
        map_sizes=tuple(f"{level.height}×{level.width}" for level in network.levels),
        problems=dataset.problems,
        notices=dataset.notices,
    )


def format_summary(summary: Summary, title: str) -> str:
    """A summary for a person to read; the problems' list is cut."""
    lines = [f"{title}: {summary.pictures} pictures, {summary.boxes} boxes ({summary.format})"]
    if summary.backgrounds:
        lines[0] += f", {summary.backgrounds} pictures without a box"
    width = max((len(label) for label in summary.boxes_by_label), default=0)
    for label, count in summary.boxes_by_label.items():
        share = (
            f"  {count / summary.boxes:4.0%}, in {summary.pictures_by_label[label]} pictures" if summary.boxes else ""
        )
        lines.append(f"  {label:<{width}}  {count:>7}{share}")
    if summary.side_quantiles:
        low, *_, high = summary.side_quantiles.values()
        lines.append(
            f"  longer side of a box: {low:.0%} to {high:.0%} of its picture's, "
            f"half below {summary.side_quantiles[50]:.0%}"
        )
    if summary.picture_sizes:
        common = [f"{w}×{h} ({count})" for (w, h), count in list(summary.picture_sizes.items())[:3]]
        more = len(summary.picture_sizes) - len(common)
        lines.append(f"  picture sizes: {', '.join(common)}{f' and {more} more' if more else ''}")
    if summary.anchors.objects:
        levels = ", ".join(
            f"{size} {share:.0%}"
            for size, share in zip(summary.map_sizes, summary.anchors.matched_by_level, strict=True)
        )
        lines.append(
            f"  anchors: {summary.anchors.matched:.1%} of the boxes match one (IoU ≥ {MATCH_IOU}); by level {levels}"
        )
        if len(summary.anchors.unmatched):
            low, high = np.percentile(summary.anchors.unmatched, (5, 95))
            lines.append(f"    those that match none are mostly {low:.0%} to {high:.0%} of the input long")
    if summary.problems:
        lines.append(f"  {len(summary.problems)} problem{'s' if len(summary.problems) > 1 else ''}:")
        lines += [f"    {line}" for line in problem_lines(summary.problems, "--json lists all")]
    return "\n".join(lines)


def undecodable(dataset: Dataset, progress: Callable[[int, int | None], None] | None = None) -> tuple[Problem, ...]:
    """Decode every picture to its last pixel; loading reads headers only. Returns those that fail."""
    from edge_ssd.runtime.preprocess import read_image

    problems = []
    for number, sample in enumerate(dataset.samples, 1):
        try:
            read_image(sample.path)
        except ImageError as error:
            problems.append(Problem(sample.path, str(error).removeprefix(f"{sample.path}: ")))
        if progress is not None:
            progress(number, len(dataset))
    return tuple(problems)
