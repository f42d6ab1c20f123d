"""edge_ssd.training.pretrained_weights: the shipped weights, and which networks start from them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tensorflow")

from edge_ssd.errors import ModelError
from edge_ssd.network import NETWORKS, tiny_ssd
from edge_ssd.training import pretrained_weights
from edge_ssd.training.initial_weights import copy_weights
from edge_ssd.training.model.tiny_ssd import TinySSD
from edge_ssd.training.pretrained_weights import (
    pretrained_name,
    read_pretrained_weights,
    write_pretrained_weights,
)

OPTIONS = {"input_size": (64, 64), "base_channels": (8, 8), "block_channels": (8,)}


def test_weights_come_back_rounded_to_float16(tmp_path: Path) -> None:
    model = TinySSD(tiny_ssd(("a", "b"), **OPTIONS))
    write_pretrained_weights(model, tmp_path / "small.npz")
    initial = read_pretrained_weights(tmp_path / "small.npz", "mine")
    target = TinySSD(model.network)
    assert initial.network == model.network
    assert copy_weights(initial, target) == ["15 of 18 layers taken", "new, initialized at random: 3 class heads"]
    for expected, actual in zip(model.weights, target.weights, strict=True):
        if "classes_" not in expected.path:
            np.testing.assert_allclose(actual, expected, rtol=2**-10, atol=1e-7)


@pytest.mark.parametrize("content", [b"", b"PK\3\4 cut off", None])
def test_damaged_or_missing_file_is_one_line(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "nano.npz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ModelError, match=r"nano\.npz: cannot read the pre-trained weights .*; install edge-ssd again"):
        read_pretrained_weights(path, "mine")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, "book"),
        (NETWORKS["small"], "small"),
        ({**NETWORKS["nano"], "input_size": (192, 320)}, "nano"),
        ({**NETWORKS["small"], "width": 0.6}, None),
        ({"input_scale": 1.0}, None),
    ],
)
def test_networks_with_the_channels_of_a_named_one_start_from_its_weights(
    options: dict[str, object], expected: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pretrained_weights, "_path", lambda name: tmp_path / f"{name}.npz")
    for name in NETWORKS:
        (tmp_path / f"{name}.npz").touch()
    assert pretrained_name(tiny_ssd(("a",), **options)) == expected
