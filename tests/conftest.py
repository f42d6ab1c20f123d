"""Fixtures shared by all tests."""

from __future__ import annotations

import functools
import os
import signal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

# An example that is slow on a busy machine is no failure; pytest's own timeout ends what hangs.
settings.register_profile("edge-ssd", deadline=None)
settings.load_profile("edge-ssd")

# As device_apps does before it loads OpenCV, which reads it once: here a test may load it first.
os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")

# No test opens a window on the screen of the developer; test_device_window has a display of its own.
for _name in ("DISPLAY", "WAYLAND_DISPLAY"):
    os.environ.pop(_name, None)

# In the background and under nohup these are ignored, and every process that a test starts inherits that.
for _number, _handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, _handler)

REPOSITORY = Path(__file__).resolve().parent.parent
CLIP = REPOSITORY / "device_apps" / "clips" / "bananas.mp4"


def skip_or_fail(reason: str) -> None:
    """Skip where a part is missing on a user's machine; in CI (``CI=true``) its absence is a failure."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"CI must run this lane: {reason}")
    pytest.skip(reason)


@pytest.fixture(scope="session", autouse=True)
def _cache_folder(tmp_path_factory):  # type: ignore[no-untyped-def]
    """No test fills the developer's cache with the images of its label files."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def _chromium(tmp_path_factory):  # type: ignore[no-untyped-def]
    from web_browser import open_browser

    browser = open_browser(tmp_path_factory.mktemp("chromium"))
    yield browser
    browser.quit()


@pytest.fixture(scope="module")
def browser(_chromium):  # type: ignore[no-untyped-def]
    """A real browser, see :mod:`web_browser`: one for all modules, since its start takes seconds."""
    yield _chromium
    _chromium.get("about:blank")
    _chromium.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    _chromium.execute_cdp_cmd("Network.clearBrowserCookies", {})


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the real datasets, which are not in the repository: ``$EDGE_SSD_DATA`` or ``../shared/data``."""
    folder = Path(os.environ.get("EDGE_SSD_DATA", REPOSITORY.parent / "shared" / "data"))
    if not folder.is_dir():
        skip_or_fail(f"no datasets in {folder}: set EDGE_SSD_DATA to their folder")
    return folder


@pytest.fixture(scope="session")
def book_vectors(shared_data: Path) -> Path:
    """Path of values computed by the book's functions, beside the datasets."""
    path = shared_data.parent / "vectors" / "d2l_vectors.npz"
    if not path.is_file():
        skip_or_fail(f"no book vectors at {path}")
    return path


@pytest.fixture(scope="session")
def squares(tmp_path_factory) -> Path:
    """A small dataset, see :mod:`small_model`; read-only."""
    from small_model import write_squares

    return write_squares(tmp_path_factory.mktemp("data") / "squares")


@pytest.fixture(scope="session")
def squares_images(squares: Path) -> np.ndarray:
    """The training images of :func:`squares`, uint8 [12, 64, 64, 3]."""
    from edge_ssd.data.load import load_dataset
    from edge_ssd.runtime.preprocess import read_image

    return np.stack([read_image(sample.path) for sample in load_dataset(squares, "train").samples])


@pytest.fixture(scope="session")
def squares_model(tmp_path_factory, squares: Path) -> Path:
    """A ``.keras`` model trained on :func:`squares`; needs TensorFlow."""
    from small_model import train_small_model

    path = tmp_path_factory.mktemp("model") / "squares.keras"
    train_small_model(squares, path)
    return path


@pytest.fixture(scope="session")
def squares_tiny_ssd(squares_model: Path):
    """The model of :func:`squares_model` with equal box scales, as ``convert_model`` converts it; read-only."""
    from converters.quantization.head_coding import equalize_box_scales
    from edge_ssd.training.model.tiny_ssd import load_tiny_ssd

    return equalize_box_scales(load_tiny_ssd(squares_model))


@pytest.fixture(scope="session")
def squares_conversion(tmp_path_factory, squares_model: Path, squares: Path):
    """The int8 bundle of :func:`squares_model`, calibrated on eight images: the result of ``convert_model``."""
    from converters.config import ConversionConfig
    from converters.convert import convert_model
    from edge_ssd.data.load import open_dataset

    out = tmp_path_factory.mktemp("out") / "squares.tflite"
    return convert_model(squares_model, open_dataset(squares), out, ConversionConfig(calibration_images=8))


@pytest.fixture(scope="session")
def squares_flatbuffer(squares_tiny_ssd, squares_images: np.ndarray, squares_conversion):
    """A function scheme → flatbuffer of :func:`squares_model`, which converts to each scheme once."""
    from small_model import convert_network

    from converters.quantization.layers import DEFAULT_KEEP
    from converters.quantization.schemes import CALIBRATED_SCHEMES
    from edge_ssd.runtime.bundle import read_bundle

    @functools.cache
    def convert(scheme: str) -> bytes:
        if scheme == "int8":
            return read_bundle(squares_conversion.path).flatbuffer
        images = squares_images if scheme in CALIBRATED_SCHEMES else None
        return convert_network(squares_tiny_ssd, scheme, images, DEFAULT_KEEP)

    return convert


@pytest.fixture
def fake_worker(monkeypatch, squares_flatbuffer) -> None:
    """Replace the child process of ``convert_model`` by its result, the int8 flatbuffer."""
    monkeypatch.setattr("converters.convert.apply_in_subprocess", lambda *_: squares_flatbuffer("int8"))


@pytest.fixture
def fake_verify_worker(monkeypatch, squares_flatbuffer) -> None:
    """Replace the child process of ``verify`` by its result."""
    monkeypatch.setattr("converters.verification.verify.apply_in_subprocess", lambda *_: squares_flatbuffer("none"))


@pytest.fixture(scope="session")
def untrained_model():
    """A TinySSD with two classes and random weights, batch norm included; read-only."""
    import keras

    from edge_ssd.network import tiny_ssd
    from edge_ssd.training.model.tiny_ssd import TinySSD

    keras.utils.set_random_seed(0)
    model = TinySSD(tiny_ssd(("a", "b"), input_size=(64, 64), width=0.25))
    rng = np.random.default_rng(2)
    for weight in model.weights:
        if weight.path.endswith(("gamma", "moving_variance")):
            weight.assign(rng.uniform(0.5, 2, weight.shape))
    return model


@pytest.fixture(scope="session")
def dim_images() -> np.ndarray:
    """Noise with pixels 60–200, uint8 [6, 64, 64, 3]."""
    return np.random.default_rng(0).integers(60, 201, (6, 64, 64, 3), np.uint8)


@pytest.fixture(scope="session")
def untrained_int8(untrained_model, dim_images: np.ndarray) -> bytes:
    """The int8 flatbuffer of :func:`untrained_model`, calibrated on :func:`dim_images`."""
    from small_model import convert_network

    return convert_network(untrained_model, "int8", dim_images)


@pytest.fixture(scope="session")
def bananas(tmp_path_factory) -> Path:
    """A synthetic dataset of 16 training and 6 validation images; read-only."""
    from edge_ssd.data.synthetic.generate import make_synthetic

    folder = tmp_path_factory.mktemp("synthetic") / "bananas"
    make_synthetic(folder, num_train=16, num_val=6, seed=3)
    return folder


@pytest.fixture(scope="session")
def trained_run(tmp_path_factory, bananas: Path):
    """A training run on :func:`bananas`, see :mod:`small_training`; read-only."""
    from small_training import train_run

    return train_run(bananas, tmp_path_factory.mktemp("run"))


@pytest.fixture
def broker(tmp_path: Path):
    """A Mosquitto on a port of its own, see :mod:`mqtt_broker`."""
    from mqtt_broker import Mosquitto, require_programs

    require_programs("mosquitto")
    (tmp_path / "broker").mkdir()
    with Mosquitto(tmp_path / "broker") as mosquitto:
        yield mosquitto
