"""``edge-ssd bench``: latency, start time and memory of models on this machine."""

from __future__ import annotations

import argparse
import logging
import os
import re
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from device_apps.arguments import positive_int
from edge_ssd.console.json_output import print_json
from edge_ssd.console.table import format_table
from edge_ssd.errors import SettingError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from device_apps.bench import Case, FreshStart, Timing

__all__ = ["add_arguments", "run"]

_log = logging.getLogger(__name__)

_EXAMPLES = """\
examples:
  edge-ssd bench                                  the shipped model, with one thread and with more
  edge-ssd bench banana nano                      two shipped models by their names
  edge-ssd bench float.tflite int8.tflite         side by side, with ratios to the first
  edge-ssd bench mine.tflite --source photo.jpg --threads 4 --json
  edge-ssd bench small.tflite large.tflite --plot pareto.png

Models alternate in short blocks, so that other load on the machine affects all of them equally. Times are the median
and the 95th percentile, in milliseconds, of one detection in one image: by default the model's self-test image,
resized to 640×480 as a camera frame would be. Start and memory are those of a fresh process.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.description = "Time models on this machine, stage by stage and side by side."
    parser.epilog = _EXAMPLES
    parser.add_argument("models", nargs="*", metavar="MODEL", help="files, or shipped models by name (default: banana)")
    parser.add_argument(
        "--threads", type=int, nargs="+", metavar="N", help="default: 1, 2 and so on up to 4 or the cores"
    )
    parser.add_argument("--source", metavar="IMAGE", help="image to detect in, at its own size")
    parser.add_argument("--size", metavar="WIDTHxHEIGHT", help="frame size (default: 640x480, or that of --source)")
    parser.add_argument("--frames", type=int, default=200, metavar="N", help="timed detections (default: 200)")
    parser.add_argument("--warm-up", type=int, default=10, metavar="N", help="untimed detections first (default: 10)")
    parser.add_argument(
        "--backend",
        choices=("auto", "ai-edge-litert", "tflite-runtime"),
        default="auto",
        help="the TFLite interpreter (default: the first that works)",
    )
    parser.add_argument(
        "--plot",
        type=Path,
        metavar="FILE.png",
        help="plot the Pareto front: average precision of each model against its time with the first number of threads",
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")


def run(args: argparse.Namespace) -> int:
    """Measure and print; returns 0."""
    from device_apps.bench import Case, fresh_starts, reliability_warnings, resize_image, time_cases
    from device_apps.machine import cores, describe_machine
    from edge_ssd.console.progress import Progress
    from edge_ssd.runtime.detector import Detector
    from edge_ssd.runtime.preprocess import read_image
    from edge_ssd.runtime.shipped_models import default_model, find_model

    positive_int("--frames", args.frames)
    if args.warm_up < 0:
        raise SettingError(f"--warm-up must be a whole number from 0, got {args.warm_up}")
    size = None if args.size is None else _size(args.size)
    models = [find_model(model) for model in args.models] or [default_model()]
    names = _names(models)
    if args.plot is not None:
        _check_plot(args.plot, args.source)
    threads = args.threads or list(range(1, min(4, cores()) + 1))
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    with ExitStack() as stack:
        cases = [
            Case(name, stack.enter_context(Detector(model, num_threads=number, backend=args.backend)))
            for name, model in zip(names, models, strict=True)
            for number in threads
        ]
        precisions = {} if args.plot is None else _precisions(cases)
        if args.source is None:
            image = resize_image(cases[0].detector.bundle.selftest.image, size or (480, 640))
        else:
            image = read_image(args.source)
            image = resize_image(image, size or image.shape[:2])
        starts = fresh_starts(models, image.shape[:2], threads[0], args.backend)
        with Progress("timing", "rounds") as progress:
            timings = time_cases(cases, image, args.frames, args.warm_up, progress)
    warnings = reliability_warnings(timings, load)
    machine = describe_machine()
    if args.plot is not None:
        _plot(args.plot, timings, precisions, machine)
    if args.json:
        report = _as_dict(machine, image.shape[:2], args.frames, timings, models, starts, warnings)
        print_json(report)
        return 0
    height, width = image.shape[:2]
    print(f"{machine}\n{args.frames} detections in a frame of {width}×{height}, in turn; ms, p50/p95\n")
    print(_timing_table(timings), _start_table(names, models, starts), sep="\n\n")
    if args.plot is not None:
        print(f"\n{args.plot}: average precision against time")
    for line in warnings:
        _log.warning("%s", line)
    return 0


def _size(text: str) -> tuple[int, int]:
    """ "640x480" → (480, 640)."""
    found = re.fullmatch(r"([1-9]\d{0,4})[x×]([1-9]\d{0,4})", text)
    if found is None:
        raise SettingError(f"--size must be WIDTHxHEIGHT, such as 640x480, got {text!r}")
    return int(found[2]), int(found[1])


def _names(models: Sequence[Path]) -> list[str]:
    """Return the file names of the models, or their paths if names repeat."""
    names = [path.name for path in models]
    return names if len(set(names)) == len(names) else [str(path) for path in models]


def _check_plot(path: Path, source: str | None) -> None:
    """Raise :class:`SettingError` if the plot cannot be written, before any work is done for it."""
    from device_apps.sinks import prepare_output_file, refuse_overwriting
    from edge_ssd.charts import check_matplotlib

    check_matplotlib()
    prepare_output_file(path, (".png", ".jpg", ".jpeg"), "image")
    if source is not None:
        refuse_overwriting(source, path, "--plot", "picture of --source")


def _precisions(cases: Sequence[Case]) -> dict[str, float]:
    """Return the average precision stored in each model, by name; warn about missing and incomparable ones."""
    measured: dict[str, tuple[float, str]] = {}
    missing = []
    for name, bundle in {case.name: case.detector.bundle for case in cases}.items():
        try:
            accuracy = bundle.metadata["accuracy"]
            measured[name] = float(accuracy["quantized"]["ap"]), str(accuracy["data"])
        except (KeyError, TypeError, ValueError):
            missing.append(name)
    if not measured:
        raise SettingError(
            f"--plot: {', '.join(missing)}: no average precision was measured; convert without --no-accuracy"
        )
    for name in missing:
        _log.warning("%s: not in the plot, it has no average precision; convert it without --no-accuracy", name)
    if len({data for _, data in measured.values()}) > 1:
        each = ", ".join(f"{name} on {data}" for name, (_, data) in measured.items())
        _log.warning("average precisions of different images do not compare: %s", each)
    return {name: precision for name, (precision, _) in measured.items()}


def _plot(path: Path, timings: Sequence[Timing], precisions: Mapping[str, float], machine: str) -> None:
    from device_apps.pareto_plot import Point, plot_pareto_front
    from edge_ssd.charts import save_figure

    threads = timings[0].case.detector.num_threads
    points = [
        Point(timing.case.name, timing.stages["detect"].p50, precisions[timing.case.name])
        for timing in timings
        if timing.case.name in precisions and timing.case.detector.num_threads == threads
    ]
    label = f"ms for one detection, median, {threads} thread{'s' if threads > 1 else ''}"
    save_figure(plot_pareto_front(points, machine, label, "average precision, as measured at conversion"), path)


def _timing_table(timings: Sequence[Timing]) -> str:
    rows = [["model", "interpreter", "threads", "preprocess", "invoke", "postprocess", "all", "a second", "ratio"]]
    for timing in timings:
        detector, stages = timing.case.detector, timing.stages
        times = [f"{stages[stage].p50:.2f}/{stages[stage].p95:.2f}" for stage in (*rows[0][3:6], "detect")]
        rate = f"{1e3 / stages['detect'].p50:.1f}"
        rows.append(
            [timing.case.name, detector.backend, str(detector.num_threads), *times, rate, f"{timing.ratio:.2f}"]
        )
    return format_table(rows, left=2)


def _start_table(names: Sequence[str], models: Sequence[Path], starts: Sequence[FreshStart]) -> str:
    rows = [["model", "file", "start to first result", "most memory"]]
    for name, model, start in zip(names, models, starts, strict=True):
        memory = "unknown" if start.peak_bytes is None else f"{start.peak_bytes / 1e6:.0f} MB"
        rows.append([name, f"{model.stat().st_size / 1e6:.2f} MB", f"{start.seconds:.2f} s", memory])
    return format_table(rows, left=1)


def _as_dict(
    machine: str,
    size: tuple[int, ...],
    frames: int,
    timings: Sequence[Timing],
    models: Sequence[Path],
    starts: Sequence[FreshStart],
    warnings: Sequence[str],
) -> dict[str, Any]:
    return {
        "machine": machine,
        "frame": {"width": size[1], "height": size[0]},
        "detections": frames,
        "timings": [
            {
                "model": str(timing.case.detector.bundle.path),
                "backend": timing.case.detector.backend,
                "threads": timing.case.detector.num_threads,
                "ms": {
                    stage: {k: round(v, 4) for k, v in both._asdict().items()} for stage, both in timing.stages.items()
                },
                "fps": round(1e3 / timing.stages["detect"].p50, 2),
                "ratio": round(timing.ratio, 4),
                "drift": round(timing.drift, 4),
            }
            for timing in timings
        ],
        "models": [
            {
                "model": str(model),
                "bytes": model.stat().st_size,
                "start_seconds": round(start.seconds, 3),
                "peak_memory_bytes": start.peak_bytes,
            }
            for model, start in zip(models, starts, strict=True)
        ],
        "notes": list(warnings),
    }
