"""``edge-ssd bench``: latency, start time and memory of models on this machine."""

from __future__ import annotations

import argparse
import logging
import re
from pathlib import Path

from device_apps.arguments import (
    add_backend_argument,
    add_resize_argument,
    add_tiles_arguments,
    check_int,
    resize_function,
    tiles_of,
)
from edge_ssd.console.text import print_text
from edge_ssd.errors import SettingError

__all__ = ["add_arguments", "parse_size", "run"]

_log = logging.getLogger(__name__)

_EXAMPLES = """\
examples:
  edge-ssd bench                                  the shipped model, with one thread and with more
  edge-ssd bench banana nano                      two shipped models by their names
  edge-ssd bench float.tflite int8.tflite         side by side, with ratios to the first
  edge-ssd bench mine.tflite --source photo.jpg --threads 4 --json
  edge-ssd bench nano --source recording.mp4      its frames in turn, and the time of decoding them
  edge-ssd bench small.tflite large.tflite --plot pareto.png

Models alternate in short blocks, so that other load on the machine affects all of them equally. Times are the median
and the 95th percentile, in milliseconds, of one detection in one image: by default the model's self-test image,
resized to 640×480 as a camera frame would be. Startup time and memory are those of a fresh process.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the options of ``edge-ssd bench``."""
    parser.description = "Time models on this machine, stage by stage and side by side."
    parser.epilog = _EXAMPLES
    parser.add_argument(
        "models", nargs="*", metavar="MODEL", help="files, or shipped models by name (default: fruit-small)"
    )
    parser.add_argument(
        "--threads", type=int, nargs="+", metavar="N", help="default: 1, 2 and so on up to 4 or the cores"
    )
    parser.add_argument("--source", metavar="IMAGE|DIR|VIDEO", help="images to detect in, at their own size")
    parser.add_argument("--size", metavar="WIDTHxHEIGHT", help="frame size (default: 640x480, or that of --source)")
    parser.add_argument("--frames", type=int, default=200, metavar="N", help="timed detections (default: 200)")
    parser.add_argument("--warm-up", type=int, default=10, metavar="N", help="untimed detections first (default: 10)")
    add_backend_argument(parser)
    add_resize_argument(parser)
    add_tiles_arguments(parser)
    parser.add_argument(
        "--plot",
        type=Path,
        metavar="FILE.png",
        help="plot the Pareto front: average precision of each model against its time with the first number of threads",
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")


def run(args: argparse.Namespace) -> int:
    """Run ``edge-ssd bench``: measure and print; return the exit status 0."""
    from device_apps.bench.benchmark import run_benchmark, stored_precisions
    from device_apps.bench.frames import BenchmarkFrames, read_frames
    from device_apps.bench.report import format_benchmark, plot_benchmark, to_dict
    from device_apps.machine import cores
    from device_apps.sources.frames import Frame
    from edge_ssd.charts import save_figure
    from edge_ssd.console.json_output import print_json
    from edge_ssd.console.progress import Progress
    from edge_ssd.runtime.bundle import read_bundle
    from edge_ssd.runtime.resize import numpy_resize
    from edge_ssd.runtime.shipped_models import default_model, find_model

    check_int(args, "frames")
    check_int(args, "warm_up", 0)
    size = None if args.size is None else parse_size(args.size)
    tiles = tiles_of(args)
    bundles = [read_bundle(find_model(model)) for model in args.models or [default_model()]]
    precisions = {}
    if args.plot is not None:
        _check_plot(args.plot, args.source)
        precisions = stored_precisions(bundles)
    if args.source is not None and size is None:
        specs = {bundle.network.input for bundle in bundles}
        source = read_frames(args.source, specs.pop() if len(specs) == 1 and tiles is None else None)
    else:
        image = bundles[0].selftest.image if args.source is None else read_frames(args.source, None).frames[0].image
        source = BenchmarkFrames([Frame(numpy_resize(image, size or (480, 640)), 0, 0.0, "")], None)
    with Progress("timing", "rounds") as progress:
        benchmark = run_benchmark(
            bundles,
            source,
            threads=args.threads or range(1, min(4, cores()) + 1),
            backend=args.backend,
            detections=args.frames,
            warm_up=args.warm_up,
            resize=resize_function(args.resize),
            tiles=tiles,
            progress=progress,
        )
    if args.plot is not None:
        save_figure(plot_benchmark(benchmark, precisions), args.plot)
    if args.json:
        print_json(to_dict(benchmark))
        return 0
    print_text(format_benchmark(benchmark))
    if args.plot is not None:
        print_text(f"\n{args.plot}: average precision against time")
    for line in benchmark.warnings:
        _log.warning("%s", line)
    return 0


def parse_size(text: str) -> tuple[int, int]:
    """Parse WIDTHxHEIGHT, such as "640x480"; return (height, width). Raises :class:`SettingError`."""
    match = re.fullmatch(r"([1-9]\d{0,4})[x×]([1-9]\d{0,4})", text)
    if match is None:
        raise SettingError(f"--size must be WIDTHxHEIGHT, such as 640x480, got {text!r}")
    return int(match[2]), int(match[1])


def _check_plot(path: Path, source: str | None) -> None:
    """Raise :class:`SettingError` if the plot cannot be written, before any work is done for it."""
    from device_apps.sinks import prepare_output_file, refuse_overwriting
    from edge_ssd.charts import check_matplotlib

    check_matplotlib()
    prepare_output_file(path, (".png", ".jpg", ".jpeg"), "image")
    if source is not None:
        refuse_overwriting(source, path, "--plot", "image of --source")
