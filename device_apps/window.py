"""Window that shows annotated frames; q, ESC or its close button end the loop."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time

from device_apps.results import FrameResult
from device_apps.sources.opencv import load_opencv
from edge_ssd.errors import EdgeSSDError

__all__ = ["Window", "window_error"]

_ESCAPE = 27
_PROBE = "import cv2; cv2.namedWindow('edge-ssd'); cv2.destroyAllWindows()"


def window_error() -> str | None:
    """Return why no window can be opened, or None if one can.

    Tested in a child process: without a usable display, the window library aborts the process.
    """
    x11 = sys.platform.startswith("linux")
    if x11 and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return "there is no display (DISPLAY is not set)"
    try:
        probe = subprocess.run([sys.executable, "-c", _PROBE], capture_output=True, timeout=30, check=False)
    except subprocess.TimeoutExpired:
        return "the display does not respond"
    if probe.returncode == 0:
        return None
    if b"is not implemented" in probe.stderr:
        return "this OpenCV was built without windows (opencv-python-headless); opencv-python has them"
    return f"the display {os.environ.get('DISPLAY', '')!r} cannot be used" if x11 else "no window can be opened"


class Window:
    """Sink that shows each result; a context manager. Must be used in the main thread.

    ``fps`` is the maximum number shown per second, for recordings, which can be read faster; None for no limit.
    """

    def __init__(self, title: str, fps: float | None = None) -> None:
        # Qt warns about missing fonts, which are not used.
        os.environ.setdefault("QT_LOGGING_RULES", "*.warning=false")
        self._cv2 = load_opencv()
        self._title = title
        self._period = 1 / fps if fps else 0.0
        self._next = 0.0
        self._finished = False
        self._shown = False

    @property
    def finished(self) -> bool:
        return self._finished

    def write(self, result: FrameResult) -> None:
        cv2 = self._cv2
        image = cv2.cvtColor(result.annotated, cv2.COLOR_RGB2BGR)
        if not self._shown:
            self._open(image.shape[1], image.shape[0])
        cv2.imshow(self._title, image)
        self.idle()
        while not self._finished and (remaining := self._next - time.monotonic()) > 0:
            self._poll(min(remaining, 0.05))
        self._next = max(self._next, time.monotonic() - self._period) + self._period

    def idle(self) -> None:
        if self._shown:
            self._poll(0.001)

    def __enter__(self) -> Window:
        return self

    def __exit__(self, *error: object) -> None:
        if self._shown:
            with contextlib.suppress(self._cv2.error):
                self._cv2.destroyAllWindows()
            self._cv2.waitKey(1)  # Some window systems close a window only while they are polled.

    def _open(self, width: int, height: int) -> None:
        cv2 = self._cv2
        try:
            cv2.namedWindow(self._title, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL)
            cv2.resizeWindow(self._title, width, height)
        except cv2.error as error:
            raise EdgeSSDError(f"no window can be opened ({error.err}); use --headless") from None
        self._shown = True

    def _poll(self, seconds: float) -> None:
        cv2 = self._cv2
        key = cv2.waitKey(max(1, round(seconds * 1e3)))
        try:
            closed = cv2.getWindowProperty(self._title, cv2.WND_PROP_VISIBLE) < 1
        except cv2.error:  # Qt raises it for a closed window.
            closed = True
        self._finished = self._finished or closed or (key >= 0 and key & 0xFF in (_ESCAPE, ord("q"), ord("Q")))
