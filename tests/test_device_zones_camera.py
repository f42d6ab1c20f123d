"""Zones in the camera command: real files, the frames of a folder, a detector that finds red."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from device_fake import RedDetector, write_moving_square
from PIL import Image

from device_apps import camera_command
from device_apps.zones.masking import MASK_GREY
from edge_ssd import cli

CONFIG = """\
headless = true
enter-after = "2f"

[[zones]]
name = "left"
points = [[0.0, 0.0], [0.5, 0.0], [0.5, 1.0], [0.0, 1.0]]

[[zones]]
name = "two"
points = [[0, 0], [1, 1]]

[[lines]]
name = "door"
points = [[0.5, 0.0], [0.5, 1.0]]
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Ten images of a red square that moves to the right, and another that does not move."""
    monkeypatch.setattr(camera_command, "make_detector", lambda args: RedDetector())
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    write_moving_square(tmp_path / "images", 10)
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *options: str) -> tuple[int, list[str], list[str]]:
    status = cli.main(["camera", "--source", "images", *options])
    out, err = capsys.readouterr()
    return status, out.splitlines(), err.splitlines()


def test_motion_gate_repeats_detections_in_events_and_statistics(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = []
    for left in (None, *[20] * 60, *[None] * 40):  # An object comes and stays for six seconds.
        image = np.full((60, 100, 3), 120, np.uint8)
        if left is not None:
            image[20:40, left : left + 20] = (255, 0, 0)
        images.append(Image.fromarray(image))
    # GIF merges frames that are equal, so one pixel differs.
    for number, image in enumerate(images):
        image.putpixel((0, 0), (number, 0, 0))
    images[0].save("still.gif", save_all=True, append_images=images[1:], duration=100)
    events = {}
    for gate in ((), ("--motion-gate", "--motion-gate-interval", "2")):
        options = ["--source", "still.gif", "--headless", "--events", "seen.jsonl", "--jsonl", "frames.jsonl", *gate]
        assert cli.main(["camera", *options]) == 0
        err = capsys.readouterr().err
        lines = (folder / "seen.jsonl").read_text().splitlines()[-2:]
        events[bool(gate)] = [(event["kind"], event["sequence"]) for event in map(json.loads, lines)]
    assert events[True] == events[False]
    assert [kind for kind, _ in events[True]] == ["enter", "leave"]
    assert " 101 frames; " in f" {err.split('edge-ssd: ')[-1]}"
    still = int(err.split(" still; ")[0].split("; ")[-1])
    assert 75 <= still <= 90
    frames = [json.loads(line) for line in (folder / "frames.jsonl").read_text().splitlines()]
    assert len(frames) == 202, "every frame has a line"
    assert sum("gate" in frame["ms"] and "invoke" not in frame["ms"] for frame in frames) == still
    status, _, err = run(capsys, "--motion-gate", "--motion-gate-interval", "0")
    assert (status, err[-1]) == (2, "edge-ssd: error: --motion-gate-interval must be a number over 0, got 0.0")


def test_config_with_zones_gives_their_events(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "camera.toml").write_text(CONFIG)
    counts = folder / "counts.json"
    for runs in (1, 2):
        options = ["--config", "camera.toml", "--events", "seen.jsonl", "--counts-file", str(counts)]
        status, _, err = run(capsys, *options, "--snapshot", "last.png")
        assert status == 0, err
        assert err[0].endswith("zone 'two': a polygon needs at least 3 points, got 2; it is left out")
        assert len(err) == 2
        assert json.loads(counts.read_text())["lines"] == {"door": {"red": [0, runs]}}
        assert json.loads(counts.read_text())["zones"] == {"left": {"red": runs}}
    events = [json.loads(line) for line in (folder / "seen.jsonl").read_text().splitlines()]
    assert [event["kind"] for event in events[:5]] == ["enter", "zone_enter", "line_cross", "zone_leave", "leave"]
    assert events[2]["direction"] == "out"
    with Image.open("last.png") as image:
        assert len({tuple(pixel) for pixel in np.asarray(image).reshape(-1, 3).tolist()}) > 3


def test_recording_starts_at_zero_without_a_counts_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "camera.toml").write_text(CONFIG)
    assert run(capsys, "--config", "camera.toml")[0] == 0
    assert not (folder / "state").exists()


def test_mask_hides_objects_and_what_is_saved(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "zones.toml").write_text("[[masks]]\npoints = [[0, 0], [1, 0], [1, 0.8], [0, 0.8]]\n")
    options = ["--headless", "--zones-file", "zones.toml", "--jsonl", "-", "--snapshot", "last.png"]
    status, out, err = run(capsys, *options)
    assert status == 0, err
    assert [json.loads(line)["detections"] for line in out] == [[]] * 10
    with Image.open("last.png") as image:
        pixels = np.asarray(image)
    assert (pixels[:48] == MASK_GREY).all()
    assert not (pixels[..., 0] == 255).any()


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("", "--zones-file none.toml", "none.toml: no such file; check --zones-file, or save zones in it with --web"),
        ("[[zones", "--zones-file z.toml", "z.toml: is not valid TOML: "),
        ("x = 1", "--zones-file z.toml", "z.toml: unknown key 'x'; expected [[zones]], [[lines]], [[masks]]"),
        ("[[masks]]\npoints = []", "--zones-file z.toml", "mask 1: a polygon needs at least 3 points, got 0"),
        ("[[zone]]\nname = 1", "--config z.toml", "z.toml: there is no setting 'zone'; did you mean 'zones'?"),
        ("a = " + "1" * 5000, "--config z.toml", "z.toml: is not valid TOML: "),
    ],
)
def test_invalid_files_are_refused_in_one_line(
    text: str, options: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("z.toml").write_text(text)
    status, out, err = run(capsys, "--headless", *options.split())
    assert (status, out, len(err)) == (2, [], 1), err
    assert message in err[0]


def test_empty_zones_file_is_logged(capsys: pytest.CaptureFixture[str]) -> None:
    Path("z.toml").write_text("")
    status, _, err = run(capsys, "--headless", "--zones-file", "z.toml")
    assert status == 0
    assert err[0] == "edge-ssd: z.toml: has no zones yet"
