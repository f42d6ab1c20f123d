from __future__ import annotations

import argparse
import hashlib
import inspect
import os
import subprocess
import sys

import numpy as np
import pytest
from conftest import REPOSITORY

from device_apps.arguments import add_detector_arguments, make_detector
from device_apps.camera_command import pipeline_config
from edge_ssd.cli import command_parser
from edge_ssd.errors import SettingError
from edge_ssd.runtime import detector as module
from edge_ssd.runtime.detector import Detector
from edge_ssd.runtime.tiles import Tiles


def parsed(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_detector_arguments(parser)
    return parser.parse_args(words)


def test_make_detector_passes_every_option(monkeypatch: pytest.MonkeyPatch) -> None:
    class Recorder:
        def __init__(self, *args: object, **settings: object) -> None:
            self.arguments = inspect.signature(Detector).bind(*args, **settings).arguments

    monkeypatch.setattr(module, "Detector", Recorder)
    words = "--model m.tflite --score-threshold 0.3 --iou-threshold 0.4 --max-detections 5 --classes a b --threads 2"
    more = "--backend tflite-runtime --delegate lib.so --delegate-option device=usb:0 --delegate-option key=a=b"
    assert make_detector(parsed(*words.split(), *more.split(), "--tiles", "3x2")).arguments == {  # type: ignore[attr-defined]
        "model": "m.tflite",
        "score_threshold": 0.3,
        "iou_threshold": 0.4,
        "max_detections": 5,
        "classes": ["a", "b"],
        "num_threads": 2,
        "backend": "tflite-runtime",
        "delegate": "lib.so",
        "delegate_options": {"device": "usb:0", "key": "a=b"},
        "resize": None,
        "tiles": Tiles(3, 2),
    }


@pytest.mark.parametrize("option", ["--score-threshold", "--iou-threshold"])
@pytest.mark.parametrize(("value", "end"), [("50", "50: 50 % is 0.5"), ("-1", "-1"), ("nan", "nan"), ("1e9", "1e+09")])
def test_threshold_out_of_range_names_its_option(option: str, value: str, end: str) -> None:
    with pytest.raises(SettingError) as caught:
        make_detector(parsed(f"{option}={value}"))
    assert str(caught.value) == f"{option} must be a number from 0 to 1, got {end}"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--events-max-mb=1e308", "--events=x"], "--events-max-mb must be at most 1000000000, got 1e+308"),
        (["--collect-max-mb=1e308", "--collect=x"], "--collect-max-mb must be at most 1000000000, got 1e+308"),
        (["--stall-timeout=1e7"], "--stall-timeout must be at most 86400, got 10000000.0"),
        (["--webhook=http://a/", "--webhook-timeout=1e7"], "--webhook-timeout must be at most 86400, got 10000000.0"),
        ([f"--max-frames={10**400}"], "--max-frames must be at most 1000000000, got 1000000"),
        (["--source= "], "--source is empty; give an image, "),
        (["--events=a.jsonl", "--jsonl=./a.jsonl"], "--events a.jsonl is the file of --jsonl; name another"),
        (["--config=c.toml", "--events=c.toml"], "--events c.toml is the file of --config; name another"),
    ],
)
def test_options_that_could_not_work_are_refused_before_the_start(options: list[str], message: str) -> None:
    parser = command_parser("camera")
    with pytest.raises(SettingError) as caught:
        pipeline_config(parser.parse_args(options))
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("name", ["opencv", "numpy"])
def test_resize_is_bit_exact(name: str) -> None:
    frame = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    with make_detector(parsed("--resize", name, "--threads", "1")) as detector:
        resized = detector._resize(frame, (20, 30))
    # The same on every machine, ARM included.
    assert (resized.shape, resized.dtype) == ((20, 30, 3), np.uint8)
    assert hashlib.sha256(resized.tobytes()).hexdigest()[:16] == "f3c1a718753d18c1"


def test_resize_opencv_needs_opencv(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(SettingError, match="--resize opencv needs OpenCV"):
        make_detector(parsed("--resize", "opencv"))


@pytest.mark.parametrize("word", ["usb", "=usb", ""])
def test_delegate_option_must_be_a_pair(word: str) -> None:
    with pytest.raises(SettingError, match="--delegate-option must be KEY=VALUE, got"):
        make_detector(parsed("--delegate", "lib.so", "--delegate-option", word))


def test_delegate_option_needs_a_delegate() -> None:
    with pytest.raises(SettingError, match="--delegate-option needs --delegate"):
        make_detector(parsed("--delegate-option", "a=b"))


def test_resize_opencv_loads_opencv_with_the_settings_of_cameras() -> None:
    script = "import argparse, os; from device_apps.arguments import add_detector_arguments, make_detector; "
    script += "parser = argparse.ArgumentParser(); add_detector_arguments(parser); "
    script += "make_detector(parser.parse_args(['--resize', 'opencv'])).close(); "
    script += "print(os.environ.get('OPENCV_FFMPEG_IS_THREAD_SAFE'))"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OPENCV_")}
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, env=environment, cwd=REPOSITORY
    )
    assert done.stdout == "1\n", done.stderr
