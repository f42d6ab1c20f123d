"""Names of a network's convolutions."""

from __future__ import annotations

from dataclasses import replace

import pytest

from converters.quantization.layers import DEFAULT_KEEP, choose_layers, layer_names
from edge_ssd.errors import SettingError
from edge_ssd.network import tiny_ssd

NETWORK = tiny_ssd(("a",), input_size=(64, 64), width=0.25)


def test_layer_names_name_every_convolution():
    names = layer_names(NETWORK)
    assert len(set(names)) == len(names) == 22
    assert names[:3] == ("base_net/block_0/conv_0", "base_net/block_0/conv_1", "base_net/block_1/conv_0")
    assert names[6:8] == ("down_sample_1/conv_0", "down_sample_1/conv_1")
    assert names[12:14] == ("classes_0", "boxes_0")


def test_top_down_path_is_computed_between_the_trunk_and_the_heads():
    names = layer_names(replace(NETWORK, top_down=True))
    assert names[11:16] == ("down_sample_3/conv_1", "top_down_2", "top_down_1", "top_down_0", "classes_0")


def test_choose_layers_matches_patterns_in_order_of_computation():
    assert choose_layers(NETWORK, ["boxes_1", "down_sample_3/*", "boxes_1"]) == (
        "down_sample_3/conv_0",
        "down_sample_3/conv_1",
        "boxes_1",
    )
    assert len(choose_layers(NETWORK, DEFAULT_KEEP)) == 10
    assert choose_layers(NETWORK, []) == ()


def test_choose_layers_rejects_unknown_name_and_suggests_similar():
    with pytest.raises(SettingError, match=r"no layer is called 'class_0'; there are, for example, classes_0"):
        choose_layers(NETWORK, ["class_0"])
