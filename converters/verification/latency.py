"""How much faster one flatbuffer is than another, measured so that the machine's moods fall on both alike."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_ssd.runtime.interpreter import Interpreter, open_interpreter

__all__ = ["Latency", "interleaved_latency"]

_WARM_UP = 3
_ROUNDS = 40


@dataclass(frozen=True)
class Latency:
    """Median milliseconds of one invocation each, taken turn by turn in one run."""

    milliseconds: tuple[float, ...]
    backend: str
    threads: int

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        values = [round(value, 3) for value in self.milliseconds]
        return {"milliseconds": values, "backend": self.backend, "threads": self.threads}


def interleaved_latency(flatbuffers: list[bytes], image: npt.NDArray[np.uint8], threads: int = 1) -> Latency:
    """Invoke each model on ``image``, uint8 [height, width, 3], in turn.

    Medians, of models that take turns: whatever else the machine does disturbs them equally.
    """
    interpreters = [open_interpreter(flatbuffer, threads) for flatbuffer in flatbuffers]
    seconds: list[list[float]] = [[] for _ in interpreters]
    for turn in range(_WARM_UP + _ROUNDS):
        for interpreter, taken in zip(interpreters, seconds, strict=True):
            elapsed = _invoke(interpreter, image)
            if turn >= _WARM_UP:
                taken.append(elapsed)
    medians = tuple(float(np.median(taken)) * 1000 for taken in seconds)
    return Latency(medians, interpreters[0].backend, threads)


def _invoke(interpreter: Interpreter, image: npt.NDArray[np.uint8]) -> float:
    start = time.perf_counter()
    interpreter.invoke(image)
    return time.perf_counter() - start
