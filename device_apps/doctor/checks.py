"""What the doctor finds, and how it looks without being hurt.

The doctor is for machines where something is broken, so it stands on Python's standard library alone: what may be
broken (NumPy, the interpreter, OpenCV, picamera2) is tried in a process of its own, which may crash.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

__all__ = ["Check", "Finding", "Level", "examine", "failed", "ok", "probe", "warning"]

Level = Literal["ok", "warning", "failure"]

ROOT = Path(__file__).resolve().parent.parent
_PROBE_TIMEOUT_S = 120.0  # A board that starts swapping takes its time.


@dataclass(frozen=True)
class Finding:
    """One line: how grave it is, what was looked at, what was found, and what to do about it ("" for nothing)."""

    level: Level
    name: str
    text: str
    remedy: str = ""


Check = Callable[[], Iterable[Finding]]


def ok(name: str, text: str) -> Finding:
    """Nothing to do."""
    return Finding("ok", name, text)


def warning(name: str, text: str, remedy: str) -> Finding:
    """It works, but not as well, or not all of it."""
    return Finding("warning", name, text, remedy)


def failed(name: str, text: str, remedy: str) -> Finding:
    """It does not work."""
    return Finding("failure", name, text, remedy)


def examine(checks: Sequence[tuple[str, Check]]) -> list[Finding]:
    """Every check's findings; one that breaks is a warning, and the others are made all the same."""
    findings: list[Finding] = []
    for name, check in checks:
        try:
            findings += check()
        except Exception as error:
            text = f"this could not be looked at: {type(error).__name__}: {error}"
            findings.append(warning(name, text, "report it with the output of: edge-ssd doctor --json"))
    return findings


def probe(code: str, *arguments: str) -> tuple[Any, str]:
    """Run Python code in a process of its own; (the JSON of its last line, "") or (None, why there is none).

    The code sees this project's packages, whether they are installed or not.
    """
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    command = [sys.executable, "-c", code, *arguments]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=_PROBE_TIMEOUT_S,
            env=environment,
        )
    except subprocess.TimeoutExpired:
        return None, f"no answer within {_PROBE_TIMEOUT_S:.0f} s"
    if done.returncode < 0:
        try:
            name = signal.Signals(-done.returncode).name
        except ValueError:
            name = f"signal {-done.returncode}"
        return None, f"the process was ended by {name}"
    lines = done.stdout.strip().splitlines()
    if done.returncode == 0 and lines:
        try:
            return json.loads(lines[-1]), ""
        except ValueError:
            pass
    said = done.stderr.strip().splitlines()
    return None, said[-1] if said else f"exit status {done.returncode}"
