"""The loop, with sources and sinks that are lists."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from device_fake import RedDetector

from device_apps.loop import run_loop
from device_apps.results import FrameResult
from device_apps.sources.frames import Frame, SourceCounts
from device_apps.sources.image_folder import ImageFolderSource
from device_apps.stats import Stats
from edge_ssd.errors import SourceError


class ListSource(ImageFolderSource):
    """Source of scripted items: a number is a frame, None is "no frame yet", an error is raised."""

    def __init__(self, items: Sequence[int | SourceError | None]) -> None:
        super().__init__([], "list")
        self.items = list(items)

    @property
    def counts(self) -> SourceCounts:
        return SourceCounts(frames=10, dropped=7)

    @property
    def ended(self) -> bool:
        return not self.items

    def read(self, timeout: float) -> Frame | None:
        item = self.items.pop(0) if self.items else None
        if isinstance(item, SourceError):
            raise item
        if item is None:
            return None
        image = np.zeros((20, 30, 3), np.uint8)
        image[5:10, 5:10, 0] = 255
        return Frame(image, item, time.monotonic(), f"frame {item}")


class ListSink:
    def __init__(self, finish_after: int | None = None, annotate: bool = False) -> None:
        self.results: list[FrameResult] = []
        self.annotated: list[np.ndarray] = []
        self.idles = 0
        self._finish_after = finish_after
        self._annotate = annotate

    @property
    def finished(self) -> bool:
        return self._finish_after is not None and len(self.results) >= self._finish_after

    def write(self, result: FrameResult) -> None:
        self.results.append(result)
        if self._annotate:
            self.annotated.append(result.annotated)
            assert result.annotated.shape == result.frame.image.shape

    def idle(self) -> None:
        self.idles += 1


def test_every_sink_receives_every_result_in_order() -> None:
    first, second = ListSink(), ListSink()
    report = run_loop(ListSource([0, 1, None, 2]), RedDetector(), [first, second])
    for sink in (first, second):
        assert [result.frame.sequence for result in sink.results] == [0, 1, 2]
        assert sink.idles == 1
    assert first.results[0].detections.xyxy.tolist() == [[5, 5, 10, 10]]
    assert (report.snapshot.frames, report.snapshot.detections, report.failure) == (3, 3, None)
    assert report.snapshot.source.dropped == 7


def test_empty_source_gives_an_empty_report() -> None:
    report = run_loop(ListSource([]), RedDetector(), [])
    assert (report.snapshot.frames, report.fps, report.snapshot.stages) == (0, None, {})


def test_frames_are_annotated_only_on_demand_and_once() -> None:
    assert "draw" not in run_loop(ListSource([0, 1]), RedDetector(), [ListSink()]).snapshot.stages
    first, second = ListSink(annotate=True), ListSink(annotate=True)
    report = run_loop(ListSource([0, 1]), RedDetector(), [first, second])
    assert len(first.annotated) == 2
    assert all(one is other for one, other in zip(first.annotated, second.annotated, strict=True))
    assert "draw" in report.snapshot.stages


def test_stop_ends_the_loop_before_the_next_frame() -> None:
    stop = threading.Event()
    sink = ListSink()
    sink.write = lambda result: stop.set()  # type: ignore[method-assign]
    source = ListSource([0, 1, 2])
    assert run_loop(source, RedDetector(), [sink], stop=stop).snapshot.frames == 1
    assert source.items == [1, 2]


def test_finished_sink_ends_the_loop() -> None:
    assert run_loop(ListSource(range(9)), RedDetector(), [ListSink(), ListSink(finish_after=4)]).snapshot.frames == 4


def test_max_frames_ends_the_loop() -> None:
    source = ListSource(range(9))
    assert run_loop(source, RedDetector(), [], max_frames=3).snapshot.frames == 3
    assert len(source.items) == 6, "no frame is read and discarded"


def test_duration_includes_waiting() -> None:
    now = iter([0.0, 1.0, 2.0, 3.0])
    source = ListSource([0, None, None, None, None])
    report = run_loop(source, RedDetector(), [], duration=2.5, clock=lambda: next(now))
    assert report.snapshot.frames == 1
    assert len(source.items) == 3


def test_failed_source_ends_the_loop_and_keeps_the_results() -> None:
    failure = SourceError("clip.mp4: truncated")
    sink = ListSink()
    report = run_loop(ListSource([0, 1, failure]), RedDetector(), [sink])
    assert report.failure is failure
    assert len(sink.results) == 2


def test_error_of_a_sink_is_raised() -> None:
    sink = ListSink()

    def fail(result: FrameResult) -> None:
        raise OSError("disk full")

    sink.write = fail  # type: ignore[method-assign]
    with pytest.raises(OSError, match="disk full"):
        run_loop(ListSource([0]), RedDetector(), [sink])


def test_stages_are_timed() -> None:
    stages = run_loop(ListSource([0, 1, 2]), RedDetector(), [ListSink(annotate=True)]).snapshot.stages
    assert list(stages) == ["preprocess", "invoke", "postprocess", "draw", "publish", "detect", "age"]
    assert stages["preprocess"] == (1.0, 1.0)
    assert stages["invoke"] == (2.0, 2.0)
    assert all(value >= 0 for times in stages.values() for value in times)


def test_capture_is_a_stage_if_the_source_timed_it() -> None:
    class Timed(ListSource):
        def read(self, timeout: float) -> Frame | None:
            frame = super().read(timeout)
            return frame and replace(frame, read_seconds=0.25)

    assert run_loop(Timed([0, 1]), RedDetector(), []).snapshot.stages["capture"] == (250.0, 250.0)


def test_stats_can_be_read_while_the_loop_runs() -> None:
    source = ListSource(range(4))
    stats, seen = Stats(source), list[int]()
    sink = ListSink()
    sink.write = lambda result: seen.append(stats.snapshot().frames)  # type: ignore[method-assign]
    assert run_loop(source, RedDetector(), [sink], stats=stats).snapshot.frames == 4
    assert seen == [0, 1, 2, 3]


def test_concurrent_readers_share_one_annotated_image() -> None:
    drawn = []

    def slow(image: np.ndarray, detections: object) -> np.ndarray:
        drawn.append(1)
        time.sleep(0.05)
        return image.copy()

    image = np.zeros((20, 30, 3), np.uint8)
    result = FrameResult(Frame(image, 0, 0.0, "frame"), RedDetector().detect(image), {}, draw=slow)
    with ThreadPoolExecutor(4) as pool:
        images = list(pool.map(lambda _: result.annotated, range(4)))
    assert drawn == [1]
    assert all(annotated is images[0] for annotated in images)
