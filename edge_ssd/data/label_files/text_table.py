"""Rows of a text table: CSV as spreadsheets and tools write it.

Cells are separated by commas, semicolons, tabs or vertical bars, or else by spaces, and may be quoted. The text is
UTF-8, with or without a byte-order mark, or UTF-16 (the "Unicode text" of Excel). A first line ``sep=;`` states the
separator, as in Excel.
"""

from __future__ import annotations

import codecs
import csv
import itertools
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from edge_ssd.errors import DataError

__all__ = ["TextTable", "is_number", "parse_number", "sniff_rows"]

_SEPARATORS = ",;\t|"
_STATED_SEPARATOR = re.compile(r'"?sep=(.)"?\s*$')
_MAX_BYTES = 4 << 30
# Lines without a separator, such as a title, before one that has it.
_MAX_TITLE_LINES = 4
_SNIFFED_BYTES = 1 << 16


class TextTable:
    """A text table.

    Attributes:
        path: the file.
        separator: the character between cells.
        head: the first rows that are not empty, at most 64 KB of them.
    """

    def __init__(self, path: Path) -> None:
        """Read the first rows; raise DataError if the file cannot be read."""
        self.path = path
        try:
            with path.open("rb") as file:
                data = file.read(_SNIFFED_BYTES)
            if path.stat().st_size > _MAX_BYTES:
                raise DataError(f"{path}: larger than {_MAX_BYTES >> 30} GB: not a label table")
        except OSError as error:
            raise _unreadable(path, error) from None
        self._encoding = _encoding(data)
        lines = _decode_head(data, self._encoding, complete=len(data) < _SNIFFED_BYTES)
        self.separator, self._skipped_lines = _find_separator(lines)
        self.head = _parse_lines(lines[self._skipped_lines :], self.separator)

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """Yield the line number and the stripped cells of every row that is not empty; raise DataError if unreadable.

        The number of a row with line breaks in its cells is that of its last line.
        """
        try:
            with self.path.open(encoding=self._encoding, newline="") as file:
                for _ in range(self._skipped_lines):
                    file.readline()
                reader = csv.reader(file, delimiter=self.separator, skipinitialspace=True)
                for values in reader:
                    cells = [value.strip() for value in values]
                    if any(cells):
                        yield reader.line_num + self._skipped_lines, cells
        except OSError as error:
            raise _unreadable(self.path, error) from None
        except UnicodeError as error:
            raise DataError(
                f"{self.path}: not UTF-8 text ({error}): save it in UTF-8 (Excel: Save As, CSV UTF-8)"
            ) from None
        except csv.Error as error:
            raise DataError(f"{self.path}: not a table ({error}): export the labels again") from None


def sniff_rows(path: Path) -> list[list[str]]:
    """Return the first rows of a file that may be a table; none if it cannot be read or is not text."""
    try:
        return TextTable(path).head
    except DataError:
        return []


def parse_number(text: str, decimal_comma: bool = False) -> float:
    """Return the number in a cell, with ``decimal_comma`` also of "12,5"; raise ValueError if it is none."""
    if "_" in text:  # float accepts it
        raise ValueError("not a number")
    try:
        return float(text)
    except ValueError:
        if not decimal_comma or text.count(",") != 1:
            raise
        return float(text.replace(",", "."))


def is_number(cell: str) -> bool:
    """Return whether a cell holds a number, also one with a decimal comma."""
    try:
        parse_number(cell, decimal_comma=True)
    except ValueError:
        return False
    return True


def _encoding(data: bytes) -> str:
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    # ASCII text in UTF-16 without a byte-order mark
    if len(data) > 3 and not any(data[1:400:2]) and all(data[0:400:2]):
        return "utf-16-le"
    if len(data) > 3 and not any(data[0:400:2]) and all(data[1:400:2]):
        return "utf-16-be"
    return "utf-8-sig"


def _decode_head(data: bytes, encoding: str, complete: bool) -> list[str]:
    """Return the first lines; none of a binary file. Invalid characters are replaced: reading all rows reports them."""
    if encoding == "utf-8-sig" and b"\0" in data:
        return []
    text = codecs.getincrementaldecoder(encoding)("replace").decode(data, final=complete)
    lines = text.splitlines(keepends=True)
    return lines if complete or len(lines) < 2 else lines[:-1]


def _find_separator(lines: Sequence[str]) -> tuple[str, int]:
    """Return the separator, and the number of lines before the table."""
    if lines and (stated := _STATED_SEPARATOR.match(lines[0].strip("\r\n"))):
        return stated[1], 1
    for line in itertools.islice(filter(str.strip, lines), _MAX_TITLE_LINES):
        counts = {separator: max(map(len, _parse_lines([line], separator)), default=0) for separator in _SEPARATORS}
        separator = max(counts, key=lambda separator: counts[separator])
        if counts[separator] > 1:
            return separator, 0
    return " ", 0


def _parse_lines(lines: Sequence[str], separator: str) -> list[list[str]]:
    rows = []
    try:
        for values in csv.reader(lines, delimiter=separator, skipinitialspace=True):
            cells = [value.strip() for value in values]
            if any(cells):
                rows.append(cells)
    except csv.Error:
        pass
    return rows


def _unreadable(path: Path, error: OSError) -> DataError:
    return DataError(f"{path}: cannot be read ({error.strerror or error}): check its permissions")
