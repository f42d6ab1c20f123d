"""``edge-ssd detect``: find objects in a picture, a folder of pictures, or a video."""

from __future__ import annotations

import argparse
import sys
from contextlib import ExitStack
from pathlib import Path

from device_apps.arguments import UnreadableCounter, add_detector_arguments, make_detector, tell

__all__ = ["add_arguments", "run"]

_INTERRUPTED = 130

_EXAMPLES = """\
examples:
  edge-ssd detect --source photo.jpg
  edge-ssd detect --source photos/ --save annotated/
  edge-ssd detect --source clip.mp4 --json > detections.jsonl
  edge-ssd detect --model mine.tflite --source photo.jpg --classes fork --score-threshold 0.3

A line for each picture or frame goes to standard output: label, score and box (xmin, ymin, xmax, ymax) in its
pixels. A picture that cannot be read is named on standard error, the others go on, and the exit status is 2.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the options."""
    parser.description = "Find objects in a picture, a folder of pictures, or a video."
    parser.epilog = _EXAMPLES
    parser.add_argument("--source", required=True, metavar="IMAGE|DIR|VIDEO", help="what to look at")
    parser.add_argument("--save", type=Path, metavar="DIR", help="save annotated pictures, or the video, here")
    parser.add_argument("--json", action="store_true", help="one line of JSON for each picture or frame")
    add_detector_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Run the command; returns 0, 2 when something could not be read, or 130 when interrupted."""
    from device_apps.loop import run_loop
    from device_apps.results import Sink
    from device_apps.signals import stop_on_signals
    from device_apps.sinks import AnnotatedImageSink, JsonLines, TextLines, make_folder, refuse_overwriting
    from device_apps.sources.image_folder import ImageFolderSource
    from device_apps.sources.open_source import open_source

    unreadable = UnreadableCounter()
    with stop_on_signals() as stop, ExitStack() as stack:
        if args.save is not None:
            path = Path(args.source)
            refuse_overwriting(path if path.is_dir() else path.parent, args.save, "--save")
        source = open_source(args.source, stop=stop, notice=tell, unreadable=unreadable)
        detector = stack.enter_context(make_detector(args))
        stack.enter_context(source)
        pictures = isinstance(source, ImageFolderSource)
        sinks: list[Sink] = []
        if args.save is not None:
            make_folder(args.save)
            if pictures:
                sinks.append(AnnotatedImageSink(args.save))
            else:
                from device_apps.video_writer import VideoWriter, video_name

                path = args.save / video_name(args.source)
                refuse_overwriting(args.source, path, "--save")
                sinks.append(stack.enter_context(VideoWriter(path, source.fps, live=source.live, notice=tell)))
        sinks.append(JsonLines(sys.stdout) if args.json else TextLines(sys.stdout, numbered=not pictures))
        report = run_loop(source, detector, sinks, stop=stop)
        interrupted = stop.is_set()
    kind = "picture" if pictures else "frame"
    summary = f"{report.frames} {kind}{'' if report.frames == 1 else 's'}, {report.detections} detections"
    if report.frames:
        summary += f", {report.snapshot.stages['detect'].p50:.1f} ms each (median)"
    if unreadable.count:
        summary += f", {unreadable.count} unreadable"
    if args.save is not None and report.frames:
        summary += f", saved in {args.save}"
    tell(summary)
    if report.failure is not None:
        raise report.failure
    if unreadable.count:
        return 2
    return _INTERRUPTED if interrupted else 0
