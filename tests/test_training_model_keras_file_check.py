"""Hostile and damaged ``.keras`` files are one error, before anything is built."""

from __future__ import annotations

import contextlib
import io
import json
import os
import time
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fuzzing import damaged_copy, fuzz_rounds, fuzz_seed

from edge_ssd.errors import ModelError
from edge_ssd.runtime.model_file import find_keras_file
from edge_ssd.runtime.network_file import read_network
from edge_ssd.training.model.keras_file_check import check_keras_file, count_parameters

MODEL = Path(__file__).resolve().parent.parent / "converters" / "models" / "banana-nano.keras"


def rewrite(
    path: Path, change: Callable[[dict[str, Any]], None], weights: bytes | None = None, method: int = 0
) -> Path:
    """Write the shipped model with another description, and other weights if they are given."""
    with zipfile.ZipFile(MODEL) as source, zipfile.ZipFile(path, "w", method) as target:
        for name in source.namelist():
            content = source.read(name)
            if name == "config.json":
                config = json.loads(content)
                change(config)
                content = json.dumps(config).encode()
            elif name == "model.weights.h5" and weights is not None:
                content = weights
            target.writestr(name, content)
    return path


def test_check_accepts_shipped_model_and_counts_its_weights() -> None:
    h5py = pytest.importorskip("h5py")
    check_keras_file(MODEL)
    sizes = []
    with zipfile.ZipFile(MODEL) as archive, h5py.File(io.BytesIO(archive.read("model.weights.h5"))) as file:
        file.visititems(lambda _, item: sizes.append(item.size) if isinstance(item, h5py.Dataset) else None)
    network = read_network(MODEL)
    assert count_parameters(network) == sum(sizes)
    # 1×1 convolutions from 64, 64 and 64 channels to 32, 64 and 64.
    assert count_parameters(replace(network, top_down=True)) == sum(sizes) + 65 * (32 + 64 + 64)


def channels(config: dict[str, Any]) -> None:
    config["config"]["network"]["base_channels"] = [40_000] * 3


def many_channels(config: dict[str, Any]) -> None:
    config["config"]["network"]["block_channels"] = [4096] * 3


def many_labels(config: dict[str, Any]) -> None:
    config["config"]["network"]["labels"] = [str(i) for i in range(9_000)]


def another_class(config: dict[str, Any]) -> None:
    config["class_name"] = "Sequential"


def no_network(config: dict[str, Any]) -> None:
    config["config"] = None


@pytest.mark.parametrize("change", [channels, many_channels, many_labels, another_class, no_network])
def test_check_refuses_other_descriptions_at_once(change: Callable[[dict[str, Any]], None], tmp_path: Path) -> None:
    pytest.importorskip("h5py")
    path = rewrite(tmp_path / "hostile.keras", change)
    start = time.process_time()
    with pytest.raises(ModelError) as caught:
        check_keras_file(path)
    assert time.process_time() - start < 2
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_check_refuses_weights_that_unpack_to_much_more(tmp_path: Path) -> None:
    path = rewrite(tmp_path / "bomb.keras", lambda config: None, bytes(10**8), zipfile.ZIP_DEFLATED)
    with pytest.raises(ModelError, match="its weights have 100000000 bytes"):
        check_keras_file(path)


def test_check_refuses_weights_that_claim_a_huge_array_or_another_file(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    huge, linked = io.BytesIO(), io.BytesIO()
    with h5py.File(huge, "w") as file:
        file.create_dataset("vars/0", (10**10,), "f4", chunks=(1024,))
        file.create_dataset("vars/1", data=np.random.default_rng(0).random(200_000, np.float32))
    with h5py.File(linked, "w") as file:
        file["vars"] = h5py.ExternalLink("/etc/passwd", "/")
    for content, message in ((huge, "its weights take 4"), (linked, "link to another place")):
        path = rewrite(tmp_path / "hostile.keras", lambda config: None, content.getvalue())
        with pytest.raises(ModelError, match=message):
            check_keras_file(path)


def test_damaged_keras_files_raise_model_errors_only(tmp_path: Path) -> None:
    whole = MODEL.read_bytes()
    path = tmp_path / "damaged.keras"
    random = np.random.default_rng(fuzz_seed())
    packed = rewrite(tmp_path / "packed.keras", lambda config: None, b"x" * 10**6, zipfile.ZIP_DEFLATED).read_bytes()
    directory = whole.index(b"PK\x01\x02")
    for i in range(fuzz_rounds(300)):
        low = int(random.choice([0, directory]))
        data = damaged_copy(random, packed) if i % 2 else damaged_copy(random, whole, low, None if low else 2000)
        path.write_bytes(data)
        with contextlib.suppress(ModelError):
            read_network(path)
        with contextlib.suppress(ModelError):
            check_keras_file(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_named_pipe_is_no_model(tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    os.mkfifo(path)
    with pytest.raises(ModelError, match="is not a regular file"):
        find_keras_file(path)
