"""Python code in a child process, so that a broken library can crash without ending the doctor."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

__all__ = ["probe"]

_ROOT = Path(__file__).resolve().parent.parent.parent
_TIMEOUT_SECONDS = 120.0  # A board that swaps is slow.


def probe(code: str, *arguments: str) -> tuple[Any, str]:
    """Run ``code`` with ``arguments`` as ``sys.argv[1:]`` in a child Python process that can import this project.

    Returns (the JSON value in the last line of the output, ""), or (None, an error text).
    """
    paths = [str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    try:
        process = subprocess.run(
            [sys.executable, "-c", code, *arguments],
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=_TIMEOUT_SECONDS,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        )
    except subprocess.TimeoutExpired:
        return None, f"no answer within {_TIMEOUT_SECONDS:.0f} s"
    if process.returncode < 0:
        try:
            name = signal.Signals(-process.returncode).name
        except ValueError:
            name = f"signal {-process.returncode}"
        return None, f"the process was ended by {name}"
    lines = process.stdout.strip().splitlines()
    if process.returncode == 0 and lines:
        try:
            return json.loads(lines[-1]), ""
        except ValueError:
            pass
    errors = process.stderr.strip().splitlines()
    return None, errors[-1] if errors else f"exit status {process.returncode}"
