"""A window that shows annotated frames. q, ESC or its close button end the loop."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from types import TracebackType

from device_apps.results import FrameResult
from device_apps.sources.opencv import load_opencv
from edge_ssd.errors import EdgeSSDError

__all__ = ["Window", "why_no_window"]

_ESCAPE = 27
_PROBE = "import cv2; cv2.namedWindow('edge-ssd'); cv2.destroyAllWindows()"


def why_no_window() -> str | None:
    """Why no window can be opened here, or None when one can.

    Tried in a child process: where there is no display, or not ours, the window library aborts the process.
    """
    x11 = sys.platform.startswith("linux")
    if x11 and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return "there is no display (DISPLAY is not set)"
    try:
        probe = subprocess.run([sys.executable, "-c", _PROBE], capture_output=True, timeout=30, check=False)
    except subprocess.TimeoutExpired:
        return "the display does not answer"
    if probe.returncode == 0:
        return None
    if b"is not implemented" in probe.stderr:
        return "this OpenCV was built without windows (opencv-python-headless); opencv-python has them"
    return f"the display {os.environ.get('DISPLAY', '')!r} cannot be used" if x11 else "no window can be opened"


class Window:
    """Shows each result. A context manager; must be used in the main thread.

    Args:
        title: of the window.
        fps: hold recordings to this pace, since they can be read faster than life; None shows each at once.
    """

    def __init__(self, title: str, fps: float | None = None) -> None:
        os.environ.setdefault("QT_LOGGING_RULES", "*.warning=false")  # Qt's talk of fonts, of which we use none.
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
        picture = cv2.cvtColor(result.annotated, cv2.COLOR_RGB2BGR)
        if not self._shown:
            self._open(picture.shape[1], picture.shape[0])
        cv2.imshow(self._title, picture)
        self.idle()
        while not self._finished and (left := self._next - time.monotonic()) > 0:
            self._poll(min(left, 0.05))
        self._next = max(self._next, time.monotonic() - self._period) + self._period

    def idle(self) -> None:
        if self._shown:
            self._poll(0.001)

    def __enter__(self) -> Window:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._shown:
            with contextlib.suppress(self._cv2.error):
                self._cv2.destroyAllWindows()
            self._cv2.waitKey(1)  # Some window systems close a window only while they are being polled.

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
        except cv2.error:  # With Qt a closed window is no longer known.
            closed = True
        self._finished = self._finished or closed or (key >= 0 and key & 0xFF in (_ESCAPE, ord("q"), ord("Q")))
