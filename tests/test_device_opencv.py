"""OpenCV is imported only when it is needed, and prints no messages of its own."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from conftest import REPOSITORY
from PIL import Image
from processes import FAKE, run_python

from device_apps.sources.opencv import load_opencv
from edge_ssd.errors import EdgeSSDError


def test_missing_opencv_names_the_pip_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(EdgeSSDError, match=r"need OpenCV.*: pip install 'edge-ssd\[camera\]'"):
        load_opencv()


def test_detect_works_on_images_without_opencv(tmp_path: Path) -> None:
    Image.new("RGB", (60, 40), "red").save(tmp_path / "a.png")
    script = (
        "import sys; sys.modules['cv2'] = None; sys.path.insert(0, sys.argv.pop(1)); sys.argv[0] = 'edge-ssd'; "
        "import device_fake; sys.exit(device_fake.main())"
    )
    options = ("--source", tmp_path / "a.png", "--save", tmp_path / "out")
    done = run_python("-c", script, REPOSITORY / "tests", "detect", *options)
    assert done.returncode == 0, done.stderr
    assert "red 88% (0, 0, 60, 40)" in done.stdout
    assert (tmp_path / "out" / "a.png").exists()


@pytest.mark.parametrize(
    "content", [b"not a video\n" * 50, b"\0\0\0\x18ftypmp42" + bytes(500), b"RIFF\xff\0\0\0AVI LIST"]
)
def test_invalid_video_gives_one_line_on_stderr(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.mp4"
    path.write_bytes(content)
    done = run_python(FAKE, "camera", "--headless", "--source", path)
    assert done.returncode == 2
    assert done.stderr.startswith(f"edge-ssd: error: {path}: not a usable video: ")
    assert done.stderr.count("\n") == 1, done.stderr
