"""The best model of a run so far, in memory: what remains of a training that diverges."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edge_ssd.training.history import HistoryRow
from edge_ssd.training.model.tiny_ssd import TinySSD, save_tiny_ssd

__all__ = ["BestModel"]


class BestModel:
    """Weights of the epoch with the highest AP.

    Args:
        model: the model that is evaluated after every epoch.
        history: rows of a resumed run, whose last one is that of ``model`` now; earlier weights are not available.

    Attributes:
        row: the row of that epoch; None if there is none yet.
    """

    def __init__(self, model: TinySSD, history: Sequence[HistoryRow] = ()) -> None:
        self._model = model
        self.row = history[-1] if history else None
        self._weights = model.get_weights() if history else []

    def update(self, row: HistoryRow) -> None:
        """Keep the model's weights if ``row``, that of the newest epoch, has the highest AP."""
        if self.row is None or row.ap > self.row.ap:
            self.row, self._weights = row, self._model.get_weights()

    def save(self, path: Path) -> None:
        """Assign the weights to the model and write it to ``path``."""
        self._model.set_weights(self._weights)
        save_tiny_ssd(self._model, path)
