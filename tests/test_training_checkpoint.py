"""Damaged and hostile checkpoints are one error, and need no more memory than the variables."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fuzzing import damaged_copy, fuzz_rounds, fuzz_seed

from edge_ssd.errors import DataError
from edge_ssd.training.checkpoint import load_checkpoint, save_checkpoint


class Variable:
    """Has the methods of a Keras variable that a checkpoint uses."""

    def __init__(self, value: np.ndarray) -> None:
        self.value = value

    @property
    def shape(self) -> tuple[int, ...]:
        return self.value.shape

    def numpy(self) -> np.ndarray:
        return self.value

    def assign(self, value: np.ndarray) -> None:
        self.value = value.copy()


def variables(fill: float = 0.0) -> dict[str, list[Any]]:
    weights = [Variable(np.full(shape, fill, np.float32)) for shape in ((3, 3, 3, 8), (8,))]
    return {"model": weights, "optimizer": [Variable(np.array(int(fill), np.int64))]}


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "checkpoint.npz"
    save_checkpoint(path, 7, variables(2.0))
    return path


def rewrite(path: Path, change: Callable[[str, bytes], bytes], method: int = zipfile.ZIP_STORED) -> None:
    """Replace each entry by ``change`` of its name and content."""
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in entries.items():
            archive.writestr(name, change(name, content))


def test_checkpoint_round_trip(saved: Path) -> None:
    targets = variables()
    assert load_checkpoint(saved, targets) == 7
    assert all((value.numpy() == 2).all() for group in targets.values() for value in group)


def test_checkpoint_that_claims_a_huge_array_is_one_error(saved: Path) -> None:
    def claim(name: str, content: bytes) -> bytes:
        return content.replace(b"(8,), }      ", b"(2000000000,)") if name == "model/1.npy" else content

    rewrite(saved, claim)
    with pytest.raises(DataError, match=r"checkpoint\.npz: "):
        load_checkpoint(saved, variables())


def test_checkpoint_that_unpacks_to_much_more_is_one_error(saved: Path) -> None:
    rewrite(saved, lambda name, content: content + bytes(10**7), zipfile.ZIP_DEFLATED)
    with pytest.raises(DataError, match=r"checkpoint\.npz: "):
        load_checkpoint(saved, variables())


def test_checkpoint_of_other_variables_is_refused(saved: Path) -> None:
    targets = variables()
    targets["model"][0] = Variable(np.zeros((3, 3, 3, 9), np.float32))
    with pytest.raises(DataError, match="a checkpoint of another network or optimizer"):
        load_checkpoint(saved, targets)
    del targets["optimizer"]
    with pytest.raises(DataError, match="a checkpoint of another network or optimizer"):
        load_checkpoint(saved, targets)


def test_checkpoint_with_large_finished_epochs_is_one_error(saved: Path) -> None:
    buffer = io.BytesIO()
    np.save(buffer, np.float64(np.inf))
    rewrite(saved, lambda name, content: buffer.getvalue() if name == "finished_epochs.npy" else content)
    with pytest.raises(DataError, match=r"checkpoint\.npz: "):
        load_checkpoint(saved, variables())


def test_damaged_checkpoints_raise_data_errors_only(saved: Path) -> None:
    whole = saved.read_bytes()
    random = np.random.default_rng(fuzz_seed())
    rewrite(saved, lambda name, content: content, zipfile.ZIP_DEFLATED)
    packed = saved.read_bytes()
    refused, rounds = 0, fuzz_rounds(600)
    for i in range(rounds):
        saved.write_bytes(damaged_copy(random, packed if i % 2 else whole))
        try:
            load_checkpoint(saved, variables())
        except DataError:
            refused += 1
    assert refused > rounds // 2
