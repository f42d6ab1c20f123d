"""The frame encoder: which viewer gets which frame, and when nothing is encoded."""

from __future__ import annotations

import asyncio
import io
import sys
import threading
import time
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image as PillowImage
from web_client import decode_jpeg

from device_apps.jpeg import encode_jpeg
from device_apps.results import FrameResult
from device_apps.sources.deferred_image import DeferredImage
from device_apps.sources.frames import Frame
from device_apps.sources.jpeg_frame import decode_frame
from device_apps.web.live import frame_encoder, jpeg
from device_apps.web.live.frame_encoder import EncodedFrame, FrameEncoder
from device_apps.web.live.jpeg import FULL, PREVIEW, JpegProfile, render
from device_apps.web.monitoring import Status, loop_status
from edge_ssd.network import InputSpec
from edge_ssd.runtime.detections import Detections


def result(
    width: int = 80, height: int = 60, grey: int = 100, box: tuple[float, ...] = (20, 30, 60, 50)
) -> FrameResult:
    detections = Detections(
        np.array([box], np.float32), np.array([0.9], np.float32), np.array([0]), ["thing"], (height, width)
    )
    return FrameResult(Frame(np.full((height, width, 3), grey, np.uint8), 0, time.monotonic(), "test"), detections, {})


@pytest.mark.parametrize("opencv", [True, False])
def test_render_scales_before_drawing(opencv: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if opencv:
        import cv2

        monkeypatch.setitem(sys.modules, "cv2", cv2)
    else:
        monkeypatch.delitem(sys.modules, "cv2", raising=False)
    image = render(result(1280, 960, box=(320, 480, 960, 800)), PREVIEW)
    assert image.shape == (480, 640, 3)
    changed = (image != 100).any(axis=2)
    rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
    assert (rows[-1], columns[0], columns[-1]) == (400, 160, 480), "half of everything, the label is above"
    decoded = decode_jpeg(encode_jpeg(image, 75))
    assert decoded.shape == image.shape
    assert np.abs(decoded.astype(int) - image).mean() < 3, "red is red and blue is blue"


def test_render_keeps_small_and_full_sizes() -> None:
    assert render(result(640, 100), PREVIEW).shape == (100, 640, 3)
    assert render(result(1280, 960), FULL).shape == (960, 1280, 3)
    assert render(result(2, 5000), PREVIEW).shape == (640, 1, 3), "never without a pixel"


def test_render_does_not_modify_the_result() -> None:
    shared = result(1280, 960)
    render(shared, PREVIEW)
    assert (shared.frame.image == 100).all()
    assert shared.milliseconds == {}


class Viewer:
    """Requests frames of an encoder, which it runs, in an event loop, as the server does; a context manager."""

    def __init__(self, fps: float = 1000, *record: Callable[[str, float], None]) -> None:
        self.encoder = FrameEncoder(fps, *record)
        self._loop = asyncio.new_event_loop()
        self.encoder.attach(self._loop)

    def next_frame(self, after: int = 0, profile: JpegProfile = PREVIEW, timeout: float = 30.0) -> EncodedFrame:
        return self._loop.run_until_complete(asyncio.wait_for(self.encoder.next_frame(profile, after), timeout))

    def __enter__(self) -> Viewer:
        self.encoder.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._loop.close()
        self.encoder.__exit__(*error)


def test_next_frame_returns_the_newest_result_once() -> None:
    drawn: list[str] = []
    with Viewer(1000, lambda stage, milliseconds: drawn.append(stage)) as viewer:
        viewer.encoder.write(result(grey=50))
        viewer.encoder.write(result(grey=200))
        first = viewer.next_frame()
        assert first.number == 2
        assert decode_jpeg(first.jpeg)[0, 0].tolist() == [200, 200, 200]
        with pytest.raises(asyncio.TimeoutError):
            viewer.next_frame(first.number, timeout=0.2)
        assert viewer.next_frame() == first, "later viewers get it too"
        viewer.encoder.write(result(grey=50))
        assert viewer.next_frame(first.number).number == 3
        assert drawn == ["draw", "draw"]


def test_next_frame_waits_for_the_first_result() -> None:
    with Viewer() as viewer:
        threading.Timer(0.1, viewer.encoder.write, (result(),)).start()
        assert viewer.next_frame().number == 1


def test_profiles_are_encoded_independently() -> None:
    with Viewer() as viewer:
        viewer.encoder.write(result(1280, 960))
        preview = viewer.next_frame()
        assert decode_jpeg(viewer.next_frame(profile=FULL).jpeg).shape == (960, 1280, 3)
        with pytest.raises(asyncio.TimeoutError):
            viewer.next_frame(preview.number, timeout=0.1)


def test_nothing_is_encoded_without_viewers() -> None:
    drawn: list[str] = []
    with FrameEncoder(1000, lambda stage, milliseconds: drawn.append(stage)) as encoder:
        for _ in range(100):
            encoder.write(result())
        time.sleep(0.2)
        assert drawn == []
        assert not encoder._waiting, "and the thread is not woken"


def test_write_takes_less_than_a_millisecond() -> None:
    with FrameEncoder(10) as encoder:
        one = result()
        seconds = []
        for _ in range(1000):
            start = time.perf_counter()
            encoder.write(one)
            seconds.append(time.perf_counter() - start)
        assert sorted(seconds)[500] < 1e-3, "the median; usually 2 µs"


def test_encoding_errors_are_logged_once(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    broken = True

    def encode_or_fail(image: np.ndarray, quality: int) -> bytes:
        if broken:
            raise ValueError("no")
        return b"jpeg"

    monkeypatch.setattr(frame_encoder, "encode_jpeg", encode_or_fail)
    with Viewer() as viewer:
        for _ in range(3):
            viewer.encoder.write(result())
            with pytest.raises(asyncio.TimeoutError):
                viewer.next_frame(timeout=0.1)
        assert caplog.messages == ["web: a frame cannot be encoded: ValueError: no"]
        broken = False
        viewer.encoder.write(result())
        assert viewer.next_frame().jpeg == b"jpeg"


def test_encoder_ends_at_once() -> None:
    with Viewer(0.001) as viewer:  # One frame in a thousand seconds.
        viewer.encoder.write(result())
        viewer.next_frame()
    assert not [thread for thread in threading.enumerate() if thread.name == "web encoder"]


def test_loop_status_follows_results_and_turns() -> None:
    encoder = FrameEncoder(10)
    assert loop_status(encoder, True, 10.0) == Status("starting", False, "no frame yet")
    encoder.idle()
    assert loop_status(encoder, True, 10.0) == Status("starting", False, "no frame yet")
    encoder.write(result())
    now = encoder.last_result_at
    assert loop_status(encoder, True, 10.0, now + 10) == Status("live", True)
    lost = loop_status(encoder, False, 10.0, now + 3)
    assert (lost.state, lost.healthy) == ("reconnecting", True), "not yet for long"
    # The loop runs without frames.
    encoder.last_turn_at = now + 11
    assert loop_status(encoder, True, 10.0, now + 11) == Status("stalled", False, "no frame for 11 s")
    lost = loop_status(encoder, False, 10.0, now + 11)
    assert lost == Status("reconnecting", False, "the source is lost and is being opened again; no frame for 11 s")
    # The loop does not turn either.
    assert loop_status(encoder, True, 10.0, now + 30) == Status("stalled", False, "the loop has stood still for 19 s")


def test_preview_of_a_large_jpeg_decodes_it_reduced_and_keeps_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    file = io.BytesIO()
    PillowImage.new("RGB", (4096, 2304), (200, 30, 30)).save(file, "JPEG")
    captured = decode_frame(file.getvalue(), InputSpec())
    assert isinstance(captured, DeferredImage)
    assert captured.size == (2304, 4096)
    decoded: list[tuple[int, ...]] = []
    scale = jpeg._scale

    def recorded_scale(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        decoded.append(image.shape)
        return scale(image, size)

    monkeypatch.setattr(jpeg, "_scale", recorded_scale)
    box = Detections(
        np.array([[1024, 576, 2048, 1152]], np.float32),
        np.ones(1, np.float32),
        np.zeros(1, np.int64),
        ["a"],
        (2304, 4096),
    )
    result = FrameResult(Frame(captured, 0, 0.0, "camera"), box, {})
    image = render(result, PREVIEW)
    assert image.shape == (360, 640, 3)
    assert decoded == [(576, 1024, 3)]
    assert (np.abs(image[100, 250].astype(int) - (200, 30, 30)) < 5).all()
    assert (np.abs(image[90, 200].astype(int) - (200, 30, 30)) > 20).any(), "the box is at its place"
    assert render(result, FULL).shape == (2304, 4096, 3)
    assert captured._image is None, "the whole image is not kept"
    assert captured.image is captured.at_least(640), "unless something else keeps it"


def test_request_that_nobody_waits_for_is_forgotten() -> None:
    async def ask(encoder: FrameEncoder) -> None:
        encoder.attach(asyncio.get_running_loop())
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(encoder.next_frame(FULL), 0.05)
        assert encoder._requested == {}

    with FrameEncoder(10.0) as encoder:
        asyncio.run(ask(encoder))
