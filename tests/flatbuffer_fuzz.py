"""Damages a real model and runs what the check accepts: python tests/flatbuffer_fuzz.py [files] [seed] [interpreted]

Prints one line of JSON. A model must be refused with a BundleError, or an interpreter must take or refuse it without
ending the process. Only ``interpreted`` of the accepted models are given to one, which takes longer than the check.
"""

from __future__ import annotations

import json
import struct
import sys
import time

import numpy as np
from fuzzing import INTERESTING, peak_megabytes
from real_model import real_model

from edge_ssd.errors import BackendError, BundleError, EdgeSSDError
from edge_ssd.runtime.bundle import read_bundle
from edge_ssd.runtime.flatbuffer_check import check_flatbuffer
from edge_ssd.runtime.interpreter import open_interpreter

WORDS = (0, 1, 2, 3, 4, 7, 64, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xFFFFFFFC, 0x10000, 0x40000000)


def positions(data: bytes) -> list[int]:
    """Return the bytes around the tables: what lies between the constants, which are most of a model."""
    blocks = [i for i in range(0, len(data), 64) if b"\0\0\0" in data[i : i + 64]]
    return [i + k for i in blocks for k in range(64) if i + k < len(data)]


def damaged(random: np.random.Generator, data: bytes, places: list[int]) -> bytes:
    """Change one to three words or bytes, or cut the end."""
    changed = bytearray(data)
    kind = random.integers(0, 10)
    if kind == 0:
        return bytes(changed[: int(random.integers(0, len(changed)))])
    for _ in range(random.integers(1, 4)):
        at = places[random.integers(0, len(places))]
        if kind < 6:
            at = min(at // 4 * 4, len(changed) - 4)
            near = struct.unpack_from("<I", changed, at)[0] + int(random.integers(-8, 9))
            word = near % 2**32 if kind < 3 else int(random.choice(WORDS))
            struct.pack_into("<I", changed, at, word)
        else:
            changed[at] = int(random.choice(INTERESTING)) if kind < 8 else int(random.integers(0, 256))
    return bytes(changed)


def main(files: int = 2_000, seed: int = 0, interpreted: int = 40) -> None:
    random = np.random.default_rng(seed)
    model = read_bundle(real_model()).flatbuffer
    places = positions(model)
    check_flatbuffer(model)
    before = peak_megabytes()
    refused, accepted, slowest = 0, [], 0.0
    for _ in range(files):
        data = damaged(random, model, places)
        start = time.process_time()
        try:
            check_flatbuffer(data)
        except BundleError:
            refused += 1
        else:
            accepted.append(data)
        slowest = max(slowest, time.process_time() - start)
    grown = peak_megabytes() - before - sum(map(len, accepted)) / 2**20
    ran = 0
    for data in accepted[:interpreted]:
        try:
            interpreter = open_interpreter(data, num_threads=1)
            interpreter.invoke(np.zeros(interpreter.input_shape[1:], np.uint8))
            ran += 1
        except (BackendError, EdgeSSDError, ValueError, RuntimeError):
            pass
    print(json.dumps({"files": files, "refused": refused, "ran": ran, "slowest_s": slowest, "grown_mb": grown}))


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
