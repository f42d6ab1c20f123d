"""Detection as in the book (d2l, "Single Shot Multibox Detection") in PyTorch, for comparison.

Implemented from the description: all anchors are decoded and take part in greedy NMS whatever their score, one kept box
at a time. Boxes that are suppressed or below a small threshold become background. All anchors are returned, sorted.
"""

from __future__ import annotations

import numpy as np
import torch

from edge_ssd.network import Network

__all__ = ["BookDetection"]


class BookDetection:
    def __init__(self, network: Network) -> None:
        self._anchors = torch.from_numpy(network.anchors())
        self._coding = network.coding

    def set_inputs(self, offsets: np.ndarray, probabilities: np.ndarray) -> None:
        self._offsets = torch.from_numpy(offsets)
        self._probabilities = torch.from_numpy(np.ascontiguousarray(probabilities.T))  # [classes + 1, A]

    def run(self, iou_threshold: float = 0.5, positive_threshold: float = 0.009999999) -> torch.Tensor:
        """Return [A, 6]: class id (−1 is background), score, box."""
        scores, class_ids = torch.max(self._probabilities[1:], 0)
        class_ids = class_ids.to(torch.float32)
        boxes = self._decode()
        keep = self._suppress(boxes, scores, iou_threshold)
        anchors = torch.arange(len(scores), dtype=torch.long)
        values, counts = torch.cat((keep, anchors)).unique(return_counts=True)
        suppressed = values[counts == 1]
        order = torch.cat((keep, suppressed))
        class_ids[suppressed] = -1
        class_ids, scores, boxes = class_ids[order], scores[order], boxes[order]
        below = scores < positive_threshold
        class_ids[below] = -1
        scores[below] = 1 - scores[below]
        return torch.cat((class_ids[:, None], scores[:, None], boxes), dim=1)

    def detections(self, score_threshold: float) -> np.ndarray:
        rows = self.run().numpy()
        return rows[(rows[:, 0] >= 0) & (rows[:, 1] >= score_threshold)]

    def _decode(self) -> torch.Tensor:
        anchors = self._anchors
        centers, sizes = (anchors[:, :2] + anchors[:, 2:]) / 2, anchors[:, 2:] - anchors[:, :2]
        center = self._offsets[:, :2] * sizes / self._coding.xy_scale + centers
        half_size = torch.exp(self._offsets[:, 2:] / self._coding.wh_scale) * sizes / 2
        return torch.cat((center - half_size, center + half_size), dim=1)

    @staticmethod
    def _suppress(boxes: torch.Tensor, scores: torch.Tensor, iou_threshold: float) -> torch.Tensor:
        remaining = torch.argsort(scores, dim=-1, descending=True)
        kept = []
        while remaining.numel() > 0:
            best = remaining[0]
            kept.append(best)
            if remaining.numel() == 1:
                break
            one, others = boxes[best].reshape(-1, 4), boxes[remaining[1:]]
            areas = ((b[:, 2] - b[:, 0]) * (b[:, 3] - b[:, 1]) for b in (one, others))
            upper = torch.max(one[:, None, :2], others[:, :2])
            lower = torch.min(one[:, None, 2:], others[:, 2:])
            inter = (lower - upper).clamp(min=0)
            overlap = inter[:, :, 0] * inter[:, :, 1]
            first, second = areas
            iou = (overlap / (first[:, None] + second - overlap)).reshape(-1)
            remaining = remaining[torch.nonzero(iou <= iou_threshold).reshape(-1) + 1]
        return torch.stack(kept)
