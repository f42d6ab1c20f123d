"""edge_ssd.training.workers: two worker processes on loopback equal one; a lost worker loses at most one epoch."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import REPOSITORY
from small_training import NETWORK

tf = pytest.importorskip("tensorflow")

from edge_ssd.data.load import load_dataset  # noqa: E402 (after the check that TensorFlow is installed)
from edge_ssd.data.source import DataSource  # noqa: E402
from edge_ssd.training.history import read_history  # noqa: E402
from edge_ssd.training.model.tiny_ssd import load_tiny_ssd  # noqa: E402
from edge_ssd.training.recipe import Recipe  # noqa: E402
from edge_ssd.training.run import train  # noqa: E402
from edge_ssd.training.run_folder import RunConfig  # noqa: E402
from edge_ssd.training.workers import SINGLE_WORKER, WorkersError, connect_workers  # noqa: E402

# Without augmentation, whose random numbers differ between workers; batch-norm statistics over the global batch; and
# what is numerically stable: SGD, whose steps are proportional to the gradient (AdamW's would hide a wrong factor and
# amplify rounding errors), and fixed assignment (the dynamic one selects ten of many anchors of nearly equal quality).
RECIPE = Recipe(
    epochs=2,
    batch_size=8,
    precision="float32",
    flip=False,
    zoom=1.0,
    color=0.0,
    sync_norm=True,
    assignment="fixed",
    class_loss="focal",
    box_loss="smooth_l1",
    optimizer="sgd",
    learning_rate=0.01,
)
OPTIONS = ["--epochs=2", "--batch-size=8", "--precision=float32", "--no-flip", "--zoom=1", "--color=0", "--sync-norm"]
OPTIONS += [
    "--assignment=fixed",
    "--class-loss=focal",
    "--box-loss=smooth_l1",
    "--optimizer=sgd",
    "--learning-rate=0.01",
    "--anchors=book",
    "--input-size=64x64",
    "--base-channels=8,8",
    "--block-channels=8",
]

# Runs the command and saves the weights of this process's model after every epoch.
WORKER = """
import os, sys
import numpy as np
from edge_ssd.cli import main
out, dies = sys.argv[1], os.environ.get("DIE_AFTER_EPOCH")
from edge_ssd.training.trainer import Trainer
fit = Trainer.fit_epoch

def fit_epoch(self, *arguments):
    if str(self.finished_epochs) == dies:
        os.kill(os.getpid(), 9)
    result = fit(self, *arguments)
    np.savez(out, *[weight.numpy() for weight in self.ema_model.weights])
    return result

Trainer.fit_epoch = fit_epoch
sys.exit(main(sys.argv[2:]))
"""


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [opened.getsockname()[1] for opened in sockets]
    for opened in sockets:
        opened.close()
    return ports


def run_two(folder: Path, *arguments: str, dies_after: int | None = None) -> list[tuple[int, str]]:
    """Return exit code and output of each of two workers; worker 1 is killed after ``dies_after`` epochs."""
    addresses = [f"127.0.0.1:{port}" for port in free_ports(2)]
    processes = []
    for index in range(2):
        task = {"type": "worker", "index": index}
        environment = {**os.environ, "TF_CONFIG": json.dumps({"cluster": {"worker": addresses}, "task": task})}
        if index == 1 and dies_after is not None:
            environment["DIE_AFTER_EPOCH"] = str(dies_after)
        processes.append(
            subprocess.Popen(
                [sys.executable, "-c", WORKER, str(folder / f"weights{index}.npz"), "train", *arguments],
                env=environment,
                cwd=REPOSITORY,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        )
    try:
        outputs = [process.communicate(timeout=900)[0] for process in processes]
        return [(process.returncode, output) for process, output in zip(processes, outputs, strict=True)]
    finally:
        for process in processes:
            process.kill()


def weights_in(path: Path) -> list[np.ndarray]:
    with np.load(path) as file:
        return [file[name] for name in file.files]


@pytest.mark.timeout(2000)
def test_workers_resume_after_a_loss_and_equal_one_worker(bananas: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    arguments = [f"--data={bananas}", f"--out={run}", "--strategy=multiworker"]
    chief, other = run_two(tmp_path, *arguments, *OPTIONS, dies_after=1)
    assert other[0] == -9
    assert chief[0] == 2, chief[1]
    (line,) = [line for line in chief[1].splitlines() if line.startswith("edge-ssd: error: ")]
    assert re.search(r"lost the connection to a worker .* start .* again; 1 finished epoch is saved: .*--resume", line)
    assert [row.epoch for row in read_history(run / "history.csv")] == [1]

    resumed = run_two(tmp_path, f"--out={run}", "--strategy=multiworker", "--resume")
    assert [status for status, _ in resumed] == [0, 0], resumed
    # Only the chief reports.
    assert "epoch 2/2" in resumed[0][1]
    assert "epoch 2/2" not in resumed[1][1]
    first, second = (weights_in(tmp_path / f"weights{index}.npz") for index in range(2))
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)

    single = tmp_path / "single"
    train(
        RunConfig(NETWORK, RECIPE, DataSource(bananas)), *(load_dataset(bananas, s) for s in ("train", "val")), single
    )

    for a, b in zip(first, load_tiny_ssd(single / "model.keras").get_weights(), strict=True):
        # The order of the sums differs, and batch norm over few pixels amplifies rounding errors: 6e-4 was measured,
        # and 1.7e-2 between two runs of one worker with the images of each batch in another order.
        np.testing.assert_allclose(a, b, rtol=1e-2, atol=2e-3)
    for a, b in zip(read_history(run / "history.csv"), read_history(single / "history.csv"), strict=True):
        assert a.loss == pytest.approx(b.loss, rel=1e-3)
        assert a.class_error == pytest.approx(b.class_error, rel=1e-2)
        assert a.box_mae == pytest.approx(b.box_mae, rel=1e-3)


@pytest.mark.parametrize(
    "config",
    [
        "",
        "{",
        "[]",
        '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}}',
        '{"cluster": {"worker": ["a:1"], "ps": ["b:1"]}, "task": {"type": "worker", "index": 0}}',
        '{"cluster": {"worker": ["a:1"]}, "task": {"type": "chief", "index": 0}}',
    ],
)
def test_connect_workers_rejects_invalid_tf_config(config: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_CONFIG", config)
    with pytest.raises(WorkersError, match="needs TF_CONFIG in the environment"):
        connect_workers()


def test_single_worker_returns_values_unchanged() -> None:
    assert SINGLE_WORKER.is_chief
    assert SINGLE_WORKER.run(lambda value: SINGLE_WORKER.replica_sum(value) + 1, 2) == 3
    assert SINGLE_WORKER.all_reduce_sum([1.5, 2]) == [1.5, 2]
    assert SINGLE_WORKER.broadcast_bool(True)
    assert not SINGLE_WORKER.broadcast_bool(False)
    SINGLE_WORKER.check_equal(7, "images")
