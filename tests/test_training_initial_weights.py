"""edge_ssd.training.initial_weights: which layers --from takes, and which models it refuses."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tensorflow")

from edge_ssd.errors import ModelError
from edge_ssd.network import NETWORKS, Network, tiny_ssd
from edge_ssd.training.initial_weights import InitialWeights, copy_weights, load_initial_weights
from edge_ssd.training.model.tiny_ssd import TinySSD, save_tiny_ssd
from edge_ssd.training.trunk import check_trunk

OPTIONS = {"input_size": (64, 64), "base_channels": (8, 8), "block_channels": (8,)}
NETWORK = tiny_ssd(("a", "b"), **OPTIONS)


@pytest.fixture(scope="module")
def source() -> TinySSD:
    return TinySSD(NETWORK)


def copied(source: TinySSD, network: Network) -> tuple[TinySSD, list[str]]:
    """Return a new model with the weights of ``source``, and what was taken and what is new."""
    target = TinySSD(network)
    return target, copy_weights(InitialWeights.of(source, "first.keras"), target)


def test_all_layers_of_an_equal_network_are_taken(source: TinySSD) -> None:
    target, lines = copied(source, NETWORK)
    # Three blocks of two convolutions, each with batch norm; two heads on each of three levels.
    assert lines == ["18 of 18 layers taken"]
    for expected, actual in zip(source.weights, target.weights, strict=True):
        np.testing.assert_array_equal(actual, expected)


def test_new_class_heads_are_named(source: TinySSD) -> None:
    target, lines = copied(source, replace(NETWORK, labels=("a",)))
    assert lines == ["15 of 18 layers taken", "new, initialized at random: 3 class heads (2 → 1 classes)"]
    np.testing.assert_array_equal(target.bbox_predictors[0].kernel, source.bbox_predictors[0].kernel)
    assert target.cls_predictors[0].kernel.shape[-1] == 8


def test_classes_in_another_order_are_taken_by_name(source: TinySSD) -> None:
    target, lines = copied(source, replace(NETWORK, labels=("b", "a")))
    assert lines == ["18 of 18 layers taken"]
    images = np.random.default_rng(0).uniform(0, 255, (2, 64, 64, 3)).astype(np.float32)
    expected, actual = (np.asarray(model(images)[0]) for model in (source, target))
    np.testing.assert_allclose(actual, expected[..., [0, 2, 1]], atol=1e-5)


def test_classes_of_other_names_are_taken_by_position(source: TinySSD) -> None:
    target, lines = copied(source, replace(NETWORK, labels=("c", "b")))
    assert lines == ["18 of 18 layers taken", "the class heads are taken by position: a → c, b → b"]
    np.testing.assert_array_equal(target.cls_predictors[1].kernel, source.cls_predictors[1].kernel)


def test_other_anchors_and_new_blocks_are_named(source: TinySSD) -> None:
    levels = [replace(level, sizes=(0.1, 0.2)) for level in NETWORK.levels]
    levels[1] = replace(levels[1], ratios=(1.0, 2.0, 0.5, 3.0))
    _, lines = copied(source, replace(NETWORK, levels=tuple(levels)))
    assert lines == [
        "16 of 18 layers taken",
        "new, initialized at random: 1 class head (another number of anchors or levels)",
        "new, initialized at random: 1 box head (another number of anchors or levels)",
        "the anchors differ: its box heads are taken and have to adapt",
    ]
    _, lines = copied(source, tiny_ssd(("a", "b"), **{**OPTIONS, "block_channels": (8, 8)}))
    assert lines[0].startswith("18 of 24 layers taken")
    assert any("down_sample_2" in line for line in lines)


def test_option_that_keeps_the_anchors_is_named() -> None:
    book = tiny_ssd(("a",), base_channels=(4,), block_channels=(4, 4, 4), input_size=(64, 64))
    fitted = replace(book, levels=tuple(replace(level, sizes=(0.1, 0.2)) for level in book.levels))
    models = TinySSD(book), TinySSD(fitted)
    for (old, new), advice in ((models, "; --anchors book keeps its anchors"), (models[::-1], "")):
        (_, line) = copy_weights(InitialWeights.of(old, "first.keras"), new)
        assert line == f"the anchors differ: its box heads are taken and have to adapt{advice}"


def test_new_and_left_out_top_down_paths_are_named(source: TinySSD) -> None:
    target, lines = copied(source, replace(NETWORK, top_down=True))
    assert lines == ["18 of 19 layers taken", "new, initialized with zeros: top_down_0"]
    _, lines = copied(target, NETWORK)
    assert lines == ["18 of 18 layers taken", "its top-down path is left out, and its heads have to adapt"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"base_channels": (8, 16)}, "its first blocks have 8,8 channels, those of this network 8,16"),
        ({"block_channels": (16,)}, "add --base-channels 8,8 --block-channels 8 --width 1, or"),
        ({"down_sampling": "stride"}, "it halves maps by 'pool', this network by 'stride': add --down-sampling pool"),
        ({"input_scale": 1}, "add --input-scale 0.00392156862745098"),
    ],
)
def test_trunk_that_does_not_fit_is_refused(
    change: dict[str, object], message: str, source: TinySSD, tmp_path: Path
) -> None:
    save_tiny_ssd(source, tmp_path / "first.keras")
    with pytest.raises(ModelError, match=r"first\.keras: its trunk does not fit: ") as caught:
        load_initial_weights(tmp_path / "first.keras", tiny_ssd(("a", "b"), **{**OPTIONS, **change}))
    assert message in str(caught.value)
    assert load_initial_weights(tmp_path / "first.keras", replace(NETWORK, labels=("z",))).network == NETWORK


def test_all_differences_are_named_at_once_with_the_network_that_fits(tmp_path: Path) -> None:
    nano = tiny_ssd(("a",), **NETWORKS["nano"])
    book = tiny_ssd(("a",), base_channels=(8, 8, 8), input_scale=1)
    with pytest.raises(ModelError) as caught:
        check_trunk(Path("first.keras"), nano, book)
    message = str(caught.value)
    for fact in ("it scales pixels by", "it halves maps by 'stride'", "its first blocks have", "its blocks have"):
        assert message.count(fact) == 1
    assert "--input-scale 0.00392156862745098 --down-sampling stride --base-channels 8,16,32 " in message
    assert message.endswith("--width 1, or leave out --from")
    named = {name: tiny_ssd(("b",), **options) for name, options in NETWORKS.items()}
    with pytest.raises(ModelError, match="choose its network with --network nano, or leave out --from"):
        check_trunk(Path("first.keras"), nano, named["small"], named)
