"""The programs in examples, run by the commands of their README: each finds the banana of the shipped self-test."""

from __future__ import annotations

import base64
import contextlib
import importlib.util
import io
import itertools
import json
import os
import re
import runpy
import shlex
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
from collections.abc import Iterator
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

EXAMPLES = REPOSITORY / "examples"
LABELS = "banana"

pytestmark = pytest.mark.machine_independent


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    (line,) = re.findall(r"^    python (-c .*)$", (EXAMPLES / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    done = run_python(*shlex.split(line), cwd=folder)
    assert done.returncode == 0, done.stderr
    for name in ("examples", "device_apps"):
        (folder / name).symlink_to(REPOSITORY / name)
    return folder / "photo.jpg"


def selftest_image() -> np.ndarray:
    return read_bundle(find_model("nano")).selftest.image


def readme_command(name: str) -> tuple[dict[str, str], list[str]]:
    """Return the environment and the arguments of the one command of examples/README.md with this program."""
    page = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    (line,) = re.findall(rf"^    (.*\b{name}\b.*)$", page, re.MULTILINE)
    words = shlex.split(line)
    variables = dict(itertools.takewhile(lambda pair: len(pair) == 2, (word.split("=") for word in words)))
    return variables, words[len(variables) :]


def run_readme_command(name: str, image: Path) -> str:
    """Run the command as a user does, in a folder with photo.jpg; return its output."""
    variables, (python, *arguments) = readme_command(name)
    assert python == "python"
    done = run_python(*arguments, cwd=image.parent, env={**os.environ, **variables})
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_count_over_line(image: Path) -> None:
    page = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    assert run_readme_command("count_over_line", image) == page.partition("```text\n")[2].partition("```")[0]


def test_embed(image: Path) -> None:
    found = run_readme_command("embed", image).splitlines()
    assert len(found) == 1
    assert all(line.startswith("photo.jpg: banana 0.") for line in found)
    _, (_, *arguments) = readme_command("embed")
    done = run_python(*arguments, "none.jpg", cwd=image.parent)
    assert (done.returncode, done.stderr.splitlines()[-1]) == (1, "error: none.jpg: no such image; check the path")
    assert "Traceback" not in done.stderr


def test_asyncio_detect(image: Path) -> None:
    (image.parent / "bad.png").write_bytes(b"no image")
    _, (_, *arguments) = readme_command("asyncio_detect")
    done = run_python(*arguments, "bad.png", cwd=image.parent)
    assert done.returncode == 0, done.stderr
    assert sorted(done.stdout.splitlines()) == [
        "error: bad.png: not an image of a known format; save it again as JPEG or PNG",
        *[f"photo.jpg: {LABELS}"] * 2,
    ]


def test_thread_pool(image: Path) -> None:
    assert run_readme_command("thread_pool", image) == f"photo.jpg: {LABELS}\n" * 3


def test_fastapi_server(image: Path) -> None:
    with serve("fastapi", "fastapi_server", image) as url:
        statuses = {}
        for name, body in (("image", image.read_bytes()), ("text", b"no image"), ("large", bytes(20_000_001))):
            statuses[name] = post(f"{url}/detect", body)
    status, answer = statuses["image"]
    assert (status, [row["label"] for row in json.loads(answer)["detections"]]) == (200, ["banana"])
    status, answer = statuses["text"]
    assert status == 422
    assert "image data: not an image of a known format; save it again as JPEG or PNG" in answer
    assert statuses["large"][0] in (413, 0)  # 0: the server may close the connection before all is sent


def test_flask_page(image: Path) -> None:
    with Image.open(image) as opened:
        size = opened.size
    with serve("flask", "flask_page", image) as url:
        found = post(url, form(image.read_bytes()), "multipart/form-data; boundary=-")
        assert (found[0], re.findall(r"<li>(\w+) 0\.\d\d</li>", found[1])) == (200, ["banana"])
        (encoded,) = re.findall(r'src="data:image/jpeg;base64,([^"]+)"', found[1])
        with Image.open(io.BytesIO(base64.b64decode(encoded))) as shown:
            assert shown.size == size
        status, page = post(url, form(b"<no image>"), "multipart/form-data; boundary=-")
        assert (status, "image data: not an image of a known format" in page) == (422, True)
        with urllib.request.urlopen(url, timeout=60) as response:
            assert b'<input type="file" name="image"' in response.read()


def form(content: bytes) -> bytes:
    return b'---\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n' + content + b"\r\n-----\r\n"


@contextlib.contextmanager
def serve(package: str, program: str, image: Path) -> Iterator[str]:
    """Run the server of the README's command on a free port; give its address."""
    if importlib.util.find_spec(package) is None:
        skip_or_fail(f"{package} is not installed")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    _, arguments = readme_command(program)
    process = start_python("-m", *arguments, "--port", port, cwd=image.parent, stderr=subprocess.DEVNULL)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.communicate(timeout=30)


def post(url: str, body: bytes, content_type: str = "application/octet-stream") -> tuple[int, str]:
    """Send a request as soon as the server listens; return the status and the answer."""
    request = urllib.request.Request(url, body, {"Content-Type": content_type})
    for _ in range(300):
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except urllib.error.URLError as error:
            if not isinstance(error.reason, ConnectionRefusedError):
                return 0, str(error)
            time.sleep(0.1)
    raise AssertionError("the server does not listen")


def test_gpio_hysteresis_switches_mock_pin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A real detector and gpiozero with its mock pins; the bananas are in view from 0.5 to 1.5 seconds."""
    variables, (_, program, *_) = readme_command("gpio_hysteresis")
    with_bananas = Image.fromarray(selftest_image())
    empty = Image.new("RGB", with_bananas.size, (90, 90, 90))
    frames = [with_bananas if 5 <= i < 15 else empty for i in range(30)]
    for i, frame in enumerate(frames):
        frame.putpixel((0, 0), (i, 0, 0))  # equal frames would be saved as one
        frames[i] = frame.copy()
    frames[0].save(tmp_path / "clip.png", save_all=True, append_images=frames[1:], duration=100)
    monkeypatch.setattr(sys, "argv", [program, str(tmp_path / "clip.png"), "17", "--seconds", "1"])
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    runpy.run_path(str(REPOSITORY / program), run_name="__main__")
    assert capsys.readouterr().out.splitlines() == ["   0.7 s  pin 17 on", "   2.4 s  pin 17 off"]


def test_hysteresis_ignores_flicker() -> None:
    state = load("gpio_hysteresis").Hysteresis(low=0.4, high=0.7, frames=3, seconds=2.0)
    seen = [state.update(score, time) for time, score in enumerate([0.8, 0.8, 0.6, 0.8, 0.8, 0.8, 0.1, 0.5, 0.1, 0.1])]
    assert seen == [False] * 5 + [True] * 4 + [False]


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
    assert len(found) == 3
    assert all(line.startswith("banana 0.") for line in found)
    assert CallbackCamera.made[-1].closed


def load(name: str) -> types.ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_readme_lists_every_example() -> None:
    programs = {path.stem for path in EXAMPLES.glob("*.py")}
    assert all(readme_command(name) for name in programs)
    assert len(programs) == 8


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
    assert first == "True ['banana', 'banana-nano', 'banana-small', 'fruit-book', 'fruit-nano', 'fruit-small']"
    assert second == "('apple', 'banana', 'orange') True"
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
