"""Instruction counts of each stage of a detection on emulated processors of Raspberry Pis.

Emulated seconds do not predict a board's; the number of instructions does not depend on the emulator and repeats from
run to run. It is not a time either: processors of different designs need different times for the same instructions.
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

__all__ = ["LANE", "STAGES", "TABLE", "Count", "count_instructions", "count_stages", "excess", "plugin"]

LANE = LANES["aarch64-litert"]
STAGES = ("preprocess", "invoke", "postprocess", "all but invoke")
TABLE = Path(__file__).resolve().parent / "instructions.json"

_SOURCE = Path(__file__).resolve().parent / "count.c"
MARGIN = 0.02  # a larger relative increase is a regression; repeated runs differ far less

_GETPPID = 173  # Linux on aarch64


@dataclass(frozen=True)
class Count:
    """Instructions that one processor executes.

    Attributes:
        stages: stage → instructions, the median of the repeats.
        spread: stage → largest difference between repeats, relative to the median.
        ran: the model's SHA-256, versions, number of detections.
    """

    cpu: str
    stages: dict[str, int]
    spread: dict[str, float]
    ran: dict[str, Any]


def plugin() -> Path:
    """Compile the counting plug-in of the emulator and return its path.

    Raises:
        Unavailable: there is no compiler.
    """
    if shutil.which("gcc") is None:
        raise Unavailable("gcc is not installed (Debian: sudo apt install gcc libc6-dev)")
    ARM.mkdir(exist_ok=True)
    path = ARM / "count.so"
    command = ["gcc", "-Wall", "-Wextra", "-Werror", "-O2", "-shared", "-fPIC", "-fvisibility=hidden"]
    completed = subprocess.run([*command, "-o", str(path), str(_SOURCE)], capture_output=True, text=True, check=False)
    if completed.returncode:
        raise RuntimeError(f"{_SOURCE} does not compile: {completed.stderr}")
    return path


def count_instructions(cpu: str, model: Path | None = None) -> Count:
    """Count the instructions of every stage; the lane must be fetched, with the project installed.

    Args:
        cpu: one of :data:`arm.fetch.CPUS`.
        model: a bundle; None for the shipped one.
    """
    return count_stages(cpu, "guest_stages.py", *([] if model is None else [model.resolve()]))


def count_stages(cpu: str, script: str, *arguments: Path) -> Count:
    """Count the instructions of every stage between the markers of a script of this folder."""
    if cpu not in CPUS:
        raise ValueError(f"cpu must be one of {', '.join(CPUS)}, got {cpu!r}")
    out = ARM / f"count-{cpu}.txt"
    completed = LANE.run(
        Path(__file__).with_name(script),
        *arguments,
        cpu=cpu,
        root=cpu_root(LANE, cpu),
        plugin=f"{plugin()},out={out},marker={_GETPPID}",
        timeout=900,
    )
    if completed.returncode:
        raise RuntimeError(f"counting on {cpu} ended with {completed.returncode}: {completed.stderr[-2000:]}")
    ran = json.loads(completed.stdout.splitlines()[-1])
    repeats = ran.pop("repeats")
    marks = [int(line) for line in out.read_text().split()]
    spans = [end - start for start, end in zip(marks[::2], marks[1::2], strict=True)]
    if len(spans) != sum(repeats.values()):
        raise RuntimeError(f"counting on {cpu}: {len(spans)} counts for {sum(repeats.values())} calls")
    stages = {}
    for name, number in repeats.items():
        stages[name], spans = spans[:number], spans[number:]
    nothing = statistics.median_low(stages.pop("nothing"))  # cost of the markers and the call
    medians = {name: statistics.median_low(values) - nothing for name, values in stages.items()}
    spread = {name: (max(values) - min(values)) / medians[name] for name, values in stages.items()}
    return Count(cpu, medians, spread, ran)


def excess(count: Count, table: dict[str, Any]) -> list[str]:
    """Return one line per stage whose count exceeds ``table``, the content of :data:`TABLE`, by over 2 %."""
    for name, expected in table["ran"].items():
        if count.ran[name] != expected:
            remedy = "measure again and check the difference: python tests/arm/measure.py --write"
            return [f"{name} is {count.ran[name]}, the table's is {expected}: {remedy}"]
    problems = []
    for stage, expected in table["instructions"][count.cpu].items():
        if count.stages[stage] > (1 + MARGIN) * expected:
            increase = count.stages[stage] / expected - 1
            current = f"{stage} on {count.cpu}: {count.stages[stage]} instructions"
            problems.append(f"{current}, {100 * increase:.1f} % more than the table's {expected}")
    return problems
