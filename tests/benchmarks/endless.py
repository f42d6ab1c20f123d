"""Readers that always have the next frame ready, and a sink that never ends the loop."""

from __future__ import annotations

from itertools import cycle
from pathlib import Path

import cv2
import numpy as np

from device_apps.sources.frames import Image

__all__ = ["CLIP", "Memory", "PassiveSink", "Video"]

CLIP = Path(__file__).resolve().parents[2] / "device_apps" / "clips" / "bananas.mp4"


class Memory:
    """Reader of frames in memory; not live, so that the loop processes every frame."""

    live, fps, time = False, None, None

    def __init__(self, images: list[Image]) -> None:
        self._images = cycle(images)

    def read(self) -> Image:
        return next(self._images).copy()

    def close(self) -> None:
        pass


class Video:
    """Reader that decodes a clip repeatedly."""

    live, fps, time = False, None, None

    def __init__(self, path: Path = CLIP) -> None:
        self._path = str(path)
        self._capture = cv2.VideoCapture(self._path)

    def read(self) -> Image:
        grabbed, image = self._capture.read()
        if not grabbed:
            self._capture.release()
            self._capture = cv2.VideoCapture(self._path)
            _, image = self._capture.read()
        return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)

    def close(self) -> None:
        self._capture.release()


class PassiveSink:
    """Base of sinks that do nothing between frames."""

    finished = False

    def idle(self) -> None:
        pass
