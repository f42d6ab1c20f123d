from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_ssd.coding import BoxCoding
from edge_ssd.errors import NetworkError
from edge_ssd.network import BOOK_SIZES, NETWORKS, InputSpec, Level, Network, tiny_ssd


def through_json(network: Network) -> Any:
    return json.loads(json.dumps(network.to_dict()))


def test_tiny_ssd_defaults_to_book_network() -> None:
    network = tiny_ssd(["banana"])
    assert network.input.size == (256, 256)
    assert [(level.height, level.width) for level in network.levels] == [(32, 32), (16, 16), (8, 8), (4, 4), (1, 1)]
    assert [level.anchors_per_cell for level in network.levels] == [4] * 5
    assert network.num_anchors == 4 * (1024 + 256 + 64 + 16 + 1) == 5444
    assert (network.base_channels, network.block_channels) == ((16, 32, 64), (128, 128, 128))
    assert network.num_classes == 1


@pytest.mark.parametrize(("key", "size"), [("anchors_256", (256, 256)), ("anchors_240x320", (240, 320))])
def test_network_anchors_equal_book(book_vectors: Path, key: str, size: tuple[int, int]) -> None:
    anchors = tiny_ssd(["banana"], input_size=size).anchors()
    with np.load(book_vectors) as vectors:
        np.testing.assert_allclose(anchors, vectors[key], rtol=0, atol=2e-6)


def test_width_scales_every_layer() -> None:
    network = tiny_ssd(["a"], width=0.5)
    assert (network.base_channels, network.block_channels) == ((8, 16, 32), (64, 64, 64))
    assert tiny_ssd(["a"], width=0.01).base_channels == (8, 8, 8)


def test_down_sampling_defaults_to_pool() -> None:
    book = tiny_ssd(["a"])
    assert book.down_sampling == "pool"
    fast = tiny_ssd(["a"], down_sampling="stride", input_size=(160, 224))
    assert Network.from_dict(through_json(fast)) == fast


def test_top_down_path_is_described() -> None:
    network = tiny_ssd(["a"], top_down=True)
    assert through_json(network) == {**through_json(tiny_ssd(["a"])), "top_down": True}
    assert Network.from_dict(through_json(network)) == network


def test_network_reads_descriptions_of_earlier_versions() -> None:
    for network in (tiny_ssd(["a"]), tiny_ssd(["a"], down_sampling="stride")):
        # Fields of the removed separable layers, with the book's values.
        old = {**through_json(network), "block_convolutions": 2, "convolution": "plain", "head": "plain"}
        assert Network.from_dict(old) == network
        assert Network.from_dict(through_json(network)).to_dict() == network.to_dict()
    oldest = through_json(tiny_ssd(["a"]))
    assert "top_down" not in oldest  # so that files without the path have the bytes of earlier versions
    del oldest["down_sampling"]
    assert Network.from_dict(oldest) == tiny_ssd(["a"])


@pytest.mark.parametrize(
    ("field", "value"),
    [("convolution", "separable"), ("head", "separable"), ("head", ["plain"])]
    + [("block_convolutions", value) for value in (1, 3, None, "2", 1.5)],
)
def test_network_rejects_removed_kinds_of_layers(field: str, value: object) -> None:
    with pytest.raises(NetworkError, match=f"{field} is .*: separable convolutions are no longer supported"):
        Network.from_dict({**through_json(tiny_ssd(["a"])), field: value})


def test_number_of_blocks_sets_number_of_levels() -> None:
    network = tiny_ssd(["a"], base_channels=(8, 24), block_channels=(48, 64), width=2)
    assert (network.base_channels, network.block_channels) == ((16, 48), (96, 128))
    assert [level.height for level in network.levels] == [64, 32, 16, 1]
    assert Network.from_dict(through_json(network)) == network


def test_anchor_sizes_of_any_number_of_levels_follow_book_rule() -> None:
    five, four = tiny_ssd(["a"]), tiny_ssd(["a"], block_channels=(128, 128))
    assert tuple(level.sizes for level in five.levels) == BOOK_SIZES
    assert [level.sizes for level in four.levels] == [(0.2, 0.292), (0.427, 0.528), (0.653, 0.758), (0.88, 0.987)]


def test_named_networks_are_options_of_tiny_ssd() -> None:
    assert list(NETWORKS) == ["book", "small", "nano"]
    networks = {name: tiny_ssd(["a"], **options) for name, options in NETWORKS.items()}
    assert networks["book"] == tiny_ssd(["a"])
    assert len(set(networks.values())) == 3
    assert {network.down_sampling for name, network in networks.items() if name != "book"} == {"stride"}
    for network in networks.values():
        assert Network.from_dict(through_json(network)) == network


def test_stride_rounds_up_and_pooling_rounds_down() -> None:
    # 250 → 125 → 62 or 63 → 31 or 32 → …
    pooled, strided = (tiny_ssd(["a"], input_size=(250, 256), down_sampling=kind) for kind in ("pool", "stride"))
    assert [level.height for level in pooled.levels] == [31, 15, 7, 3, 1]
    assert [level.height for level in strided.levels] == [32, 16, 8, 4, 1]
    assert [level.width for level in pooled.levels] == [level.width for level in strided.levels]


def test_each_level_may_have_its_own_ratios() -> None:
    network = tiny_ssd(["a"], sizes=[(0.1,), (0.3, 0.4), (0.8,)], ratios=[(1.0,), (1.0, 2.0), (1.0, 2.0, 0.5)])
    assert [level.anchors_per_cell for level in network.levels] == [1, 3, 3]
    assert network.num_anchors == 32 * 32 + 16 * 16 * 3 + 3


@given(
    st.lists(st.text(min_size=1, max_size=8).filter(lambda t: t.strip() and "\n" not in t), min_size=1, unique=True),
    st.integers(64, 600),
    st.integers(64, 600),
    st.sampled_from([0.25, 0.5, 1.0, 1.5]),
    st.floats(1e-3, 1),
    st.sampled_from(["stretch", "letterbox"]),
)
@settings(deadline=None, max_examples=50)
def test_network_round_trip_through_json(
    labels: list[str], height: int, width: int, factor: float, scale: float, resize: Any
) -> None:
    network = tiny_ssd(labels, input_size=(height, width), width=factor, input_scale=scale, resize=resize)
    assert Network.from_dict(through_json(network)) == network


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: tiny_ssd([]), "labels"),
        (lambda: tiny_ssd(["a", "a"]), "once"),
        (lambda: tiny_ssd(["a\nb"]), "one line"),
        (lambda: tiny_ssd([" "]), "one line"),
        (lambda: tiny_ssd(["a"], input_size=(16, 256)), "too small|input height"),
        (lambda: tiny_ssd(["a"], input_size=(5000, 256)), "input height"),
        (lambda: tiny_ssd(["a"], width=0), "width"),
        (lambda: tiny_ssd(["a"], sizes=BOOK_SIZES[:2]), "at least 3"),
        (lambda: tiny_ssd(["a"], ratios=[(1.0,), (2.0,)]), "2"),
        (lambda: tiny_ssd(["a"], input_scale=0), "scale"),
        (lambda: tiny_ssd(["a"], base_channels=()), "base_channels"),
        (lambda: tiny_ssd(["a"], block_channels=()), "at least 3"),
        (lambda: tiny_ssd(["a"], block_channels=(0,)), "block_channels"),
        (lambda: tiny_ssd(["a"], block_channels=(8,) * 9), "too small"),
        (lambda: tiny_ssd(["a"], block_channels=(8,), sizes=BOOK_SIZES), "5 rows of sizes"),
        (lambda: tiny_ssd(["a"], down_sampling="none"), "down_sampling must be one of pool, stride"),
        (lambda: tiny_ssd(["a"], down_sampling=["pool"]), "down_sampling must be one of pool, stride"),
        (lambda: tiny_ssd(["a"], top_down=1), "top_down must be true or false, got 1"),
        (lambda: InputSpec(resize="crop"), "crop"),  # type: ignore[arg-type]
        (lambda: InputSpec(resampling="nearest"), "got 'nearest'"),  # type: ignore[arg-type]
        (lambda: Level(0, 1, (0.1,)), "height"),
        (lambda: Level(1, 1, ()), "sizes"),
        (lambda: Level(1, 1, (0.1,), (0.0,)), "ratios"),
        (lambda: Network(("a",), (Level(9, 9, (0.1,)),)), "feature maps"),
    ],
)
def test_network_rejects_invalid_values(build: Callable[[], object], message: str) -> None:
    with pytest.raises(NetworkError, match=message):
        build()


@pytest.mark.parametrize(
    "key",
    ["labels", "levels", "input", "coding", "base_channels", "block_channels", "block_convolutions", "down_sampling"],
)
@pytest.mark.parametrize("value", [None, 7, "text", "cat", [], {}, [None], {"height": "x"}, [[1]], float("nan")])
def test_network_from_dict_rejects_invalid_description(key: str, value: object) -> None:
    data = through_json(tiny_ssd(["banana"]))
    data[key] = value
    if value == {} and key in ("coding", "input"):  # all fields have defaults
        assert (
            getattr(Network.from_dict(data), key)
            == {
                "coding": BoxCoding(),
                "input": InputSpec(resampling="pillow-bilinear"),  # that of descriptions that lack it
            }[key]
        )
        return
    with pytest.raises(NetworkError):
        Network.from_dict(data)


def test_network_from_dict_names_missing_field() -> None:
    data = through_json(tiny_ssd(["banana"]))
    del data["coding"]
    with pytest.raises(NetworkError, match="coding"):
        Network.from_dict(data)


def test_labels_have_a_length_limit_and_are_unicode() -> None:
    assert tiny_ssd(["字" * 256]).labels == ("字" * 256,)
    for label, message in (("x" * 257, "257 characters, at most 256"), ("a\ud800", "not valid Unicode")):
        with pytest.raises(NetworkError, match=message) as caught:
            tiny_ssd([label])
        assert len(str(caught.value)) < 200


@pytest.mark.parametrize("name", ["scale", "offset"])
def test_from_dict_refuses_numbers_beyond_floats(name: str) -> None:
    description = tiny_ssd(["a"]).to_dict()
    description["input"] = {**description["input"], name: 10**400}
    with pytest.raises(NetworkError, match="must be finite"):
        Network.from_dict(description)
    description = tiny_ssd(["a"]).to_dict()
    description["coding"] = {"xy_scale": 10**400, "wh_scale": 5.0}
    with pytest.raises(NetworkError, match="must be a positive number"):
        Network.from_dict(description)
