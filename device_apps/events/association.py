"""Association of the detections of a frame with the objects of earlier frames."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edge_ssd.boxes import FloatArray, box_iou, match_greedily

__all__ = ["associate", "associate_in_turn"]


def associate(
    previous_xyxy: FloatArray,
    previous_class_ids: npt.NDArray[np.int64],
    current_xyxy: FloatArray,
    current_class_ids: npt.NDArray[np.int64],
    iou_threshold: float,
) -> list[tuple[int, int]]:
    """Match boxes [N, 4] to boxes [M, 4] of the same class greedily, highest IoU first and at least ``iou_threshold``.

    Class ids are [N] and [M]. Returns (previous index, current index) of each pair of boxes.
    """
    iou = box_iou(previous_xyxy, current_xyxy)  # [N, M]
    iou[previous_class_ids[:, None] != current_class_ids] = -1
    return match_greedily(iou, iou_threshold)


def associate_in_turn(
    previous: list[FloatArray],
    previous_class_ids: npt.NDArray[np.int64],
    current: list[FloatArray],
    current_class_ids: npt.NDArray[np.int64],
    iou_threshold: float,
) -> list[tuple[int, int]]:
    """Match several descriptions of the same N and M objects, as :func:`associate` does.

    Each pair of boxes ([N, 4], [M, 4]) matches what the earlier ones have left.
    """
    pairs: list[tuple[int, int]] = []
    old, new = np.arange(len(previous_class_ids)), np.arange(len(current_class_ids))
    for before, now in zip(previous, current, strict=True):
        if not len(old) or not len(new):
            break
        found = associate(before[old], previous_class_ids[old], now[new], current_class_ids[new], iou_threshold)
        pairs += [(int(old[i]), int(new[j])) for i, j in found]
        old = np.delete(old, [i for i, _ in found])
        new = np.delete(new, [j for _, j in found])
    return pairs
