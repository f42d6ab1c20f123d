"""Counts the instructions of each stage of a detection on the processors of Raspberry Pis.

Emulated seconds say nothing about a board; the number of instructions does not depend on who emulates, and is the
same from run to run. It is no time either: a processor of another design needs other times for the same ones.
"""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from arm.fetch import CPUS, Unavailable, cpu_root
from arm.lanes import ARM, LANES

__all__ = ["LANE", "STAGES", "TABLE", "Count", "count_instructions", "excess", "plugin"]

LANE = LANES["aarch64-litert"]
STAGES = ("preprocess", "invoke", "postprocess", "all but invoke")
TABLE = Path(__file__).resolve().parent / "instructions.json"

_SOURCE = Path(__file__).resolve().parent / "count.c"
MARGIN = 0.02  # more than this is a regression; between runs counts differ by far less

_GETPPID = 173  # Linux on aarch64


@dataclass(frozen=True)
class Count:
    """What one processor needs.

    Attributes:
        stages: instructions of each stage, the median of the repeats.
        spread: the largest difference between repeats of a stage, as a share of its median.
        ran: what ran: the model's SHA-256, versions, number of detections.
    """

    cpu: str
    stages: dict[str, int]
    spread: dict[str, float]
    ran: dict[str, Any]


def plugin() -> Path:
    """Compile the counting plug-in; raises :class:`Unavailable` where there is no compiler."""
    if shutil.which("gcc") is None:
        raise Unavailable("gcc is not installed (Debian: sudo apt install gcc libc6-dev)")
    ARM.mkdir(exist_ok=True)
    path = ARM / "count.so"
    command = ["gcc", "-Wall", "-Wextra", "-Werror", "-O2", "-shared", "-fPIC", "-fvisibility=hidden"]
    done = subprocess.run([*command, "-o", str(path), str(_SOURCE)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{_SOURCE} does not compile: {done.stderr}")
    return path


def count_instructions(cpu: str, model: Path | None = None) -> Count:
    """Count on one of :data:`arm.fetch.CPUS`; the lane must be fetched and have the project installed.

    ``model`` is the bundle that detects, by default the shipped one.
    """
    if cpu not in CPUS:
        raise ValueError(f"cpu must be one of {', '.join(CPUS)}, got {cpu!r}")
    out = ARM / f"count-{cpu}.txt"
    done = LANE.run(
        Path(__file__).with_name("guest_stages.py"),
        *([] if model is None else [model.resolve()]),
        cpu=cpu,
        root=cpu_root(LANE, cpu),
        plugin=f"{plugin()},out={out},marker={_GETPPID}",
        timeout=900,
    )
    if done.returncode:
        raise RuntimeError(f"counting on {cpu} ended with {done.returncode}: {done.stderr[-2000:]}")
    ran = json.loads(done.stdout.splitlines()[-1])
    repeats = ran.pop("repeats")
    marks = [int(line) for line in out.read_text().split()]
    spans = [end - start for start, end in zip(marks[::2], marks[1::2], strict=True)]
    if len(spans) != sum(repeats.values()):
        raise RuntimeError(f"counting on {cpu}: {len(spans)} counts for {sum(repeats.values())} calls")
    each = {}
    for name, number in repeats.items():
        each[name], spans = spans[:number], spans[number:]
    nothing = statistics.median_low(each.pop("nothing"))  # the markers and the call themselves
    medians = {name: statistics.median_low(values) - nothing for name, values in each.items()}
    spread = {name: (max(values) - min(values)) / medians[name] for name, values in each.items()}
    return Count(cpu, medians, spread, ran)


def excess(count: Count, table: dict[str, Any]) -> list[str]:
    """What in ``count`` costs more than ``table`` (the content of :data:`TABLE`) says, a line each."""
    for name, kept in table["ran"].items():
        if count.ran[name] != kept:
            remedy = "measure anew and look at the difference: python tests/arm/measure.py --write"
            return [f"{name} is {count.ran[name]}, the table's is {kept}: {remedy}"]
    problems = []
    for stage, kept in table["instructions"][count.cpu].items():
        if count.stages[stage] > (1 + MARGIN) * kept:
            more = count.stages[stage] / kept - 1
            now = f"{stage} on {count.cpu}: {count.stages[stage]} instructions"
            problems.append(f"{now}, {100 * more:.1f} % more than the table's {kept}")
    return problems
