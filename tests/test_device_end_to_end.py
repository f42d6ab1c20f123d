"""The device commands with the shipped model on real images."""

from __future__ import annotations

import csv
import json
import signal
from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import REPOSITORY, skip_or_fail
from PIL import Image
from processes import run_python, start_python, stop
from stream_servers import MjpegServer

from edge_ssd import cli
from edge_ssd.boxes import box_iou
from edge_ssd.errors import BundleError
from edge_ssd.runtime.shipped_models import find_model

IMAGES = 20


@pytest.fixture(autouse=True, scope="module")
def shipped_model() -> Path:
    try:
        return find_model("banana")
    except BundleError as error:
        skip_or_fail(str(error))
        raise


@pytest.fixture(scope="module")
def labelled(shared_data: Path) -> dict[str, list[float]]:
    """Path of the first images of the validation split → box of its banana."""
    folder = shared_data / "bananas" / "bananas_val"
    with (folder / "label.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))[:IMAGES]
    sides = ("xmin", "ymin", "xmax", "ymax")
    return {str(folder / "images" / row["img_name"]): [float(row[side]) for side in sides] for row in rows}


@pytest.fixture
def images(labelled: dict[str, list[float]], tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    for number, path in enumerate(labelled):
        (folder / f"{number:03}.jpg").write_bytes(Path(path).read_bytes())
    return folder


def detect(capsys: pytest.CaptureFixture[str], *arguments: object) -> list[dict]:
    assert cli.main(["detect", "--json", *(str(argument) for argument in arguments)]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def best_boxes(lines: list[dict]) -> list[list[float]]:
    """Return the box with the highest score of each line; an empty box without detections."""
    return [line["detections"][0]["box"] if line["detections"] else [0.0] * 4 for line in lines]


def ious(first: list[list[float]], second: list[list[float]]) -> np.ndarray:
    return np.array([box_iou(np.array([a]), np.array([b]))[0, 0] for a, b in zip(first, second, strict=True)])


def test_detect_finds_the_labelled_bananas(
    capsys: pytest.CaptureFixture[str], images: Path, labelled: dict[str, list[float]]
) -> None:
    lines = detect(capsys, "--source", images)
    assert [line["sequence"] for line in lines] == list(range(IMAGES))
    assert (ious(best_boxes(lines), list(labelled.values())) >= 0.5).mean() >= 0.8
    assert {detection["label"] for line in lines for detection in line["detections"]} == {"banana"}
    assert all(detection["score"] >= 0.5 for line in lines for detection in line["detections"])


@pytest.mark.parametrize("change", ["enlarge", "rotate by EXIF", "RGBA"])
def test_boxes_are_in_pixels_of_the_upright_image(
    capsys: pytest.CaptureFixture[str], images: Path, tmp_path: Path, change: str
) -> None:
    changed = tmp_path / "changed"
    changed.mkdir()
    scale = np.ones(4)
    for path in images.iterdir():
        with Image.open(path) as image:
            if change == "rotate by EXIF":
                exif = Image.Exif()
                exif[0x0112] = 6  # Rotate clockwise to display.
                image.transpose(Image.Transpose.ROTATE_90).save(changed / path.name, exif=exif, quality=95)
                continue
            if change == "enlarge":
                scale = np.array([3, 2, 3, 2])
                image = image.resize((256 * 3, 256 * 2), Image.Resampling.BICUBIC)
            else:
                image = image.convert("RGBA")
            image.save(changed / f"{path.stem}.png", compress_level=1)
    original, transformed = detect(capsys, "--source", images), detect(capsys, "--source", changed)
    confident = [i for i, line in enumerate(original) if line["detections"] and line["detections"][0]["score"] > 0.7]
    assert len(confident) >= IMAGES // 2
    expected = [(np.array(box) * scale).tolist() for box in best_boxes([original[i] for i in confident])]
    assert (ious(best_boxes([transformed[i] for i in confident]), expected) > 0.75).mean() >= 0.9


def test_thresholds_and_limits_are_applied(capsys: pytest.CaptureFixture[str], images: Path) -> None:
    many = detect(capsys, "--source", images, "--score-threshold", 0.01)
    one = detect(capsys, "--source", images, "--score-threshold", 0.01, "--max-detections", 1)
    none = detect(capsys, "--source", images, "--score-threshold", 1)
    assert sum(len(line["detections"]) for line in many) > IMAGES
    assert [len(line["detections"]) for line in one] == [1] * IMAGES
    assert best_boxes(one) == best_boxes(many)
    assert not any(line["detections"] for line in none)


@pytest.mark.parametrize("command", ["detect", "camera"])
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("--score-threshold -0.1", "--score-threshold must be a number from 0 to 1, got -0.1"),
        ("--iou-threshold 2", "--iou-threshold must be a number from 0 to 1, got 2"),
        ("--max-detections 0", "max_detections must be a whole number from 1, got 0"),
        ("--classes banana pear", "no class 'pear'; its labels are apple, banana, orange"),
        ("--threads 0", "num_threads must be a whole number from 1"),
        ("--backend none", "argument --backend: invalid choice: 'none'"),
        ("--model missing.tflite", "missing.tflite: "),
        ("--model {readme}", "README.md: is not a .tflite file"),
        ("--model {truncated}", "truncated.tflite: "),
    ],
)
def test_bad_settings_give_one_line(
    capsys: pytest.CaptureFixture[str], images: Path, tmp_path: Path, command: str, options: str, expected: str
) -> None:
    truncated = tmp_path / "truncated.tflite"
    truncated.write_bytes(find_model("banana").read_bytes()[:-1000])
    line = options.format(readme=REPOSITORY / "README.md", truncated=truncated)
    output = ("--save", tmp_path / "out") if command == "detect" else ("--save-video", tmp_path / "out" / "v.mp4")
    status = cli.main([command, "--source", str(images), *map(str, output), *line.split()])
    out, err = capsys.readouterr()
    assert (status, out) == (2, "")
    assert expected in err
    assert err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_camera_finds_the_bananas_in_a_clip(labelled: dict[str, list[float]], tmp_path: Path) -> None:
    clip = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(clip), cv2.VideoWriter.fourcc(*"MJPG"), 10, (256, 256))
    for path in labelled:
        writer.write(cv2.imread(path))
    writer.release()
    outputs = {name: tmp_path / name for name in ("seen.mp4", "last.png", "log.jsonl")}
    options = ("--save-video", outputs["seen.mp4"], "--snapshot", outputs["last.png"], "--jsonl", outputs["log.jsonl"])
    process = run_python("-m", "edge_ssd", "camera", "--source", clip, "--headless", *options)
    assert (process.returncode, process.stdout) == (0, ""), process.stderr
    lines = [json.loads(line) for line in outputs["log.jsonl"].read_text().splitlines()]
    assert (ious(best_boxes(lines), list(labelled.values())) >= 0.5).mean() >= 0.8
    assert set(lines[0]["ms"]) >= {"preprocess", "invoke", "postprocess", "detect", "age", "draw"}
    assert cv2.VideoCapture(str(outputs["seen.mp4"])).get(cv2.CAP_PROP_FRAME_COUNT) == IMAGES
    with Image.open(outputs["last.png"]) as image:
        assert image.size == (256, 256)
    assert f"edge-ssd: {IMAGES} frames; " in process.stderr
    assert "0 dropped" in process.stderr


def test_camera_on_a_stream_ends_on_ctrl_c() -> None:
    with MjpegServer(fps=30, size=(320, 240)) as server:
        process = start_python("-m", "edge_ssd", "camera", "--source", server.url, "--headless", "--jsonl", "-")
        lines = [json.loads(process.stdout.readline()) for _ in range(10)]
        _, err = stop(process, signal.SIGINT, within_s=10)
    assert (lines[0]["width"], lines[0]["height"]) == (320, 240)
    sequences = [line["sequence"] for line in lines]
    assert sequences == sorted(set(sequences))
    assert "Traceback" not in err


def test_tiles_find_objects_that_the_whole_image_loses(
    capsys: pytest.CaptureFixture[str], labelled: dict[str, list[float]], tmp_path: Path
) -> None:
    mosaic = Image.new("RGB", (1024, 768), (90, 110, 130))
    for number, path in enumerate(list(labelled)[:12]):
        mosaic.paste(Image.open(path).resize((256, 256)), (number % 4 * 256, number // 4 * 256))
    (tmp_path / "mosaic").mkdir()
    mosaic.save(tmp_path / "mosaic" / "a.jpg", quality=95)
    (plain,) = detect(capsys, "--source", tmp_path / "mosaic")
    (tiled,) = detect(capsys, "--source", tmp_path / "mosaic", "--tiles", "4x3", "--tile-overlap", "0")
    assert len(tiled["detections"]) >= 8 > len(plain["detections"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--tiles", "3"], 'tiles must be like "2x2"'),
        (["--tiles", "3x3", "--tile-overlap", "2"], "overlap of tiles"),
        (["--tile-overlap", "0.1"], "--tile-overlap needs --tiles"),
        (["--tiles", "4x4px"], "choose larger ones"),
    ],
)
def test_invalid_tiles_are_one_line(
    capsys: pytest.CaptureFixture[str], images: Path, options: list[str], message: str
) -> None:
    assert cli.main(["detect", "--source", str(images), *options]) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("edge-ssd: error")]
    assert message in line
