"""edge_ssd.training.run: a run that is killed at random moments resumes."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import REPOSITORY
from small_training import FAST_OPTIONS

pytest.importorskip("tensorflow")

from edge_ssd.training.history import read_history
from edge_ssd.training.model.tiny_ssd import load_tiny_ssd


@pytest.mark.timeout(2000)
def test_run_killed_at_random_moments_resumes(bananas: Path, tmp_path: Path) -> None:
    seed = random.randrange(10**6)
    print(f"moments drawn from seed {seed}")
    moments = random.Random(seed)
    run, epochs = tmp_path / "run", 12

    def start(*arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "edge_ssd", "train", f"--out={run}", *arguments]
        return subprocess.Popen(
            command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1
        )

    process = start(f"--data={bananas}", f"--epochs={epochs}", "--no-cosine", *FAST_OPTIONS)
    for _ in range(2):
        try:
            assert process.stdout is not None
            # At any moment of the epochs after the first: in a step, in the evaluation, while a file is written.
            lines = iter(process.stdout.readline, "")
            first_epoch = next((line for line in lines if line.startswith("epoch")), None)
            assert first_epoch is not None, "it ended before it trained"
            time.sleep(moments.uniform(0, 0.8))
        finally:
            process.kill()
            process.communicate()
        rows = [row.epoch for row in read_history(run / "history.csv")]
        assert rows == list(range(1, len(rows) + 1))
        assert rows
        process = start("--resume")
    output, _ = process.communicate(timeout=1500)
    assert process.returncode == 0, output
    rows = [row.epoch for row in read_history(run / "history.csv")]
    assert rows == list(range(1, epochs + 1))
    load_tiny_ssd(run / "model.keras")
