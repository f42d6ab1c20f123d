"""Interface of what depends on the labels of the model, which may be replaced while the program runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

__all__ = ["FollowsModel"]


@runtime_checkable
class FollowsModel(Protocol):
    """What goes on with another model; both methods are called by the loop, between two frames."""

    def check_labels(self, labels: Sequence[str]) -> None:
        """Raise SettingError if it cannot go on with a model of these labels; change nothing."""

    def model_replaced(self, labels: Sequence[str]) -> None:
        """Go on with the model of these labels, which were checked."""
