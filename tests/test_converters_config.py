"""Settings of a conversion."""

from __future__ import annotations

import pytest

from converters.config import ConversionConfig
from edge_ssd.errors import SettingError
from edge_ssd.network import tiny_ssd


def test_only_mixed_keeps_layers():
    network = tiny_ssd(("a",), input_size=(64, 64), width=0.25)
    assert ConversionConfig("mixed", keep=("boxes_1",)).kept_layers(network) == ("boxes_1",)
    assert ConversionConfig("int8", keep=("boxes_1",)).kept_layers(network) == ()


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"scheme": "int9"}, "unknown scheme 'int9'; choose from int8, mixed"),
        ({"keep_type": "int8"}, "unknown type 'int8'"),
        ({"profile": "onnx"}, "unknown profile 'onnx'"),
        ({"calibration_images": 0}, "cannot calibrate on 0 images; choose from 1 to 200"),
        ({"calibration_images": -1}, "from 1 to 200"),
        ({"calibration_images": 201}, "from 1 to 200"),
        ({"seed": -1}, "the seed must be at least 0, got -1"),
        ({"limit": 0}, "the limit must be at least 1 image, got 0"),
    ],
)
def test_config_rejects_invalid_settings(setting: dict, message: str):
    with pytest.raises(SettingError, match=message):
        ConversionConfig(**setting)
