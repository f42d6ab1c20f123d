"""Latency of models relative to each other."""

from __future__ import annotations

import time
from collections.abc import Sequence
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


def interleaved_latency(
    flatbuffers: Sequence[bytes], images: Sequence[npt.NDArray[np.uint8]], threads: int = 1
) -> Latency:
    """Return each TFLite model's median latency of one inference, in turns.

    Args:
        images: one for each model, uint8 [height, width, 3] of its input size.
    """
    interpreters = [open_interpreter(flatbuffer, threads) for flatbuffer in flatbuffers]

    def seconds(case: tuple[Interpreter, npt.NDArray[np.uint8]]) -> float:
        interpreter, image = case
        start = time.perf_counter()
        interpreter.invoke(image)
        return time.perf_counter() - start

    samples = call_interleaved(seconds, list(zip(interpreters, images, strict=True)), _WARM_UP + _ROUNDS)
    medians = tuple(float(np.median(values[_WARM_UP:])) * 1000 for values in samples)
    return Latency(medians, interpreters[0].backend, threads)
