"""edge_ssd.training.history: file, plot, best epoch and early stopping."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_ssd.errors import DataError
from edge_ssd.training.history import HistoryRow, best_row, draw_history, read_history, should_stop_early, write_history


def rows_of(*aps: float) -> list[HistoryRow]:
    return [HistoryRow(i, 1 / i, 0.01 / i, 0.02 / i, ap, ap, ap / 2, 30.0, 33.0) for i, ap in enumerate(aps, 1)]


def test_history_round_trip_and_plot(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    rows = rows_of(0.1, 0.2, 0.15)
    write_history(rows, tmp_path / "history.csv")
    assert [row.epoch for row in read_history(tmp_path / "history.csv")] == [1, 2, 3]
    assert read_history(tmp_path / "history.csv")[1].loss == pytest.approx(0.5)
    draw_history(rows, tmp_path / "history.png")
    assert (tmp_path / "history.png").read_bytes()[1:4] == b"PNG"


def test_read_history_rejects_invalid_file(tmp_path: Path) -> None:
    (tmp_path / "history.csv").write_text("epoch,loss\n1,x\n")
    with pytest.raises(DataError, match="not a training history"):
        read_history(tmp_path / "history.csv")


def test_write_history_marks_best_epoch(tmp_path: Path) -> None:
    write_history(rows_of(0.1, 0.3, 0.3, 0.2), tmp_path / "history.csv")
    header, *lines = (tmp_path / "history.csv").read_text().splitlines()
    assert header.endswith(",best")
    # The earliest of equals.
    assert [line.rpartition(",")[2] for line in lines] == ["0", "1", "0", "0"]


def test_read_history_without_best_column(tmp_path: Path) -> None:
    (tmp_path / "history.csv").write_text(
        "epoch,loss,class_error,box_mae,ap,ap50,ap75,seconds,images_per_second\n1,2,0.1,0.1,0.25,0.5,0.1,30,33\n"
    )
    assert read_history(tmp_path / "history.csv")[0].ap == 0.25


@pytest.mark.parametrize(
    ("aps", "patience", "stop"),
    [
        ((), 2, False),
        ((0.5, 0.4, 0.3), 0, False),  # 0 disables early stopping
        ((0.5, 0.4), 2, False),
        ((0.5, 0.4, 0.4), 2, True),
        ((0.5, 0.5, 0.5), 2, True),  # equal is not higher
        ((0.1, 0.4, 0.3, 0.5), 2, False),
        ((0.0, 0.0, 0.0), 3, False),
    ],
)
def test_should_stop_early_after_epochs_without_higher_ap(aps: tuple[float, ...], patience: int, stop: bool) -> None:
    assert should_stop_early(rows_of(*aps), patience) is stop


def test_best_row_of_one_row() -> None:
    (row,) = rows_of(0.0)
    assert best_row([row]) is row
