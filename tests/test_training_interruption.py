"""What stops a run, and what it costs: a kill at any moment, a picture that is spoilt meanwhile, a full disk."""

from __future__ import annotations

import random
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import REPOSITORY

tf = pytest.importorskip("tensorflow")

from edge_ssd.data.load import load_dataset  # noqa: E402 (after the check that TensorFlow is there)
from edge_ssd.data.source import DataSource  # noqa: E402
from edge_ssd.data.synthetic.generate import make_synthetic  # noqa: E402
from edge_ssd.errors import ImageError  # noqa: E402
from edge_ssd.network import tiny_ssd  # noqa: E402
from edge_ssd.training.history import HistoryRow, read_history  # noqa: E402
from edge_ssd.training.model.tiny_ssd import load_tiny_ssd  # noqa: E402
from edge_ssd.training.recipe import Recipe  # noqa: E402
from edge_ssd.training.run import train  # noqa: E402
from edge_ssd.training.run_folder import RunConfig  # noqa: E402

RECIPE = Recipe(epochs=2, batch_size=4, precision="float32", warmup_epochs=0.5, zoom=1.0, color=0.0)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("synthetic")
    make_synthetic(folder, num_train=12, num_val=4, seed=3)
    return folder


def config_of(data: Path) -> RunConfig:
    return RunConfig(tiny_ssd(["banana"], input_size=(64, 64), width=0.25), RECIPE, DataSource(data))


@pytest.mark.timeout(2000)
def test_killed_at_any_moment_and_resumed(data: Path, tmp_path: Path) -> None:
    seed = random.randrange(10**6)
    print(f"moments drawn from seed {seed}")
    moments = random.Random(seed)
    run, epochs = tmp_path / "run", 14
    base = [sys.executable, "-m", "edge_ssd", "train"]
    options = [f"--epochs={epochs}", "--batch-size=4", "--precision=float32", "--input-size=64x64", "--width=0.25"]
    options += ["--no-cosine"]

    def start(*arguments: str) -> subprocess.Popen[str]:
        command = [*base, *arguments]
        return subprocess.Popen(
            command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1
        )

    process = start(f"--data={data}", f"--out={run}", *options)
    for _ in range(2):
        try:
            assert process.stdout is not None
            # Once it trains, at any moment of the next epochs: in a step, in the evaluation, while a file is written.
            lines = iter(process.stdout.readline, "")
            seen = next((line for line in lines if line.startswith("epoch")), None)
            assert seen is not None, "it ended before it trained"
            time.sleep(moments.uniform(0, 0.8))
        finally:
            process.kill()
            process.communicate()
        rows = [row.epoch for row in read_history(run / "history.csv")]
        assert rows == list(range(1, len(rows) + 1))
        assert rows
        process = start(f"--out={run}", "--resume")
    output, _ = process.communicate(timeout=1500)
    assert process.returncode == 0, output
    rows = [row.epoch for row in read_history(run / "history.csv")]
    assert rows == list(range(1, epochs + 1))
    load_tiny_ssd(run / "model.keras")


def test_a_picture_that_is_spoilt_meanwhile(data: Path, tmp_path: Path) -> None:
    copy, run = tmp_path / "copy", tmp_path / "run"
    shutil.copytree(data, copy)
    datasets = load_dataset(copy, "train"), load_dataset(copy, "val")
    victim = datasets[0].samples[5].path
    whole = victim.read_bytes()

    def spoil(row: HistoryRow) -> None:
        victim.write_bytes(whole[:300])

    with pytest.raises(ImageError) as caught:
        train(config_of(copy), *datasets, run, report=spoil, cache="none")
    assert str(victim) in str(caught.value)
    assert "1 finished epoch is saved: continue with --resume" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert [row.epoch for row in read_history(run / "history.csv")] == [1]
    victim.write_bytes(whole)
    train(config_of(copy), *datasets, run, resume=True, cache="none")
    rows = read_history(run / "history.csv")
    assert [row.epoch for row in rows] == [1, 2]
    # Pictures decoded each epoch are the same pictures.
    train(config_of(copy), *datasets, tmp_path / "in memory", cache="memory")
    whole_rows = read_history(tmp_path / "in memory" / "history.csv")
    np.testing.assert_allclose([row.loss for row in rows], [row.loss for row in whole_rows], rtol=1e-3)
    assert all(0 <= row.waiting <= 1 for row in rows)


@contextmanager
def no_file_above(num_bytes: int) -> Iterator[None]:
    """A limit on the size of files stands in for a disk that is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_loses_nothing(data: Path, tmp_path: Path) -> None:
    datasets = load_dataset(data, "train"), load_dataset(data, "val")
    config = replace(config_of(data), recipe=replace(RECIPE, epochs=1))
    train(config, *datasets, tmp_path)
    longer = config_of(data)
    sizes = {path.name: path.stat().st_size for path in tmp_path.iterdir()}
    before = (tmp_path / "checkpoint.npz").read_bytes()
    # A resume makes the model anew, then trains, then writes history and checkpoint.
    for name, limit in (("model.keras", 2000), ("checkpoint.npz", sizes["model.keras"] + 20_000)):
        with no_file_above(limit), pytest.raises(OSError, match=name) as caught:
            train(longer, *datasets, tmp_path, resume=True)
        assert caught.value.filename == str(tmp_path / name)
        assert (tmp_path / "checkpoint.npz").read_bytes() == before
        load_tiny_ssd(tmp_path / "model.keras")
        assert {path.name for path in tmp_path.iterdir()} == set(sizes)
    train(longer, *datasets, tmp_path, resume=True)
    assert [row.epoch for row in read_history(tmp_path / "history.csv")] == [1, 2]
