"""Frames a second that a board could reach, estimated from instructions counted under emulation.

An estimate and no measurement: none of these boards was at hand. The clocks are the boards' own; how many instructions
a core completes in a cycle is assumed, for code of this kind: an A53 takes at most two, in order, and half as wide in
its vector unit; an A72 up to three, an A76 up to four, out of order. Memory, heat and a second core are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

__all__ = ["BOARDS", "Board", "frames_per_second"]


class Board(NamedTuple):
    """A board, and what is assumed of one of its cores."""

    name: str
    cpu: str
    gigahertz: float
    per_cycle: float

    @property
    def heading(self) -> str:
        return f"{self.name} ({self.gigahertz:g} GHz, {self.per_cycle:g} a cycle)"


BOARDS = (
    Board("Pi Zero 2 W", "cortex-a53", 1.0, 0.8),
    Board("Pi 3", "cortex-a53", 1.2, 0.8),
    Board("Pi 4", "cortex-a72", 1.5, 1.5),
    Board("Pi 5", "cortex-a76", 2.4, 2.0),
)


def frames_per_second(board: Board, instructions: Mapping[str, Mapping[str, int]]) -> float:
    """Of whole detections in frames of 640×480 with one thread; ``instructions`` are by processor and stage."""
    stages = instructions[board.cpu]
    return board.gigahertz * 1e9 * board.per_cycle / (stages["invoke"] + stages["all but invoke"])
