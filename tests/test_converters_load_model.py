"""Loading a model for conversion: a file that is unsuitable is described."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from converters.load_model import load_model
from edge_ssd.errors import ModelError

pytest.importorskip("tensorflow")


def test_load_model_reports_heads_that_do_not_fit_the_description(squares_model: Path, tmp_path: Path):
    path = tmp_path / "wrong.keras"
    with zipfile.ZipFile(squares_model) as source, zipfile.ZipFile(path, "w") as target:
        for name in source.namelist():
            data = source.read(name)
            if name == "config.json":
                config = json.loads(data)
                config["config"]["network"]["labels"] = ["a", "b"]
                data = json.dumps(config).encode()
            target.writestr(name, data)
    expected = (
        r"wrong.keras: its heads do not fit its own description \(2 labels: a, b\): classes_0 has 8 channels, "
        r"expected 12 \(and 4 more\)"
    )
    with pytest.raises(ModelError, match=expected):
        load_model(path)


def test_load_model_describes_another_keras_model(tmp_path: Path):
    import keras

    path = tmp_path / "other.keras"
    keras.Sequential([keras.Input((64, 64, 3)), keras.layers.Conv2D(4, 3)]).save(path)
    with pytest.raises(ModelError, match=r"other.keras: contains a Sequential of \[64, 64, 3\], not a TinySSD"):
        load_model(path)


@pytest.mark.parametrize("damage", ["cut", "hole", "empty", "text"])
def test_load_model_reports_damaged_file_in_one_line(squares_model: Path, tmp_path: Path, damage: str):
    data = squares_model.read_bytes()
    middle = len(data) // 2
    damaged = {
        "cut": data[:middle],
        "hole": data[:middle] + bytes(200) + data[middle + 200 :],
        "empty": b"",
        "text": b"this is not a model\n" * 10,
    }[damage]
    path = tmp_path / "damaged.keras"
    path.write_bytes(damaged)
    with pytest.raises(ModelError) as caught:
        load_model(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message


def test_load_model_reads_a_valid_file(squares_model: Path):
    assert load_model(squares_model).network.labels == ("square",)
