"""Detect objects in the frames of a Raspberry Pi camera, in picamera2's callback: python picamera2_callback.py MODEL

picamera2 calls the function for each frame in the camera's thread. It must return quickly, or frames are lost: so it
only keeps the newest frame, and another thread detects.
"""

import contextlib
import queue
import sys
from typing import Any

import numpy as np
from picamera2 import MappedArray, Picamera2

from edge_ssd import Detector


def main(model: str, max_frames: int | None = None) -> None:
    newest: queue.Queue[np.ndarray] = queue.Queue(maxsize=1)

    def keep(request: Any) -> None:
        with MappedArray(request, "main") as mapped:
            frame = mapped.array.copy()  # the camera reuses the memory after the callback
        with contextlib.suppress(queue.Empty):
            newest.get_nowait()  # the detector is slower than the camera: the older frame is left out
        newest.put_nowait(frame)

    with Detector(model) as detector, Picamera2() as camera:
        # In picamera2, the format "RGB888" has its bytes in the order blue, green, red.
        camera.configure(camera.create_video_configuration(main={"size": (640, 480), "format": "RGB888"}))
        camera.post_callback = keep
        camera.start()
        number = 0
        while max_frames is None or number < max_frames:
            for detection in detector.detect(newest.get(timeout=10), color="bgr"):
                print(f"{detection.label} {detection.score:.2f}", flush=True)
            number += 1
        camera.stop()


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(sys.argv[1])
