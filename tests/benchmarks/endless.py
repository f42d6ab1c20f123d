"""Sources that always have the next frame ready, for benchmarks that go on as fast as they can."""

from __future__ import annotations

from itertools import cycle
from pathlib import Path

import cv2
import numpy as np

from device_apps.sources.frames import Image

__all__ = ["CLIP", "Memory", "Video"]

CLIP = Path(__file__).resolve().parents[2] / "device_apps" / "clips" / "bananas.mp4"


class Memory:
    """A grabber of frames that lie in memory; a recording, so that the loop sees every one."""

    live, fps = False, None

    def __init__(self, images: list[Image]) -> None:
        self._images = cycle(images)

    def read(self) -> Image:
        return next(self._images).copy()

    def close(self) -> None:
        pass


class Video:
    """A grabber that decodes a clip from the start again whenever it ends."""

    live, fps = False, None

    def __init__(self, path: Path = CLIP) -> None:
        self._path = str(path)
        self._capture = cv2.VideoCapture(self._path)

    def read(self) -> Image:
        grabbed, picture = self._capture.read()
        if not grabbed:
            self._capture.release()
            self._capture = cv2.VideoCapture(self._path)
            _, picture = self._capture.read()
        return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8)

    def close(self) -> None:
        self._capture.release()
