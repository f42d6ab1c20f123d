"""The recipe of the README for Raspberry Pi OS Bookworm, with Debian Bookworm's own NumPy and OpenCV."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from arm.bookworm import Environment, fetch_bookworm
from arm.fetch import Unavailable
from arm.project_wheel import build_wheel
from conftest import CLIP, REPOSITORY, skip_or_fail
from stream_servers import MjpegServer

pytestmark = pytest.mark.timeout(600)  # The first time with the download.

# picamera2's import of simplejpeg, an extension that was built with the system's NumPy.
_PICAMERA2 = """
import sys, types
import sep
sys.modules.setdefault("pytest", types.SimpleNamespace(MonkeyPatch=object))
sys.path.append({tests!r})
from picamera2_stand_in import Picamera2
Picamera2.flowing.set()
Picamera2.global_camera_info = staticmethod(lambda: [{{"Model": "imx708", "Num": 0}}])
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    try:
        fetch_bookworm()
    except Unavailable as error:
        skip_or_fail(str(error))
    return build_wheel(tmp_path_factory.mktemp("wheel") / "build")


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """The recipe: pip install "./edge-ssd[device]" "numpy<2"."""
    environment = Environment(tmp_path_factory.mktemp("environment"))
    environment.install(f"{wheel}[device]", "numpy<2")
    return environment


@pytest.fixture(scope="module")
def picamera2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("picamera2")
    (folder / "picamera2.py").write_text(_PICAMERA2.format(tests=os.fspath(REPOSITORY / "tests")))
    return folder


def test_recipe_is_that_of_the_readme() -> None:
    assert 'pip install ".[device]" "numpy<2"' in (REPOSITORY / "README.md").read_text(encoding="utf-8")


def test_recipe_keeps_the_packages_of_the_system(environment: Environment) -> None:
    done = environment.run("-c", "import numpy, cv2, PIL; print(numpy.__version__, cv2.__version__, PIL.__version__)")
    assert done.stdout.split() == ["1.24.2", "4.6.0", "9.4.0"], done.stderr


def test_detect_and_camera_run_with_debians_opencv(environment: Environment, tmp_path: Path) -> None:
    detect = environment.run("-m", "edge_ssd", "detect", "--source", CLIP, "--json", "--save", tmp_path)
    assert detect.returncode == 0, detect.stderr
    assert sum(len(json.loads(line)["detections"]) for line in detect.stdout.splitlines()) > 250
    with MjpegServer(fps=10) as server:
        options = ["--source", server.url, "--max-frames", "5", "--events", "-", "--save-video", tmp_path / "seen.mp4"]
        camera = environment.run("-m", "edge_ssd", "camera", "--headless", *options)
    assert camera.returncode == 0, camera.stderr
    assert "5 frames" in camera.stderr


def test_csi_camera_runs_and_doctor_finds_it(environment: Environment, picamera2: Path) -> None:
    options = ["--source", "picamera", "--max-frames", "3"]
    camera = environment.run("-m", "edge_ssd", "camera", "--headless", *options, path=picamera2)
    assert camera.returncode == 0, camera.stderr
    assert "3 frames" in camera.stderr
    doctor = environment.run("-m", "edge_ssd", "doctor", path=picamera2)
    assert doctor.returncode == 0, doctor.stdout
    assert "ok       CSI camera   imx708; use --source picamera" in doctor.stdout


def test_numpy_2_of_pip_is_named_with_its_cure(wheel: Path, picamera2: Path, tmp_path: Path) -> None:
    environment = Environment(tmp_path / "environment")
    environment.install("--no-deps", str(wheel), "numpy>=2")
    doctor = environment.run("-m", "edge_ssd", "doctor", path=picamera2)
    assert doctor.returncode == 1
    for name, package in (("CSI camera", "picamera2"), ("OpenCV", "OpenCV")):
        (line,) = [line for line in doctor.stdout.splitlines() if f" {name} " in line]
        assert line.startswith("failure")
        assert "pip's NumPy 2" in line
        assert f"hides the older one of the system, with which {package} was built: " in line
        assert line.endswith('→ pip install "numpy<2"')
    script = "import sys; from device_apps.sources.open_source import open_source; open_source(sys.argv[1]).__enter__()"
    for source in ("picamera", CLIP):
        camera = environment.run("-c", script, source, path=picamera2)
        assert 'pip install "numpy<2"' in camera.stderr
    environment.install("numpy<2")
    cured = environment.run("-c", "import cv2, sep, numpy; print(numpy.__version__)")
    assert cured.stdout.startswith("1."), cured.stderr
