"""Settings of a conversion."""

from __future__ import annotations

from pathlib import Path

import pytest

from converters.config import ConversionConfig
from edge_ssd.errors import SettingError


def test_config_survives_json_types():
    config = ConversionConfig("mixed", keep=("boxes_1",), keep_type="int16", selftest_image=Path("a.png"), limit=3)
    assert ConversionConfig.from_dict(config.to_dict()) == config
    assert config.to_dict()["selftest_image"] == "a.png"
    assert ConversionConfig.from_dict(ConversionConfig().to_dict()) == ConversionConfig()


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
