"""``edge-ssd detect``: find objects in an image, a folder of images, or a video."""

from __future__ import annotations

import argparse
import logging
import math
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from device_apps.arguments import add_detector_arguments, make_detector
from edge_ssd.console.counts import count

if TYPE_CHECKING:
    from device_apps.results import Sink
    from device_apps.sources.frames import Source
    from device_apps.stats import StatsSnapshot
    from edge_ssd.runtime.detector import Detector

__all__ = ["add_arguments", "run"]

_log = logging.getLogger(__name__)

_INTERRUPTED = 130
# AP (0–1) of a model that finds hardly anything, and a score that no useful detection is below.
_USEFUL_AP, _LOW_SCORE = 0.01, 0.05

_EXAMPLES = """\
examples:
  edge-ssd detect --source photo.jpg
  edge-ssd detect --source photos/ --save annotated/
  edge-ssd detect --source clip.mp4 --json > detections.jsonl
  edge-ssd detect --model mine.tflite --source photo.jpg --classes fork --score-threshold 0.3

Each image or frame gives one line on standard output: label, score and box (xmin, ymin, xmax, ymax) in its pixels. An
image that cannot be read is reported on standard error, the others are processed, and the exit status is 2.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the options of ``edge-ssd detect``."""
    parser.description = "Find objects in an image, a folder of images, or a video."
    parser.epilog = _EXAMPLES
    parser.add_argument("--source", required=True, metavar="IMAGE|DIR|VIDEO", help="the images or the video")
    parser.add_argument("--save", type=Path, metavar="DIR", help="save annotated images, or the annotated video, here")
    parser.add_argument("--json", action="store_true", help="print one line of JSON per image or frame")
    add_detector_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Run ``edge-ssd detect``; return the exit status: 0, 2 when an image could not be read, 130 when interrupted."""
    from device_apps.loop import run_loop
    from device_apps.signals import stop_on_signals
    from device_apps.sinks import JsonLinesSink, TextLinesSink, refuse_overwriting
    from device_apps.sources.image_folder import ImageFolderSource
    from device_apps.sources.open_source import open_source

    with stop_on_signals() as stop, ExitStack() as stack:
        if args.save is not None:
            path = Path(args.source)
            refuse_overwriting(path if path.is_dir() else path.parent, args.save, "--save")
        detector = stack.enter_context(make_detector(args))
        source = open_source(args.source, stop=stop, skip_unreadable=True, input_spec=detector.reduced_input)
        stack.enter_context(source)
        unit = "image" if isinstance(source, ImageFolderSource) else "frame"
        sinks: list[Sink] = [] if args.save is None else [_open_annotated(args, source, stack)]
        sinks.append(JsonLinesSink(sys.stdout) if args.json else TextLinesSink(sys.stdout, numbered=unit == "frame"))
        report = run_loop(source, detector, sinks, stop=stop)
        interrupted = stop.is_set()
    unreadable = source.unreadable if isinstance(source, ImageFolderSource) else 0
    _log.info("%s", _summary(report.snapshot, unit, unreadable, args.save))
    if report.snapshot.frames and not report.snapshot.detections:
        _log.info("%s", _nothing_found(detector))
    if report.failure is not None:
        raise report.failure
    if unreadable:
        return 2
    return _INTERRUPTED if interrupted else 0


def _open_annotated(args: argparse.Namespace, source: Source, stack: ExitStack) -> Sink:
    """Return the sink that saves annotated images, or the annotated video, in the folder ``args.save``."""
    from device_apps.sinks import AnnotatedImageSink, make_folder, refuse_overwriting
    from device_apps.sources.image_folder import ImageFolderSource

    make_folder(args.save)
    if isinstance(source, ImageFolderSource):
        return AnnotatedImageSink(args.save)
    from device_apps.video_writer import VideoWriter, video_name

    path = args.save / video_name(args.source)
    refuse_overwriting(args.source, path, "--save")
    return stack.enter_context(VideoWriter(path, source.fps, live=source.live))


def _nothing_found(detector: Detector) -> str:
    """Return what to try where no object is found: as the accuracy in the bundle advises, which may be missing."""
    try:
        ap = float(detector.bundle.metadata["accuracy"]["quantized"]["ap"])
    except (KeyError, TypeError, ValueError):
        ap = math.nan
    if ap < _USEFUL_AP:
        return (
            f"nothing found: {detector.bundle.path} found hardly anything when it was measured either (AP {ap:.3f}): "
            "train the model longer and convert it again"
        )
    threshold = detector.min_score_threshold
    lower = f"lower --score-threshold ({threshold:g} now)" if threshold > _LOW_SCORE else "use another model"
    return f"nothing found: the model knows {_names(detector.labels)}; if the images show it, {lower}"


def _names(labels: Sequence[str], limit: int = 5) -> str:
    more = f" and {count(len(labels) - limit, 'more class')}" if len(labels) > limit else ""
    return ", ".join(labels[:limit]) + more


def _summary(snapshot: StatsSnapshot, unit: str, unreadable: int, saved_in: Path | None) -> str:
    parts = [count(snapshot.frames, unit), count(snapshot.detections, "detection")]
    if snapshot.frames:
        parts.append(f"{snapshot.stages['detect'].p50:.1f} ms each (median)")
    if unreadable:
        parts.append(f"{unreadable} unreadable")
    if saved_in is not None and snapshot.frames:
        parts.append(f"saved in {saved_in}")
    return ", ".join(parts)
