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

from edge_ssd.data.label_files.file_limits import UnsuitableFileError, check_size, open_label_file
from edge_ssd.errors import DataError

__all__ = ["TextTable", "is_number", "parse_number", "sniff_rows"]

_SEPARATORS = ",;\t|"
_STATED_SEPARATOR = re.compile(r'"?sep=(.)"?\s*$')
# Lines without a separator, such as a title, before one that has it.
_MAX_TITLE_LINES = 4
_SNIFFED_BYTES = 1 << 16
_END = "\0end"
_MIN_ROW_WIDTH = 4
_MAX_COLUMNS = 1000  # text with more is no table


class TextTable:
    """A text table.

    Attributes:
        path: the file.
        separator: the character between cells.
        head: the first rows that are not empty, at most 64 KB of them; none of text that is no table.
    """

    def __init__(self, path: Path) -> None:
        """Read the first rows; raise DataError if the file cannot be read."""
        self.path = path
        self._width: int | None = None
        try:
            with open_label_file(path) as file:
                data = file.read(_SNIFFED_BYTES)
        except UnsuitableFileError as error:
            raise DataError(f"{path}: {error}") from None
        except OSError as error:
            raise _unreadable(path, error) from None
        self._encoding = _encoding(data)
        lines = _decode_head(data, self._encoding, complete=len(data) < _SNIFFED_BYTES)
        self.separator, self._skipped_lines = _find_separator(lines)
        head = _parse_lines(lines[self._skipped_lines :], self.separator)
        self.head = head if max(map(len, head), default=0) <= _MAX_COLUMNS else []

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """Yield the line number and the stripped cells of every row that is not empty; raise DataError if unreadable.

        The number of a row with line breaks in its cells is that of its last line.
        """
        try:
            check_size(self.path.stat().st_size)
            with self.path.open(encoding=self._encoding, newline="") as file:
                for _ in range(self._skipped_lines):
                    file.readline()
                # A row after the last one shows whether that one ends: else it is in its quotes.
                lines = itertools.chain(file, [_END])
                reader = csv.reader(lines, delimiter=self.separator, skipinitialspace=True)
                start = 1
                for values in reader:
                    end = reader.line_num
                    if end > start and self._swallows_rows(values):
                        message = f"line {start + self._skipped_lines}: a quote is not closed, so that rows after it"
                        raise DataError(f"{self.path}: {message} would be lost: close or remove the quote")
                    start = end + 1
                    cells = [value.strip() for value in values]
                    if any(cells) and values != [_END]:
                        yield end + self._skipped_lines, cells
        except OSError as error:
            raise _unreadable(self.path, error) from None
        except UnsuitableFileError as error:
            raise DataError(f"{self.path}: {error}") from None
        except UnicodeError as error:
            raise DataError(
                f"{self.path}: not UTF-8 text ({error}): save it in UTF-8 (Excel: Save As, CSV UTF-8)"
            ) from None
        except csv.Error as error:
            raise DataError(f"{self.path}: not a table ({error}): export the labels again") from None

    def surplus(self, cells: Sequence[str], header_rows: int) -> str:
        """Return why a row is not to be read if it has more cells than the header, or else ""."""
        if self._width is None:
            widths = [len(row) for row in self.head]
            self._width = widths[header_rows - 1] if header_rows else max(widths, key=widths.count)
        if not any(cells[self._width :]):
            return ""
        advice = f"quote a cell with {self.separator!r} in it, or name all columns"
        return f"{len(cells)} cells, but the header has {self._width}: {advice}"

    def _swallows_rows(self, values: Sequence[str]) -> bool:
        """Return whether a cell with line breaks has rows of the table in it, as after a quote that is not closed."""
        width = len(self.head[0]) if self.head else 0
        for position, value in enumerate(values):
            lines = value.splitlines()
            if lines and lines[-1].endswith(_END):
                return True
            if len(lines) < 2 or width < _MIN_ROW_WIDTH or "{" in value:  # JSON has commas of its own
                continue
            counts = [line.count(self.separator) for line in lines]
            before, after = position, len(values) - 1 - position
            row_starts = counts[0] > 1 and before + counts[0] + 1 == width
            row_ends = counts[-1] > 0 and counts[-1] + 1 + after == width
            if row_starts or row_ends or width - 1 in counts[1:-1]:
                return True
        return False


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
