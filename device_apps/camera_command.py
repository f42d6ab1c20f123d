"""``edge-ssd camera``: find objects in a live camera, a stream, or a recording of one."""

from __future__ import annotations

import argparse
import logging
from contextlib import ExitStack
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

from device_apps.arguments import (
    MAX_TIMEOUT_S,
    add_detector_arguments,
    camera_name,
    check_int,
    check_positive,
    make_detector,
    option_name,
)
from device_apps.collect.options import add_collect_arguments, check_collect_options, open_collector
from device_apps.event_clips.options import add_clip_arguments, check_clip_options, open_clips
from device_apps.events.options import EXAMPLES as EVENT_EXAMPLES
from device_apps.events.options import add_event_arguments, check_event_options, open_events
from device_apps.sources.timeouts import CaptureTimeouts
from device_apps.web.options import add_web_arguments, open_web
from device_apps.zones.options import add_zone_arguments, open_zones
from edge_ssd.errors import SettingError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from device_apps.pipeline import PipelineConfig
    from device_apps.results import Sink
    from device_apps.sources.frames import Source
    from device_apps.stats import Stats
    from device_apps.zones.monitor import ZoneMonitor
    from edge_ssd.runtime.detector import Detector

__all__ = ["add_arguments", "expand", "pipeline_config", "run"]

_log = logging.getLogger(__name__)

_EXAMPLES = """\
examples:
  edge-ssd camera                                        the first webcam, in a window
  edge-ssd camera --source picamera --headless --jsonl -
  edge-ssd camera --source rtsp://user:password@192.168.1.20/stream --save-video seen.mp4 --duration 60
  edge-ssd camera --source clip.mp4 --headless --snapshot last.jpg
  edge-ssd camera --config camera.toml --stats-every 60
  edge-ssd camera --config cameras.toml --web 8080       several cameras: [[cameras]] with name and source for each
  edge-ssd camera --source picamera --web 8080           http://localhost:8080/ on this machine
  edge-ssd camera --web 0.0.0.0:8080 --web-token-file web.token   for others, with a QR code that opens it on a phone
  edge-ssd camera --source clip.mp4 --loop --web 8080 --name "Front door"
  edge-ssd camera --model fruit.tflite --watch-model     a new fruit.tflite replaces the model while it runs

q, ESC, closing the window, Ctrl-C and SIGTERM end it; files are then complete and the exit status is 0.
A camera or stream that ends or stalls is reopened until it is back. Cameras and streams deliver only their newest
frame, and skipped frames are counted; of a video or a folder every frame is used. When the disk is full detection goes
on: the video is finished, and a new one is started when there is space again. The exit status is 2 when something was
not written.

--config takes options from a TOML file, under the same names (save-video = "seen.mp4"); options of the command line
override it. Tables [[cameras]] in it, each with a name, a source and any options of its own, are cameras that one
process runs with one model; their outputs are in folders with their names. Relative paths are relative to the working
directory in both.
"""


def add_arguments(parser: argparse.ArgumentParser, *, name: bool = True) -> None:
    """Define the options of ``edge-ssd camera``; without ``name``, all but --name."""
    parser.description = "Find objects in a live camera, a stream, or a recording."
    parser.epilog = f"{_EXAMPLES}\n{EVENT_EXAMPLES}"
    source = parser.add_argument_group("source")
    source.add_argument(
        "--source",
        default="0",
        metavar="SOURCE",
        help="0 (webcam), /dev/videoN, picamera, http:// or rtsp:// URL, video, image, folder, or - (default: 0)",
    )
    source.add_argument("--loop", action="store_true", help="repeat a video, an image or a folder, as a live camera")
    if name:
        source.add_argument("--name", metavar="NAME", help="name of the camera, for the web page and Home Assistant")
    source.add_argument("--width", type=int, metavar="PIXELS", help="request this width from the camera")
    source.add_argument("--height", type=int, metavar="PIXELS", help="request this height from the camera")
    source.add_argument(
        "--fps",
        type=float,
        metavar="N",
        help="request this frame rate from the camera; images per second of a URL that gives one, or of a folder with "
        "--loop (default: 2)",
    )
    source.add_argument(
        "--retries", type=int, metavar="N", help="attempts to reconnect a lost camera or stream (default: no limit)"
    )
    source.add_argument(
        "--stall-timeout",
        type=float,
        default=CaptureTimeouts.stall,
        metavar="SECONDS",
        help=f"reopen a camera or stream after this time without a frame (default: {CaptureTimeouts.stall:g})",
    )
    output = parser.add_argument_group("output")
    window = output.add_mutually_exclusive_group()
    window.add_argument("--show", action="store_true", help="always open a window (default: if there is a display)")
    window.add_argument("--headless", action="store_true", help="open no window")
    output.add_argument("--save-video", type=Path, metavar="FILE", help="annotated video: .mp4, .avi or .mkv")
    output.add_argument(
        "--save-video-width",
        type=int,
        default=1920,
        metavar="PIXELS",
        help="scale the video of a camera or stream down to this width (default: 1920)",
    )
    output.add_argument("--jsonl", metavar="FILE|-", help="append one line of JSON per frame; - is standard output")
    output.add_argument("--snapshot", type=Path, metavar="FILE", help="save the last annotated frame: .jpg or .png")
    running = parser.add_argument_group("running")
    running.add_argument("--config", type=Path, metavar="FILE.toml", help="take options from this file")
    running.add_argument(
        "--watch-model",
        action="store_true",
        help="when the file of --model is replaced by a better model, go on with that without missing a frame",
    )
    running.add_argument("--wait", action="store_true", help="wait for a source that is not available at the start")
    running.add_argument(
        "--motion-gate",
        action="store_true",
        help="save processor time in a still scene: detect only when the image changes, else repeat the detections",
    )
    running.add_argument(
        "--motion-gate-interval",
        type=float,
        default=1.0,
        metavar="SECONDS",
        help="longest time without a detection with --motion-gate (default: 1)",
    )
    running.add_argument("--stats-every", type=float, metavar="SECONDS", help="print statistics every N seconds")
    running.add_argument("--stats-json", action="store_true", help="print them as lines of JSON")
    limits = parser.add_argument_group("limits")
    limits.add_argument("--max-frames", type=int, metavar="N", help="stop after this many frames")
    limits.add_argument("--duration", type=float, metavar="SECONDS", help="stop after this time")
    add_event_arguments(parser)
    add_clip_arguments(parser)
    add_zone_arguments(parser)
    add_collect_arguments(parser)
    add_web_arguments(parser)
    add_detector_arguments(parser)


def expand(
    parser: argparse.ArgumentParser, options: Sequence[str], of_one_camera: Collection[str] | None = None
) -> list[str]:
    """Return ``options`` preceded by those of the file that --config names; see :mod:`device_apps.config_file`.

    Its tables [[cameras]] become the value ``cameras`` of the parser: of :mod:`device_apps.cameras.tables`, or None.
    ``of_one_camera`` has the destinations of options that then cannot be given; None for all that are of one camera.
    """
    from device_apps.config_file import add_config_options, config_path

    expanded = add_config_options(parser, options)
    if config_path(options) is not None:
        from device_apps.cameras.tables import OF_ONE_CAMERA, read_camera_tables

        names = OF_ONE_CAMERA if of_one_camera is None else of_one_camera
        parser.set_defaults(cameras=read_camera_tables(parser, options, names))
    return expanded


def run(args: argparse.Namespace) -> int:
    """Run ``edge-ssd camera``; return the exit status: 0, or 2 when something could not be read or written."""
    from device_apps.pipeline import run_pipeline
    from device_apps.stats_report import format_stats

    cameras = getattr(args, "cameras", None)
    if cameras is not None:
        from device_apps.cameras.run import run_cameras

        return run_cameras(args, cameras, pipeline_config, lambda: make_detector(args))
    config, zones = pipeline_config(args), open_zones(args)

    def open_sinks(
        source: Source, detector: Detector, stats: Stats, stack: ExitStack, monitor: ZoneMonitor
    ) -> list[Sink]:
        clips = open_clips(args, stack, live=source.live)
        events = open_events(args, source, stack, detector.labels, clips, monitor)
        collector = open_collector(args, stack, detector)
        web = open_web(args, source, detector, stats, events, stack, zones=monitor, collector=collector)
        return [sink for sink in (events, clips, collector, *web) if sink is not None]

    result = run_pipeline(config, lambda: make_detector(args), open_sinks, zones)
    if result is None:
        return 0
    _log.info("%s", format_stats(result.report.snapshot, result.report.fps))
    if result.report.failure is not None:
        raise result.report.failure
    return 0 if result.complete else 2


def pipeline_config(args: argparse.Namespace) -> PipelineConfig:
    """Return the pipeline configuration of the parsed options; raise SettingError for an invalid value."""
    from device_apps.cameras.outputs import check_files
    from device_apps.pipeline import PipelineConfig
    from device_apps.sinks import refuse_overwriting
    from edge_ssd.runtime.shipped_models import find_model

    for name in ("width", "height", "max_frames", "save_video_width"):
        check_int(args, name)
    check_int(args, "retries", 0)
    for name in ("fps", "duration", "stats_every", "motion_gate_interval"):
        check_positive(args, name)
    check_positive(args, "stall_timeout", MAX_TIMEOUT_S)
    if not args.source.strip():
        raise SettingError("--source is empty; give an image, a folder, a video, a camera (0, picamera) or a URL")
    if args.stats_json and args.stats_every is None:
        raise SettingError("--stats-json needs --stats-every SECONDS")
    camera_name(args)
    check_clip_options(args)
    check_collect_options(args)
    check_event_options(args)  # before a camera is waited for, and before a service is written
    check_files(args)
    model = None if args.model is None else find_model(args.model)
    for name in ("save_video", "jsonl", "snapshot", "events"):
        path = getattr(args, name)
        if path is not None:
            refuse_overwriting(args.source, Path(path), option_name(name))
            if model is not None:
                refuse_overwriting(model, Path(path), option_name(name), "model")
    # A browser replaces the window, unless --show is given as well.
    window = True if args.show else False if args.headless or args.web is not None else None
    values = {field.name: getattr(args, field.name) for field in fields(PipelineConfig) if field.name != "window"}
    return PipelineConfig(window=window, **values)
