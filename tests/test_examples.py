"""The programs in docs/examples, run as a user runs them: each finds the three bananas of the shipped self-test."""

from __future__ import annotations

import importlib.util
import json
import shutil
import socket
import subprocess
import sys
import threading
import time
import types
import urllib.error
import urllib.request
import zipapp
from pathlib import Path
from typing import Any

import numpy as np
import picamera2_stand_in
import pytest
from conftest import REPOSITORY, skip_or_fail
from PIL import Image
from processes import run_python, start_python

from edge_ssd import BackendError, BundleError, Detector, default_model, find_model, read_bundle
from edge_ssd.frozen import hook_dirs
from edge_ssd.runtime import shipped_models as module

EXAMPLES = REPOSITORY / "docs" / "examples"
LABELS = "banana, banana, banana"

pytestmark = pytest.mark.machine_independent


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("images") / "bananas.png"
    Image.fromarray(selftest_image()).save(path)
    return path


def selftest_image() -> np.ndarray:
    return read_bundle(find_model("nano")).selftest.image


def lines(name: str, *arguments: object) -> list[str]:
    done = run_python(EXAMPLES / name, *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_embed(image: Path) -> None:
    found = lines("embed.py", find_model("nano"), image)
    assert len(found) == 3
    assert all(line.startswith(f"{image}: banana 0.") for line in found)


def test_asyncio_detect(image: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"no image")
    found = sorted(lines("asyncio_detect.py", "nano", image, bad, image))
    assert found == [f"{image}: {LABELS}"] * 2 + [
        f"error: {bad}: not an image of a known format; save it again as JPEG or PNG"
    ]


def test_thread_pool(image: Path) -> None:
    assert lines("thread_pool.py", "nano", *[image] * 5) == [f"{image}: {LABELS}"] * 5


def test_fastapi_server(image: Path) -> None:
    if importlib.util.find_spec("fastapi") is None:
        skip_or_fail("fastapi is not installed")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    options = ("--app-dir", EXAMPLES, "--port", port, "--log-level", "warning")
    process = start_python("-m", "uvicorn", *options, "fastapi_server:app")
    try:
        statuses = {}
        for name, body in (("image", image.read_bytes()), ("text", b"no image"), ("large", bytes(20_000_001))):
            statuses[name] = post(f"http://127.0.0.1:{port}/detect", body)
    finally:
        process.terminate()
        process.communicate(timeout=30)
    status, answer = statuses["image"]
    assert (status, [row["label"] for row in answer["detections"]]) == (200, ["banana"] * 3)
    assert statuses["text"] == (
        422,
        {"detail": "image data: not an image of a known format; save it again as JPEG or PNG"},
    )
    assert statuses["large"][0] in (413, 0)  # 0: the server may close the connection before all is sent


def post(url: str, body: bytes) -> tuple[int, Any]:
    """Send a request as soon as the server listens; return the status and the JSON of the answer."""
    for _ in range(300):
        try:
            with urllib.request.urlopen(urllib.request.Request(url, body), timeout=60) as response:
                return response.status, json.load(response)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)
        except urllib.error.URLError as error:
            if not isinstance(error.reason, ConnectionRefusedError):
                return 0, str(error)
            time.sleep(0.1)
    raise AssertionError("the server does not listen")


class CallbackCamera(picamera2_stand_in.Picamera2):
    """Stand-in that calls ``post_callback`` with each frame in a thread of its own, as picamera2 does."""

    post_callback: Any = None

    def __enter__(self) -> CallbackCamera:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def start(self) -> None:
        super().start()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while self.started:
            time.sleep(0.01)
            self.post_callback(self)

    def stop(self) -> None:
        super().stop()
        self._thread.join(timeout=60)


class MappedArray:
    """Stand-in for picamera2's access to a frame, whose memory is reused after the callback."""

    def __init__(self, request: CallbackCamera, stream: str) -> None:
        width, height = request.camera_configuration()[stream]["size"]
        assert request.camera_configuration()[stream]["format"] == "RGB888"  # bytes in the order B, G, R
        frame = Image.fromarray(selftest_image()).resize((width, height))
        self.array = np.asarray(frame)[..., ::-1].copy()

    def __enter__(self) -> MappedArray:
        return self

    def __exit__(self, *error: object) -> None:
        self.array[:] = 0


def test_picamera2_callback(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    picamera2_stand_in.install(monkeypatch)
    module = sys.modules["picamera2"]
    monkeypatch.setattr(module, "Picamera2", CallbackCamera)
    monkeypatch.setattr(module, "MappedArray", MappedArray, raising=False)
    load("picamera2_callback").main("nano", max_frames=3)
    found = capsys.readouterr().out.splitlines()
    assert len(found) == 9
    assert all(line.startswith("banana 0.") for line in found)
    assert CallbackCamera.made[-1].closed


def load(name: str) -> types.ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["asyncio_detect", "thread_pool", "embed"])
def test_examples_describe_their_arguments(name: str) -> None:
    done = run_python(EXAMPLES / f"{name}.py")
    assert (done.returncode, done.stdout) == (1, "")
    assert f"python {name}.py MODEL" in done.stderr


def test_library_in_zip_file_has_shipped_models(tmp_path: Path) -> None:
    """zipapp: the code of edge-ssd and of a program in one file, beside installed dependencies."""
    source = tmp_path / "app"
    ignored = shutil.ignore_patterns("__pycache__", "training", "data", "evaluation", "commands")
    shutil.copytree(REPOSITORY / "edge_ssd", source / "edge_ssd", ignore=ignored)
    (source / "__main__.py").write_text(
        "from edge_ssd import BundleError, Detector, default_model, find_model, read_bundle, shipped_models\n"
        "print(Detector('nano').selftest().passed, sorted(shipped_models()))\n"
        "print(read_bundle(default_model()).labels, find_model(default_model()) == default_model())\n"
        "try: Detector('nanno')\n"
        "except BundleError as error: print(error)\n"
    )
    zipapp.create_archive(source, tmp_path / "app.pyz")
    done = subprocess.run(
        [sys.executable, tmp_path / "app.pyz"], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=120
    )
    first, second, third = done.stdout.splitlines()
    assert first == "True ['banana', 'banana-nano', 'banana-small']"
    assert second == "('banana',) True"
    assert third.startswith("nanno: no such file (did you mean nano?); check the path, or name a shipped model")


def test_frozen_program_without_models_names_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (hook,) = hook_dirs()
    assert (Path(hook) / "hook-edge_ssd.py").is_file()
    path = find_model("nano")
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    for package in ("ai_edge_litert", "tflite_runtime"):
        monkeypatch.setitem(sys.modules, package, None)
        monkeypatch.setitem(sys.modules, f"{package}.interpreter", None)
    with pytest.raises(BackendError, match="build it again with: pyinstaller --collect-all ai_edge_litert"):
        Detector(path)
    monkeypatch.setattr(module, "_folder", lambda: tmp_path / "missing")
    for call in (default_model, lambda: Detector("nano")):
        with pytest.raises(BundleError, match=r"pyinstaller --collect-data edge_ssd\.models"):
            call()
