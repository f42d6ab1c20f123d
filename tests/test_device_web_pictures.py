"""The encoder behind the live picture: who gets what, and when nothing is made."""

from __future__ import annotations

import asyncio
import sys
import threading
import time

import numpy as np
import pytest
from web_client import picture

from device_apps.results import FrameResult
from device_apps.sources.frames import Frame
from device_apps.web import frame_encoder as web_pictures
from device_apps.web.frame_encoder import FrameEncoder
from device_apps.web.jpeg import FULL, PREVIEW, JpegProfile, draw_result, encode
from device_apps.web.status import SILENT_S, Status, status_of
from edge_ssd.runtime.detections import Detections


def result(
    width: int = 80, height: int = 60, grey: int = 100, box: tuple[float, ...] = (20, 30, 60, 50)
) -> FrameResult:
    detections = Detections(
        np.array([box], np.float32), np.array([0.9], np.float32), np.array([0]), ["thing"], (height, width)
    )
    return FrameResult(Frame(np.full((height, width, 3), grey, np.uint8), 0, time.monotonic(), "test"), detections, {})


@pytest.mark.parametrize("opencv", [True, False])
def test_pictures_are_scaled_then_drawn(opencv: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if opencv:
        import cv2

        monkeypatch.setitem(sys.modules, "cv2", cv2)
    else:
        monkeypatch.delitem(sys.modules, "cv2", raising=False)
    image = draw_result(result(1280, 960, box=(320, 480, 960, 800)), PREVIEW)
    assert image.shape == (480, 640, 3)
    changed = (image != 100).any(axis=2)
    rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
    assert (rows[-1], columns[0], columns[-1]) == (400, 160, 480), "half of everything, the label is above"
    decoded = picture(encode(image, 75))
    assert decoded.shape == image.shape
    assert np.abs(decoded.astype(int) - image).mean() < 3, "red is red and blue is blue"


def test_small_and_full_pictures_keep_their_size() -> None:
    assert draw_result(result(640, 100), PREVIEW).shape == (100, 640, 3)
    assert draw_result(result(1280, 960), FULL).shape == (960, 1280, 3)
    assert draw_result(result(2, 5000), PREVIEW).shape == (640, 1, 3), "never without a pixel"


def test_drawing_changes_nothing_in_the_result() -> None:
    shared = result(1280, 960)
    draw_result(shared, PREVIEW)
    assert (shared.frame.image == 100).all()
    assert shared.milliseconds == {}


class Viewer:
    """Asks for pictures in an event loop, as the server does."""

    def __init__(self, pictures: FrameEncoder) -> None:
        self._pictures = pictures
        self._loop = asyncio.new_event_loop()
        pictures.serve(self._loop)

    def newer(self, number: int = 0, kind: JpegProfile = PREVIEW, timeout: float = 30.0) -> web_pictures.Picture:
        return self._loop.run_until_complete(asyncio.wait_for(self._pictures.newer(kind, number), timeout))

    def close(self) -> None:
        self._loop.close()


def test_the_newest_result_is_given_and_never_twice() -> None:
    drawn: list[str] = []
    with FrameEncoder(1000, lambda stage, milliseconds: drawn.append(stage)) as pictures:
        viewer = Viewer(pictures)
        pictures.write(result(grey=50))
        pictures.write(result(grey=200))
        first = viewer.newer()
        assert first.number == 2
        assert picture(first.jpeg)[0, 0].tolist() == [200, 200, 200]
        with pytest.raises(asyncio.TimeoutError):
            viewer.newer(first.number, timeout=0.2)
        assert viewer.newer() == first, "who comes later sees it too"
        pictures.write(result(grey=50))
        assert viewer.newer(first.number).number == 3
        assert drawn == ["draw", "draw"]
        viewer.close()


def test_a_viewer_waits_for_the_first_result() -> None:
    with FrameEncoder(1000) as pictures:
        viewer = Viewer(pictures)
        threading.Timer(0.1, pictures.write, (result(),)).start()
        assert viewer.newer().number == 1
        viewer.close()


def test_a_snapshot_beside_the_live_picture() -> None:
    with FrameEncoder(1000) as pictures:
        viewer = Viewer(pictures)
        pictures.write(result(1280, 960))
        preview = viewer.newer()
        assert picture(viewer.newer(kind=FULL).jpeg).shape == (960, 1280, 3)
        with pytest.raises(asyncio.TimeoutError):
            viewer.newer(preview.number, timeout=0.1)
        viewer.close()


def test_without_viewers_nothing_is_made() -> None:
    drawn: list[str] = []
    with FrameEncoder(1000, lambda stage, milliseconds: drawn.append(stage)) as pictures:
        for _ in range(100):
            pictures.write(result())
        time.sleep(0.2)
        assert drawn == []
        assert not pictures._hungry, "nor is the thread woken up"


def test_writing_takes_no_time() -> None:
    with FrameEncoder(10) as pictures:
        one = result()
        taken = []
        for _ in range(1000):
            start = time.perf_counter()
            pictures.write(one)
            taken.append(time.perf_counter() - start)
        assert sorted(taken)[500] < 1e-3, "half of them; a millisecond is five hundred times what it takes"


def test_what_cannot_be_encoded_is_said_once_and_the_next_is(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = True

    def encode_or_fail(image: np.ndarray, quality: int) -> bytes:
        if broken:
            raise ValueError("no")
        return b"jpeg"

    monkeypatch.setattr(web_pictures, "encode", encode_or_fail)
    notices: list[str] = []
    with FrameEncoder(1000, notice=notices.append) as pictures:
        viewer = Viewer(pictures)
        for _ in range(3):
            pictures.write(result())
            with pytest.raises(asyncio.TimeoutError):
                viewer.newer(timeout=0.1)
        assert notices == ["web: a picture cannot be encoded: ValueError: no"]
        broken = False
        pictures.write(result())
        assert viewer.newer().jpeg == b"jpeg"
        viewer.close()


def test_it_ends_at_once_and_after_the_server() -> None:
    with FrameEncoder(0.001) as pictures:  # A picture in a thousand seconds.
        viewer = Viewer(pictures)
        pictures.write(result())
        viewer.newer()
        viewer.close()
    assert not pictures._thread.is_alive()


def test_status() -> None:
    pictures = FrameEncoder(10)
    assert status_of(pictures, True) == Status("starting", False, "no frame yet")
    pictures.idle()
    assert status_of(pictures, True) == Status("starting", False, "no frame yet")
    pictures.write(result())
    now = pictures.last_result_at
    assert now is not None
    assert status_of(pictures, True, now + SILENT_S) == Status("live", True)
    lost = status_of(pictures, False, now + 3)
    assert (lost.state, lost.healthy) == ("reconnecting", True), "not yet for long"
    # The loop turns, and no frame comes.
    pictures.last_turn_at = now + 11
    assert status_of(pictures, True, now + 11) == Status("stalled", False, "no frame for 11 s")
    gone = status_of(pictures, False, now + 11)
    assert gone == Status("reconnecting", False, "the source is lost and is being opened again; no frame for 11 s")
    # The loop does not turn either.
    assert status_of(pictures, True, now + 30) == Status("stalled", False, "the loop has stood still for 19 s")
