"""Replace the zones in the text of a TOML file: everything else in it, comments included, stays as it is.

A table whose zone has not changed keeps its text, and one whose zone has changed keeps the lines of the other keys. The
comment lines directly above a table belong to it, those before a blank line do not.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from device_apps.config_file import format_toml_value, parse_toml
from device_apps.zones.shapes import ZoneSet
from device_apps.zones.tables import DEFAULTS, KINDS, parse_zones, to_tables
from edge_ssd.errors import SettingError

__all__ = ["replace_zones"]

_KEY = r"(?:[A-Za-z0-9_-]+|\"[^\"]*\"|'[^']*')"
_HEADER = re.compile(rf"[ \t]*\[(\[)?[ \t]*({_KEY}(?:[ \t]*\.[ \t]*{_KEY})*)[ \t]*\]\]?[ \t]*(?:#.*)?")
_BROKEN = "# Could not be used when the zones were saved:"


@dataclass(eq=False)
class _Block:
    """A table, or what precedes the first.

    Attributes:
        kind: "zones", "lines" or "masks" of a table with one of these, or "".
        lines: its comment, header and keys.
        rest: the blank lines and comments after them.
    """

    kind: str
    lines: list[str]
    rest: list[str]


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
    blocks = list(_split(lines[start:end], prefix))
    for kind, rows in to_tables(shapes).items():
        _replace_kind(blocks, kind, rows, {number for of, number in broken if of == kind}, prefix)
    edited = lines[:start]
    for block in blocks:
        is_blank = not block.lines and not any(line.strip() for line in block.rest)
        if not is_blank or (edited and edited[-1].strip()):  # One blank line is enough where a table was.
            edited += [*block.lines, *block.rest]
    rest = "\n".join(lines[end:]).lstrip("\n")
    result = "\n".join(edited).strip("\n") + (f"\n\n{rest}" if rest else "\n")
    # Lines of a multi-line text or list may look like a header: the result itself decides.
    old, new = _parse(text), _parse(result)
    _take_zones(old, camera)
    parsed = parse_zones(_take_zones(new, camera))
    if old is None or old != new or parsed.problems or parsed.shapes != shapes:
        raise SettingError(
            f"its zones cannot be replaced without changing the rest; write each as [[{prefix}zones]], "
            f"[[{prefix}lines]] or [[{prefix}masks]], or keep them in a file of their own: --zones-file FILE"
        )
    return result


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


def _split(lines: Sequence[str], prefix: str) -> Iterator[_Block]:
    headers = [index for index, line in enumerate(lines) if _HEADER.fullmatch(line)]
    starts = []
    for index in headers:
        while index and lines[index - 1].lstrip().startswith("#"):
            index -= 1
        starts.append(index)
    if not starts or starts[0]:
        yield _Block("", [], list(lines[: starts[0] if starts else None]))
    for header, start, end in zip(headers, starts, [*starts, len(lines)][1:], strict=True):
        match = _HEADER.fullmatch(lines[header])
        assert match is not None
        kind = match[2].removeprefix(prefix) if match[1] and match[2].startswith(prefix) else ""
        last = end
        while last > header + 1 and (not lines[last - 1].strip() or lines[last - 1].lstrip().startswith("#")):
            last -= 1
        yield _Block(kind if kind in KINDS else "", list(lines[start:last]), list(lines[last:end]))


def _replace_kind(
    blocks: list[_Block], kind: str, rows: Sequence[Mapping[str, Any]], broken: Collection[int], prefix: str
) -> None:
    """Give the blocks of a kind the text of ``rows``, in their order, where the present ones are."""
    present: list[_Block] = []
    for number, block in enumerate([block for block in blocks if block.kind == kind]):
        if number in broken:
            block.lines = [_BROKEN, *(f"# {line}".rstrip() for line in block.lines)]
        else:
            present.append(block)
    names = [_name(block.lines) for block in present]
    texts: list[list[str]] = []
    kept: list[_Block] = []
    for index, row in enumerate(rows):
        if row["name"] in names:
            block = present[names.index(row["name"])]
        elif index < len(names) and all(names[index] != other["name"] for other in rows):
            block = present[index]  # It has another name now.
        else:
            texts.append(_edit([f"[[{prefix}{kind}]]"], row))
            continue
        kept.append(block)
        texts.append(_edit(block.lines, row))
    slots = [block for block in present if block in kept] or (present[:1] if texts else [])
    for block in present:
        block.lines = []
        while block not in slots and block.rest and not block.rest[0].strip():
            del block.rest[0]
    if texts and not slots:
        slots = [_Block(kind, [], [])]
        blocks += [_Block("", [], [""]), *slots]
    for number, text in enumerate(texts):
        slot = slots[min(number, len(slots) - 1)]
        slot.lines += ["", *text] if slot.lines else text


def _edit(lines: Sequence[str], row: Mapping[str, Any]) -> list[str]:
    """Return the lines of a table with the values of ``row``; a key whose value stays keeps its lines."""
    values = {key.replace("_", "-"): value for key, value in row.items()}
    edited: list[str] = []
    given: set[str] = set()
    statement: list[str] = []
    for line in lines:
        statement.append(line)
        parsed = _parse("\n".join(statement))
        if parsed is None:  # A list goes on in the next line.
            continue
        key, value = next(iter(parsed.items()), ("", None))
        name = key.replace("_", "-")
        if _HEADER.fullmatch(line) or not key or value == values.get(name, DEFAULTS.get(name)):
            edited += statement
        elif name in values:
            edited.append(f"{key} = {format_toml_value(values[name])}{_comment(statement)}")
        given.add(name)
        statement = []
    return [*edited, *(f"{key} = {format_toml_value(values[key])}" for key in values if key not in given)]


def _comment(statement: Sequence[str]) -> str:
    """Return the comment after a key and value in one line, with the blanks before it."""
    parsed = _parse(statement[0])
    ends = [match.start() for match in re.finditer(r"[ \t]*#", statement[0])] if len(statement) == 1 else []
    return next((statement[0][end:] for end in ends if _parse(statement[0][:end]) == parsed), "")


def _name(lines: Sequence[str]) -> Any:
    """Return the name in the text of a table, or None."""
    return (_parse("\n".join(line for line in lines if not _HEADER.fullmatch(line))) or {}).get("name")


def _take_zones(tables: dict[str, Any] | None, camera: int | None) -> dict[str, Any]:
    """Remove the zones, lines and masks from parsed tables, and return them."""
    table = tables or {}
    if camera is not None:
        cameras = table.get("cameras")
        table = cameras[camera] if isinstance(cameras, list) and camera < len(cameras) else {}
    return {kind: table.pop(kind) for kind in KINDS if kind in table}


def _parse(text: str) -> dict[str, Any] | None:
    try:
        return parse_toml(text)
    except (ValueError, RecursionError):
        return None
