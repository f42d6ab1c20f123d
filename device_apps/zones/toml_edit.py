"""Edit of the zones in a TOML file: everything else in it, comments included, stays as it is."""

from __future__ import annotations

import re
import sys
from collections.abc import Collection
from typing import Any

from device_apps.zones.shapes import ZoneSet
from device_apps.zones.tables import KINDS, format_tables, to_tables
from edge_ssd.errors import SettingError

__all__ = ["replace_zones"]

_KEY = r"(?:[A-Za-z0-9_-]+|\"[^\"]*\"|'[^']*')"
_HEADER = re.compile(rf"[ \t]*\[(\[)?[ \t]*({_KEY}(?:[ \t]*\.[ \t]*{_KEY})*)[ \t]*\]\]?[ \t]*(?:#.*)?")


def replace_zones(
    text: str, shapes: ZoneSet, broken: Collection[tuple[str, int]] = (), camera: int | None = None
) -> str:
    """Return the text of a TOML file with the zones, lines and masks of ``shapes`` in place of those that it has.

    Args:
        broken: (kind, number from 0) of the tables that could not be used: they stay as comments.
        camera: number from 0 of the table [[cameras]] whose zones they are; None for those of the file itself.

    Raises:
        SettingError: the zones are not written as [[zones]], [[lines]] and [[masks]] (of a camera as [[cameras.zones]]
            and so on), so that they cannot be replaced.
    """
    lines = text.replace("\r\n", "\n").split("\n")
    start, end = (0, len(lines)) if camera is None else _lines_of_camera(lines, camera)
    prefix = "" if camera is None else "cameras."
    edited = "\n".join([*lines[:start], *_replace(lines[start:end], shapes, broken, prefix)])
    rest = "\n".join(lines[end:]).lstrip("\n")
    edited = edited.lstrip("\n") + (f"\n\n{rest}" if rest else "\n")
    # Lines of a multi-line text or list may look like a header: the result itself decides.
    expected = _parse(text)
    if camera is None:
        expected = _with_zones(expected, shapes)
    elif isinstance(expected.get("cameras"), list) and camera < len(expected["cameras"]):
        expected["cameras"][camera] = _with_zones(expected["cameras"][camera], shapes)
    if _parse(edited) != expected:
        raise SettingError(
            f"its zones cannot be replaced without changing the rest; write each as [[{prefix}zones]], "
            f"[[{prefix}lines]] or [[{prefix}masks]], or keep them in a file of their own: --zones-file FILE"
        )
    return edited


def _lines_of_camera(lines: list[str], camera: int) -> tuple[int, int]:
    """Return the first line of a table [[cameras]] and the one after it; comments before the next are not its."""
    number, start = -1, 0
    for index, line in enumerate(lines):
        match = _HEADER.fullmatch(line)
        if match is None or match[2].startswith("cameras."):
            continue
        if number == camera:
            while lines[index - 1].strip() == "" or lines[index - 1].lstrip().startswith("#"):
                index -= 1
            return start, index
        number += match[1] is not None and match[2] == "cameras"
        start = index
    return start, len(lines)


def _replace(lines: list[str], shapes: ZoneSet, broken: Collection[tuple[str, int]], prefix: str) -> list[str]:
    """Return lines, without blank ones at the end, with the zones of ``shapes`` in place of their own."""
    kept: list[str] = []
    comments: list[str] = []
    numbers = dict.fromkeys(KINDS, -1)
    target = kept
    for line in lines:
        match = _HEADER.fullmatch(line)
        if match is not None:
            kind = match[2].removeprefix(prefix) if match[1] and match[2].startswith(prefix) else ""
            target = kept
            if kind in numbers:
                numbers[kind] += 1
                target = comments if (kind, numbers[kind]) in broken else []
        target.append(f"# {line}" if target is comments else line)
    while kept and not kept[-1].strip():
        kept.pop()
    if comments:
        kept += ["", "# Could not be used when the zones were saved:", *(line.rstrip() for line in comments)]
    return [*kept, *format_tables(shapes, prefix).split("\n")[:-1]]


def _with_zones(table: dict[str, Any], shapes: ZoneSet) -> dict[str, Any]:
    return {**{key: value for key, value in table.items() if key not in KINDS}, **_nonempty(shapes)}


def _nonempty(shapes: ZoneSet) -> dict[str, Any]:
    rows = {kind: rows for kind, rows in to_tables(shapes).items() if rows}
    return {
        kind: [{key.replace("_", "-"): v for key, v in row.items()} for row in found] for kind, found in rows.items()
    }


def _parse(text: str) -> dict[str, Any]:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError):
        return {"": None}  # As no file is.
