"""Text files with one entry per line: lists of images, and class names such as ``classes.txt``."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterable
from pathlib import Path

from edge_ssd.data.label_files.file_limits import UnsuitableFileError, read_label_file
from edge_ssd.errors import DataError

__all__ = ["decode_text", "read_class_names", "read_lines", "read_numbered_lines"]

_NUMBERED_NAME = re.compile(r"(\d+)\s*[:=,;\t ]\s*(\S.*)")


def read_lines(path: Path, content: str) -> list[str]:
    """Return the stripped non-empty lines of UTF-8 text; a DataError says that ``content`` ("path") is expected."""
    return [line for _, line in read_numbered_lines(path, content)]


def read_numbered_lines(path: Path, content: str) -> list[tuple[int, str]]:
    """Return the number, from 1, of each line of :func:`read_lines`, and the line."""
    try:
        lines = decode_text(read_label_file(path)).splitlines()
    except UnsuitableFileError as error:
        raise DataError(f"{path}: {error}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read ({error}): expected one {content} per line, in UTF-8") from None
    return [(number, line.strip()) for number, line in enumerate(lines, 1) if line.strip()]


def decode_text(content: bytes) -> str:
    """Return text in UTF-8, or in UTF-16 with a byte-order mark; raise UnicodeDecodeError for anything else."""
    utf_16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return content.decode("utf-16" if utf_16 else "utf-8-sig")


def read_class_names(paths: Iterable[Path]) -> list[str] | None:
    """Return the class names, by id, in the first existing file, or None; raise DataError unless they are distinct.

    A text file has one name per line, perhaps after its id ("0: cat"); Label Studio's ``notes.json`` a list of them.
    """
    for path in paths:
        if path.is_file():
            names = _noted_names(path) if path.suffix == ".json" else _without_ids(read_lines(path, "class name"))
            if not names or len(set(names)) != len(names):
                raise DataError(
                    f"{path}: expected class names, one per line and without repetition, got {names!r:.200}"
                )
            return names
    return None


def _without_ids(lines: list[str]) -> list[str]:
    """Return the names without the ids before them if all lines have the ids 0, 1, 2 …"""
    found = [_NUMBERED_NAME.fullmatch(line) for line in lines]
    if all(found) and [match[1].lstrip("0") or "0" for match in found if match] == list(map(str, range(len(lines)))):
        names = [match[2] for match in found if match]
        return names if len(set(names)) == len(names) else lines
    return lines


def _noted_names(path: Path) -> list[str]:
    """Return the names of ``categories`` with the ids 0, 1, 2 …; none if the file has anything else."""
    try:
        categories = json.loads(read_label_file(path))["categories"]
        names = {item["id"]: item["name"] for item in categories}
        return [names[number].strip() for number in range(len(names))]
    except (OSError, ValueError, RecursionError, LookupError, TypeError, AttributeError):
        raise DataError(f"{path}: expected the list categories, with ids from 0 and names") from None
