"""The commands ``edge-ssd detect`` and ``edge-ssd camera`` with a fake detector."""

from __future__ import annotations

import json
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from clocks import wait_until
from device_fake import RedDetector
from PIL import Image
from processes import FAKE, start_python, stop
from stream_servers import MjpegServer, RtspServer
from test_device_video_file import make_video

from device_apps import camera_command, detect_command
from edge_ssd import Detector, cli, read_bundle
from edge_ssd.runtime.detections import Detections
from edge_ssd.runtime.shipped_models import find_model


@pytest.fixture(autouse=True)
def no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    for command in (camera_command, detect_command):
        monkeypatch.setattr(command, "make_detector", lambda args: RedDetector())


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    for name in ("a.jpg", "b.png"):
        image = Image.new("RGB", (80, 60), "white")
        image.paste((255, 0, 0), (20, 10, 50, 40))
        image.save(folder / name, quality=95)
    return folder


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_video(tmp_path_factory.mktemp("clip") / "clip.avi", "MJPG")


Run = Callable[..., tuple[int, list[str], list[str]]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def run_command(*arguments: object) -> tuple[int, list[str], list[str]]:
        status = cli.main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return status, out.splitlines(), err.splitlines()

    return run_command


def test_detect_prints_a_line_per_image(run: Run, images: Path) -> None:
    status, out, err = run("detect", "--source", images)
    assert status == 0
    assert [line.split("  ")[0] for line in out] == [str(images / "a.jpg"), str(images / "b.png")]
    assert out[1].endswith("  red 88% (20, 10, 50, 40)")
    (summary,) = err
    assert summary.startswith("edge-ssd: 2 images, 2 detections, ")


def test_detect_says_what_to_try_where_nothing_is_found(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.new("RGB", (60, 40)).save(tmp_path / "black.png")
    bundle = read_bundle(find_model("banana"))
    accuracy = {"quantized": {"ap": 0.0}}
    details = bundle.details._replace(raw={**bundle.details.raw, "accuracy": accuracy})
    for model, options, message in (
        (bundle, {}, "the model knows banana; if the images show it, lower --score-threshold (0.5 now)"),
        (bundle, {"score_threshold": 1.0}, "lower --score-threshold (1 now)"),
        (replace(bundle, details=details), {}, "found hardly anything when it was measured either (AP 0.000): train"),
    ):
        monkeypatch.setattr(detect_command, "make_detector", lambda args, m=model, o=options: Detector(m, **o))
        status, out, err = run("detect", "--source", tmp_path / "black.png")
        assert (status, len(out)) == (0, 1)
        assert err[-1].startswith("edge-ssd: nothing found: ")
        assert message in err[-1]


def test_detect_json_prints_a_line_per_image(run: Run, images: Path) -> None:
    status, out, _ = run("detect", "--source", images / "b.png", "--json")
    assert status == 0
    line = json.loads(out[0])
    assert line["source"] == str(images / "b.png")
    assert line["detections"][0]["box"] == [20, 10, 50, 40]


def test_detect_save_writes_annotated_images(run: Run, images: Path, tmp_path: Path) -> None:
    before = (images / "b.png").read_bytes()
    out = tmp_path / "new" / "annotated"
    status, _, err = run("detect", "--source", images, "--save", out)
    assert status == 0
    assert err[-1].endswith(f"saved in {out}")
    assert sorted(path.name for path in out.iterdir()) == ["a.jpg", "b.png"]
    assert (images / "b.png").read_bytes() == before
    saved = np.asarray(Image.open(out / "b.png"))
    changed = (saved != np.asarray(Image.open(images / "b.png"))).any(axis=2)
    assert changed[25, 20], "the left side of the box"
    assert not changed[28:38, 22:48].any(), "the inside, below the label"


@pytest.mark.parametrize("source", ["", "a.jpg"])
def test_detect_never_overwrites_its_source(run: Run, images: Path, source: str) -> None:
    before = {path.name: path.read_bytes() for path in images.iterdir()}
    status, out, err = run("detect", "--source", images / source, "--save", f"{images}/../images")
    assert (status, out) == (2, [])
    assert "--save would overwrite the source; name another place" in err[0]
    assert {path.name: path.read_bytes() for path in images.iterdir()} == before


def test_detect_never_overwrites_the_target_of_a_link(run: Run, images: Path, tmp_path: Path) -> None:
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "b.png").symlink_to(images / "b.png")
    before = (images / "b.png").read_bytes()
    status, _, err = run("detect", "--source", tmp_path / "links", "--save", images)
    assert status == 2
    assert "--save would overwrite the source" in err[0]
    assert (images / "b.png").read_bytes() == before


def test_detect_skips_an_unreadable_image(run: Run, images: Path, tmp_path: Path) -> None:
    (images / "aa.jpg").write_bytes(b"not an image")
    status, out, err = run("detect", "--source", images, "--save", tmp_path / "out")
    assert status == 2
    assert len(out) == 2
    assert err[0].startswith(f"edge-ssd: error: {images / 'aa.jpg'}: ")
    assert err[1].startswith("edge-ssd: 2 images, 2 detections, ")
    assert ", 1 unreadable, " in err[1]
    assert len(err) == 2
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.jpg", "b.png"]


def test_detect_single_unreadable_image(run: Run, images: Path) -> None:
    (images / "aa.jpg").write_bytes(b"not an image")
    status, out, err = run("detect", "--source", images / "aa.jpg")
    assert (status, out) == (2, [])
    assert str(images / "aa.jpg") in err[0]


def test_detect_prints_a_line_per_frame_of_a_video(run: Run, clip: Path, tmp_path: Path) -> None:
    status, out, err = run("detect", "--source", clip, "--save", tmp_path / "out")
    assert status == 0
    assert [line.split("  ")[0] for line in out] == [f"{clip} #{number}" for number in range(20)]
    assert err[0].startswith("edge-ssd: 20 frames, 20 detections, ")
    capture = cv2.VideoCapture(str(tmp_path / "out" / "clip.avi"))
    assert (capture.get(cv2.CAP_PROP_FRAME_COUNT), capture.get(cv2.CAP_PROP_FPS)) == (20, 25)


@pytest.mark.parametrize("command", ["detect", "camera"])
def test_truncated_video_is_used_and_reported(run: Run, clip: Path, tmp_path: Path, command: str) -> None:
    truncated = tmp_path / "truncated.avi"
    truncated.write_bytes(clip.read_bytes()[:-2000])
    out_folder = tmp_path / "out"
    if command == "detect":
        options = ("--json", "--save", out_folder)
    else:
        outputs = ("--save-video", out_folder / "truncated.avi", "--snapshot", out_folder / "s.png")
        options = ("--jsonl", "-", "--headless", *outputs)
    status, out, err = run(command, "--source", truncated, *options)
    assert status == 2
    assert 1 <= len(out) < 20
    assert [json.loads(line)["sequence"] for line in out] == list(range(len(out)))
    assert len(err) == 2
    assert err[1].startswith(f"edge-ssd: error: {truncated}: it is truncated: ")
    assert err[1].endswith(f"frames used: {len(out)}; copy the file again")
    capture = cv2.VideoCapture(str(out_folder / "truncated.avi"))
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == len(out), "the annotated video is complete"
    assert not [path for path in out_folder.iterdir() if path.name.startswith(".")]


def test_camera_writes_video_snapshot_and_lines(run: Run, clip: Path, tmp_path: Path) -> None:
    outputs = {name: tmp_path / "out" / name for name in ("seen.mp4", "last.jpg", "log.jsonl")}
    outputs["log.jsonl"].parent.mkdir()
    options = ("--save-video", outputs["seen.mp4"], "--snapshot", outputs["last.jpg"], "--jsonl", outputs["log.jsonl"])
    status, out, err = run("camera", "--source", clip, "--headless", *options)
    assert (status, out) == (0, [])
    (summary,) = err
    assert summary.startswith("edge-ssd: 20 frames; ")
    parts = (" fps; 0 dropped; 20 detections; ms p50/p95: capture ", ", preprocess 1.0/1.0, invoke 2.0/2.0, ")
    assert all(part in summary for part in (*parts, "age ", "draw ")), summary
    assert {path.name for path in (tmp_path / "out").iterdir()} == set(outputs)
    assert len(outputs["log.jsonl"].read_text().splitlines()) == 20


def test_camera_logs_once_that_it_runs_without_a_window(run: Run, images: Path) -> None:
    status, _, err = run("camera", "--source", images)
    assert status == 0
    assert err[0] == "edge-ssd: no window: there is no display (DISPLAY is not set); running headless (Ctrl-C ends it)"
    assert len(err) == 2


def test_camera_ends_at_its_limits(run: Run, clip: Path) -> None:
    status, out, err = run("camera", "--source", clip, "--headless", "--jsonl", "-", "--max-frames", 5)
    assert (status, len(out)) == (0, 5)
    assert err[0].startswith("edge-ssd: 5 frames; ")
    with MjpegServer(fps=30) as server:
        start = time.monotonic()
        status, _, err = run("camera", "--source", server.url, "--headless", "--duration", 0.5)
        assert status == 0
        assert 0.5 <= time.monotonic() - start < 5


def test_camera_skips_an_unreadable_image(run: Run, images: Path) -> None:
    (images / "aa.jpg").write_bytes(b"not an image")
    status, out, err = run("camera", "--source", images, "--headless", "--jsonl", "-")
    assert (status, len(out)) == (2, 2)
    assert str(images / "aa.jpg") in err[0]


BAD = {
    "missing file": ("{c} --source missing.mp4", "missing.mp4: no such source"),
    "missing folder": ("{c} --source missing/", "missing/: no such source"),
    "empty folder": ("{c} --source empty", "empty: no images in this folder"),
    "text as video": ("{c} --source text.mp4", "text.mp4: not a usable video"),
    "text as video, saved": ("detect --source text.mp4 --save out", "text.mp4: not a usable video"),
    "empty video": ("{c} --source empty.mp4", "empty.mp4: not a usable video: it is empty"),
    "no camera": ("camera --source 97 --headless --save-video out/v.mp4", "no camera at /dev/video97"),
    "no device": ("camera --source /dev/video97", "no camera at /dev/video97"),
    "no picamera2": ("camera --source picamera", "sudo apt install python3-picamera2"),
    "closed port": ("camera --source http://127.0.0.1:9/x", "no response from 127.0.0.1:9"),
    "no display": ("{a} --show", "--show: there is no display"),
    "save is a file": ("detect --source a.png --save text.mp4", "text.mp4: cannot write to this folder"),
    "save in /proc": ("detect --source a.png --save /proc/out", "/proc/out: cannot write to this folder"),
    "video in /proc": ("{a} --headless --save-video /proc/o/v.mp4", "/proc/o: cannot write to"),
    "video suffix": ("{a} --headless --save-video v.gif", "v.gif: unsupported video format"),
    "video over source": ("camera --source clip.avi --headless --save-video clip.avi", "would overwrite the source"),
    "lines over source": ("camera --source text.mp4 --headless --jsonl text.mp4", "would overwrite the source"),
    "lines over model": ("{a} --headless --jsonl text.mp4 --model text.mp4", "--jsonl would overwrite the model"),
    "snapshot suffix": ("{a} --headless --snapshot s.txt", "s.txt: unsupported image format"),
    "lines in a folder": ("{a} --headless --jsonl empty", "empty: cannot write to this file"),
    "zero stats interval": ("{a} --stats-every 0", "--stats-every must be a number over 0, got 0.0"),
    "stats-json alone": ("{a} --stats-json", "--stats-json needs --stats-every SECONDS"),
    "no config": ("camera --config none.toml", "none.toml: cannot read this file: No such file or directory; check"),
    "invalid config": ("camera --config text.mp4", "text.mp4: is not valid TOML: "),
    "zero frames": ("{a} --max-frames 0", "--max-frames must be a whole number from 1, got 0"),
    "width of a file": ("{a} --width 640", "a.png: width, height and fps are options of cameras only"),
    "bad width": ("{a} --width -5", "--width must be a whole number from 1, got -5"),
    "bad duration": ("{a} --duration nan", "--duration must be a number over 0, got nan"),
    "bad fps": ("{a} --fps 0", "--fps must be a number over 0, got 0.0"),
    "bad retries": ("{a} --retries -1", "--retries must be a whole number from 0, got -1"),
    "bad stall timeout": ("{a} --stall-timeout 0", "--stall-timeout must be a number over 0, got 0.0"),
    "no host": ("camera --source http:///x", "http:///x: invalid URL: its host or port is malformed; give http://"),
    "bad password": ("camera --source rtsp://me:pa/ss@cam/x", "rtsp://me:***@cam/x: invalid URL: its host or port"),
    "not a number": ("{a} --max-frames many", "argument --max-frames: invalid int value: 'many'"),
    "no source": ("detect", "the following arguments are required: --source"),
    "both": ("camera --show --headless", "not allowed with argument"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_gives_one_line_and_leaves_no_files(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clip: Path, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    Path("text.mp4").write_text("not a video\n" * 20)
    Path("empty.mp4").touch()
    Path("clip.avi").write_bytes(clip.read_bytes())
    Image.new("RGB", (30, 20)).save("a.png")
    before = {path: path.read_bytes() if path.is_file() else None for path in tmp_path.rglob("*")}
    line, expected = BAD[name]
    for command in ("detect", "camera") if "{c}" in line else ("",):
        status, out, err = run(*line.format(c=command, a="camera --source a.png").split())
        assert status == 2, (err, out)
        assert out == []
        (message,) = err
        assert message.startswith("edge-ssd")
        assert expected in message
        assert {path: path.read_bytes() if path.is_file() else None for path in tmp_path.rglob("*")} == before


def test_camera_goes_on_when_lines_cannot_be_written(run: Run, clip: Path, tmp_path: Path) -> None:
    snapshot = tmp_path / "last.png"
    status, out, err = run("camera", "--source", clip, "--headless", "--jsonl", "/dev/full", "--snapshot", snapshot)
    assert (status, out) == (2, [])
    warning, summary = err
    assert warning == (
        "edge-ssd: warning: /dev/full: cannot be written: No space left on device; "
        "detection goes on, retrying in 10 s, then less often"
    )
    assert summary.startswith("edge-ssd: 20 frames; ")
    assert snapshot.exists()


def test_camera_finishes_its_video_when_the_snapshot_cannot_be_saved(
    run: Run, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class FolderReplacer(RedDetector):
        def detect(self, image: np.ndarray, image_size: tuple[int, int] | None = None) -> Detections:
            if snapshot.parent.is_dir():
                shutil.rmtree(snapshot.parent)
                snapshot.parent.touch()
            return super().detect(image, image_size)

    monkeypatch.setattr(camera_command, "make_detector", lambda args: FolderReplacer())
    video, snapshot = tmp_path / "seen.avi", tmp_path / "removed" / "last.png"
    status, _, err = run("camera", "--source", clip, "--headless", "--save-video", video, "--snapshot", snapshot)
    assert status == 2
    assert err[0].startswith(f"edge-ssd: error: {snapshot}: cannot be written")
    assert err[1].startswith("edge-ssd: 20 frames; ")
    assert cv2.VideoCapture(str(video)).get(cv2.CAP_PROP_FRAME_COUNT) == 20


def test_config_file_sets_options(run: Run, clip: Path, tmp_path: Path) -> None:
    config = tmp_path / "camera.toml"
    config.write_text(f'source = "{clip}"\nheadless = true\njsonl = "-"\nmax_frames = 7\n')
    status, out, err = run("camera", "--config", config)
    assert (status, len(out)) == (0, 7), err
    status, out, _ = run("camera", f"--config={config}", "--max-frames", 3)
    assert (status, len(out)) == (0, 3)


def test_stats_every_prints_statistics(run: Run) -> None:
    with MjpegServer(fps=30) as server:
        options = ("camera", "--source", server.url, "--headless", "--duration", 0.8, "--stats-every", 0.15)
        status, _, text = run(*options)
        assert status == 0
        status, _, lines = run(*options, "--stats-json")
        assert status == 0
    assert len(text) >= 3
    assert all(line.startswith("edge-ssd: ") and " fps; " in line for line in text[-2:])
    assert len(lines) >= 3
    last = json.loads(lines[-2])
    assert last["frames"] > 0
    assert last["source"]["frames"] >= last["frames"]
    assert {"capture", "invoke", "detect", "age"} <= set(last["ms"])


@pytest.mark.parametrize("command", ["detect", "camera"])
def test_help_has_examples(run: Run, command: str) -> None:
    status, out, _ = run(command, "--help")
    assert status == 0
    text = "\n".join(out)
    assert f"  edge-ssd {command} --" in text
    assert "--score-threshold" in text


def test_error_of_the_detector_leaves_no_partial_file(
    run: Run, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Failing(RedDetector):
        count = 0

        def detect(self, image: np.ndarray, image_size: tuple[int, int] | None = None) -> Detections:
            self.count += 1
            if self.count == 5:
                raise OSError("the accelerator was unplugged")
            return super().detect(image, image_size)

    monkeypatch.setattr(camera_command, "make_detector", lambda args: Failing())
    video = tmp_path / "v.mp4"
    status, _, err = run("camera", "--source", clip, "--headless", "--save-video", video)
    assert (status, err) == (2, ["edge-ssd: error: the accelerator was unplugged"])
    assert list(tmp_path.iterdir()) == []


# In a process of its own, with real signals.


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
@pytest.mark.parametrize("kind", [MjpegServer, RtspServer])
@pytest.mark.parametrize("state", ["running", "stalled", "reconnecting"])
def test_signal_ends_camera_within_two_seconds_with_complete_files(
    tmp_path: Path, kind: type[MjpegServer], number: int, state: str
) -> None:
    video = tmp_path / "seen.mp4"
    with kind(fps=30) as server:
        process = start_python(
            FAKE, "camera", "--source", server.url, "--headless", "--jsonl", "-", "--save-video", video
        )
        lines = [process.stdout.readline() for _ in range(5)]
        assert all(lines), process.communicate(timeout=10)[1]  # It ended early, with an error.
        assert all(json.loads(line)["detections"] for line in lines)
        if state == "stalled":  # The read then cannot be interrupted.
            server.paused.set()
            time.sleep(0.2)
        if state == "reconnecting":
            server.stop()
            assert process.stderr.readline().startswith(f"edge-ssd: warning: lost {server.url}")
        out, err = stop(process, number)
    assert all(json.loads(line) for line in out.splitlines())
    assert err.splitlines()[-1].startswith("edge-ssd: ")
    assert [path.name for path in tmp_path.iterdir()] == ["seen.mp4"]
    assert cv2.VideoCapture(str(video)).get(cv2.CAP_PROP_FRAME_COUNT) >= 1


def test_signal_ends_the_wait_for_a_camera_that_does_not_respond(tmp_path: Path) -> None:
    with MjpegServer() as server:
        server.paused.set()
        process = start_python(FAKE, "camera", "--source", server.url, "--headless", "--save-video", tmp_path / "v.mp4")
        wait_until(lambda: server.connections)
        assert stop(process) == ("", "")
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_in_detect_keeps_saved_images(tmp_path: Path, clip: Path) -> None:
    image, many = tmp_path / "image.png", tmp_path / "many"
    Image.new("RGB", (640, 480), "red").save(image)
    many.mkdir()
    for number in range(2000):
        (many / f"{number:04}.png").symlink_to(image)
    process = start_python(FAKE, "detect", "--source", many, "--save", tmp_path / "out", "--json")
    for _ in range(5):
        process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=10)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert len(err.splitlines()) == 1
    saved = list((tmp_path / "out").iterdir())
    assert 5 <= len(saved) < 2000
    assert not [path for path in saved if path.name.startswith(".")]


def test_closed_pipe_ends_camera_with_complete_files(tmp_path: Path) -> None:
    with MjpegServer(fps=60) as server:
        video = tmp_path / "seen.avi"
        process = start_python(
            FAKE, "camera", "--source", server.url, "--headless", "--jsonl", "-", "--save-video", video
        )
        process.stdout.readline()
        process.stdout.close()
        err = process.stderr.read()
        process.stderr.close()
        assert process.wait(10) == 141
    assert err.startswith("edge-ssd: ")
    assert err.count("\n") == 1
    assert cv2.VideoCapture(str(video)).get(cv2.CAP_PROP_FRAME_COUNT) >= 1
