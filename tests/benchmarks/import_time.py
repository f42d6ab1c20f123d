"""Time of ``import edge_ssd`` relative to ``import numpy``: python tests/benchmarks/import_time.py [rounds]

Fresh interpreters, alternating; the minimum of many rounds. The startup of Python is not included.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from edge_ssd.runtime.interleave import call_interleaved

MODULES = ("numpy", "edge_ssd")
PROGRAM = "import time; start = time.perf_counter(); import {}; print(time.perf_counter() - start)"


def milliseconds(module: str) -> float:
    """Return the time of an import in a fresh interpreter."""
    command = [sys.executable, "-c", PROGRAM.format(module)]
    root = Path(__file__).resolve().parents[2]
    return 1000 * float(subprocess.run(command, check=True, capture_output=True, text=True, cwd=root).stdout)


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 40
    numpy, edge_ssd = map(min, call_interleaved(milliseconds, MODULES, rounds))
    print(f"numpy {numpy:.1f} ms, edge_ssd {edge_ssd:.1f} ms, ratio {edge_ssd / numpy:.2f} (minimum of {rounds})")


if __name__ == "__main__":
    main()
