"""Benchmark results as text, as JSON and as a plot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from device_apps.bench.benchmark import Benchmark, display_names
from device_apps.bench.latency import Timing
from device_apps.bench.pareto_plot import Point, plot_pareto_front
from device_apps.bench.startup import Startup
from edge_ssd.console.counts import count
from edge_ssd.console.table import format_table

if TYPE_CHECKING:
    from edge_ssd.charts import Figure

__all__ = ["format_benchmark", "plot_benchmark", "to_dict"]


def format_benchmark(benchmark: Benchmark) -> str:
    """Return a benchmark as text: the machine, a table of latencies and a table of startups."""
    height, width = benchmark.frame_size
    return (
        f"{benchmark.machine}\n"
        f"{count(benchmark.detections, 'detection')} in a frame of {width}×{height}, interleaved; ms, p50/p95\n\n"
        f"{_timing_table(benchmark.timings)}\n\n{_startup_table(benchmark.startups)}\n\n"
        f"{_capture_line(benchmark)}"
    ) + "\n".join(benchmark.advice)


def _capture_line(benchmark: Benchmark) -> str:
    if benchmark.capture is None:
        return ""
    return f"reading and decoding a frame: {benchmark.capture.p50:.2f}/{benchmark.capture.p95:.2f}\n"


def to_dict(benchmark: Benchmark) -> dict[str, Any]:
    """Return a benchmark as plain JSON types."""
    height, width = benchmark.frame_size
    return {
        "machine": benchmark.machine,
        "frame": {"width": width, "height": height},
        "detections": benchmark.detections,
        "timings": [
            {
                "model": str(timing.model),
                "backend": timing.detector.backend,
                "threads": timing.detector.num_threads,
                "tiles": None if timing.detector.tiles is None else str(timing.detector.tiles),
                "ms": {
                    stage: {name: round(value, 4) for name, value in times._asdict().items()}
                    for stage, times in timing.stages.items()
                },
                "fps": round(1e3 / timing.stages["detect"].p50, 2),
                "ratio": round(timing.ratio, 4),
                "drift": round(timing.drift, 4),
            }
            for timing in benchmark.timings
        ],
        "models": [
            {
                "model": str(startup.model),
                "bytes": startup.model.stat().st_size,
                "start_seconds": round(startup.seconds, 3),
                "peak_memory_bytes": startup.peak_bytes,
            }
            for startup in benchmark.startups
        ],
        "capture_ms": None if benchmark.capture is None else benchmark.capture._asdict(),
        "opencv_resize": benchmark.opencv,
        "advice": benchmark.advice,
        "notes": list(benchmark.warnings),
    }


def plot_benchmark(benchmark: Benchmark, precisions: Mapping[Path, float]) -> Figure:
    """Plot ``precisions``, by model path, over median latency with the first number of threads; omit other models."""
    threads = benchmark.timings[0].detector.num_threads
    names = display_names(timing.model for timing in benchmark.timings)
    points = [
        Point(names[timing.model], timing.stages["detect"].p50, precisions[timing.model])
        for timing in benchmark.timings
        if timing.detector.num_threads == threads and timing.detector.tiles is None and timing.model in precisions
    ]
    cost_label = f"ms for one detection, median, {count(threads, 'thread')}"
    return plot_pareto_front(points, benchmark.machine, cost_label, "average precision, as measured at conversion")


def _timing_table(timings: Sequence[Timing]) -> str:
    rows = [["model", "interpreter", "threads", "preprocess", "invoke", "postprocess", "total", "fps", "ratio"]]
    names = display_names(timing.model for timing in timings)
    for timing in timings:
        name, detector, stages = names[timing.model], timing.detector, timing.stages
        if detector.tiles is not None:
            name += f" in tiles {detector.tiles}"
        times = [f"{stages[stage].p50:.2f}/{stages[stage].p95:.2f}" for stage in (*rows[0][3:6], "detect")]
        fps = f"{1e3 / stages['detect'].p50:.1f}"
        rows.append([name, detector.backend, str(detector.num_threads), *times, fps, f"{timing.ratio:.2f}"])
    return format_table(rows, left=2)


def _startup_table(startups: Sequence[Startup]) -> str:
    rows = [["model", "file", "time to first result", "peak memory"]]
    names = display_names(startup.model for startup in startups)
    for startup in startups:
        memory = "unknown" if startup.peak_bytes is None else f"{startup.peak_bytes / 1e6:.0f} MB"
        size = startup.model.stat().st_size / 1e6
        rows.append([names[startup.model], f"{size:.2f} MB", f"{startup.seconds:.2f} s", memory])
    return format_table(rows, left=1)
