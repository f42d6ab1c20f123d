"""Frames per second of boards, estimated from instructions counted under emulation.

Estimates, not measurements: none of these boards was available. The clock rates are those of the boards; the
instructions per cycle are assumptions for this kind of code: a Cortex-A53 issues at most two in order, with a vector
unit of half the width; an A72 up to three and an A76 up to four out of order. Memory, heat and other cores are ignored.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

__all__ = ["BOARDS", "Board", "frames_per_second"]


class Board(NamedTuple):
    """A board, with the assumed instructions per cycle of a core."""

    name: str
    cpu: str
    gigahertz: float
    instructions_per_cycle: float

    @property
    def heading(self) -> str:
        return f"{self.name} ({self.gigahertz:g} GHz, {self.instructions_per_cycle:g} per cycle)"


BOARDS = (
    Board("Pi Zero 2 W", "cortex-a53", 1.0, 0.8),
    Board("Pi 3", "cortex-a53", 1.2, 0.8),
    Board("Pi 4", "cortex-a72", 1.5, 1.5),
    Board("Pi 5", "cortex-a76", 2.4, 2.0),
)


def frames_per_second(board: Board, instructions: Mapping[str, Mapping[str, int]]) -> float:
    """Return the rate of whole detections in frames of 640×480 with one thread; ``instructions`` by CPU and stage."""
    stages = instructions[board.cpu]
    return board.gigahertz * 1e9 * board.instructions_per_cycle / (stages["invoke"] + stages["all but invoke"])
