"""edge_ssd.training.pretrained_weights: the shipped weights, and which networks start from them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tensorflow")

from edge_ssd.errors import ModelError
from edge_ssd.network import NETWORKS, tiny_ssd
from edge_ssd.training import pretrained_weights
from edge_ssd.training.initial_weights import InitialWeights, copy_weights
from edge_ssd.training.model.tiny_ssd import TinySSD
from edge_ssd.training.pretrained_weights import (
    load_pretrained_weights,
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


def test_layers_from_the_first_one_with_other_channels_on_are_new() -> None:
    source = TinySSD(tiny_ssd(("a",), **OPTIONS))
    target = TinySSD(tiny_ssd(("a",), **OPTIONS | {"base_channels": (8, 16)}))
    before = [weight.numpy() for weight in target.weights]
    assert copy_weights(InitialWeights.of(source, "mine"), target) == [
        "4 of 18 layers taken",
        "new, initialized at random: all layers from base_net/block_1/conv_0 on, which has other channels",
    ]
    for old, theirs, weight in zip(before, source.weights, target.weights, strict=True):
        expected = theirs if "block_0" in weight.path else old
        np.testing.assert_array_equal(weight, expected)


@pytest.mark.parametrize("content", [b"", b"PK\3\4 cut off", None])
def test_damaged_or_missing_file_is_one_line(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "nano.npz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ModelError, match=r"nano\.npz: cannot read the pre-trained weights .*; install edge-ssd again"):
        read_pretrained_weights(path, "mine")


def test_weights_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    model = TinySSD(tiny_ssd(("a",), **OPTIONS))
    model.weights[0].assign(np.full(model.weights[0].shape, np.nan))
    write_pretrained_weights(model, tmp_path / "small.npz")
    with pytest.raises(ModelError, match=r"0 has values that are not finite\); install edge-ssd again"):
        read_pretrained_weights(tmp_path / "small.npz", "mine")


def test_file_of_another_network_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = pretrained_weights._path("small")
    monkeypatch.setattr(pretrained_weights, "_path", lambda name: small)
    with pytest.raises(ModelError, match=r"small\.npz: has the weights of another network than 'nano'; install"):
        load_pretrained_weights("nano")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, "book"),
        (NETWORKS["small"], "small"),
        ({**NETWORKS["nano"], "input_size": (192, 320)}, "nano"),
        ({**NETWORKS["small"], "width": 0.6}, "nano"),
        ({**NETWORKS["small"], "block_channels": (64, 64, 64)}, "small"),
        ({"width": 0.75}, "book"),
        ({"input_scale": 1.0}, None),
        ({"base_channels": (24, 32, 64)}, None),
    ],
)
def test_networks_start_from_the_weights_of_which_they_can_take_the_most(
    options: dict[str, object], expected: str | None
) -> None:
    assert pretrained_name(tiny_ssd(("a",), **options)) == expected
