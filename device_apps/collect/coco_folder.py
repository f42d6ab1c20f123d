"""Folder of collected images, as a COCO dataset with the detections as proposals.

    images/20261129T201500123Z-000042-unsure.jpg     the whole frame without boxes
    annotations/instances.json                       COCO JSON with all classes of the detector
    .collected.jsonl                                 a line for each image that instances.json does not have yet

Images on which a person gave a verdict are named "-right" or "-wrong". A detection that is wrong is in "rejected" of
its image, one that is right has "verdict" in its annotation; see :mod:`device_apps.collect.verdicts`.

The journal makes adding an image cheap however many there are: instances.json is written anew once a minute and at the
end, and at the next start if the program was killed before.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import logging
import os
import shutil
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from device_apps.collect.verdicts import VERDICTS, Verdict, is_judged, judged, verdict_of
from device_apps.seen_frame import SeenFrame, SeenObject
from edge_ssd.atomic_write import atomic_path
from edge_ssd.console.json_output import json_text
from edge_ssd.errors import DataError, SettingError
from edge_ssd.runtime.detections import Detections

__all__ = ["CocoFolder"]

_log = logging.getLogger(__name__)

_IMAGES, _LABELS, _JOURNAL = "images", Path("annotations", "instances.json"), ".collected.jsonl"

# What Python raises for JSON that is not as it should be.
_DAMAGE = (ValueError, TypeError, KeyError, AttributeError, RecursionError)
# The clock may be set between two looks at it; a frame of another run with the same number is not so near.
_SAME_FRAME = timedelta(seconds=0.5)


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
        self._state = _state_of(folder / _LABELS)  # As it was read or written last.
        self._images: list[dict[str, Any]] = self._read()
        self.total_bytes = sum(path.stat().st_size for path in self.image_paths())
        self._unwritten = int((folder / _JOURNAL).is_file())  # Of a program that was killed.
        self.write_labels()

    def image_paths(self) -> list[Path]:
        """Return the images, oldest first."""
        return sorted(path for path in (self._folder / _IMAGES).iterdir() if path.suffix == ".jpg" and path.is_file())

    def __len__(self) -> int:
        return len(self._images)

    def add(self, jpeg: bytes, time: datetime, sequence: int, reason: str, detections: Detections) -> Path:
        """Add an image; raise FileNotFoundError if the folder has vanished, which may be an unmounted disk."""
        height, width = detections.image_size
        objects = [SeenObject(found.label, found.score, found.box).rounded() for found in detections]
        return self._add(jpeg, _record(time, sequence, reason, (width, height), objects))

    def has(self, seen: SeenFrame) -> bool:
        """Return whether a frame is one of the images."""
        return self._find(seen) is not None

    def judge(self, jpeg: bytes, seen: SeenFrame, verdict: Verdict | None) -> str | None:
        """Set whether the subject of a frame was rightly detected; add the frame if it is not one of the images.

        None withdraws the verdict, and removes an image that was added for it. Returns the file name of the image, or
        None if there is none. Raises SettingError for a subject of a class that the dataset does not have, OSError if
        the folder cannot be written.
        """
        if seen.subject.label not in self._labels:
            raise SettingError(
                f"the collected images have the classes {', '.join(self._labels)}, and this is {seen.subject.label}: "
                "another model detected it"
            )
        image = self._find(seen)
        if image is None:
            if verdict is None:
                return None
            known = [found for found in seen.objects if found.label in self._labels]
            image = _record(seen.time, seen.sequence, verdict, seen.size, known)
            image = judged(image, seen.subject, verdict)
            self._add(jpeg, image)
        else:
            image = self._replace(image, judged(image, seen.subject, verdict))
        with contextlib.suppress(OSError):  # The journal has it.
            self.write_labels()
        return None if image is None else str(image["file_name"])

    def _add(self, jpeg: bytes, image: dict[str, Any]) -> Path:
        path = self._folder / _IMAGES / str(image["file_name"])
        os.stat(path.parent)  # noqa: PTH116 - atomic_path would create it
        with atomic_path(path) as temporary:
            temporary.write_bytes(jpeg)
        self._note(image)
        # An image of this name was moved away.
        self._images = [other for other in self._images if other["file_name"] != path.name]
        self._images.append(image)
        self.total_bytes += len(jpeg)
        return path

    def _replace(self, old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any] | None:
        """Replace the record of an image and its name; None if the image was removed, as it has no verdict any more."""
        path = self._folder / _IMAGES / old["file_name"]
        index = self._images.index(old)
        if old.get("reason") in VERDICTS:
            if not is_judged(new):
                size = path.stat().st_size
                path.unlink()
                del self._images[index]
                self.total_bytes -= size
                self._unwritten += 1
                return None
            reason = verdict_of(new)
            new |= {"reason": reason, "file_name": f"{path.stem.rpartition('-')[0]}-{reason}.jpg"}
        self._note(new)
        if new["file_name"] != path.name:
            path.rename(path.with_name(new["file_name"]))
        self._images[index] = new
        return new

    def _note(self, image: dict[str, Any]) -> None:
        with (self._folder / _JOURNAL).open("a", encoding="utf-8") as journal:
            journal.write(json_text(image) + "\n")
        self._unwritten += 1

    def _find(self, seen: SeenFrame) -> dict[str, Any] | None:
        """Return the record of a frame; None if there is none, or its file was moved away."""
        own = (image for image in reversed(self._images) if _is_frame(image, seen))
        return next((image for image in own if (self._folder / _IMAGES / image["file_name"]).is_file()), None)

    def write_labels(self) -> None:
        """Write instances.json if it lacks an image, and empty the journal."""
        path = self._folder / _LABELS
        if not self._unwritten and path.is_file():
            return
        os.stat(self._folder / _IMAGES)  # noqa: PTH116
        if _state_of(path) not in (None, self._state):
            self._keep_edited(path)
        with atomic_path(path) as temporary:
            temporary.write_text(json_text(_coco(self._images, self._labels)) + "\n", encoding="utf-8")
        self._state = _state_of(path)
        (self._folder / _JOURNAL).unlink(missing_ok=True)
        self._unwritten = 0

    def _keep_edited(self, path: Path) -> None:
        """Copy a label file that another program changed meanwhile, such as one with corrected labels."""
        names = (path.with_name(f"{path.name}.edited-{number}") for number in itertools.count(1))
        edited = next(name for name in names if not name.exists())
        shutil.copyfile(path, edited)
        _log.warning(
            "%s: was changed by another program, and is kept as %s; correct labels in a copy of the folder",
            path, edited.name,
        )  # fmt: skip

    def _read(self) -> list[dict[str, Any]]:
        """Return the images of earlier runs that are still there."""
        path, journal = self._folder / _LABELS, self._folder / _JOURNAL
        images: dict[str, dict[str, Any]] = {}
        if path.is_file():
            try:
                images = _from_coco(json.loads(path.read_bytes()), self._labels)
                json_text(_coco(list(images.values()), self._labels))
            except _OtherLabels as error:
                raise DataError(
                    f"{self._folder}: its classes are {error}, and the detector's are {', '.join(self._labels)}: "
                    "name another folder"
                ) from None
            except _DAMAGE:
                raise DataError(f"{path}: not as --collect writes it: move it away, or name another folder") from None
        if journal.is_file():
            for line in journal.read_text(encoding="utf-8", errors="replace").splitlines():
                with contextlib.suppress(*_DAMAGE):  # the last line of a program that was killed
                    image = json.loads(line)
                    json_text(_coco([image], self._labels))  # which raises for another model's labels, too
                    images[_file_name(image)] = image
        return [image for name, image in images.items() if (self._folder / _IMAGES / name).is_file()]


def _record(
    time: datetime, sequence: int, reason: str, size: tuple[int, int], objects: Iterable[SeenObject]
) -> dict[str, Any]:
    """Return the record of an image of ``size`` (width, height)."""
    return {
        "file_name": f"{time:%Y%m%dT%H%M%S}{time.microsecond // 1000:03}Z-{sequence:06}-{reason}.jpg",
        "width": size[0],
        "height": size[1],
        "date_captured": time.isoformat(timespec="milliseconds"),
        "reason": reason,
        "proposals": [{"label": found.label, "score": found.score, "box": list(found.box)} for found in objects],
    }


def _is_frame(image: dict[str, Any], seen: SeenFrame) -> bool:
    try:
        taken = datetime.fromisoformat(image["date_captured"])
        number = int(str(image["file_name"]).split("-")[1])
        return number == seen.sequence and abs(taken - seen.time) < _SAME_FRAME
    except (ValueError, KeyError, IndexError, TypeError):  # A label tool changed it.
        return False


def _coco(records: Sequence[dict[str, Any]], labels: Sequence[str]) -> dict[str, Any]:
    """Return the content of instances.json; :func:`_from_coco` reads it."""
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    ids = {label: number for number, label in enumerate(labels, 1)}
    for number, image in enumerate(records, 1):
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
                    **({"verdict": proposal["verdict"]} if "verdict" in proposal else {}),
                }
            )
    categories = [{"id": number, "name": label} for label, number in ids.items()]
    return {"images": images, "annotations": annotations, "categories": categories}


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
        proposal = {"label": names[annotation["category_id"]], "score": annotation.get("score", 1.0), "box": box}
        if annotation.get("verdict") in VERDICTS:
            proposal["verdict"] = annotation["verdict"]
        by_id[annotation["image_id"]]["proposals"].append(proposal)
    return {_file_name(image): image for image in by_id.values()}


def _state_of(path: Path) -> tuple[int, ...] | None:
    """Return what changes when a file is replaced or written; None if there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns


def _file_name(image: dict[str, Any]) -> str:
    name = image["file_name"]
    if not isinstance(name, str):
        raise TypeError("file_name must be text")
    return name
