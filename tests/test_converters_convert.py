"""Conversion to a bundle: what is written, and that a failure keeps the previous file."""

from __future__ import annotations

import errno
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small_model import write_background

from converters.config import ConversionConfig
from converters.convert import convert_model
from edge_ssd import cli
from edge_ssd.data.load import open_dataset
from edge_ssd.errors import BundleError, DataError, ImageError, ModelError, SettingError
from edge_ssd.runtime.bundle import read_bundle
from edge_ssd.runtime.detector import Detector, SelfTestResult
from edge_ssd.runtime.preprocess import read_image

pytest.importorskip("tensorflow")
pytest.importorskip("ai_edge_litert")

BEFORE = b"the previous file"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """An existing file in a folder of its own."""
    path = tmp_path / "out" / "squares.tflite"
    path.parent.mkdir()
    path.write_bytes(BEFORE)
    return path


def convert(model: Path, data: Path, out: Path, *words: object) -> int:
    return cli.main(["convert", str(model), "--data", str(data), "--out", str(out), "--no-accuracy", *map(str, words)])


def assert_kept(out: Path) -> None:
    assert out.read_bytes() == BEFORE
    assert list(out.parent.iterdir()) == [out]


def test_bundle_is_measured_and_passes_its_selftest(squares_conversion):
    assert squares_conversion.calibrated_on == 8
    assert squares_conversion.float_precision.ap > 0.8
    assert squares_conversion.quantized_precision.ap > squares_conversion.float_precision.ap - 0.1
    assert squares_conversion.selftest_detections >= 1
    assert squares_conversion.size == squares_conversion.path.stat().st_size
    assert read_bundle(squares_conversion.path).metadata["accuracy"] == {
        "float": squares_conversion.float_precision.to_dict(),
        "quantized": squares_conversion.quantized_precision.to_dict(),
        "data": "squares, val",
        "false_alarms": squares_conversion.score_threshold.measured.to_dict(),
    }
    with Detector(squares_conversion.path) as detector:
        assert detector.selftest().passed


def test_too_few_images_leave_the_default_threshold(squares_conversion):
    choice = squares_conversion.score_threshold
    assert (choice.threshold, choice.source) == (0.5, "default")
    assert "4 images are too few to choose one, 99 needed" in choice.reason
    assert read_bundle(squares_conversion.path).defaults.score_threshold == 0.5
    assert choice.measured.recall > 0.5


def test_threshold_is_chosen_with_images_without_objects(
    fake_worker, tmp_path: Path, squares_model: Path, squares_tiny_ssd, squares: Path
):
    background = write_background(tmp_path / "background", 100, squares=3)
    out = tmp_path / "out.tflite"
    for limit in (10, 30):
        config = ConversionConfig(background=(background,), max_false_alarms=limit)
        result = convert_model(squares_model, open_dataset(squares), out, config, model=squares_tiny_ssd)
        bundle, choice = read_bundle(out), result.score_threshold
        assert choice.source == "chosen"
        assert choice.threshold == bundle.defaults.score_threshold
        assert bundle.metadata["accuracy"]["false_alarms"] == choice.measured.to_dict()
        with Detector(out) as detector:
            expected = sum(len(detector.detect(path)) for path in background.iterdir())
            assert detector.selftest().passed
        assert choice.measured.in_background == expected < limit
    assert expected >= 3  # the squares without a label are found


@pytest.mark.parametrize("threshold", [0.05, 0.97])
def test_given_threshold_is_the_default_of_the_bundle(
    threshold: float, fake_worker, tmp_path: Path, squares_model: Path, squares: Path
):
    out = tmp_path / "out.tflite"
    assert convert(squares_model, squares, out, "--score-threshold", threshold) == 0
    assert read_bundle(out).defaults.score_threshold == threshold
    with Detector(out) as detector:
        assert detector.min_score_threshold == pytest.approx(threshold)
        assert detector.selftest().passed


def test_same_input_gives_the_same_bytes(squares_conversion, tmp_path: Path, squares_model: Path, squares: Path):
    config, data = ConversionConfig(calibration_images=8), open_dataset(squares)
    again = convert_model(squares_model, data, tmp_path / "squares.tflite", config)
    assert again.path.read_bytes() == squares_conversion.path.read_bytes()


def test_given_image_becomes_the_selftest(
    fake_worker, tmp_path: Path, squares_model: Path, squares_tiny_ssd, squares: Path
):
    image = squares / "squares_train" / "images" / "7.png"
    config = ConversionConfig(measure=False, selftest_image=image, name="own name")
    out = tmp_path / "own.tflite"
    result = convert_model(squares_model, open_dataset(squares), out, config, model=squares_tiny_ssd)
    bundle = read_bundle(result.path)
    assert np.array_equal(bundle.selftest.image, read_image(image))
    assert bundle.name == "own name"
    assert bundle.metadata["accuracy"] is None
    assert result.float_precision is None


def test_bundle_that_fails_its_selftest_is_not_written(
    fake_worker, squares_model: Path, squares_tiny_ssd, squares: Path, out: Path, monkeypatch
):
    monkeypatch.setattr(Detector, "selftest", lambda _: SelfTestResult(False, 1, 0, "1 of 1 not found"))
    config = ConversionConfig(measure=False)
    with pytest.raises(BundleError, match=r"not written.*1 of 1 not found"):
        convert_model(squares_model, open_dataset(squares), out, config, model=squares_tiny_ssd)
    assert_kept(out)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"out": "model.bin"}, SettingError, "must end in .tflite"),
        ({"data": "absent"}, DataError, "absent: no such folder"),
        ({"model": "absent.keras"}, ModelError, "absent.keras: no such file"),
        ({"calibration_images": 0}, SettingError, "from 1 to 200"),
        ({"limit": 0}, SettingError, "at least 1"),
        ({"seed": -1}, SettingError, "the seed must be at least 0"),
        ({"score_threshold": 1.5}, SettingError, "the score threshold must be from 0 to 1, got 1.5"),
        ({"max_false_alarms": 0}, SettingError, "must be above 0 and at most 100, got 0"),
        ({"max_false_alarms": float("nan")}, SettingError, "must be above 0 and at most 100, got nan"),
        ({"max_false_alarms": 1, "measure": False}, SettingError, "but --no-accuracy skips the measurement: omit one"),
        ({"max_false_alarms": 1, "score_threshold": 0.5}, SettingError, "but --score-threshold is given: omit one"),
        ({"background": (Path("absent"),)}, DataError, "absent: no such folder; give a folder of images without any"),
        ({"background": (Path("absent"),), "measure": False}, SettingError, "--no-accuracy skips"),
        ({"selftest_image": Path("absent.png")}, ImageError, "absent.png: no such image"),
        ({"out": "/dev/null/out.tflite"}, NotADirectoryError, "/dev/null"),
    ],
)
def test_invalid_input_fails_before_any_work(
    change: dict, error, message: str, fake_worker, tmp_path: Path, squares_model: Path, squares: Path
):
    settings = {"model": squares_model, "data": squares, "out": tmp_path / "out.tflite", **change}
    model, data, out = (tmp_path / settings.pop(name) for name in ("model", "data", "out"))
    with pytest.raises(error, match=re.escape(message)):
        convert_model(model, open_dataset(data), out, ConversionConfig(**settings))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("failure", "status"), [(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), 2), (KeyboardInterrupt(), 130)]
)
def test_failed_write_keeps_the_previous_file(
    failure: BaseException, status: int, fake_worker, squares_model: Path, squares: Path, out: Path, monkeypatch, capsys
):
    write = Path.write_bytes

    def fail_halfway(path: Path, data: bytes) -> int:
        if path.parent != out.parent:
            return write(path, data)
        write(path, data[: len(data) // 2])
        raise failure

    monkeypatch.setattr(Path, "write_bytes", fail_halfway)
    assert convert(squares_model, squares, out) == status
    if isinstance(failure, OSError):
        last = capsys.readouterr().err.splitlines()[-1]
        assert last.startswith("edge-ssd: error:")
        assert "No space left on device" in last
    assert_kept(out)


def test_ctrl_c_ends_the_conversion_and_its_worker(squares_model: Path, squares: Path, out: Path):
    words = ["convert", squares_model, "--data", squares, "--out", out, "--calibration-images", "8"]
    process = subprocess.Popen(
        [sys.executable, "-m", "edge_ssd", *map(str, words)], stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("edge-ssd: calibrating on"):
            break
    time.sleep(0.5)
    # To the process group, as a terminal does it: to the worker as well.
    os.killpg(process.pid, signal.SIGINT)
    output = process.stderr.read()
    assert process.wait(60) == 130
    assert "Traceback" not in output
    assert_kept(out)
    process.stderr.close()


def test_two_conversions_to_one_path_leave_one_complete_file(
    fake_worker, squares_model: Path, squares: Path, out: Path
):
    errors: list[BaseException] = []

    def work(name: str) -> None:
        try:
            convert_model(squares_model, open_dataset(squares), out, ConversionConfig(measure=False, name=name))
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(name,)) for name in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert read_bundle(out).name in ("one", "two")
    assert list(out.parent.iterdir()) == [out]


def test_folder_without_images_is_reported_in_one_line(
    fake_worker, squares_model: Path, tmp_path: Path, out: Path, capsys
):
    (tmp_path / "empty").mkdir()
    assert convert(squares_model, tmp_path / "empty", out) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"edge-ssd: error: {tmp_path / 'empty'}")
    assert error.count("\n") == 1
    assert_kept(out)


def test_damaged_calibration_image_is_dropped_with_a_warning_and_refused_by_strict(
    fake_worker, squares_model: Path, squares: Path, tmp_path: Path, out: Path, capsys
):
    data = shutil.copytree(squares, tmp_path / "data")
    damaged = data / "squares_train" / "images" / "3.png"
    damaged.write_bytes(damaged.read_bytes()[:60])
    assert convert(squares_model, data, out, "--quantize", "int8", "--strict") == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith(f"edge-ssd: error: {damaged}")
    assert_kept(out)
    assert convert(squares_model, data, out, "--quantize", "int8") == 0
    assert f"edge-ssd: warning: {damaged}: cannot be decoded" in capsys.readouterr().err


def test_unsuitable_calibration_images_are_logged_as_warnings(
    fake_worker, squares_model: Path, squares: Path, tmp_path: Path, out: Path, capsys
):
    data = shutil.copytree(squares, tmp_path / "data")
    for path in (data / "squares_train" / "images").iterdir():
        Image.fromarray(np.full((64, 64, 3), 200, np.uint8)).save(path)
    assert convert(squares_model, data, out, "--quantize", "int8") == 0
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("edge-ssd: warning: ")]
    warnings = "\n".join(lines)
    for part in ("only 12 calibration images", "have a single color", "only 1 of the 12", "brightness 200 instead"):
        assert part in warnings
