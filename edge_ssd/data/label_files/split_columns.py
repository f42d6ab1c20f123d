"""Columns of a table that state the split of each row.

split, set, dataset, type …      a word: train, Validation set, TEST
is_valid, is_test …              true or false
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from edge_ssd.data.split_names import split_from_words

__all__ = ["SplitColumns", "find_split_columns"]

# Names in headers, as of label_columns.header_key. Those of the second line also mean other things.
_NAMES = ("split", "set", "subset", "usage", "partition", "mluse", "datasplit", "splitname", "datasetsplit", "imageset")
_POSSIBLE_NAMES = (
    "dataset",
    "type",
    "datatype",
    "datasettype",
    "settype",
    "phase",
    "purpose",
    "stage",
    "role",
    "group",
)
_FLAGS = {
    **dict.fromkeys(("istrain", "istraining"), "train"),
    **dict.fromkeys(("isval", "isvalid", "isvalidation"), "val"),
    **dict.fromkeys(("istest", "istesting"), "test"),
}
_MAX_WORDS = 6  # different cells of a column that is no split by its name: others are names or paths
_FOLDS = frozenset({"fold", "folds", "kfold", "cvfold"})
_TRUE = frozenset({"true", "1", "1.0", "yes", "t", "y"})
_FALSE = frozenset({"false", "0", "0.0", "no", "f", "n", ""})
_NO_SPLIT = frozenset({"", "unassigned", "none", "nan", "null", "default", "all"})


@dataclass(frozen=True)
class SplitColumns:
    """Positions of the columns that state a split.

    Attributes:
        word: of a column with words.
        flags: (position, split) of columns with true or false, without such a column.
    """

    word: int | None = None
    flags: tuple[tuple[int, str], ...] = ()

    def split_of(self, cells: Sequence[str]) -> str:
        """Return the split of a row, "" if it states none; raise ValueError for anything else."""
        if self.word is not None:
            text = cells[self.word] if self.word < len(cells) else ""
            split = split_from_words(text)
            if not split and text.lower() not in _NO_SPLIT:
                raise ValueError(f"split {text!r} is none of train, val and test")
            return split
        stated = [
            split for position, split in self.flags if cells[position : position + 1] and _is_true(cells[position])
        ]
        if len(stated) > 1:
            raise ValueError(f"it is marked as {' and as '.join(stated)}")
        # A row that is not for training is held out; one that is not held out is for training.
        return stated[0] if stated else "val" if {split for _, split in self.flags} == {"train"} else "train"


def find_split_columns(
    names: Sequence[str], rows: Sequence[Sequence[str]], used: Collection[int]
) -> tuple[SplitColumns | None, str]:
    """Return the columns that state the split, or None, and a notice of a column that is not read, or "".

    Args:
        names: of the columns, as of :func:`~edge_ssd.data.label_files.table_columns.header_key`.
        rows: the first rows below the header.
        used: positions of columns that state something else.
    """
    cells = {
        position: [row[position] for row in rows if position < len(row) and row[position]]
        for position in range(len(names))
        if position not in used
    }
    splits = {position: set(map(split_from_words, texts)) for position, texts in cells.items()}
    notice = ""
    for name in _NAMES:
        position = names.index(name) if name in names else -1
        if position in cells:
            if splits[position] != {""}:
                return SplitColumns(position), ""
            notice = f"its column {name!r} states no split, such as {cells[position][0]!r}: not read"
    known = [position for position in cells if splits[position] and "" not in splits[position]]
    for position in known:
        few = len(set(cells[position])) <= _MAX_WORDS
        if few and (names[position] in _POSSIBLE_NAMES or {"train"} < splits[position]):
            return SplitColumns(position), ""
    flags = [
        (position, _FLAGS[names[position]])
        for position, texts in cells.items()
        if names[position] in _FLAGS and all(text.lower() in _TRUE | _FALSE for text in texts)
    ]
    for position, split in flags:
        # In most rows, "is_valid" then says that the row may be used.
        if split == "val" and sum(map(_is_true, cells[position])) * 2 > len(cells[position]):
            return (
                None,
                f"its column {names[position]!r}, which is true in most rows, is not read as the validation split",
            )
    if flags:
        return SplitColumns(flags=tuple(flags)), ""
    folds = [names[position] for position in cells if names[position] in _FOLDS]
    if folds and not notice:
        notice = f"its column {folds[0]!r} is not read: the folds of a cross-validation are used as one set"
    return None, notice


def _is_true(text: str) -> bool:
    return text.lower() in _TRUE
