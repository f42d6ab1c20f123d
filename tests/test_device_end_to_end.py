"""The device commands with the shipped model on real pictures, nothing stood in for."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import REPOSITORY, skip_or_fail
from PIL import Image
from stream_servers import MjpegServer

from edge_ssd import cli
from edge_ssd.boxes import box_iou
from edge_ssd.errors import BundleError
from edge_ssd.runtime.models import default_model

NUMBER = 20


@pytest.fixture(autouse=True, scope="module")
def shipped_model() -> Path:
    try:
        return default_model()
    except BundleError as error:
        skip_or_fail(str(error))
        raise


@pytest.fixture(scope="module")
def labelled(shared_data: Path) -> dict[str, list[float]]:
    """The first pictures of the validation split, by path, and the box of the banana in each."""
    folder = shared_data / "bananas" / "bananas_val"
    with (folder / "label.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))[:NUMBER]
    sides = ("xmin", "ymin", "xmax", "ymax")
    return {str(folder / "images" / row["img_name"]): [float(row[side]) for side in sides] for row in rows}


@pytest.fixture
def pictures(labelled: dict[str, list[float]], tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number, path in enumerate(labelled):
        (folder / f"{number:03}.jpg").write_bytes(Path(path).read_bytes())
    return folder


def detect(capsys: pytest.CaptureFixture[str], *arguments: object) -> list[dict]:
    assert cli.main(["detect", "--json", *(str(argument) for argument in arguments)]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def best_boxes(lines: list[dict]) -> list[list[float]]:
    """The best box of each line; one of no size where nothing was found."""
    return [line["detections"][0]["box"] if line["detections"] else [0.0] * 4 for line in lines]


def overlaps(first: list[list[float]], second: list[list[float]]) -> np.ndarray:
    return np.array([box_iou(np.array([a]), np.array([b]))[0, 0] for a, b in zip(first, second, strict=True)])


def test_detect_finds_the_labelled_bananas(
    capsys: pytest.CaptureFixture[str], pictures: Path, labelled: dict[str, list[float]]
) -> None:
    lines = detect(capsys, "--source", pictures)
    assert [line["sequence"] for line in lines] == list(range(NUMBER))
    assert (overlaps(best_boxes(lines), list(labelled.values())) >= 0.5).mean() >= 0.8
    assert {found["label"] for line in lines for found in line["detections"]} == {"banana"}
    assert all(found["score"] >= 0.5 for line in lines for found in line["detections"])


@pytest.mark.parametrize("change", ["enlarge", "rotate by EXIF", "RGBA"])
def test_boxes_are_in_pixels_of_the_picture_as_it_is_seen(
    capsys: pytest.CaptureFixture[str], pictures: Path, tmp_path: Path, change: str
) -> None:
    changed = tmp_path / "changed"
    changed.mkdir()
    scale = np.ones(4)
    for path in pictures.iterdir():
        with Image.open(path) as picture:
            if change == "enlarge":
                scale = np.array([3, 2, 3, 2])
                picture.resize((256 * 3, 256 * 2), Image.Resampling.BICUBIC).save(changed / f"{path.stem}.png")
            elif change == "RGBA":
                picture.convert("RGBA").save(changed / f"{path.stem}.png")
            else:
                exif = Image.Exif()
                exif[0x0112] = 6  # Turn clockwise to see it upright.
                picture.transpose(Image.Transpose.ROTATE_90).save(changed / path.name, exif=exif, quality=95)
    original, seen = detect(capsys, "--source", pictures), detect(capsys, "--source", changed)
    sure = [i for i, line in enumerate(original) if line["detections"] and line["detections"][0]["score"] > 0.7]
    assert len(sure) >= NUMBER // 2
    expected = [(np.array(box) * scale).tolist() for box in best_boxes([original[i] for i in sure])]
    assert (overlaps(best_boxes([seen[i] for i in sure]), expected) > 0.75).mean() >= 0.9


def test_thresholds_and_limits_are_obeyed(capsys: pytest.CaptureFixture[str], pictures: Path) -> None:
    many = detect(capsys, "--source", pictures, "--score-threshold", 0.01)
    one = detect(capsys, "--source", pictures, "--score-threshold", 0.01, "--max-detections", 1)
    none = detect(capsys, "--source", pictures, "--score-threshold", 1)
    assert sum(len(line["detections"]) for line in many) > NUMBER
    assert [len(line["detections"]) for line in one] == [1] * NUMBER
    assert best_boxes(one) == best_boxes(many)
    assert not any(line["detections"] for line in none)


@pytest.mark.parametrize("command", ["detect", "camera"])
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("--score-threshold -0.1", "score_threshold must be a number from 0 to 1, got -0.1"),
        ("--iou-threshold 2", "iou_threshold must be a number from 0 to 1, got 2.0"),
        ("--max-detections 0", "max_detections must be a whole number from 1, got 0"),
        ("--classes banana apple", "no class 'apple'; its labels are banana"),
        ("--threads 0", "num_threads must be a whole number from 1"),
        ("--backend none", "argument --backend: invalid choice: 'none'"),
        ("--model missing.tflite", "missing.tflite: "),
        ("--model {readme}", "README.md: is not a .tflite file"),
        ("--model {cut}", "cut.tflite: "),
    ],
)
def test_bad_settings_get_one_line(
    capsys: pytest.CaptureFixture[str], pictures: Path, tmp_path: Path, command: str, options: str, expected: str
) -> None:
    cut = tmp_path / "cut.tflite"
    cut.write_bytes(default_model().read_bytes()[:-1000])
    line = options.format(readme=REPOSITORY / "README.md", cut=cut)
    output = ("--save", tmp_path / "out") if command == "detect" else ("--save-video", tmp_path / "out" / "v.mp4")
    status = cli.main([command, "--source", str(pictures), *map(str, output), *line.split()])
    out, err = capsys.readouterr()
    assert (status, out) == (2, "")
    assert expected in err
    assert err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def run_process(*arguments: object) -> subprocess.Popen[str]:
    """``python -m edge_ssd`` as a person without a display would run it."""
    environment = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY")}
    return subprocess.Popen(
        [sys.executable, "-m", "edge_ssd", *(str(argument) for argument in arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
        env=environment,
    )


def test_camera_on_a_clip_of_bananas(labelled: dict[str, list[float]], tmp_path: Path) -> None:
    clip = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(clip), cv2.VideoWriter.fourcc(*"MJPG"), 10, (256, 256))
    for path in labelled:
        writer.write(cv2.imread(path))
    writer.release()
    outputs = {name: tmp_path / name for name in ("seen.mp4", "last.png", "log.jsonl")}
    process = run_process(
        *("camera", "--source", clip, "--headless", "--save-video", outputs["seen.mp4"]),
        *("--snapshot", outputs["last.png"], "--jsonl", outputs["log.jsonl"]),
    )
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (0, ""), err
    lines = [json.loads(line) for line in outputs["log.jsonl"].read_text().splitlines()]
    assert (overlaps(best_boxes(lines), list(labelled.values())) >= 0.5).mean() >= 0.8
    assert set(lines[0]["ms"]) >= {"preprocess", "invoke", "postprocess", "detect", "age", "draw"}
    assert cv2.VideoCapture(str(outputs["seen.mp4"])).get(cv2.CAP_PROP_FRAME_COUNT) == NUMBER
    with Image.open(outputs["last.png"]) as picture:
        assert picture.size == (256, 256)
    assert f"edge-ssd: {NUMBER} frames; " in err
    assert "0 dropped" in err


def test_camera_on_a_stream_ends_on_ctrl_c() -> None:
    with MjpegServer(fps=30, size=(320, 240)) as server:
        process = run_process("camera", "--source", server.url, "--headless", "--jsonl", "-")
        assert process.stdout is not None
        lines = [json.loads(process.stdout.readline()) for _ in range(10)]
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=10)
    assert process.returncode == 0, err
    assert (lines[0]["width"], lines[0]["height"]) == (320, 240)
    sequences = [line["sequence"] for line in lines]
    assert sequences == sorted(set(sequences))
    assert "Traceback" not in err
