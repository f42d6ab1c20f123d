"""Recording on a full disk, with the command in a process of its own whose file size limit simulates the disk."""

from __future__ import annotations

import json
import resource
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest
from processes import FAKE, run_python

FRAMES = 160


@pytest.fixture(scope="module")
def noise(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Video of 160×120 that does not compress well."""
    path = tmp_path_factory.mktemp("noise") / "noise.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25, (160, 120))
    random = np.random.default_rng(0)
    for _ in range(FRAMES):
        writer.write(random.integers(0, 256, (120, 160, 3)).astype(np.uint8))
    writer.release()
    assert path.stat().st_size > FRAMES * 12_000
    return path


def record(source: Path, folder: Path, suffix: str, limit: int) -> tuple[list[str], list[str]]:
    """Return the lines of JSON and of stderr of a recording with files of at most ``limit`` bytes."""
    lines = folder / "seen.jsonl"
    options = [f"--jsonl={lines}", f"--save-video={folder / f'seen{suffix}'}", f"--source={source}"]
    set_limit = partial(resource.setrlimit, resource.RLIMIT_FSIZE, (limit, limit))
    done = run_python(FAKE, "camera", "--headless", *options, preexec_fn=set_limit)
    assert done.returncode == 2, done.stderr
    logged = [line for line in done.stderr.splitlines() if line.startswith("edge-ssd: ")]
    return lines.read_text().splitlines(), logged


@pytest.mark.parametrize("suffix", [".avi", ".mp4", ".mkv"])
def test_video_is_finished_before_the_disk_is_full_and_detection_goes_on(
    suffix: str, noise: Path, tmp_path: Path
) -> None:
    lines, logged = record(noise, tmp_path, suffix, 1_000_000)
    video = tmp_path / f"seen{suffix}"
    assert [json.loads(line)["sequence"] for line in lines] == list(range(FRAMES))
    warning, summary = logged
    assert warning.startswith(f"edge-ssd: warning: {video}: the disk is nearly full, so this video ends after ")
    assert warning.endswith(" frames; detection goes on, retrying in 10 s, then less often")
    assert summary.startswith(f"edge-ssd: {FRAMES} frames; ")
    written = int(warning.partition(" ends after ")[2].partition(" ")[0])
    assert 5 < written < FRAMES
    capture, count = cv2.VideoCapture(str(video)), 0
    while capture.grab():
        count += 1
    assert count == written
    assert {path.name for path in tmp_path.iterdir()} == {video.name, "seen.jsonl"}


def test_nothing_is_recorded_without_space_and_detection_goes_on(noise: Path, tmp_path: Path) -> None:
    lines, logged = record(noise, tmp_path, ".mp4", 300_000)
    assert len(lines) == FRAMES
    assert logged[0].startswith(
        f"edge-ssd: warning: {tmp_path / 'seen.mp4'}: not enough disk space to record: 0.3 MB free, 0.9 MB"
    )
    assert len(logged) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["seen.jsonl"]
