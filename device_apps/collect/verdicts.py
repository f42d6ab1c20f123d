"""What a person's verdict changes in the record of a collected image.

"wrong" takes a detection out of the labels, and keeps it as "rejected", which no reader of COCO looks at; "right" marks
it. An image whose only detection was wrong is left without labels: a hard negative for the training.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from device_apps.seen_frame import SeenObject
from edge_ssd.boxes import box_iou

__all__ = ["VERDICTS", "Verdict", "is_judged", "judged", "verdict_of"]

Verdict = Literal["right", "wrong"]
VERDICTS: tuple[Verdict, ...] = ("right", "wrong")

_SAME_IOU = 0.95  # Of one box that was rounded twice.


def judged(image: dict[str, Any], subject: SeenObject, verdict: Verdict | None) -> dict[str, Any]:
    """Return the record of an image with a verdict on one of its detections; None withdraws it."""
    kept, rejected = (
        [entry for entry in image.get(name, ()) if not _is_same(entry, subject)] for name in ("proposals", "rejected")
    )
    own = {"label": subject.label, "score": subject.score, "box": list(subject.box)}
    if verdict == "wrong":
        rejected.append(own)
    else:
        kept.append({**own, "verdict": verdict} if verdict else own)
    others = {name: value for name, value in image.items() if name not in ("proposals", "rejected")}
    return {**others, **({"rejected": rejected} if rejected else {}), "proposals": kept}


def is_judged(image: dict[str, Any]) -> bool:
    """Return whether there is a verdict on any detection of an image."""
    return bool(image.get("rejected")) or any("verdict" in entry for entry in image["proposals"])


def verdict_of(image: dict[str, Any]) -> Verdict:
    """Return the verdict that the name of an image states: "wrong" if any of its detections is."""
    return "wrong" if image.get("rejected") else "right"


def _is_same(entry: dict[str, Any], subject: SeenObject) -> bool:
    boxes = (np.array([box], np.float64) for box in (entry["box"], subject.box))
    return entry["label"] == subject.label and bool(box_iou(*boxes).item() > _SAME_IOU)
