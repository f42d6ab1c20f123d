"""Python in child processes: the commands, and scripts of the tests."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parent.parent
FAKE = REPOSITORY / "tests" / "device_fake.py"


_DEFAULTS = {"cwd": REPOSITORY, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}


def run_python(
    *arguments: object, timeout: float = 120, check: bool = False, **options: Any
) -> subprocess.CompletedProcess[str]:
    """Run Python in the repository and return its status and output; ``options`` are those of ``subprocess``."""
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(command, timeout=timeout, check=check, **{**_DEFAULTS, **options})


def start_python(*arguments: object, **options: Any) -> subprocess.Popen[str]:
    """Start Python in the repository, with pipes for its output; ``options`` are those of ``subprocess``."""
    command = [sys.executable, *map(str, arguments)]
    return subprocess.Popen(command, **{**_DEFAULTS, **options})


def stop(process: subprocess.Popen[str], number: int = signal.SIGTERM, within_s: float = 2.0) -> tuple[str, str]:
    """Send a signal to a process, which must end in time with status 0; return the rest of its output."""
    start = time.monotonic()
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 0, err
    assert time.monotonic() - start < within_s
    return out, err
