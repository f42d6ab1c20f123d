"""Runs the fuzz programs with one seed after another: python tests/fuzz.py SECONDS

Ends with the first failure, and names the seed, or after the given time. Each program judges what it reads itself; a
crash of the process is a failure too.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import time
from pathlib import Path

from label_writers import WRITERS

HERE = Path(__file__).resolve().parent
# Programs, and their arguments before and after the seed.
PROGRAMS = [
    ("bundle_fuzz.py", ["10000"], []),
    ("flatbuffer_fuzz.py", ["10000"], ["200"]),
    *(("label_fuzz.py", ["10000"], [name]) for name in sorted(WRITERS)),
    *(("device_fuzz.py", ["10000"], [kind]) for kind in ("jpeg", "camera", "web")),
]
# Tests that take their seed and rounds from the environment.
TESTS = ["test_training_checkpoint.py", "test_training_model_keras_file_check.py", "test_device_events_mqtt_spool.py"]
ROUNDS = 5_000
MAX_SECONDS, MAX_MEGABYTES = 1.0, 50.0


def main(seconds: float = 1800.0) -> int:
    end = time.monotonic() + seconds
    for seed in itertools.count(1):
        environment = {**os.environ, "PYTHONPATH": str(HERE.parent), "FUZZ_SEED": str(seed), "FUZZ_ROUNDS": str(ROUNDS)}
        command = [sys.executable, "-m", "pytest", "-q", "-k", "damaged", *TESTS]
        if time.monotonic() < end and subprocess.run(command, check=False, env=environment, cwd=HERE).returncode:
            print(f"failed: seed {seed}")
            return 1
        for name, before, after in PROGRAMS:
            if time.monotonic() > end:
                print("no failure")
                return 0
            command = [sys.executable, str(HERE / name), *before, str(seed), *after]
            done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=HERE)
            print(f"{name}, seed {seed}: status {done.returncode} {done.stdout.strip()}", flush=True)
            result = json.loads(done.stdout) if done.returncode == 0 else {}
            if not result or result["slowest_s"] > MAX_SECONDS or result["grown_mb"] > MAX_MEGABYTES:
                print(f"failed: {' '.join(command[1:])}\n{done.stderr[-5000:]}")
                return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*(float(argument) for argument in sys.argv[1:])))
