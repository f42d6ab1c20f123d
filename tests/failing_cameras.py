"""Cameras that fail in the ways of a driver's library; opened in the child process of a ProcessReader."""

from __future__ import annotations

import os
import signal
import threading

import numpy as np

from edge_ssd.errors import SourceError


class FailingCamera:
    """Camera whose frame number N is an image of N + 1 rows, until ``frames``; then it fails as ``failure`` says."""

    live = True
    fps = 12.5
    time = None

    def __init__(self, failure: str, frames: int) -> None:
        self.failure = failure
        self.frames = frames
        self.count = 0
        print("a library prints to standard output")
        if frames < 0:
            fail(failure)

    def read(self) -> np.ndarray | None:
        if self.count == self.frames:
            fail(self.failure)
            return None
        self.count += 1
        return np.full((self.count, 8, 3), self.count, np.uint8)[:, ::2]  # As rows with padding: not contiguous.

    def close(self) -> None:
        if self.failure == "hang at close":
            threading.Event().wait()


def fail(failure: str) -> None:
    if failure == "hang":
        threading.Event().wait()
    elif failure == "abort":
        os.abort()
    elif failure == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif failure == "exit":
        os._exit(3)
    elif failure == "unplugged":
        raise SourceError("camera 7: unplugged")
    elif failure == "bug":
        raise ValueError("no such format")
