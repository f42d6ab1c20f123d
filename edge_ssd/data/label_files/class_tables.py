"""Class names and their ids in a table of two columns, as of keras-retinanet.

cat,0          _classes.csv, classes.csv …; also with a header, with the id first, and with other separators
dog,1
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from edge_ssd.data.label_files.text_table import sniff_rows

__all__ = ["read_class_table"]

_ID = re.compile(r"\d{1,9}")


def read_class_table(paths: Iterable[Path]) -> tuple[str, ...] | None:
    """Return the class names in the order of their ids, from the first file that is such a table, or None."""
    for path in paths:
        rows = sniff_rows(path)
        if not rows or any(len(row) != 2 for row in rows):
            continue
        for id_column in (1, 0):
            # Only the first row may be a header.
            own = rows[1:] if not _ID.fullmatch(rows[0][id_column]) else rows
            pairs = {int(row[id_column]): row[1 - id_column] for row in own if _ID.fullmatch(row[id_column])}
            names = tuple(pairs[key] for key in sorted(pairs))
            if len(pairs) == len(own) == len(set(names)) and sorted(pairs) == list(range(len(own))) and own:
                return names
    return None
