"""The Prometheus text, line by line."""

from __future__ import annotations

import math
import re
from typing import Any

from device_apps.sources.frames import SourceCounts
from device_apps.stats import Quantiles, StatsSnapshot
from device_apps.web.monitoring import Status, stats_to_dict, stats_to_metrics
from device_apps.web.prometheus import Metric, format_metrics

# One sample: name, labels with escaped values, a number.
SAMPLE = re.compile(r'([a-z_:]+)(?:\{((?:[a-z_0-9]+="(?:[^"\\\n]|\\["\\n])*",?)*)\})? (\S+)')


def parse(text: str) -> dict[str, tuple[str, dict[str, float]]]:
    """name → (type, labels → value); checks what every consumer relies on."""
    families: dict[str, tuple[str, dict[str, float]]] = {}
    assert text.endswith("\n")
    lines = text.splitlines()
    while lines:
        help_line, type_line = lines.pop(0), lines.pop(0)
        name = help_line.split(" ")[2]
        assert help_line.startswith(f"# HELP {name} ")
        assert type_line.startswith(f"# TYPE {name} ")
        kind = type_line.split(" ")[3]
        assert kind in ("counter", "gauge", "summary")
        assert name.endswith("_total") == (kind == "counter")
        assert name not in families, "a family in one piece"
        samples: dict[str, float] = {}
        while lines and not lines[0].startswith("#"):
            match = SAMPLE.fullmatch(lines.pop(0))
            assert match[1] == name
            assert (match[2] or "") not in samples
            samples[match[2] or ""] = float(match[3])
        assert samples
        families[name] = (kind, samples)
    return families


def snapshot(**changes: object) -> StatsSnapshot:
    values = {
        "seconds": 12.5,
        "frames": 300,
        "detections": 42,
        "fps": 24.0,
        "stages": {"invoke": Quantiles(3.0, 4.5), "age": Quantiles(5.0, 9.0)},
        "source": SourceCounts(310, 10, 2, 1, 0, True),
        "memory_bytes": 123_456_789,
        "temperature_c": 61.5,
        "throttled": "throttled now, under-voltage since the start",
        "still_frames": 200,
    }
    return StatsSnapshot(**{**values, **changes})


def test_format_metrics_by_hand() -> None:
    metrics = [
        Metric("a_total", "counter", "How\nmany \\.", [({}, 3)]),
        Metric("b", "gauge", "Labels.", [({"x": 'say "hi"\\\n', "y": "ä"}, 0.5), ({"x": "2"}, None)]),
        Metric("c", "gauge", "Left out.", [({}, None)]),
        Metric("d", "gauge", "Odd.", [({"n": "1"}, math.nan), ({"n": "2"}, math.inf), ({"n": "3"}, -math.inf)]),
    ]
    assert format_metrics(metrics) == (
        "# HELP a_total How\\nmany \\\\.\n"
        "# TYPE a_total counter\n"
        "a_total 3\n"
        "# HELP b Labels.\n"
        "# TYPE b gauge\n"
        'b{x="say \\"hi\\"\\\\\\n",y="ä"} 0.5\n'
        "# HELP d Odd.\n"
        "# TYPE d gauge\n"
        'd{n="1"} NaN\n'
        'd{n="2"} +Inf\n'
        'd{n="3"} -Inf\n'
    )


def families_of(*arguments: Any) -> dict[str, tuple[str, dict[str, float]]]:
    return parse(format_metrics(stats_to_metrics(*arguments)))


def test_metrics_use_base_units() -> None:
    build = {"version": "1", "model": 'my "model".tflite', "backend": "x"}
    families = families_of(snapshot(), Status("live", True), 3, 0.02, build)
    assert families["edge_ssd_frames_total"] == ("counter", {"": 300})
    assert families["edge_ssd_stage_duration_seconds"] == (
        "summary",
        {
            'stage="invoke",quantile="0.5"': 0.003,
            'stage="invoke",quantile="0.95"': 0.0045,
            'stage="age",quantile="0.5"': 0.005,
            'stage="age",quantile="0.95"': 0.009,
        },
    )
    assert families["edge_ssd_build_info"][1] == {'version="1",model="my \\"model\\".tflite",backend="x"': 1}
    singles = {name: samples[""] for name, (_, samples) in families.items() if "" in samples}
    assert singles == {
        "edge_ssd_running_seconds_total": 12.5,
        "edge_ssd_healthy": 1,
        "edge_ssd_frames_total": 300,
        "edge_ssd_still_frames_total": 200,
        "edge_ssd_detections_total": 42,
        "edge_ssd_frames_per_second": 24,
        "edge_ssd_last_frame_age_seconds": 0.02,
        "edge_ssd_source_connected": 1,
        "edge_ssd_source_frames_total": 310,
        "edge_ssd_source_dropped_total": 10,
        "edge_ssd_source_stalls_total": 2,
        "edge_ssd_source_reconnects_total": 1,
        "edge_ssd_source_abandoned_total": 0,
        "edge_ssd_viewers": 3,
        "edge_ssd_throttled": 1,
        "edge_ssd_temperature_celsius": 61.5,
        "process_resident_memory_bytes": 123_456_789,
    }


def test_unknown_values_are_omitted() -> None:
    nothing = snapshot(frames=0, fps=None, stages={}, memory_bytes=None, temperature_c=None, throttled=None)
    families = families_of(nothing, Status("starting", False, "no frame yet"), 0, None, {"version": "1"})
    assert families["edge_ssd_frames_total"][1] == {"": 0}
    unknown = "frames_per_second|stage_duration_seconds|temperature_celsius|throttled|last_frame_age_seconds"
    assert not [name for name in families if re.fullmatch(f"edge_ssd_({unknown})", name)]


def test_past_throttling_is_not_reported() -> None:
    past = snapshot(throttled="under-voltage since the start")
    families = families_of(past, Status("live", True), 0, 0.0, {"version": "1"})
    assert families["edge_ssd_throttled"][1] == {"": 0}


def test_stats_to_dict_has_plain_types() -> None:
    numbers = stats_to_dict(snapshot(), Status("stalled", False, "no frame for 11 s"), 2)
    assert numbers["status"] == {"state": "stalled", "healthy": False, "reason": "no frame for 11 s"}
    assert (numbers["viewers"], numbers["frames"], numbers["source"]["dropped"]) == (2, 300, 10)
