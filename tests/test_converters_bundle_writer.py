"""The bundle as bytes: read back by the runtime and by the standard library, and the same every time."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from converters.bundle.writer import BundleContent, bundle_bytes, embeddable_held_out
from converters.quantization.calibration import Calibration
from edge_ssd.data.held_out import HeldOut
from edge_ssd.data.held_out_images import parse_held_out
from edge_ssd.network import tiny_ssd
from edge_ssd.runtime.bundle import Defaults, SelfTest, read_bundle
from edge_ssd.runtime.detections import Detections
from edge_ssd.runtime.selftest import delta_decode

NETWORK = tiny_ssd(("Äpfel", "pear"), input_size=(64, 96), width=0.25)
FLATBUFFER = b"\x1c\0\0\0TFL3" + bytes(range(256)) * 5
SELFTEST = SelfTest(
    image=np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8),
    detections=Detections(
        np.array([[1, 2, 30.5, 40]], np.float32), np.array([0.75], np.float32), np.array([1]), ["pear"], (64, 96)
    ),
    score_threshold=0.5,
)
CONTENT = BundleContent(
    name="fruit",
    network=NETWORK,
    flatbuffer=FLATBUFFER,
    quantization="int8",
    defaults=Defaults(0.5, 0.45, 20),
    selftest=SELFTEST,
    calibration=Calibration(np.zeros((2, 64, 96, 3), np.uint8), ("a.png", "b.png"), "ab" * 32, seed=7),
    kept_layers={"classes_0": "float"},
    tools={"edge-ssd": "0", "keras": "3"},
    accuracy={"float": {"ap": 0.5}, "quantized": {"ap": 0.4}, "data": "fruit, val"},
)


@pytest.fixture
def written(tmp_path: Path) -> Path:
    path = tmp_path / "fruit.tflite"
    path.write_bytes(bundle_bytes(CONTENT))
    return path


def test_runtime_reads_back_the_content(written: Path):
    bundle = read_bundle(written)
    assert (bundle.name, bundle.network, bundle.flatbuffer) == ("fruit", NETWORK, FLATBUFFER)
    assert bundle.defaults == CONTENT.defaults
    assert bundle.details.quantization == "int8"
    assert bundle.metadata["accuracy"] == CONTENT.accuracy
    assert bundle.metadata["sha256"]["calibration"] == "ab" * 32
    assert bundle.metadata["calibration"] == {"seed": 7, "images": ["a.png", "b.png"]}
    assert bundle.metadata["kept_layers"] == {"classes_0": "float"}
    assert np.array_equal(bundle.anchors, NETWORK.anchors())
    selftest = bundle.selftest
    assert np.array_equal(selftest.image, SELFTEST.image)
    for name in ("xyxy", "confidence", "class_id"):
        assert np.array_equal(getattr(selftest.detections, name), getattr(SELFTEST.detections, name))
    assert (selftest.detections.names, selftest.detections.image_size) == (["pear"], (64, 96))
    assert selftest.score_threshold == 0.5


def test_standard_library_reads_the_zip(written: Path):
    with zipfile.ZipFile(written) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["edge_ssd.json", "anchors.npy", "labels.txt", "selftest.npz"]
        for info in archive.infolist():
            assert info.compress_type == zipfile.ZIP_STORED
            assert info.date_time == (1980, 1, 1, 0, 0, 0)
        assert archive.read("labels.txt").decode() == "Äpfel\npear\n"
        with np.load(io.BytesIO(archive.read("selftest.npz")), allow_pickle=False) as arrays:
            assert np.array_equal(delta_decode(arrays["image_differences"]), SELFTEST.image)
            assert float(arrays["score_threshold"]) == 0.5
        assert np.array_equal(np.load(io.BytesIO(archive.read("anchors.npy"))), NETWORK.anchors())


def test_bundle_starts_with_the_flatbuffer_and_states_its_digest(written: Path):
    assert written.read_bytes().startswith(FLATBUFFER)
    with zipfile.ZipFile(written) as archive:
        data = json.loads(archive.read("edge_ssd.json"))
        assert data["sha256"]["flatbuffer"] == hashlib.sha256(FLATBUFFER).hexdigest()
        assert data["sha256"]["anchors"] == hashlib.sha256(archive.read("anchors.npy")).hexdigest()
    assert data["input"] == {"name": "image", "dtype": "uint8"}
    assert [head["output"] for head in data["heads"]] == [
        f"{kind}_{i}" for i in range(5) for kind in ("classes", "boxes")
    ]


def test_same_content_gives_the_same_bytes():
    assert bundle_bytes(CONTENT) == bundle_bytes(replace(CONTENT))


def test_missing_accuracy_and_calibration_are_null(tmp_path: Path):
    path = tmp_path / "bare.tflite"
    path.write_bytes(bundle_bytes(replace(CONTENT, accuracy=None, calibration=None, kept_layers={})))
    metadata = read_bundle(path).metadata
    assert metadata["accuracy"] is None
    assert metadata["sha256"]["calibration"] is None
    assert metadata["calibration"] is None


def test_held_out_names_are_read_back_if_they_are_short(tmp_path: Path, caplog):
    held_out = HeldOut(("a.png", "ü.png"))
    path = tmp_path / "fruit.tflite"
    path.write_bytes(bundle_bytes(replace(CONTENT, held_out=embeddable_held_out(held_out))))
    assert parse_held_out(read_bundle(path).metadata) == held_out
    assert embeddable_held_out(None) is None
    assert caplog.text == ""
    many = HeldOut(tuple(f"images/{i:06}.jpg" for i in range(20_000)))
    assert embeddable_held_out(many) is None
    assert "the names of the 20000 held-out images take 0.4 MB: not in the file" in caplog.text


def test_nan_is_rejected():
    with pytest.raises(ValueError, match="JSON compliant"):
        bundle_bytes(replace(CONTENT, accuracy={"float": float("nan")}))
