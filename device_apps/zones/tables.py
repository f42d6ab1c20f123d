"""Zones, lines and masks as tables of plain values, as TOML and JSON have them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from device_apps.config_file import format_toml_value
from device_apps.zones.shapes import MAX_SHAPES, Filter, Line, Mask, Zone, ZoneSet
from edge_ssd.console.suggestions import did_you_mean
from edge_ssd.console.text import argument_text, find_label
from edge_ssd.errors import SettingError

__all__ = ["DEFAULTS", "KINDS", "ParsedZones", "Problem", "check_labels", "format_tables", "parse_zones", "to_tables"]

KINDS = ("zones", "lines", "masks")
"""Names of the three lists of tables."""

_FILTER = ("classes", "anchor", "min_area", "max_area", "margin")
_KEYS: dict[str, tuple[str, ...]] = {
    "zones": ("name", "points", *_FILTER, "enter_after"),
    "lines": ("name", "points", *_FILTER),
    "masks": ("name", "points"),
}
DEFAULTS: dict[str, Any] = {"enter-after": 0.0} | {
    key.replace("_", "-"): getattr(Filter(), key) for key in ("anchor", "min_area", "max_area", "margin")
}
"""Values of keys, as in TOML, that :func:`to_tables` leaves out."""

_Counted = TypeVar("_Counted", Zone, Line)


class Problem(NamedTuple):
    """Why a table cannot be used: ``number`` (from 0) among those of its ``kind`` in the file."""

    kind: str
    number: int
    message: str


class ParsedZones(NamedTuple):
    """What could be read, and what could not; ``numbers`` of the shapes among the tables, by kind and name."""

    shapes: ZoneSet
    problems: list[Problem]
    numbers: dict[tuple[str, str], int]


def parse_zones(tables: Mapping[str, Any]) -> ParsedZones:
    """Parse the lists "zones", "lines" and "masks" of tables; other keys are ignored.

    A table that is not valid is left out and described; so is one whose name an earlier one has.
    """
    problems: list[Problem] = []
    found: dict[str, list[Any]] = {}
    numbers: dict[tuple[str, str], int] = {}
    for kind in KINDS:
        found[kind] = []
        rows = tables.get(kind, ())
        if not isinstance(rows, (list, tuple)):
            problems.append(Problem(kind, 0, f"{kind} must be a list of tables, as [[{kind}]] begins one"))
            continue
        for number, row in enumerate(rows):
            try:
                shape = _parse(kind, number, row)
                if any(other.name == shape.name for other in found[kind]):
                    raise SettingError("an earlier one has this name; give each its own")
            except SettingError as error:
                problems.append(Problem(kind, number, f"{_title(kind, number, row)}: {error}"))
            else:
                found[kind].append(shape)
                numbers[kind, shape.name] = number
        if len(found[kind]) > MAX_SHAPES:
            problems.append(Problem(kind, MAX_SHAPES, f"there are over {MAX_SHAPES} {kind}; the others are left out"))
            del found[kind][MAX_SHAPES:]
    return ParsedZones(ZoneSet(*(tuple(found[kind]) for kind in KINDS)), problems, numbers)


def check_labels(parsed: ParsedZones, labels: Sequence[str]) -> ParsedZones:
    """Return the same without the zones and lines that name a class that is not in ``labels``, which are problems."""
    problems = list(parsed.problems)

    def known(kind: str, shapes: Sequence[_Counted]) -> tuple[_Counted, ...]:
        kept = []
        for shape in shapes:
            unknown = [name for name in shape.filter.classes or () if find_label(name, labels) is None]
            if unknown:
                hint = did_you_mean(unknown[0], labels) or f"; the model knows {', '.join(labels[:5])}"
                message = f"{kind[:-1]} {shape.name!r}: there is no class {unknown[0]!r}{hint}"
                problems.append(Problem(kind, parsed.numbers[kind, shape.name], message))
            else:
                kept.append(shape)
        return tuple(kept)

    zones, lines = known("zones", parsed.shapes.zones), known("lines", parsed.shapes.lines)
    return ParsedZones(ZoneSet(zones, lines, parsed.shapes.masks), problems, parsed.numbers)


def to_tables(shapes: ZoneSet) -> dict[str, list[dict[str, Any]]]:
    """Return the three lists of tables, in plain JSON types and without the values that are defaults."""
    return {
        "zones": [_table(zone, zone.filter, enter_after=zone.enter_after) for zone in shapes.zones],
        "lines": [_table(line, line.filter) for line in shapes.lines],
        "masks": [_table(mask, Filter()) for mask in shapes.masks],
    }


def format_tables(shapes: ZoneSet, prefix: str = "") -> str:
    """Return the set as TOML: [[zones]], [[lines]] and [[masks]], after ``prefix``, with a blank line before each."""
    lines = []
    for kind, rows in to_tables(shapes).items():
        for row in rows:
            lines += ["", f"[[{prefix}{kind}]]"]
            lines += [f"{key.replace('_', '-')} = {format_toml_value(value)}" for key, value in row.items()]
    return "".join(f"{line}\n" for line in lines)


def _table(shape: Zone | Line | Mask, filter: Filter, **more: float) -> dict[str, Any]:
    table: dict[str, Any] = {"name": shape.name, "points": [[float(x), float(y)] for x, y in shape.points]}
    if filter.classes is not None:
        table["classes"] = list(filter.classes)
    default = Filter()
    for key in _FILTER[1:]:
        if getattr(filter, key) != getattr(default, key):
            table[key] = getattr(filter, key)
    return table | {key: value for key, value in more.items() if value}


def _parse(kind: str, number: int, row: Any) -> Zone | Line | Mask:
    if not isinstance(row, Mapping):
        raise SettingError("must be a table with name and points")
    values = {key.replace("-", "_") if isinstance(key, str) else key: value for key, value in row.items()}
    keys = _KEYS[kind]
    for key in values:
        if key not in keys:
            names = [name.replace("_", "-") for name in keys]
            raise SettingError(
                f"unknown key {str(key)[:40]!r}{did_you_mean(str(key), names)}; keys are {', '.join(names)}"
            )
    if kind == "masks":
        values.setdefault("name", f"mask {number + 1}")
    if "name" not in values:
        raise SettingError("name is missing")
    if not isinstance(values["name"], str):
        raise SettingError("name must be text")
    name, points = argument_text(values["name"]), _points(values.get("points"))
    if kind == "masks":
        return Mask(name, points)
    own = {key: values[key] for key in _FILTER if key in values}
    if "classes" in own:
        own["classes"] = _labels(own["classes"])
    filter = Filter(**own)
    if kind == "lines":
        return Line(name, points, filter)
    return Zone(name, points, filter, values.get("enter_after", 0.0))


def _points(value: Any) -> tuple[tuple[float, float], ...]:
    if value is None:
        raise SettingError("points are missing, such as points = [[0.1, 0.5], [0.9, 0.5], [0.5, 1.0]]")
    if not isinstance(value, (list, tuple)) or not all(isinstance(p, (list, tuple)) and len(p) == 2 for p in value):
        raise SettingError("points must be a list of [x, y], such as [[0.1, 0.5], [0.9, 0.5], [0.5, 1.0]]")
    return tuple((x, y) for x, y in value)


def _labels(value: Any) -> tuple[str, ...]:
    if not isinstance(value, (list, tuple)) or not all(isinstance(name, str) for name in value):
        raise SettingError('classes must be a list of labels, such as ["banana"]')
    return tuple(argument_text(name) for name in value)


def _title(kind: str, number: int, row: Any) -> str:
    """Return what a message calls a table: its kind, and its name or number."""
    name = row.get("name") if isinstance(row, Mapping) else None
    if isinstance(name, str) and name.strip():
        return f"{kind[:-1]} {name[:64]!r}"
    return f"{kind[:-1]} {number + 1}"
