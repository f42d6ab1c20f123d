"""Statistics as one line of text."""

from __future__ import annotations

import threading

import pytest

from device_apps.sources.frames import SourceCounts
from device_apps.stats import Quantiles, Stats, StatsSnapshot
from device_apps.stats_report import StatsReport, format_stats

STAGES = {"invoke": Quantiles(3.14159, 4.0), "age": Quantiles(20.0, 33.36)}


def snapshot(source: SourceCounts = SourceCounts(), **more: object) -> StatsSnapshot:  # noqa: B008 (it is frozen)
    values = {"memory_bytes": None, "temperature_c": None, "throttled": None, **more}
    return StatsSnapshot(60.0, 1500, 40, 24.96, STAGES, source, **values)  # type: ignore[arg-type]


def test_zero_and_unknown_values_are_omitted() -> None:
    assert format_stats(snapshot(), 25.04) == (
        "1500 frames; 25.0 fps; 0 dropped; 40 detections; ms p50/p95: invoke 3.1/4.0, age 20.0/33.4"
    )
    empty = StatsSnapshot(0.0, 0, 0, None, {}, SourceCounts(), None, None, None)
    assert format_stats(empty, None) == "0 frames; 0 dropped; 0 detections"


def test_all_values_are_shown() -> None:
    counts = SourceCounts(frames=1600, dropped=100, stalls=2, reconnects=3, abandoned=1, connected=False)
    machine = {
        "memory_bytes": 119_400_000,
        "temperature_c": 61.4,
        "throttled": "under-voltage now",
        "still_frames": 900,
    }
    assert format_stats(snapshot(counts, **machine), None) == (
        "1500 frames; 900 still; 100 dropped; 2 stalls; 3 reconnects; 1 abandoned thread; not connected; "
        "40 detections; ms p50/p95: invoke 3.1/4.0, age 20.0/33.4; 119 MB; 61 °C; under-voltage now"
    )
    assert format_stats(snapshot(throttled=""), None).endswith("33.4"), "no throttling is not mentioned"


def test_exit_ends_the_thread(capsys: pytest.CaptureFixture[str]) -> None:
    before = threading.active_count()
    with StatsReport(Stats(), 3600, as_json=False):
        assert threading.active_count() == before + 1
    assert threading.active_count() == before
    assert capsys.readouterr().err == ""
