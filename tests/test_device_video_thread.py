"""The thread that writes the video of a live source."""

from __future__ import annotations

import threading
from pathlib import Path

import cv2
import numpy as np
import pytest
from clocks import wait_until
from event_factory import detections, result
from processes import FAKE, run_python
from stream_servers import MjpegServer

from device_apps.results import FrameResult
from device_apps.retrying_sink import RetryingSink
from device_apps.sources.deferred_image import DeferredImage
from device_apps.sources.frames import Frame
from device_apps.video_thread import VideoThread
from edge_ssd.errors import EdgeSSDError


class Encoder:
    """Sink that keeps the results, and takes one only while ``running`` is set."""

    finished = False

    def __init__(self) -> None:
        self.running = threading.Event()
        self.running.set()
        self.results: list[FrameResult] = []
        self.failure: Exception | None = None

    def write(self, result: FrameResult) -> None:
        self.running.wait(60)
        if self.failure is not None:
            raise self.failure
        self.results.append(result)

    def idle(self) -> None:
        pass


def thread_to(encoder: Encoder, max_width: int = 1920) -> VideoThread:
    return VideoThread(RetryingSink(encoder, "seen.mp4"), "seen.mp4", max_width)


def sequences(encoder: Encoder) -> list[int]:
    return [result.frame.sequence for result in encoder.results]


def test_every_result_is_written_in_order() -> None:
    encoder = Encoder()
    with thread_to(encoder) as sink:
        for number in range(20):
            sink.write(result(0.1 * number, number))
    assert sequences(encoder) == list(range(20))
    assert (sink.dropped, sink.lost) == (0, 0)


def test_frames_that_find_the_queue_full_are_dropped_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    encoder = Encoder()
    encoder.running.clear()
    with thread_to(encoder) as sink:
        sink.write(result(0.0, 0))
        wait_until(lambda: not sink._waiting)
        for number in range(1, 41):
            sink.write(result(0.1 * number, number))  # Never waits for the encoder.
        assert sink.dropped == 10
        encoder.running.set()
        wait_until(lambda: len(encoder.results) == 31)
        sink.write(result(5.0, 50))
    assert sequences(encoder) == [*range(31), 50]
    assert len(caplog.messages) == 2
    assert caplog.messages[0].startswith("seen.mp4: frames come faster than they can be encoded; some are dropped")
    assert caplog.messages[1] == "seen.mp4: frames dropped from the video: 10"


def test_few_large_frames_wait() -> None:
    encoder = Encoder()
    encoder.running.clear()
    with thread_to(encoder, 100_000) as sink:
        large = result(0.0, 0, size=(3000, 8000))  # 72 MB, more than all that may wait.
        for _ in range(6):
            sink.write(large)
        assert sink.dropped >= 3
        encoder.running.set()


def test_wide_frames_are_scaled_with_their_boxes(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    encoder = Encoder()
    with thread_to(encoder, 100) as sink:
        for number in range(3):
            sink.write(result(1.0, number, (0, (20.0, 10.0, 60.0, 30.0))))
    written = encoder.results[2]
    assert written.frame.image.shape == (50, 100, 3)
    assert (written.frame.sequence, written.frame.captured_at) == (2, 1.0)
    assert np.array_equal(written.detections.xyxy, [[10, 5, 30, 15]])
    assert written.detections.image_size == (50, 100)
    assert caplog.messages == [
        "seen.mp4: frames of 200×100 are recorded at 100×50; --save-video-width 200 keeps their size"
    ]


@pytest.mark.parametrize("width", [60, 200])
def test_deferred_frames_keep_their_colors(width: int) -> None:
    """The pixels for the detector are a view of a BGR frame, or too small for the video."""
    bgr = np.full((100, 200, 3), (10, 20, 250), np.uint8)
    pixels = bgr[: width // 2, :width, ::-1]
    frame = Frame(DeferredImage(pixels, (100, 200), lambda: bgr[..., ::-1].copy()), 0, 0.0, "camera")
    encoder = Encoder()
    with thread_to(encoder, 80) as sink:
        sink.write(FrameResult(frame, detections(size=(100, 200)), {}))
    image = encoder.results[0].frame.image
    assert image.shape == (40, 80, 3)
    assert (image == (250, 20, 10)).all()


def test_error_of_the_encoder_is_raised_in_the_loop() -> None:
    encoder = Encoder()
    encoder.failure = EdgeSSDError("no such codec")
    with thread_to(encoder) as sink:
        sink.write(result(0.0, 0))

        def write_on() -> None:
            wait_until(lambda: sink._failure is not None)
            sink.write(result(0.1, 1))

        with pytest.raises(EdgeSSDError, match="no such codec"):
            write_on()


def test_error_during_the_last_frames_is_raised_at_the_end() -> None:
    encoder = Encoder()
    encoder.failure = ValueError("bad size")

    def run() -> None:
        with thread_to(encoder) as sink:
            sink.write(result(0.0, 0))

    with pytest.raises(ValueError, match="bad size"):
        run()


def test_full_disk_is_retried_and_counted_as_lost(caplog: pytest.LogCaptureFixture) -> None:
    encoder = Encoder()
    encoder.failure = OSError(28, "No space left on device")
    with thread_to(encoder) as sink:
        for number in range(5):
            sink.write(result(0.1 * number, number))
    assert sink.lost == 5
    assert caplog.messages == [
        "seen.mp4: No space left on device; detection goes on, retrying in 10 s, then less often"
    ]


def test_video_of_a_stream_has_the_times_of_its_frames(tmp_path: Path) -> None:
    """The camera announces 25 frames a second and gives 10."""
    with MjpegServer(fps=10) as server:
        options = ["--max-frames", "20", "--save-video", tmp_path / "seen.mp4", "--source", server.url]
        done = run_python(FAKE, "camera", "--headless", *options)
    assert done.returncode == 0, done.stderr
    capture, times = cv2.VideoCapture(str(tmp_path / "seen.mp4")), []
    while capture.grab():
        times.append(capture.get(cv2.CAP_PROP_POS_MSEC) / 1000)
    assert len(times) == 20
    assert times[-1] >= 1.8
