"""Latency of models relative to each other."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edge_ssd.runtime.interleave import call_interleaved
from edge_ssd.runtime.interpreter import Interpreter, open_interpreter

__all__ = ["Latency", "interleaved_latency"]

_WARM_UP = 3
_ROUNDS = 40


@dataclass(frozen=True)
class Latency:
    """Median latency of each model, measured in turns by the interpreter ``backend`` with ``threads`` threads."""

    milliseconds: tuple[float, ...]
    backend: str
    threads: int


def interleaved_latency(flatbuffers: list[bytes], image: npt.NDArray[np.uint8], threads: int = 1) -> Latency:
    """Return each TFLite model's median latency of one inference on ``image``, uint8 [height, width, 3], in turns."""
    interpreters = [open_interpreter(flatbuffer, threads) for flatbuffer in flatbuffers]

    def seconds(interpreter: Interpreter) -> float:
        start = time.perf_counter()
        interpreter.invoke(image)
        return time.perf_counter() - start

    samples = call_interleaved(seconds, interpreters, _WARM_UP + _ROUNDS)
    medians = tuple(float(np.median(values[_WARM_UP:])) * 1000 for values in samples)
    return Latency(medians, interpreters[0].backend, threads)
