"""``edge-ssd camera``: find objects in a live camera, a stream, or a recording of one."""

from __future__ import annotations

import argparse
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from device_apps.arguments import (
    UnreadableCounter,
    add_detector_arguments,
    make_detector,
    positive_float,
    positive_int,
    tell,
)
from device_apps.events.options import EXAMPLES as EVENT_EXAMPLES
from device_apps.events.options import add_event_arguments, open_events
from device_apps.sources.capture import STALL_TIMEOUT_S
from device_apps.web.options import add_web_arguments, open_web
from edge_ssd.errors import EdgeSSDError, SettingError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from device_apps.results import Sink
    from device_apps.sinks import LastFrameSink
    from device_apps.sources.frames import Source

__all__ = ["add_arguments", "check", "expand", "run"]

_EXAMPLES = """\
examples:
  edge-ssd camera                                        the first webcam, in a window
  edge-ssd camera --source picamera --headless --jsonl -
  edge-ssd camera --source rtsp://user:password@192.168.1.20/stream --save-video seen.mp4 --duration 60
  edge-ssd camera --source clip.mp4 --headless --snapshot last.jpg
  edge-ssd camera --config camera.toml --stats-every 60
  edge-ssd camera --source picamera --web 8080           http://localhost:8080/ on this machine

q, ESC, closing the window, Ctrl-C and SIGTERM end it; files are then complete and the exit status is 0.
A camera or stream that goes away, or gives no picture, is opened again until it is back; cameras give their newest
frame only, and what is skipped is counted. Of a video or a folder every frame is used. When the disk is full detection
goes on; the video is finished, and a new one begun when there is room again. The exit status is 2 when something was
not written.

--config takes the options from a TOML file, under the same names (save-video = "seen.mp4"); what the command line
says as well goes first. Relative paths are relative to the working directory in both.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the options."""
    parser.description = "Find objects in a live camera, a stream, or a recording."
    parser.epilog = f"{_EXAMPLES}\n{EVENT_EXAMPLES}"
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
    source.add_argument(
        "--stall-timeout",
        type=float,
        default=STALL_TIMEOUT_S,
        metavar="SECONDS",
        help=f"open a camera or stream anew after so long without a picture (default: {STALL_TIMEOUT_S:g})",
    )
    output = parser.add_argument_group("output")
    window = output.add_mutually_exclusive_group()
    window.add_argument("--show", action="store_true", help="a window is a must (default: where there is a display)")
    window.add_argument("--headless", action="store_true", help="no window")
    output.add_argument("--save-video", type=Path, metavar="FILE", help="annotated video: .mp4, .avi or .mkv")
    output.add_argument("--jsonl", metavar="FILE|-", help="append one line of JSON a frame; - is standard output")
    output.add_argument("--snapshot", type=Path, metavar="FILE", help="save the last annotated frame: .jpg or .png")
    running = parser.add_argument_group("running")
    running.add_argument("--config", type=Path, metavar="FILE.toml", help="take options from this file")
    running.add_argument("--wait", action="store_true", help="wait for a source that is not there at the start")
    running.add_argument("--stats-every", type=float, metavar="SECONDS", help="say the numbers so often, on stderr")
    running.add_argument("--stats-json", action="store_true", help="say them as lines of JSON")
    limits = parser.add_argument_group("limits")
    limits.add_argument("--max-frames", type=int, metavar="N", help="end after so many frames")
    limits.add_argument("--duration", type=float, metavar="SECONDS", help="end after so many seconds")
    add_event_arguments(parser)
    add_web_arguments(parser)
    add_detector_arguments(parser)


def expand(parser: argparse.ArgumentParser, options: Sequence[str]) -> list[str]:
    """The command line with what its --config file says; see :mod:`device_apps.config`."""
    from device_apps.config import expand_config

    return expand_config(parser, options)


def run(args: argparse.Namespace) -> int:
    """Run the command; returns 0, or 2 when something could not be read or written; raises what else went wrong."""
    from device_apps.loop import run_loop
    from device_apps.retrying_sink import RetryingSink
    from device_apps.sd_notify import SystemdNotifier
    from device_apps.signals import stop_on_signals
    from device_apps.sources.open_source import open_source
    from device_apps.sources.open_with_retry import open_with_retry
    from device_apps.stats import Stats
    from device_apps.stats_report import StatsReport, describe

    check(args)
    unreadable = UnreadableCounter()
    with stop_on_signals() as stop, ExitStack() as stack:

        def make_source() -> Source:
            return open_source(
                args.source,
                width=args.width,
                height=args.height,
                fps=args.fps,
                retries=args.retries,
                stall_timeout=args.stall_timeout,
                stop=stop,
                notice=tell,
                unreadable=unreadable,
            )

        supervised = stack.enter_context(SystemdNotifier())
        detector = stack.enter_context(make_detector(args))
        retries = args.retries if args.wait else 0
        source = open_with_retry(
            make_source, stack, stop=stop, notice=tell, waiting=supervised.waiting, retries=retries
        )
        if source is None or stop.is_set():
            return 0
        stats = supervised.stats = Stats(source)
        sinks, snapshot = _open_sinks(args, source, stack)
        events = open_events(args, source, stack, tell, detector.labels)
        sinks += [] if events is None else [events]
        sinks += open_web(args, source, detector, stats, events, stack, tell)
        if args.stats_every is not None:
            stack.enter_context(StatsReport(stats, args.stats_every, as_json=args.stats_json))
        report = run_loop(
            source,
            detector,
            [*sinks, supervised],
            stats=stats,
            stop=stop,
            max_frames=args.max_frames,
            duration=args.duration,
        )
        lost = any(sink.lost for sink in sinks if isinstance(sink, RetryingSink))
        if snapshot is not None:
            lost |= not _saved(snapshot)
    tell(describe(report.snapshot, report.fps))
    if report.failure is not None:
        raise report.failure
    return 2 if unreadable.count or lost else 0


def _saved(snapshot: LastFrameSink) -> bool:
    """Save the last picture; where that fails it is said, and everything else is finished all the same."""
    try:
        snapshot.save()
    except EdgeSSDError as error:
        tell(f"error: {error}")
        return False
    return True


def check(args: argparse.Namespace) -> None:
    """Raise SettingError for what argparse lets through."""
    from device_apps.sinks import refuse_overwriting
    from edge_ssd.runtime.models import find_model

    for name in ("width", "height", "max_frames"):
        positive_int(f"--{name.replace('_', '-')}", getattr(args, name))
    for name in ("fps", "duration", "stall_timeout", "stats_every"):
        positive_float(f"--{name.replace('_', '-')}", getattr(args, name))
    if args.stats_json and args.stats_every is None:
        raise SettingError("--stats-json needs --stats-every SECONDS")
    if args.retries is not None and args.retries < 0:
        raise SettingError(f"--retries must be a whole number from 0, got {args.retries}")
    model = None if args.model is None else find_model(args.model)
    for name in ("save_video", "jsonl", "snapshot", "events"):
        path = getattr(args, name)
        if path is not None:
            option = f"--{name.replace('_', '-')}"
            refuse_overwriting(args.source, Path(path), option)
            if model is not None:
                refuse_overwriting(model, Path(path), option, "model")


def _may_show(args: argparse.Namespace) -> bool:
    """Whether to open a window; without a display that is an error with --show and said once without."""
    if args.headless or (args.web is not None and not args.show):
        return False
    from device_apps.window import why_no_window

    reason = why_no_window()
    if reason is not None and args.show:
        raise EdgeSSDError(f"--show: {reason}; run it with --headless")
    if reason is not None:
        tell(f"no window: {reason}; running headless (Ctrl-C ends it)")
    return reason is None


def _open_sinks(args: argparse.Namespace, source: Source, stack: ExitStack) -> tuple[list[Sink], LastFrameSink | None]:
    from device_apps.retrying_sink import RetryingSink
    from device_apps.sinks import JsonLines, LastFrameSink, appending

    sinks: list[tuple[str, Sink]] = []
    snapshot = None
    if args.snapshot is not None:
        snapshot = LastFrameSink(args.snapshot)
        sinks.append((str(args.snapshot), snapshot))
    if args.save_video is not None:
        from device_apps.video_writer import VideoWriter

        video = stack.enter_context(VideoWriter(args.save_video, source.fps, live=source.live, notice=tell))
        sinks.append((str(args.save_video), video))
    if args.jsonl is not None:
        stream = sys.stdout if args.jsonl == "-" else stack.enter_context(appending(Path(args.jsonl)))
        sinks.append(("standard output" if args.jsonl == "-" else args.jsonl, JsonLines(stream)))
    if _may_show(args):
        from device_apps.window import Window

        pace = None if source.live else source.fps
        sinks.append(("window", stack.enter_context(Window(f"edge-ssd: {source.name}", pace))))
    return [RetryingSink(sink, name, tell) for name, sink in sinks], snapshot
