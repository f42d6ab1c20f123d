"""Tasks of a Label Studio export, as JSON, JSON-MIN or CSV, brought to one form.

    [{"id": 1, "data": {"image": …}, "annotations": [{"result": [{"value": {…}, …}]}]}, …]                 JSON
    [{"id": 1, "image": …, "label": [{"x": …, "rectanglelabels": […], …}], "annotation_id": 7, …}, …]      JSON-MIN
    image,id,label,annotator,annotation_id …                                                               CSV, TSV

Source: https://labelstud.io/guide/task_format.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from edge_ssd.data.label_files.json_values import get, get_text, load_json
from edge_ssd.data.label_files.text_table import TextTable, sniff_rows
from edge_ssd.errors import DataError
from edge_ssd.runtime.image_file import IMAGE_SUFFIXES

__all__ = ["LabelStudioImage", "LabelStudioRegion", "has_label_studio_columns", "read_task", "read_tasks"]

_COLUMNS = ("annotation_id", "annotator", "id")
_IMAGE_KEYS = ("image", "img", "images", "image_url", "url", "photo", "file", "path")
# Results of these types are regions. Others are properties of a region or an image, such as "choices", or relations.
_REGION_TYPES = ("rectangle", "ellipse", "polygon", "brush", "bitmask", "keypoint", "vector", "video")
_GEOMETRY = ("x", "y", "width", "height", "radiusX", "radiusY", "rotation", "points", "vertices", "rle", "sequence")


@dataclass(frozen=True)
class LabelStudioRegion:
    """A labeled region: its class name, which may be missing, and its values in per cent of the image, unchecked.

    ``kind`` is its type, such as "rectanglelabels".
    """

    kind: str
    label: object
    value: dict[str, Any]
    original_size: tuple[object, object]  # width, height in pixels


@dataclass(frozen=True)
class LabelStudioImage:
    """An image of a task; ``regions`` is None if there is no annotation yet.

    ``fault`` is why an annotation cannot be read, or "". ``differs`` is whether the task has other annotations that
    contradict these regions.
    """

    name: str
    regions: list[LabelStudioRegion] | None
    fault: str = ""
    differs: bool = False


def has_label_studio_columns(path: Path) -> bool:
    """Return whether the first line of a table has the columns of an export."""
    rows = sniff_rows(path)
    return bool(rows) and set(_COLUMNS) <= set(rows[0])


def read_tasks(path: Path) -> list[Any]:
    """Return the tasks of a JSON file or a table; raise DataError if it is invalid."""
    if path.suffix.lower() == ".json":
        tasks = load_json(path)
        if not isinstance(tasks, list):
            raise DataError(f"{path}: not Label Studio's JSON: expected a list of tasks")
        return tasks
    (_, header), *rows = TextTable(path).rows()
    return [dict(zip(header, map(_parse_cell, cells), strict=False)) for _, cells in rows]


def read_task(task: object) -> list[LabelStudioImage]:
    """Return the images of a task: one, or its pages; none if the task names no image.

    Of several annotations of a task, the last one is used that is not canceled and has regions: an empty one does not
    make background of what another annotator labeled.
    """
    differs = False
    if isinstance(task, dict) and not task.keys().isdisjoint(("data", "annotations", "completions")):
        submitted = _results(get(task, "annotations", "completions"))
        labeled = [result for result in submitted if not isinstance(result, list) or _regions(result)]
        results = (labeled or submitted or [None])[-1]
        differs = len(submitted) > 1 and len({str(_content(result)) for result in submitted}) > 1
        names = _image_names(get(task, "data"))
    else:
        results = list(_results_of_min(task))
        names = _image_names(task)
    if results is None:
        return [LabelStudioImage(name, None) for name in names]
    if not isinstance(results, list):
        return [LabelStudioImage(name, [], "the result of its annotation is not a list") for name in names]
    if len(of_key := _images_by_key(task)) > 1 and len(targets := _targets(results)) > 1:
        return _divide_by_target(results, of_key, targets, differs)
    if len(names) == 1:
        return [LabelStudioImage(names[0], _regions(results), differs=differs)]
    pages = [[result for result in results if (get(result, "item_index") or 0) == index] for index in range(len(names))]
    return [LabelStudioImage(name, _regions(page), differs=differs) for name, page in zip(names, pages, strict=True)]


def _targets(results: Iterable[Any]) -> list[str]:
    """Return the names of the objects that regions belong to, as the labeling interface calls the images of a task."""
    regions = (result for result in results if _regions([result]))
    return sorted({get_text(result, "to_name") for result in regions} - {""})


def _divide_by_target(
    results: Sequence[Any], of_key: dict[str, str], targets: Sequence[str], differs: bool
) -> list[LabelStudioImage]:
    """Return the images of a task with several, each with the regions whose ``to_name`` is the key of its data."""
    if not set(targets) <= of_key.keys():
        fault = f"its task has several images, and none is called {min(set(targets) - of_key.keys())!r}, as in a region"
        return [LabelStudioImage(name, [], fault) for name in of_key.values()]
    return [
        LabelStudioImage(
            name, _regions([result for result in results if get_text(result, "to_name") == key]), differs=differs
        )
        for key, name in of_key.items()
    ]


def _results(annotations: object) -> list[Any]:
    """Return the results of the annotations that are not canceled."""
    return [
        annotation.get("result", "") if isinstance(annotation, dict) else annotation
        for annotation in (annotations if isinstance(annotations, list) else ())
        if not get(annotation, "was_cancelled", "skipped")
    ]


def _content(result: object) -> object:
    """Return the classes and shapes of a result, to compare it with another; the result itself if it is no list."""
    if not isinstance(result, list):
        return result
    return sorted(str((region.label, _geometry(region))) for region in _regions(result))


def _results_of_min(task: object) -> Iterator[dict[str, Any]]:
    """Return the regions of a JSON-MIN task, which are in one list for each control of the labeling interface."""
    for values in task.values() if isinstance(task, dict) else ():
        for value in values if isinstance(values, list) else ():
            if isinstance(value, dict):
                yield {"value": value, **value}


def _parse_cell(text: str) -> Any:
    """Return the content of a cell: regions as JSON, or a text."""
    if not text.startswith("[{"):
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        # A region that cannot be read, so that the image is not taken for background.
        return [{"points": text, "polygonlabels": ["damaged"]}]


def _regions(results: Iterable[Any]) -> list[LabelStudioRegion]:
    """Return the regions of a result. One that is repeated without a class only adds other properties to it."""
    regions: list[LabelStudioRegion] = []
    unlabeled: list[LabelStudioRegion] = []
    results = list(results)
    chosen: dict[str, list[object]] = {}  # id of a region → its choices, which are its class if it has no other
    for result in results:
        choices = get(get(result, "value"), "choices")
        if get_text(result, "id") and isinstance(choices, list):
            chosen.setdefault(get_text(result, "id"), []).extend(choices)
    for result in results:
        kind, value = get_text(result, "type"), get(result, "value")
        value = value if isinstance(value, dict) else {}
        is_region = kind.startswith(_REGION_TYPES) or (kind != "choices" and any(key in value for key in _GEOMETRY))
        if isinstance(result, dict) and not is_region:
            continue
        size = get(result, "original_width"), get(result, "original_height")
        labels = {key: own for key, own in value.items() if key.endswith("labels") and isinstance(own, list)}
        regions += [LabelStudioRegion(kind or key, one, value, size) for key, own in labels.items() for one in own]
        if not any(labels.values()):
            names = chosen.get(get_text(result, "id"), [])
            unlabeled.append(LabelStudioRegion(kind, names[0] if len(names) == 1 else None, value, size))
    geometries = [_geometry(region) for region in regions]
    for region in unlabeled:
        if _geometry(region) not in geometries:
            regions.append(region)
            geometries.append(_geometry(region))
    return regions


def _geometry(region: LabelStudioRegion) -> list[object]:
    return [region.value.get(key) for key in _GEOMETRY]


def _image_names(data: object) -> list[str]:
    """Return the image of a task's data, which may have other texts too; or its images, if it has a list of them."""
    names: dict[str, list[str]] = {}
    for key, value in data.items() if isinstance(data, dict) else ():
        values = value if isinstance(value, list) else [value]
        texts = [text.strip() for text in values if isinstance(text, str) and text.strip()]
        if texts and len(texts) == len(values):
            names[key] = texts
    keys = sorted(names, key=lambda key: _IMAGE_KEYS.index(key) if key in _IMAGE_KEYS else len(_IMAGE_KEYS))
    best = [key for key in keys if _is_image(names[key][0])] or [key for key in keys if key in _IMAGE_KEYS]
    return names[best[0]] if best else []


def _images_by_key(task: object) -> dict[str, str]:
    """Return the single images of a task's data by their keys."""
    data = get(task, "data")
    pairs = data.items() if isinstance(data, dict) else ()
    return {key: text.strip() for key, text in pairs if isinstance(text, str) and _is_image(text.strip())}


def _is_image(name: str) -> bool:
    return any(PurePath(part).suffix.lower() in IMAGE_SUFFIXES for part in re.split(r"[?#&]", name))
