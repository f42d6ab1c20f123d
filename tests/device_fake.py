"""The device commands with a fake detector that needs no model: ``python device_fake.py camera --source …``.

Tests of the programs around the detector run it, or import :class:`RedDetector`.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from edge_ssd.network import tiny_ssd
from edge_ssd.runtime.detections import Detections


class RedDetector:
    """Fake detector that finds the bounding box of all red pixels."""

    labels = ("red",)
    network = tiny_ssd(labels)
    reduced_input = network.input
    tiles = None

    def __init__(self) -> None:
        self.timings: dict[str, float] = {}

    def detect(self, image: np.ndarray, image_size: tuple[int, int] | None = None) -> Detections:
        assert image.dtype == np.uint8
        assert image.shape[2:] == (3,)
        values = image.astype(np.int16)
        red = (values[..., 0] > 150) & (values[..., 1] < 100) & (values[..., 2] < 100)
        rows, columns = np.flatnonzero(red.any(axis=1)), np.flatnonzero(red.any(axis=0))
        self.timings = {"preprocess": 0.001, "invoke": 0.002, "postprocess": 0.0005}
        boxes = np.zeros((0, 4), np.float32)
        if rows.size:
            boxes = np.array([[columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]], np.float32)
        height, width = image_size or image.shape[:2]
        boxes *= np.array([width / image.shape[1], height / image.shape[0]] * 2, np.float32)
        number = len(boxes)
        return Detections(
            boxes,
            np.full(number, 0.875, np.float32),
            np.zeros(number, np.int64),
            ["red"] * number,
            (height, width),
        )

    def share(self, **settings: object) -> RedDetector:
        return RedDetector()

    def __enter__(self) -> RedDetector:
        return self

    def __exit__(self, *error: object) -> None:
        pass


def main() -> int:
    from device_apps import camera_command, detect_command
    from edge_ssd import cli

    for command in (camera_command, detect_command):
        command.make_detector = lambda args: RedDetector()
    return cli.main()


def write_moving_square(folder: Path, number: int) -> None:
    """Write images 0.png, 1.png … of a red square that moves to the right; ``folder`` is created."""
    folder.mkdir()
    for i in range(number):
        image = np.zeros((60, 100, 3), np.uint8)
        image[20:40, 8 * i : 8 * i + 20, 0] = 255
        Image.fromarray(image).save(folder / f"{i}.png")


if __name__ == "__main__":
    sys.exit(main())
