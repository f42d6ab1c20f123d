"""A recording on a disk that fills up, on the real command; a limit on the size of files stands in for the disk."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import REPOSITORY
from real_model import real_model

LIMIT = 150_000  # bytes; the whole video is more than twice that


@pytest.mark.parametrize("suffix", [".avi", ".mp4", ".mkv"])
def test_a_video_that_does_not_fit_is_not_left_as_if_it_were_whole(suffix: str, tmp_path: Path) -> None:
    video = tmp_path / f"seen{suffix}"
    command = [sys.executable, "-m", "edge_ssd", "camera", "--headless", f"--save-video={video}"]
    command += [f"--source={REPOSITORY / 'device_apps' / 'clips' / 'bananas.mp4'}", f"--model={real_model()}"]
    done = subprocess.run(
        command,
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, LIMIT)),
    )
    assert done.returncode == 2, done.stderr
    assert f"{video}: the video was not written whole; is the disk full?" in done.stderr
    assert list(tmp_path.iterdir()) == []
