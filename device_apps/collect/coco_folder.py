"""Folder of collected images, as a COCO dataset with the detections as proposals.

    images/20261129T201500123Z-000042-unsure.jpg     the whole frame without boxes
    annotations/instances.json                       COCO JSON with all classes of the detector
    .collected.jsonl                                 a line for each image that instances.json does not have yet

The journal makes adding an image cheap however many there are: instances.json is written anew once a minute and at the
end, and at the next start if the program was killed before.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from edge_ssd.atomic_write import atomic_path
from edge_ssd.console.json_output import json_text
from edge_ssd.errors import DataError
from edge_ssd.runtime.detections import Detections

__all__ = ["CocoFolder"]

_IMAGES, _LABELS, _JOURNAL = "images", Path("annotations", "instances.json"), ".collected.jsonl"


class CocoFolder:
    """COCO dataset that grows by an image at a time; created if it is missing.

    Attributes:
        total_bytes: size of the images.

    Raises:
        DataError: the folder has a dataset with other classes, or a damaged one.
        OSError: it cannot be read or written.
    """

    def __init__(self, folder: Path, labels: Sequence[str]) -> None:
        self._folder = folder
        self._labels = tuple(labels)
        (folder / _IMAGES).mkdir(parents=True, exist_ok=True)
        self._images = self._read()
        self.total_bytes = sum(path.stat().st_size for path in self.image_paths())
        self._unwritten = 0
        self.write_labels()

    def image_paths(self) -> list[Path]:
        """Return the images, oldest first."""
        return sorted(path for path in (self._folder / _IMAGES).iterdir() if path.suffix == ".jpg")

    def __len__(self) -> int:
        return len(self._images)

    def add(self, jpeg: bytes, time: datetime, sequence: int, reason: str, detections: Detections) -> Path:
        """Add an image; raise FileNotFoundError if the folder has vanished, which may be an unmounted disk."""
        name = f"{time:%Y%m%dT%H%M%S}{time.microsecond // 1000:03}Z-{sequence:06}-{reason}.jpg"
        path = self._folder / _IMAGES / name
        os.stat(path.parent)  # noqa: PTH116 - atomic_path would create it
        with atomic_path(path) as temporary:
            temporary.write_bytes(jpeg)
        height, width = detections.image_size
        image = {
            "file_name": name,
            "width": width,
            "height": height,
            "date_captured": time.isoformat(timespec="milliseconds"),
            "reason": reason,
            "proposals": [
                {"label": found.label, "score": round(found.score, 4), "box": [round(side, 2) for side in found.box]}
                for found in detections
            ],
        }
        with (self._folder / _JOURNAL).open("a", encoding="utf-8") as journal:
            journal.write(json_text(image) + "\n")
        self._images.append(image)
        self._unwritten += 1
        self.total_bytes += len(jpeg)
        return path

    def write_labels(self) -> None:
        """Write instances.json if it lacks an image, and empty the journal."""
        path = self._folder / _LABELS
        if not self._unwritten and path.is_file():
            return
        os.stat(self._folder / _IMAGES)  # noqa: PTH116
        with atomic_path(path) as temporary:
            temporary.write_text(json_text(self._coco()) + "\n", encoding="utf-8")
        (self._folder / _JOURNAL).unlink(missing_ok=True)
        self._unwritten = 0

    def _coco(self) -> dict[str, Any]:
        images: list[dict[str, Any]] = []
        annotations: list[dict[str, Any]] = []
        ids = {label: number for number, label in enumerate(self._labels, 1)}
        for number, image in enumerate(self._images, 1):
            images.append({"id": number, **{key: value for key, value in image.items() if key != "proposals"}})
            for proposal in image["proposals"]:
                xmin, ymin, xmax, ymax = proposal["box"]
                bbox = [xmin, ymin, round(xmax - xmin, 2), round(ymax - ymin, 2)]
                annotations.append(
                    {
                        "id": len(annotations) + 1,
                        "image_id": number,
                        "category_id": ids[proposal["label"]],
                        "bbox": bbox,
                        "area": round(bbox[2] * bbox[3], 2),
                        "iscrowd": 0,
                        "score": proposal["score"],
                    }
                )
        categories = [{"id": number, "name": label} for label, number in ids.items()]
        return {"images": images, "annotations": annotations, "categories": categories}

    def _read(self) -> list[dict[str, Any]]:
        """Return the images of earlier runs that are still there."""
        path, journal = self._folder / _LABELS, self._folder / _JOURNAL
        images: dict[str, dict[str, Any]] = {}
        if path.is_file():
            try:
                images = _from_coco(json.loads(path.read_bytes()), self._labels)
            except _OtherLabels as error:
                raise DataError(
                    f"{self._folder}: its classes are {error}, and the detector's are {', '.join(self._labels)}: "
                    "name another folder"
                ) from None
            except (ValueError, TypeError, KeyError, AttributeError):
                raise DataError(f"{path}: not as --collect writes it: move it away, or name another folder") from None
        if journal.is_file():
            for line in journal.read_text(encoding="utf-8", errors="replace").splitlines():
                with contextlib.suppress(ValueError, TypeError, KeyError):  # the last line of a program that was killed
                    image = json.loads(line)
                    if {proposal["label"] for proposal in image["proposals"]} <= set(self._labels):
                        images.setdefault(image["file_name"], image)
        return [image for name, image in images.items() if (self._folder / _IMAGES / name).is_file()]


class _OtherLabels(Exception):
    """The dataset has other classes."""


def _from_coco(content: dict[str, Any], labels: Sequence[str]) -> dict[str, dict[str, Any]]:
    names = {category["id"]: category["name"] for category in content["categories"]}
    if tuple(names.values()) != tuple(labels):
        raise _OtherLabels(", ".join(map(str, names.values())))
    by_id = {image.pop("id"): {**image, "proposals": []} for image in content["images"]}
    for annotation in content["annotations"]:
        left, top, width, height = annotation["bbox"]
        box = [left, top, round(left + width, 2), round(top + height, 2)]
        label, score = names[annotation["category_id"]], annotation.get("score", 1.0)
        by_id[annotation["image_id"]]["proposals"].append({"label": label, "score": score, "box": box})
    return {image["file_name"]: image for image in by_id.values()}
