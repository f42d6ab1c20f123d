"""``edge-ssd camera``: find objects in a live camera, a stream, or a recording of one."""

from __future__ import annotations

import argparse
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from device_apps.arguments import Unreadable, add_detector_arguments, make_detector, positive_float, positive_int, tell
from edge_ssd.errors import EdgeSSDError, SettingError

if TYPE_CHECKING:
    from device_apps.frames import Source
    from device_apps.loop import LoopReport, Sink
    from device_apps.sinks import Snapshot

__all__ = ["add_arguments", "run"]

_EXAMPLES = """\
examples:
  edge-ssd camera                                        the first webcam, in a window
  edge-ssd camera --source picamera --headless --jsonl -
  edge-ssd camera --source rtsp://user:password@192.168.1.20/stream --save-video seen.mp4 --duration 60
  edge-ssd camera --source clip.mp4 --headless --snapshot last.jpg

q, ESC, closing the window, Ctrl-C and SIGTERM end it; files are then complete and the exit status is 0.
A camera or stream that goes away is opened again until it is back; cameras give their newest frame only, and
what is skipped is counted. Of a video or a folder every frame is used.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the options."""
    parser.description = "Find objects in a live camera, a stream, or a recording."
    parser.epilog = _EXAMPLES
    source = parser.add_argument_group("source")
    source.add_argument(
        "--source",
        default="0",
        metavar="SOURCE",
        help="0 (webcam), /dev/videoN, picamera, http:// or rtsp:// URL, video, picture or folder (default: 0)",
    )
    source.add_argument("--width", type=int, metavar="PIXELS", help="ask the camera for this width")
    source.add_argument("--height", type=int, metavar="PIXELS", help="ask the camera for this height")
    source.add_argument("--fps", type=float, metavar="N", help="ask the camera for so many frames a second")
    source.add_argument(
        "--retries", type=int, metavar="N", help="attempts to get a lost camera or stream back (default: for ever)"
    )
    output = parser.add_argument_group("output")
    window = output.add_mutually_exclusive_group()
    window.add_argument("--show", action="store_true", help="a window is a must (default: where there is a display)")
    window.add_argument("--headless", action="store_true", help="no window")
    output.add_argument("--save-video", type=Path, metavar="FILE", help="annotated video: .mp4, .avi or .mkv")
    output.add_argument("--jsonl", metavar="FILE|-", help="append one line of JSON a frame; - is standard output")
    output.add_argument("--snapshot", type=Path, metavar="FILE", help="save the last annotated frame: .jpg or .png")
    limits = parser.add_argument_group("limits")
    limits.add_argument("--max-frames", type=int, metavar="N", help="end after so many frames")
    limits.add_argument("--duration", type=float, metavar="SECONDS", help="end after so many seconds")
    add_detector_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Run the command; returns 0, or 2 when a picture could not be read; raises what else went wrong."""
    from device_apps.loop import run_loop
    from device_apps.signals import stop_on_signals
    from device_apps.sources import open_source
    from device_apps.stats import Stats

    _check(args)
    unreadable = Unreadable()
    with stop_on_signals() as stop, ExitStack() as stack:
        source = open_source(
            args.source,
            width=args.width,
            height=args.height,
            fps=args.fps,
            retries=args.retries,
            stop=stop,
            notice=tell,
            unreadable=unreadable,
        )
        detector = stack.enter_context(make_detector(args))
        stack.enter_context(source)
        if stop.is_set():
            return 0
        sinks, snapshot = _open_sinks(args, source, stack)
        report = run_loop(
            source, detector, sinks, stats=Stats(source), stop=stop, max_frames=args.max_frames, duration=args.duration
        )
        if snapshot is not None:
            snapshot.save()
    tell(_summary(report))
    if report.failure is not None:
        raise report.failure
    return 2 if unreadable.count else 0


def _check(args: argparse.Namespace) -> None:
    from device_apps.sinks import refuse_overwriting

    for name in ("width", "height", "max_frames"):
        positive_int(f"--{name.replace('_', '-')}", getattr(args, name))
    for name in ("fps", "duration"):
        positive_float(f"--{name}", getattr(args, name))
    if args.retries is not None and args.retries < 0:
        raise SettingError(f"--retries must be a whole number from 0, got {args.retries}")
    for name in ("save_video", "jsonl", "snapshot"):
        path = getattr(args, name)
        if path is not None:
            option = f"--{name.replace('_', '-')}"
            refuse_overwriting(args.source, Path(path), option)
            if args.model is not None:
                refuse_overwriting(args.model, Path(path), option, "model")


def _may_show(args: argparse.Namespace) -> bool:
    """Whether to open a window; without a display that is an error with --show and said once without."""
    if args.headless:
        return False
    from device_apps.window import why_no_window

    reason = why_no_window()
    if reason is not None and args.show:
        raise EdgeSSDError(f"--show: {reason}; run it with --headless")
    if reason is not None:
        tell(f"no window: {reason}; running headless (Ctrl-C ends it)")
    return reason is None


def _open_sinks(args: argparse.Namespace, source: Source, stack: ExitStack) -> tuple[list[Sink], Snapshot | None]:
    from device_apps.sinks import JsonLines, Snapshot, appending

    sinks: list[Sink] = []
    snapshot = None
    if args.snapshot is not None:
        snapshot = Snapshot(args.snapshot)
        sinks.append(snapshot)
    if args.save_video is not None:
        from device_apps.video_writer import VideoWriter

        sinks.append(stack.enter_context(VideoWriter(args.save_video, source.fps, live=source.live, notice=tell)))
    if args.jsonl is not None:
        sinks.append(JsonLines(sys.stdout if args.jsonl == "-" else stack.enter_context(appending(Path(args.jsonl)))))
    if _may_show(args):
        from device_apps.window import Window

        pace = None if source.live else source.fps
        sinks.append(stack.enter_context(Window(f"edge-ssd: {source.name}", pace)))
    return sinks, snapshot


def _summary(report: LoopReport) -> str:
    snapshot = report.snapshot
    parts = [f"{snapshot.frames} frames"]
    if report.fps is not None:
        parts.append(f"{report.fps:.1f} a second")
    parts.append(f"{snapshot.source.dropped} dropped")
    parts.append(f"{snapshot.detections} detections")
    if snapshot.stages:
        times = [f"{stage} {both.p50:.1f}/{both.p95:.1f}" for stage, both in snapshot.stages.items()]
        parts.append(f"ms p50/p95: {', '.join(times)}")
    return "; ".join(parts)
