"""The history of a run as TensorBoard draws it: event files in RUN/tensorboard, one curve for each column.

Written by TensorFlow alone; TensorBoard is needed only by who looks at them.
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

__all__ = ["EventLog"]

_CURVES = [column.name for column in fields(HistoryRow) if column.name != "epoch"]


class EventLog:
    """Event files in ``folder``; what an earlier part of the run left there is replaced.

    After an interruption the history is what counts, and TensorBoard would show an epoch that was trained twice as a
    curve that turns back: so the log is written anew from ``rows``, those of the epochs that are finished.
    """

    def __init__(self, folder: Path, rows: Sequence[HistoryRow]) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        self._folder = folder
        with self._one_line():
            self._writer = tf.summary.create_file_writer(str(folder))
        for row in rows:
            self.add(row)

    def add(self, row: HistoryRow) -> None:
        """Write one epoch; it is on disk when this returns."""
        # What tf.summary.scalar does, which would import TensorBoard.
        kind = tf.compat.v1.SummaryMetadata(
            plugin_data=tf.compat.v1.SummaryMetadata.PluginData(plugin_name="scalars"), data_class="DATA_CLASS_SCALAR"
        )
        with self._one_line():
            with self._writer.as_default():
                for name in _CURVES:
                    tf.summary.write(name, tf.constant(getattr(row, name), tf.float32), step=row.epoch, metadata=kind)
            self._writer.flush()

    @contextlib.contextmanager
    def _one_line(self) -> Iterator[None]:
        try:
            yield
        except tf.errors.OpError as error:
            raise DataError(f"{self._folder}: TensorBoard's log cannot be written ({error.message})") from None
