"""Peak resident memory of the camera loop.

    python tests/benchmarks/loop_memory.py [MODEL ...] [--python PATH ...]

``edge-ssd camera --headless`` with one thread, on 200 frames of 640×480, in a process of its own: from a folder of
images, for which OpenCV is not imported (nor for a CSI camera), from a video, for which it is, and from the video with
everything on: four zones and two lines, events, snapshots, clips, the web preview and collecting. MODEL is a bundle or
the name of a shipped model; PATH is the Python of another environment of the project, such as
``.venv-tflite/bin/python`` for tflite-runtime. Linux only.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from arm.feature_stages import zone_tables
from mqtt_broker import free_port

from edge_ssd.runtime.bundle import read_bundle
from edge_ssd.runtime.resize import numpy_resize
from edge_ssd.runtime.shipped_models import find_model

_FRAME, _FRAMES, _FPS = (480, 640), 200, 30.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", default=["banana"], metavar="MODEL")
    parser.add_argument("--python", nargs="+", default=[sys.executable], metavar="PATH")
    args = parser.parse_args()
    print("| model | Python | folder of images | video (OpenCV) | everything on |\n|---|---|---:|---:|---:|")
    for model in map(find_model, args.models):
        with tempfile.TemporaryDirectory() as folder:
            images, video = sources(read_bundle(model).selftest.image, Path(folder))
            for python in args.python:
                peaks = [peak_bytes(python, model, source) for source in (images, video)]
                peaks.append(peak_bytes(python, model, video, *everything(Path(folder))))
                cells = " | ".join(f"{peak / 1e6:.0f} MB" for peak in peaks)
                print(f"| {model.stem} | {python} | {cells} |", flush=True)


def sources(image: np.ndarray, folder: Path) -> tuple[Path, Path]:
    """Write an image that moves, as files and as a video; return both paths."""
    frame = numpy_resize(image, _FRAME)
    images, video = folder / "images", folder / "video.avi"
    images.mkdir()
    writer = cv2.VideoWriter(str(video), cv2.VideoWriter.fourcc(*"MJPG"), _FPS, _FRAME[::-1])
    for number in range(_FRAMES):
        moved = np.roll(frame, number, axis=1)
        Image.fromarray(moved).save(images / f"{number:03}.jpg")
        writer.write(np.ascontiguousarray(moved[..., ::-1]))
    writer.release()
    return images, video


def everything(folder: Path) -> list[str]:
    """Return the options of all outputs."""
    config, tables = folder / "camera.toml", zone_tables()
    text = []
    for kind, rows in tables.items():
        for row in rows:
            text.append(f"[[{kind}]]")
            text += [f"{key} = {json.dumps(value)}" for key, value in row.items()]
    config.write_text("\n".join(text) + "\n")
    options = [f"--config={config}", f"--events={folder}/events.jsonl", f"--event-snapshots={folder}/snapshots"]
    options += [f"--event-clips={folder}/clips", f"--collect={folder}/collected", f"--web={free_port()}"]
    return options


def peak_bytes(python: str, model: Path, source: Path, *more: str) -> int:
    """Return VmHWM of the loop, polled until it ends. (getrusage of a child includes the memory of its parent.)"""
    options = ["--headless", "--threads=1", f"--model={model}", f"--source={source}", *more]
    command = [python, "-m", "edge_ssd", "camera", *options]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        peak = 0
        while process.poll() is None:
            status = Path(f"/proc/{process.pid}/status").read_text()
            match = re.search(r"VmHWM:\s+(\d+) kB", status)
            peak = max(peak, int(match[1]) * 1024 if match else 0)
            time.sleep(0.005)
        if process.returncode:
            assert process.stderr is not None
            sys.exit(process.stderr.read())
    return peak


if __name__ == "__main__":
    main()
