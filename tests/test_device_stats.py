"""Statistics of results, against values computed by hand, with a fake clock."""

from __future__ import annotations

import json
import threading

import numpy as np
import pytest
from clocks import Clock
from device_fake import RedDetector

from device_apps.results import FrameResult
from device_apps.sources.frames import Frame, SourceCounts
from device_apps.sources.image_folder import ImageFolderSource
from device_apps.stats import STAGES, Quantiles, Stats, quantiles


@pytest.fixture
def clock() -> Clock:
    return Clock(100.0)


@pytest.fixture
def stats(clock: Clock) -> Stats:
    return Stats(clock=clock)


def result(**milliseconds: float) -> FrameResult:
    image = np.zeros((20, 30, 3), np.uint8)
    image[5:10, 5:10, 0] = 255
    return FrameResult(Frame(image, 0, 0.0, "frame"), RedDetector().detect(image), dict(milliseconds))


def add_at(stats: Stats, clock: Clock, *times: float) -> None:
    for clock.now in times:
        stats.add(result())


def test_quantiles_match_hand_computed_values() -> None:
    assert quantiles([4.0, 1.0, 2.0, 3.0, 5.0]) == (3.0, pytest.approx(4.8))
    assert quantiles([7.0]) == Quantiles(7.0, 7.0)


def test_snapshot_without_results(stats: Stats, clock: Clock) -> None:
    clock.now = 103.0
    seen = stats.snapshot()
    assert (seen.seconds, seen.frames, seen.detections, seen.fps, seen.stages) == (3.0, 0, 0, None, {})
    assert seen.source == SourceCounts()
    assert stats.mean_fps is None


def test_frames_and_detections_are_counted(stats: Stats, clock: Clock) -> None:
    add_at(stats, clock, 100.5, 100.6)
    assert (stats.snapshot().frames, stats.snapshot().detections) == (2, 2)


def test_snapshot_has_the_counts_of_the_source() -> None:
    source = ImageFolderSource([], "empty")
    assert Stats(source).snapshot().source == source.counts


def test_fps_counts_intervals_before_the_window_is_full(stats: Stats, clock: Clock) -> None:
    add_at(stats, clock, 101.0)
    assert stats.snapshot().fps is None, "one frame has no rate"
    add_at(stats, clock, 101.5, 102.0)
    assert stats.snapshot().fps == 2.0
    assert stats.mean_fps == 2.0


def test_fps_covers_the_last_ten_seconds(stats: Stats, clock: Clock) -> None:
    add_at(stats, clock, *np.arange(100, 110, 0.1), *np.arange(110, 120, 0.5))  # 10 fps, then 2 fps.
    clock.now = 120.0
    # (110, 120]: 110.5 … 119.5 are 19 frames.
    assert stats.snapshot().fps == pytest.approx(1.9)
    assert stats.snapshot().fps == pytest.approx(1.9), "a snapshot changes nothing"


def test_fps_decreases_to_zero_without_frames(stats: Stats, clock: Clock) -> None:
    add_at(stats, clock, 100.0, 100.5, 101.0)
    clock.now = 105.0
    assert stats.snapshot().fps == pytest.approx(2 / 5)
    clock.now = 111.5
    assert stats.snapshot().fps == 0.0
    assert stats.mean_fps == 2.0, "the mean covers the time from the first to the last frame"


def test_fps_with_more_frames_than_timestamps_are_kept(clock: Clock) -> None:
    stats = Stats(clock=clock, max_timestamps=8)
    add_at(stats, clock, *(100 + i / 4 for i in range(20)))
    assert stats.snapshot().fps == 4.0


def test_stages_are_ordered_with_unknown_ones_last(stats: Stats) -> None:
    stats.add(result(age=9.0, other=1.0, invoke=2.0, capture=3.0))
    assert list(stats.snapshot().stages) == ["capture", "invoke", "age", "other"]
    assert STAGES == ("capture", "gate", "preprocess", "invoke", "postprocess", "draw", "publish", "detect", "age")


def test_each_stage_has_its_own_number_of_times(stats: Stats) -> None:
    stats.add(result(invoke=2.0))
    stats.add(result(invoke=4.0, draw=1.0))
    stats.record("draw", 3.0)
    assert stats.snapshot().stages["draw"].p50 == 2.0
    assert stats.snapshot().stages["invoke"].p50 == 3.0


def test_only_the_last_times_are_kept() -> None:
    stats = Stats(max_samples=3)
    for value in (100.0, 100.0, 1.0, 2.0, 6.0):
        stats.add(result(invoke=value))
    assert stats.snapshot().stages["invoke"].p50 == 2.0
    assert stats.snapshot().frames == 5


def test_snapshot_is_json(stats: Stats, clock: Clock) -> None:
    stats.add(result(invoke=1.23456))
    clock.now = 100.5
    stats.add(result(invoke=1.23456))
    values = json.loads(json.dumps(stats.snapshot().to_dict()))
    assert values["memory_bytes"] > 1_000_000
    for name in ("memory_bytes", "temperature_c", "throttled"):
        del values[name]
    assert values == {
        "seconds": 0.5,
        "frames": 2,
        "still_frames": 0,
        "detections": 2,
        "fps": 2.0,
        "ms": {"invoke": {"p50": 1.235, "p95": 1.235}},
        "source": {"frames": 0, "dropped": 0, "stalls": 0, "reconnects": 0, "abandoned": 0, "connected": True},
    }


def test_stats_are_thread_safe(stats: Stats) -> None:
    shared = result(invoke=1.0)
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for i in range(300):
                shared.milliseconds[f"stage {number} {i % 7}"] = 1.0
                stats.add(shared)
                if i % 50 == 0:
                    stats.snapshot()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert stats.snapshot().frames == 1200
