"""Forged flatbuffers are refused before an interpreter sees them."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest
from real_model import real_model

from edge_ssd.errors import BundleError
from edge_ssd.runtime.bundle import read_bundle
from edge_ssd.runtime.flatbuffer_check import check_flatbuffer
from edge_ssd.runtime.interpreter import open_interpreter

HERE = Path(__file__).resolve().parent


@pytest.fixture(scope="module")
def model() -> bytes:
    return read_bundle(real_model()).flatbuffer


def field(data: bytes, table: int, number: int) -> int:
    """Return the position of a field that the table has."""
    vtable = table - struct.unpack_from("<i", data, table)[0]
    return table + int(struct.unpack_from("<H", data, vtable + 4 + 2 * number)[0])


def target(data: bytes, position: int) -> int:
    return position + int(struct.unpack_from("<I", data, position)[0])


def element(data: bytes, table: int, number: int, i: int = 0) -> int:
    """Return the position of element ``i`` of a vector of four-byte elements."""
    return target(data, field(data, table, number)) + 4 + 4 * i


def graph(data: bytes) -> int:
    return target(data, element(data, target(data, 0), 2))


def places(data: bytes) -> dict[str, int]:
    """Return the position of a word by what it is."""
    tensor = target(data, element(data, graph(data), 0))
    operator = target(data, element(data, graph(data), 3))
    buffer = target(data, element(data, target(data, 0), 4, 1))
    return {
        "root": 0,
        "vector of buffers": field(data, target(data, 0), 4),
        "length of the vector of tensors": element(data, graph(data), 0) - 4,
        "table of a buffer": buffer,
        "table of a tensor": tensor,
        "shape": field(data, tensor, 0),
        "size": element(data, tensor, 0, 1),
        "name": field(data, tensor, 3),
        "quantization": field(data, tensor, 4),
        "buffer of a tensor": field(data, tensor, 2),
        "graph input": element(data, graph(data), 1),
        "graph output": element(data, graph(data), 2),
        "input of an operator": element(data, operator, 1),
        "output of an operator": element(data, operator, 2),
        "table of options": field(data, target(data, element(data, graph(data), 3, 1)), 4),
    }


NAMES = [
    *("root", "vector of buffers", "length of the vector of tensors", "table of a buffer", "table of a tensor"),
    *("shape", "size", "name", "quantization", "buffer of a tensor", "graph input", "graph output"),
    *("input of an operator", "output of an operator", "table of options"),
]


def test_check_flatbuffer_accepts_real_model_quickly(model: bytes) -> None:
    times = []
    for _ in range(5):
        start = time.process_time()
        check_flatbuffer(model)
        times.append(time.process_time() - start)
    # About 1 ms on a workstation.
    assert min(times) < 0.05


@pytest.mark.parametrize("value", [0x7FFFFFF0, 0x7FFFFFFF, 0xFFFFFF00])
@pytest.mark.parametrize("name", NAMES)
def test_interpreter_never_sees_forged_offsets(model: bytes, name: str, value: int) -> None:
    forged = bytearray(model)
    struct.pack_into("<I", forged, places(model)[name], value)
    with pytest.raises(BundleError, match="the model is damaged or forged"):
        open_interpreter(bytes(forged))


@pytest.mark.parametrize("size", [0, 3, 8, 40, 1000, 0.5, 0.9])
def test_check_flatbuffer_rejects_cut_model(model: bytes, size: float) -> None:
    with pytest.raises(BundleError, match="the model is damaged or forged"):
        check_flatbuffer(model[: size if isinstance(size, int) else int(size * len(model))])


def test_check_flatbuffer_of_shared_parts_is_linear() -> None:
    """Every operator has the same long vector of inputs: a check of each would take a minute."""
    count = 60_000
    root = struct.pack("<I4s", 16, b"TFL3")
    vtable_model = struct.pack("<4H", 8, 8, 0, 4)  # at 8: its field 1 is a vector of tables
    model = struct.pack("<iI", 8, 4)  # at 16
    offsets = b"".join(struct.pack("<I", 4 * (count - i) + 8) for i in range(count))
    vector = struct.pack("<I", count) + offsets
    code = struct.pack("<4H", 8, 8, 0, 4) + struct.pack("<iI", 8, 4) + struct.pack("<I", 200_000) + b"x" * 200_000
    data = root + vtable_model + model + vector + code + b"\0\0\0\0"
    start = time.process_time()
    with pytest.raises(BundleError, match="the model is damaged or forged"):
        check_flatbuffer(data)
    assert time.process_time() - start < 2


@pytest.mark.machine_independent
def test_forged_models_never_end_the_process() -> None:
    command = [sys.executable, str(HERE / "flatbuffer_fuzz.py"), "2000", "0", "20"]
    environment = {"PYTHONPATH": str(HERE.parent)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=HERE, timeout=120)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert 300 < result["refused"] < 2000
    assert result["slowest_s"] < 1
    assert result["grown_mb"] < 50
