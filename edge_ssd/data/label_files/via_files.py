"""Files of the VGG Image Annotator (VIA), all brought to the form of its annotations JSON.

    {"_via_img_metadata": {"a.jpg123": {"filename": …, "regions": […]}, …}, …}    project of VIA 2
    {"a.jpg123": {"filename": "a.jpg", "regions": […]}, …}    annotations; VIA 1 has a dict of regions
    filename,…,region_shape_attributes,region_attributes      the same as CSV, a row for each region
    {"project": …, "attribute": …, "file": …, "metadata": …, "view": …}           project of VIA 3

Source: https://www.robots.ox.ac.uk/~vgg/software/via.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge_ssd.data.label_files.json_values import get, get_text, load_json
from edge_ssd.data.label_files.text_table import TextTable, sniff_rows
from edge_ssd.errors import DataError

__all__ = ["ViaFile", "ViaImage", "has_via_columns", "read_via_csv", "read_via_json"]

_COLUMNS = ("filename", "region_shape_attributes", "region_attributes")
# Number of a shape in VIA 3 → its name and attributes in VIA 2.
_SHAPES_OF_VIA_3 = {
    1: ("point", "cx", "cy"),
    2: ("rect", "x", "y", "width", "height"),
    3: ("circle", "cx", "cy", "r"),
    4: ("ellipse", "cx", "cy", "rx", "ry"),
    5: ("line",),
    6: ("polyline",),
    7: ("polygon",),
    8: ("rect", "x", "y", "width", "height"),
    9: ("circle", "cx", "cy", "r"),
}


@dataclass(frozen=True)
class ViaImage:
    """An image and its regions, each a JSON object with ``shape_attributes`` and ``region_attributes``, unchecked.

    ``fault`` is why these are not all of its regions, or "".
    """

    name: str
    regions: list[Any] = field(default_factory=list)
    fault: str = ""


@dataclass(frozen=True)
class ViaFile:
    """Content of a file; ``options`` maps an attribute of regions to its stated values (id → description)."""

    path: Path
    images: list[ViaImage]
    options: dict[str, dict[str, str]] = field(default_factory=dict)


def has_via_columns(path: Path) -> bool:
    """Return whether the first line of a table has VIA's columns."""
    rows = sniff_rows(path)
    return bool(rows) and set(_COLUMNS) <= set(_normalize(rows[0]))


def read_via_csv(path: Path) -> ViaFile:
    """Read a table; a region that cannot be read is returned as its text. Raise DataError for an invalid file."""
    images: dict[str, ViaImage] = {}
    stated: dict[str, int] = {}  # image → number of its regions
    positions: list[int] = []
    for _, cells in TextTable(path).rows():
        if not positions:
            header = _normalize(cells)
            positions = [header.index(column) for column in _COLUMNS]
            count_column = header.index("region_count") if "region_count" in header else len(header)
            continue
        name, *texts = (cells[position] if position < len(cells) else "" for position in positions)
        image = images.setdefault(name, ViaImage(name))
        shape, attributes = map(_parse_cell, texts)
        if shape != {}:  # an image without regions has an empty one
            image.regions.append({"shape_attributes": shape, "region_attributes": attributes})
        number = cells[count_column] if count_column < len(cells) else ""
        if re.fullmatch(r"\d{1,9}", number):
            stated[name] = max(int(number), stated.get(name, 0))
    return ViaFile(path, [_check_count(image, stated.get(image.name, 0)) for image in images.values()])


def _check_count(image: ViaImage, stated: int) -> ViaImage:
    """Return an image with a fault if a table states more regions than it has rows."""
    if stated <= len(image.regions):
        return image
    fault = f"region_count is {stated}, but the table has {len(image.regions)} of its regions"
    return dataclasses.replace(image, fault=fault)


def read_via_json(path: Path) -> ViaFile:
    """Read a project or an annotations file; raise DataError if it is invalid."""
    data = load_json(path)
    if isinstance(get(data, "metadata"), dict) and isinstance(get(data, "file"), dict):
        return ViaFile(path, list(_images_of_via_3(data)), _options(get(data, "attribute"), "aname"))
    entries = get(data, "_via_img_metadata") or data
    if not isinstance(entries, dict):
        raise DataError(f"{path}: not VIA's JSON: expected an object with an entry for each image")
    images = []
    for key, entry in entries.items():
        if key.startswith("_via_"):
            continue
        name, regions = get(entry, "filename"), get(entry, "regions")
        regions = list(regions.values()) if isinstance(regions, dict) else regions
        if isinstance(name, str) and isinstance(regions, list):
            images.append(ViaImage(name, regions))
        else:
            raise DataError(
                f"{path}: entry {key!r} has no filename or no list of regions: export the annotations again"
            )
    attributes = get(get(data, "_via_attributes"), "region")
    return ViaFile(path, images, _options(attributes))


def _normalize(header: list[str]) -> list[str]:
    return [name.strip().lstrip("#").lower() for name in header]  # VIA 1 writes "#filename"


def _parse_cell(text: str) -> Any:
    try:
        return json.loads(text) if text.strip() else {}
    except (ValueError, RecursionError):
        return text


def _options(attributes: object, name_key: str = "") -> dict[str, dict[str, str]]:
    """Return the stated values of every attribute, by its key or by its value of ``name_key``."""
    stated: dict[str, dict[str, str]] = {}
    for key, attribute in attributes.items() if isinstance(attributes, dict) else ():
        options = get(attribute, "options")
        if isinstance(options, dict) and options:
            name = str(get(attribute, name_key)) if name_key else key
            stated[name] = {str(option): str(text) for option, text in options.items()}
    return stated


def _images_of_via_3(data: dict[str, Any]) -> Iterator[ViaImage]:
    """Return the images of VIA 3. A region belongs to a view, which shows a file, and names attributes by their ids."""
    attribute_names = {key: str(get(value, "aname")) for key, value in (get(data, "attribute") or {}).items()}
    regions: dict[str, list[Any]] = {}
    for entry in data["metadata"].values():
        if (region := _region_of_via_3(entry, attribute_names)) is not None:
            regions.setdefault(str(get(entry, "vid")), []).append(region)
    for view_id, view in (get(data, "view") or {}).items():
        for file_id in (get(view, "fid_list") or [])[:1]:
            file = get(data["file"], str(file_id))
            name = get_text(file, "fname", "src")
            if name:
                yield ViaImage(name, regions.get(view_id, []))


def _region_of_via_3(entry: object, attribute_names: dict[str, str]) -> dict[str, Any] | None:
    """Return a region, or None for metadata of a whole file."""
    numbers, values = get(entry, "xy"), get(entry, "av")
    if not numbers:
        return None
    values = values if isinstance(values, dict) else {}
    attributes = {attribute_names.get(key, key): value for key, value in values.items()}
    shape: Any = numbers
    if isinstance(numbers, list) and isinstance(numbers[0], int) and (form := _SHAPES_OF_VIA_3.get(numbers[0])):
        name, *keys = form
        shape = {"name": name, **dict(zip(keys, numbers[1:], strict=False))}
        if not keys:
            shape |= {"all_points_x": numbers[1::2], "all_points_y": numbers[2::2]}
    return {"shape_attributes": shape, "region_attributes": attributes}
