"""edge_ssd.training.tensorboard: event files contain every value of the history once."""

from __future__ import annotations

from pathlib import Path

import pytest

tf = pytest.importorskip("tensorflow")

from edge_ssd.errors import DataError  # noqa: E402 (after the check that TensorFlow is installed)
from edge_ssd.training.history import HistoryRow  # noqa: E402
from edge_ssd.training.tensorboard import TensorBoardWriter  # noqa: E402


def row_of(epoch: int) -> HistoryRow:
    return HistoryRow(epoch, 1 / epoch, 0.01, 0.02, 0.1 * epoch, 0.5, 0.25, 30.0, 33.0, 0.125)


def read_events(folder: Path) -> dict[tuple[str, int], float]:
    """Return the values by (tag, epoch); assert that each is written once."""
    values: dict[tuple[str, int], float] = {}
    for path in sorted(folder.iterdir()):
        for record in tf.data.TFRecordDataset(str(path)):
            event = tf.compat.v1.Event.FromString(record.numpy())
            for value in event.summary.value:
                assert value.metadata.plugin_data.plugin_name == "scalars"
                assert (value.tag, event.step) not in values
                values[value.tag, event.step] = float(tf.make_ndarray(value.tensor))
    return values


def test_writer_writes_every_column_of_every_epoch(tmp_path: Path) -> None:
    writer = TensorBoardWriter(tmp_path / "tensorboard", [])
    for epoch in (1, 2):
        writer.add(row_of(epoch))
    values = read_events(tmp_path / "tensorboard")
    assert {epoch for _, epoch in values} == {1, 2}
    assert values["ap", 2] == pytest.approx(0.2)
    assert values["loss", 2] == 0.5
    assert values["waiting", 1] == 0.125
    assert len(values) == 2 * 9


def test_resumed_writer_starts_from_history(tmp_path: Path) -> None:
    first = TensorBoardWriter(tmp_path / "tensorboard", [])
    for epoch in (1, 2, 3):  # the third was not finished
        first.add(row_of(epoch))
    TensorBoardWriter(tmp_path / "tensorboard", [row_of(1), row_of(2)]).add(row_of(3))
    values = read_events(tmp_path / "tensorboard")
    assert sorted(epoch for name, epoch in values if name == "ap") == [1, 2, 3]


def test_writer_rejects_unwritable_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="TensorBoard's log cannot be written"):
        TensorBoardWriter(tmp_path / "file" / "tensorboard", [row_of(1)])
