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


def replace_zones(text: str, shapes: ZoneSet, broken: Collection[tuple[str, int]] = ()) -> str:
    """Return the text of a TOML file with the zones, lines and masks of ``shapes`` in place of those that it has.

    Args:
        broken: (kind, number from 0) of the tables that could not be used: they stay as comments.

    Raises:
        SettingError: the zones are not written as [[zones]], [[lines]] and [[masks]], so that they cannot be replaced.
    """
    kept: list[str] = []
    comments: list[str] = []
    numbers = dict.fromkeys(KINDS, -1)
    target = kept
    for line in text.replace("\r\n", "\n").split("\n"):
        match = _HEADER.fullmatch(line)
        if match is not None:
            kind = match[2] if match[1] else ""
            target = kept
            if kind in numbers:
                numbers[kind] += 1
                target = comments if (kind, numbers[kind]) in broken else []
        target.append(f"# {line}" if target is comments else line)
    while kept and not kept[-1].strip():
        kept.pop()
    if comments:
        kept += ["", "# Could not be used when the zones were saved:", *(line.rstrip() for line in comments)]
    edited = "".join(f"{line}\n" for line in kept) + format_tables(shapes)
    edited = edited.lstrip("\n")
    # Lines of a multi-line text or list may look like a header: the result itself decides.
    if _parse(edited) != {**{k: v for k, v in _parse(text).items() if k not in KINDS}, **_nonempty(shapes)}:
        raise SettingError(
            "its zones cannot be replaced without changing the rest; write each as [[zones]], [[lines]] or [[masks]], "
            "or keep them in a file of their own: --zones-file FILE"
        )
    return edited


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
