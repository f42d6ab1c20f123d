"""Other networks of the family, and models that are none: converted as well, or refused with the difference."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

from edge_ssd.errors import ModelError
from edge_ssd.network import Network, tiny_ssd
from edge_ssd.runtime.interpreter import open_interpreter

pytest.importorskip("tensorflow")
pytest.importorskip("ai_edge_litert")
pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Statistics for quantized inputs were expected:UserWarning"),
    pytest.mark.filterwarnings("ignore:(?s).*tf.lite.Interpreter is deprecated:UserWarning"),
]

ANCHORS = ((0.1, 0.15, 0.2), (0.3, 0.4), (0.5,), (0.7, 0.8), (0.9, 0.95))
FAMILY = {
    "many classes, narrow": tiny_ssd([f"c{i}" for i in range(20)], input_size=(64, 64), width=0.25),
    "rectangular, other anchors": tiny_ssd(
        ("a", "b"), input_size=(64, 96), width=0.25, sizes=ANCHORS, ratios=(1.0, 3.0), resize="letterbox"
    ),
    "six levels": tiny_ssd(("a",), input_size=(128, 128), width=0.25, sizes=[(0.2, 0.3)] * 6),
}


def untrained(network: Network):
    import keras

    from edge_ssd.training.model.tiny_ssd import TinySSD

    keras.utils.set_random_seed(0)
    return TinySSD(network)


@pytest.mark.parametrize("network", FAMILY.values(), ids=FAMILY.keys())
def test_int8_heads_of_every_shape_are_the_models(network: Network):
    from converters.quantization.subprocess_worker import convert

    model = untrained(network)
    images = np.random.default_rng(0).integers(0, 256, (4, *network.input.size, 3), np.uint8)
    heads = open_interpreter(convert(model, "int8", images)).invoke(images[0])
    class_maps, box_maps = model.head_maps(images[:1])
    for kind, maps in (("classes", class_maps), ("boxes", box_maps)):
        for i, values in enumerate(maps):
            head, expected = heads[f"{kind}_{i}"], values.numpy()
            found = (head.values.astype(np.float32) - head.zero_point) * head.scale
            assert found.shape == expected.shape
            if kind == "classes":
                # Untrained logits are a step or so: the head's steps are made for scores.
                found, expected = (relative_to_background(logits, network) for logits in (found, expected))
                assert np.abs(found - expected).max() < 0.6 * head.scale
                continue
            assert np.sqrt(np.mean((found - expected) ** 2) / np.mean(expected**2)) < 0.1


def relative_to_background(logits: np.ndarray, network: Network) -> np.ndarray:
    rows = logits.reshape(-1, network.num_classes + 1)
    return rows[:, 1:] - rows[:, :1]


# Refused.


@pytest.fixture
def model_path(tmp_path: Path) -> Path:
    from edge_ssd.training.model.tiny_ssd import save_tiny_ssd

    path = tmp_path / "model.keras"
    save_tiny_ssd(untrained(tiny_ssd(("a",), input_size=(64, 64), width=0.25)), path)
    return path


def test_heads_that_do_not_fit_the_description_are_named(model_path: Path, tmp_path: Path):
    from converters.load_model import load_model

    path = tmp_path / "wrong.keras"
    with zipfile.ZipFile(model_path) as source, zipfile.ZipFile(path, "w") as target:
        for name in source.namelist():
            data = source.read(name)
            if name == "config.json":
                config = json.loads(data)
                config["config"]["network"]["labels"] = ["a", "b"]
                data = json.dumps(config).encode()
            target.writestr(name, data)
    expected = (
        r"wrong.keras: its heads do not fit its own description \(2 labels: a, b\): classes_0 has 8 channels where 12 "
        r"are needed \(and 4 more\)"
    )
    with pytest.raises(ModelError, match=expected):
        load_model(path)


def test_another_keras_model_is_described(tmp_path: Path):
    import keras

    from converters.load_model import load_model

    path = tmp_path / "other.keras"
    keras.Sequential([keras.Input((64, 64, 3)), keras.layers.Conv2D(4, 3)]).save(path)
    with pytest.raises(
        ModelError, match=r"other.keras: holds a Sequential of \[64, 64, 3\] → \[62, 62, 4\], not a TinySSD"
    ):
        load_model(path)


@pytest.mark.parametrize("damage", ["cut", "hole", "empty", "text"])
def test_a_damaged_file_is_one_line_that_names_it(model_path: Path, tmp_path: Path, damage: str):
    from converters.load_model import load_model

    data = model_path.read_bytes()
    middle = len(data) // 2
    damaged = {
        "cut": data[:middle],
        "hole": data[:middle] + bytes(200) + data[middle + 200 :],
        "empty": b"",
        "text": b"this is no model\n" * 10,
    }[damage]
    path = tmp_path / "damaged.keras"
    path.write_bytes(damaged)
    with pytest.raises(ModelError) as caught:
        load_model(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message


def test_a_good_file_loads(model_path: Path):
    from converters.load_model import load_model

    assert load_model(model_path).network.labels == ("a",)
