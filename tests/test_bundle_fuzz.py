"""Ten thousand damaged bundles, in a process of their own: its memory and its end can then be judged."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def test_read_bundle_of_ten_thousand_damaged_files() -> None:
    command = [sys.executable, "-W", "error", str(HERE / "bundle_fuzz.py"), "10000"]
    environment = {"PYTHONPATH": str(HERE.parent)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=HERE)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["files"] == 10_000
    # Most damage is seen; some hits bytes that no code reads, such as a date in the archive.
    assert 9_000 < result["refused"] < 10_000
    assert result["grown_mb"] < 50
    assert result["slowest_s"] < 1
