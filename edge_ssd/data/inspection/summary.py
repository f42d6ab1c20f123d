"""Counts and sizes of a dataset, and how its boxes match a network's anchors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from edge_ssd.data.anchor_fitting.match import AnchorMatch, match_anchors, network_boxes
from edge_ssd.data.dataset import Dataset
from edge_ssd.data.held_out import image_name
from edge_ssd.network import Network, tiny_ssd

__all__ = ["Summary", "summarize"]

_QUANTILES = (0, 5, 50, 95, 100)


@dataclass(frozen=True)
class Summary:
    """Counts and sizes of a dataset split.

    Attributes:
        backgrounds: names of the images without a box.
        boxes_by_label: label → number of boxes, in the order of the class ids.
        images_by_label: label → number of images with at least one box of it.
        side_quantiles: quantile in percent → longer side of a box relative to its image's longer side.
        image_sizes: (width, height) in pixels → number of images, most frequent first.
        anchors: how the boxes match a network's anchors.
        is_book: whether these are the book's anchors, in place of those of a model.
        map_sizes: "height×width" in cells of the levels of the network of ``anchors``.
    """

    dataset: Dataset
    backgrounds: tuple[str, ...]
    boxes_by_label: dict[str, int]
    images_by_label: dict[str, int]
    side_quantiles: dict[int, float]
    image_sizes: dict[tuple[int, int], int]
    anchors: AnchorMatch
    map_sizes: tuple[str, ...]
    is_book: bool

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-compatible dict."""
        return {
            "format": self.dataset.format,
            "pictures": len(self.dataset),
            "backgrounds": len(self.backgrounds),
            "background_names": list(self.backgrounds),
            "boxes": self.dataset.num_boxes,
            "boxes_by_label": dict(self.boxes_by_label),
            "pictures_by_label": dict(self.images_by_label),
            "side_quantiles": {str(key): round(value, 4) for key, value in self.side_quantiles.items()},
            "picture_sizes": [
                {"width": width, "height": height, "pictures": count}
                for (width, height), count in self.image_sizes.items()
            ],
            "anchors": {**self.anchors.to_dict(), "levels": list(self.map_sizes)},
            "problems": [{"file": str(problem.path), "message": problem.message} for problem in self.dataset.problems],
            "notices": [{"file": str(notice.path), "message": notice.message} for notice in self.dataset.notices],
        }


def summarize(dataset: Dataset, network: Network | None = None) -> Summary:
    """Count images and boxes, and compare the boxes with the anchors of ``network`` (default: the book's)."""
    is_book = network is None
    network = network or tiny_ssd(dataset.labels)
    box_counts, image_counts = np.zeros((2, len(dataset.labels)), np.int64)
    sizes: dict[tuple[int, int], int] = {}
    shares: list[float] = []
    for sample in dataset.samples:
        box_counts += np.bincount(sample.class_ids, minlength=len(dataset.labels))
        image_counts[np.unique(sample.class_ids)] += 1
        if sample.size is not None:
            height, width = sample.size
            sizes[width, height] = sizes.get((width, height), 0) + 1
            sides = (sample.boxes_xyxy[:, 2:] - sample.boxes_xyxy[:, :2]).max(axis=1, initial=0)
            shares.extend((sides / max(height, width)).tolist())
    quantiles = {q: float(np.percentile(shares, q)) for q in _QUANTILES} if shares else {}
    return Summary(
        dataset=dataset,
        backgrounds=tuple(
            image_name(sample.path, dataset.root) for sample in dataset.samples if not len(sample.class_ids)
        ),
        boxes_by_label=dict(zip(dataset.labels, box_counts.tolist(), strict=True)),
        images_by_label=dict(zip(dataset.labels, image_counts.tolist(), strict=True)),
        side_quantiles=quantiles,
        image_sizes=dict(sorted(sizes.items(), key=lambda item: (-item[1], item[0]))),
        anchors=match_anchors(network_boxes(dataset, network.input), network.levels),
        map_sizes=tuple(f"{level.height}×{level.width}" for level in network.levels),
        is_book=is_book,
    )
