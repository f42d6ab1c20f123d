"""Plain-text tables with aligned columns."""

from __future__ import annotations

from collections.abc import Sequence

from edge_ssd.console.text import printable

__all__ = ["format_table"]


def format_table(rows: Sequence[Sequence[str]], left: int = 1, indent: str = "") -> str:
    """Format rows of text as lines with aligned columns, two spaces apart.

    Args:
        rows: cells of equal number in each row; a header is the first row. Line feeds in them are escaped, see
            :func:`~edge_ssd.console.text.printable`: names from files cannot add rows.
        left: number of leading columns that are aligned left; the others are aligned right.
        indent: put before every line.

    Returns:
        The lines joined by newlines, without trailing spaces; "" for no rows.
    """
    rows = [[printable(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(f"{indent}{'  '.join(_align(row, widths, left))}".rstrip() for row in rows)


def _align(row: Sequence[str], widths: Sequence[int], left: int) -> list[str]:
    return [
        cell.ljust(width) if i < left else cell.rjust(width)
        for i, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]
