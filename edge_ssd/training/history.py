"""Training history: one row an epoch, as a CSV file and a plot."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from edge_ssd.atomic_write import atomic_path
from edge_ssd.charts import new_figure, save_figure
from edge_ssd.errors import DataError

__all__ = ["HistoryRow", "best_row", "draw_history", "read_history", "should_stop_early", "write_history"]


@dataclass(frozen=True)
class HistoryRow:
    """Row of an epoch: training means (``class_error`` 0–1, ``box_mae`` of offsets), AP on validation split, speed."""

    epoch: int
    loss: float
    class_error: float
    box_mae: float
    ap: float
    ap50: float
    ap75: float
    seconds: float
    images_per_second: float
    waiting: float = 0.0
    """Fraction of ``seconds`` in which the network waited for images."""


_COLUMNS = [column.name for column in fields(HistoryRow)]
_BEST = "best"


def best_row(rows: Sequence[HistoryRow]) -> HistoryRow:
    """Return the row with the highest AP, the earliest of equal ones; ``rows`` must not be empty.

    Its AP is biased upwards, as the maximum of many noisy measurements on one split. Report the AP of a model that
    was selected this way on other images.
    """
    return max(rows, key=lambda row: row.ap)


def should_stop_early(rows: Sequence[HistoryRow], patience: int) -> bool:
    """Return whether the AP did not improve in the last ``patience`` epochs; a patience of 0 never stops."""
    return patience > 0 and bool(rows) and rows[-1].epoch - best_row(rows).epoch >= patience


def write_history(rows: Sequence[HistoryRow], path: str | os.PathLike[str]) -> None:
    """Write the rows as CSV with a header; the column ``best`` is 1 in the row of :func:`best_row`, else 0."""
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*_COLUMNS, _BEST])
        for row in rows:
            writer.writerow([*(f"{value:.6g}" for value in vars(row).values()), int(row is best_row(rows))])


def read_history(path: str | os.PathLike[str]) -> list[HistoryRow]:
    """Read a file that :func:`write_history` wrote; a missing file is an empty history.

    Raises:
        DataError: the file is damaged.
    """
    path = Path(path)
    if not path.is_file():
        return []
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return [
                HistoryRow(int(row["epoch"]), *(float(row[name]) for name in _COLUMNS[1:] if name in row))
                for row in csv.DictReader(file)
            ]
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path}: not a training history ({error}); remove it to go on without one") from None


def draw_history(rows: Sequence[HistoryRow], path: str | os.PathLike[str]) -> None:
    """Draw class error, box MAE and AP over the epochs to the PNG ``path``; ``rows`` must not be empty."""
    figure = new_figure(1000, 400)
    epochs = [row.epoch for row in rows]
    marker = "o" if len(rows) < 3 else None
    book, precision = figure.subplots(1, 2)
    book.plot(epochs, [row.class_error for row in rows], marker=marker, label="class error")
    book.plot(epochs, [row.box_mae for row in rows], "--", marker=marker, label="box MAE")
    book.set_yscale("log")
    book.set_title("the book's metrics (training batches)")
    for name, label, style in (("ap50", "AP50", ":"), ("ap75", "AP75", "--"), ("ap", "AP", "-")):
        precision.plot(epochs, [getattr(row, name) for row in rows], style, marker=marker, label=label)
    best = best_row(rows)
    precision.plot([best.epoch], [best.ap], "o", color="black", fillstyle="none", label=f"best AP, epoch {best.epoch}")
    precision.set_ylim(0, 1)
    precision.set_title("average precision (validation split)")
    for axes in (book, precision):
        axes.set_xlabel("epoch")
        axes.legend()
    save_figure(figure, path)
