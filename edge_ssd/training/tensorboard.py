"""TensorBoard event files of a training run, one curve for each column of its history.

TensorFlow writes them; the TensorBoard package is needed only to view them.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import fields
from pathlib import Path

import tensorflow as tf

from edge_ssd.errors import DataError
from edge_ssd.training.history import HistoryRow

__all__ = ["TensorBoardWriter"]

_CURVES = [column.name for column in fields(HistoryRow) if column.name != "epoch"]


class TensorBoardWriter:
    """Writer of event files in ``folder``; existing files there are replaced.

    After an interruption the files are written again from ``rows``, those of the finished epochs: TensorBoard would
    otherwise show an epoch that was trained twice as a curve that goes back.
    """

    def __init__(self, folder: Path, rows: Sequence[HistoryRow]) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        self._folder = folder
        with self._data_error():
            self._writer = tf.summary.create_file_writer(str(folder))
        for row in rows:
            self.add(row)

    def add(self, row: HistoryRow) -> None:
        """Write the metrics of one epoch, ``row``, and flush them to disk."""
        # As tf.summary.scalar does, which would import TensorBoard.
        metadata = tf.compat.v1.SummaryMetadata(
            plugin_data=tf.compat.v1.SummaryMetadata.PluginData(plugin_name="scalars"), data_class="DATA_CLASS_SCALAR"
        )
        with self._data_error():
            with self._writer.as_default():
                for name in _CURVES:
                    value = tf.constant(getattr(row, name), tf.float32)
                    tf.summary.write(name, value, step=row.epoch, metadata=metadata)
            self._writer.flush()

    @contextlib.contextmanager
    def _data_error(self) -> Iterator[None]:
        try:
            yield
        except tf.errors.OpError as error:
            raise DataError(f"{self._folder}: TensorBoard's log cannot be written ({error.message})") from None
