"""Sources that are not plain files: pipes, animations, codecs without a decoder, URLs in other letters."""

from __future__ import annotations

import base64
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import CLIP
from PIL import Image
from processes import FAKE, run_python, start_python
from source_errors import assert_enter_fails
from stream_servers import MjpegServer

from device_apps.sources.image_folder import ImageFolderSource
from device_apps.sources.open_source import open_source
from edge_ssd.errors import SourceError

linux_only = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="pipes as files are Unix's")

# Four frames of 64×48, written by libaom: ffmpeg -f lavfi -i testsrc=s=64x48:d=0.4:r=10 -c:v libaom-av1 -crf 60.
_AV1 = (
    "AAAAIGZ0eXBpc29tAAACAGlzb21hdjAxaXNvMm1wNDEAAAAIZnJlZQAAAXNtZGF0Cg0gAAACr/ebXyQENACAMvABFAA64AAAsuug3IUmaPQ55P"
    "NffbmwlIGZczXqw677/52WDu+4orPBfu2UsxCS0Qpvd1QxkF7QAKGIU67Ix6Kdy849VcmtE2g5TlyZ/b/f7NDUVswzN0reAITK2bugmnq605Y4"
    "J4Cc26Y30EX9s8EYzc3IbOGlVVmk2pyyPDIKJeXgovrExD/sDDGYd8yGYOU3uFew1ZXrX43HiLeACkYzOVLUU0T8HtPa5vj13o2+kxVekVfXCF"
    "Alypyhaz+y5xooBGzNKjtvQP1SHDnT3S0WP8AW9TfD+at6wvWXlQmc3CTlDzj1xFv3TeDK0iLJ2pLAMi8hAfAgAAABvWAggmgLLrqAACR5EW9P"
    "9MEvV/BhzW3amxNDqlWHuO6ALIvJpASBQDIRMgHggAAgA3vAAAFgADgAnMAyEDICAQQAAIN8AAABYAA4AJwyETIDAAaAAIN8AAABYAAQAKLwAA"
    "ADKW1vb3YAAABsbXZoZAAAAAAAAAAAAAAAAAAAA+gAAAGQAAEAAAEAAAAAAAAAAAAAAAABAAAAAAAAAAAAAAAAAAAAAQAAAAAAAAAAAAAAAAAA"
    "QAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAIAAAJUdHJhawAAAFx0a2hkAAAAAwAAAAAAAAAAAAAAAQAAAAAAAAGQAAAAAAAAAAAAAA"
    "AAAAAAAAABAAAAAAAAAAAAAAAAAAAAAQAAAAAAAAAAAAAAAAAAQAAAAABAAAAAMAAAAAAAJGVkdHMAAAAcZWxzdAAAAAAAAAABAAABkAAAAAAA"
    "AQAAAAABzG1kaWEAAAAgbWRoZAAAAAAAAAAAAAAAAAAAKAAAABAAVcQAAAAAAC1oZGxyAAAAAAAAAAB2aWRlAAAAAAAAAAAAAAAAVmlkZW9IYW"
    "5kbGVyAAAAAXdtaW5mAAAAFHZtaGQAAAABAAAAAAAAAAAAAAAkZGluZgAAABxkcmVmAAAAAAAAAAEAAAAMdXJsIAAAAAEAAAE3c3RibAAAAK9z"
    "dHNkAAAAAAAAAAEAAACfYXYwMQAAAAAAAAABAAAAAAAAAAAAAAAAAAAAAABAADAASAAAAEgAAAAAAAAAARdMYXZjNjMuMS4xMDIgbGliYW9tLW"
    "F2MQAAAAAAAAAAABj//wAAABthdjFDgSAAAAoNIAAAAq/3m18kBDQAgAAAAApmaWVsAQAAAAAQcGFzcAAAAAEAAAABAAAAFGJ0cnQAAAAAAAAc"
    "XAAAAAAAAAAYc3R0cwAAAAAAAAABAAAABAAABAAAAAAUc3RzcwAAAAAAAAABAAAAAQAAABxzdHNjAAAAAAAAAAEAAAABAAAABAAAAAEAAAAkc3"
    "RzegAAAAAAAAAAAAAABAAAAQIAAABEAAAAEgAAABMAAAAUc3RjbwAAAAAAAAABAAAAMAAAAGF1ZHRhAAAAWW1ldGEAAAAAAAAAIWhkbHIAAAAA"
    "AAAAAG1kaXJhcHBsAAAAAAAAAAAAAAAALGlsc3QAAAAkqXRvbwAAABxkYXRhAAAAAQAAAABMYXZmNjMuMS4xMDI="
)


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Recordings of 30 frames with a red square, by format."""
    folder = tmp_path_factory.mktemp("recordings")
    frame = np.full((64, 96, 3), 90, np.uint8)
    frame[20:44, 30:60] = (0, 0, 255)
    paths = {}
    for suffix, codec in (("mkv", "mp4v"), ("avi", "MJPG"), ("mp4", "mp4v")):
        paths[suffix] = folder / f"a.{suffix}"
        writer = cv2.VideoWriter(str(paths[suffix]), cv2.VideoWriter.fourcc(*codec), 10, (96, 64))
        for _ in range(30):
            writer.write(frame)
        writer.release()
    jpeg = cv2.imencode(".jpg", frame)[1].tobytes()
    paths["mjpeg"] = folder / "a.mjpeg"
    paths["mjpeg"].write_bytes(jpeg * 30)
    return paths


@linux_only
@pytest.mark.parametrize("suffix", ["mkv", "avi", "mjpeg"])
@pytest.mark.parametrize("source", ["-", "/dev/stdin"])
def test_standard_input_is_read_to_its_end(recordings: dict[str, Path], suffix: str, source: str) -> None:
    options = ["camera", "--headless", "--source", source, "--jsonl", "-", "--events", "/dev/null"]
    with subprocess.Popen(["cat", recordings[suffix]], stdout=subprocess.PIPE) as cat:
        done = run_python(FAKE, *options, stdin=cat.stdout)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["sequence"] for line in lines] == list(range(30))
    assert all(len(line["detections"]) == 1 for line in lines)


@linux_only
def test_named_pipe_and_process_substitution_are_read(recordings: dict[str, Path], tmp_path: Path) -> None:
    pipe = tmp_path / "käfer pipe.mkv"
    os.mkfifo(pipe)
    reader = start_python(FAKE, "detect", "--json", "--source", pipe)
    with pipe.open("wb") as file:
        file.write(recordings["mkv"].read_bytes())
    out, err = reader.communicate(timeout=60)
    assert reader.returncode == 0, err
    assert len(out.splitlines()) == 30
    command = f"{sys.executable} {FAKE} detect --json --source <(cat {recordings['mkv']})"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, len(done.stdout.splitlines())) == (0, 30), done.stderr


@linux_only
def test_image_in_a_pipe_is_read(tmp_path: Path) -> None:
    Image.new("RGB", (96, 64), "red").save(tmp_path / "a.jpg")
    with (tmp_path / "a.jpg").open("rb") as file, subprocess.Popen(["cat"], stdin=file, stdout=subprocess.PIPE) as cat:
        done = run_python(FAKE, "detect", "--json", "--source", "-", stdin=cat.stdout)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 1


@linux_only
@pytest.mark.parametrize("content", [b"", b"no video\n" * 1000])
def test_pipe_without_a_video_is_one_line(content: bytes) -> None:
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as cat:
        assert cat.stdin is not None
        cat.stdin.write(content)
        cat.stdin.close()
        done = run_python(FAKE, "camera", "--headless", "--source", "-", stdin=cat.stdout)
    assert done.returncode == 2
    assert done.stderr.startswith("edge-ssd: error: /dev/stdin: no video can be read from this pipe; use a format that")
    assert done.stderr.count("\n") == 1, done.stderr


@linux_only
def test_mp4_with_its_index_at_the_end_needs_a_file() -> None:
    assert CLIP.stat().st_size > 65536, "larger than a pipe"
    with subprocess.Popen(["cat", CLIP], stdout=subprocess.PIPE) as cat:
        done = run_python(FAKE, "camera", "--headless", "--source", "-", stdin=cat.stdout)
    assert done.returncode == 2
    assert "MP4 with its index in front (ffmpeg -movflags +faststart)" in done.stderr
    assert done.stderr.count("\n") == 1, done.stderr


@linux_only
def test_socket_is_not_a_video(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "a.mp4"))
        assert_enter_fails(r"a\.mp4: is a socket, not a video", open_source, str(tmp_path / "a.mp4"))


def test_codec_without_a_decoder_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(base64.b64decode(_AV1))
    capture = cv2.VideoCapture(str(path))
    if capture.grab():
        pytest.skip("this OpenCV decodes AV1")
    with pytest.raises(SourceError) as caught, open_source(str(path)):
        pass
    expected = f"{path}: none of its frames can be decoded (codec AV01, for which this OpenCV has no decoder)"
    assert str(caught.value).startswith(f"{expected}; convert it: ffmpeg -i FILE -c:v libx264")


@pytest.mark.parametrize("suffix", ["gif", "webp", "png", "apng", "avif"])
def test_animation_gives_every_frame_with_its_time(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    images = [Image.new("RGB", (64, 48), color) for color in ("red", "lime", "blue", "white")]
    kind = {"apng": "PNG"}.get(suffix, suffix.upper())
    try:
        images[0].save(path, kind, save_all=True, append_images=images[1:], duration=[100, 300, 50, 200])
    except (KeyError, OSError):
        pytest.skip(f"this Pillow writes no {kind}")
    with open_source(str(path)) as source:
        frames = list(source)
    assert not source.live
    assert [frame.image[24, 32].argmax() for frame in frames[:3]] == [0, 1, 2]
    assert [frame.time for frame in frames] == pytest.approx([0.0, 0.1, 0.4, 0.45])
    assert all(frame.image.shape == (48, 64, 3) for frame in frames)


def test_animation_can_be_detected_and_saved(tmp_path: Path) -> None:
    path = tmp_path / "a.gif"
    images = [Image.new("RGB", (96, 64), (200 + number, 0, 0)) for number in range(8)]
    images[0].save(path, save_all=True, append_images=images[1:], duration=100)
    done = run_python(FAKE, "detect", "--json", "--source", path, "--save", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 8
    assert cv2.VideoCapture(str(tmp_path / "out" / "a.gif.mp4")).get(cv2.CAP_PROP_FRAME_COUNT) == 8


def test_damaged_animation_gives_the_frames_before(tmp_path: Path) -> None:
    path = tmp_path / "a.gif"
    noise = np.random.default_rng(0).integers(0, 256, (8, 48, 64, 3), np.uint8)
    images = [Image.fromarray(pixels) for pixels in noise]
    images[0].save(path, save_all=True, append_images=images[1:], duration=100)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 3 // 4])
    frames = []

    def read_all() -> None:
        with open_source(str(path)) as source:
            frames.extend(source)

    with pytest.raises(SourceError, match=r"its frame \d is damaged \(.*\); frames used: \d; copy the file again"):
        read_all()
    assert 3 <= len(frames) <= 7


@pytest.mark.parametrize("suffix", ["png", "tif", "jpg"])
def test_images_that_are_no_animations_stay_images(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    image = Image.new("RGB", (64, 48), "red")
    image.save(path, **({"save_all": True, "append_images": [image]} if suffix == "tif" else {}))
    assert isinstance(open_source(str(path)), ImageFolderSource)


def test_scheme_of_a_url_may_be_in_capitals() -> None:
    with MjpegServer(fps=20) as server:
        url = server.url.replace("http://", "HTTP://")
        with open_source(url) as source:
            assert source.read(5.0) is not None
            assert source.name == server.url


def test_file_url_is_a_path(tmp_path: Path, recordings: dict[str, Path]) -> None:
    path = tmp_path / "käfer 1.mkv"
    path.write_bytes(recordings["mkv"].read_bytes())
    with open_source(path.as_uri()) as source:
        assert (source.name, len(list(source))) == (str(path), 30)
