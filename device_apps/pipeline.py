"""Pipeline of ``edge-ssd camera``: a source, a detector, the loop and its outputs."""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from device_apps.loop import LoopReport, run_loop
from device_apps.model_watch import ModelUser, ModelWatch, followers_of
from device_apps.motion_gate import MotionGate
from device_apps.results import Sink, has_lost
from device_apps.retrying_sink import RetryingSink
from device_apps.sd_notify import SystemdNotifier
from device_apps.signals import stop_on_signals
from device_apps.sinks import JsonLinesSink, LastFrameSink, open_for_append
from device_apps.sources.frames import Source
from device_apps.sources.image_folder import ImageFolderSource
from device_apps.sources.open_source import open_source
from device_apps.sources.open_with_retry import open_with_retry
from device_apps.sources.timeouts import CaptureTimeouts
from device_apps.stats import Stats
from device_apps.stats_report import StatsReport
from device_apps.thread_errors import stop_on_thread_errors
from device_apps.zones.active_zones import ActiveZones
from device_apps.zones.masking import MaskedSource
from device_apps.zones.monitor import ZoneMonitor
from device_apps.zones.overlay import ZoneOverlay
from edge_ssd.console.text import utf8_text
from edge_ssd.errors import EdgeSSDError
from edge_ssd.runtime.resize import prepare_resize

if TYPE_CHECKING:
    from device_apps.video_thread import VideoThread
    from edge_ssd.runtime.detector import Detector

__all__ = [
    "PipelineConfig",
    "PipelineResult",
    "motion_gate_of",
    "open_outputs",
    "run_pipeline",
    "save_last_frame",
    "source_of",
]

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PipelineConfig:
    """Source, outputs and limits of a pipeline.

    Attributes:
        source, width, height, fps, retries: see :func:`~device_apps.sources.open_source.open_source`.
        loop: repeat a file as a live source.
        stall_timeout: seconds without a frame after which a camera or stream is opened again.
        wait: retry a source that cannot be opened at the start.
        save_video, snapshot: files of the annotated video and of the last annotated frame.
        save_video_width: maximum width of the video of a camera or stream, in pixels.
        jsonl: file for one line of JSON per frame; "-" for standard output.
        window: whether to open a window; None opens it if there is a display.
        stats_every, stats_json: seconds between two reports of statistics on standard error, and whether as JSON.
        motion_gate: repeat the last detections while the scene is still, and detect every ``motion_gate_interval``
            seconds.
        watch_model: replace the model when its file has changed.
        max_frames, duration: limits, the duration in seconds; None for no limit.
    """

    source: str
    width: int | None
    height: int | None
    fps: float | None
    retries: int | None
    stall_timeout: float
    wait: bool
    save_video: Path | None
    save_video_width: int
    jsonl: str | None
    snapshot: Path | None
    window: bool | None
    stats_every: float | None
    stats_json: bool
    max_frames: int | None
    duration: float | None
    loop: bool = False
    motion_gate: bool = False
    motion_gate_interval: float = 1.0
    watch_model: bool = False


@dataclass(frozen=True)
class PipelineResult:
    """Report of the loop; ``complete`` is False when an image could not be read or a result could not be written."""

    report: LoopReport
    complete: bool


def run_pipeline(
    config: PipelineConfig,
    make_detector: Callable[[], Detector],
    open_sinks: Callable[[Source, Detector, Stats, ExitStack, ZoneMonitor], Sequence[Sink]],
    zones: ActiveZones,
) -> PipelineResult | None:
    """Detect in the frames of a source until it ends, a limit is reached, the window is closed, or a signal arrives.

    ``open_sinks`` returns further sinks, which the ``ExitStack`` closes. The masks of ``zones`` are hidden in every
    frame, and its zones and lines are drawn, with the counts of the ``ZoneMonitor``. The result is None when a signal
    arrived before the source was open. Raises EdgeSSDError if the source, the detector or an output cannot be opened,
    or a thread fails.
    """
    with stop_on_signals() as stop, stop_on_thread_errors(stop), ExitStack() as stack:
        start = time.monotonic()
        notifier = stack.enter_context(SystemdNotifier())
        detector = stack.enter_context(make_detector())
        prepare_resize()
        zones.check(detector.labels)
        monitor = ZoneMonitor(zones, detector.labels)
        make_source = partial(source_of(config, detector), stop=stop)
        retries = config.retries if config.wait else 0
        deadline = None if config.duration is None or not config.wait else start + config.duration
        source = open_with_retry(
            make_source, stack, stop=stop, on_wait=notifier.waiting, retries=retries, deadline=deadline
        )
        if source is None or stop.is_set():
            return None
        stats = notifier.stats = Stats(source)
        outputs, last_frame = open_outputs(config, source, stack, stop)
        sinks = [*outputs, *open_sinks(source, detector, stats, stack, monitor), notifier]
        gate = motion_gate_of(config, detector)
        if config.watch_model:
            followers = followers_of(monitor, gate, *sinks)
            sinks.append(stack.enter_context(ModelWatch(detector, lambda: [ModelUser(detector, followers)])))
        if config.stats_every is not None:
            stack.enter_context(StatsReport(stats, config.stats_every, as_json=config.stats_json))
        duration = config.duration if deadline is None else deadline - time.monotonic()
        report = run_loop(
            MaskedSource(source, zones),
            detector,
            sinks,
            stats=stats,
            stop=stop,
            max_frames=config.max_frames,
            duration=duration,
            draw=ZoneOverlay(monitor).draw,
            gate=gate,
        )
        complete = last_frame is None or save_last_frame(last_frame)
        if isinstance(source, ImageFolderSource):
            complete &= not source.unreadable
    return PipelineResult(report, complete and not has_lost(sinks))


def source_of(config: PipelineConfig, detector: Detector) -> Callable[..., Source]:
    """Return a function that opens the source of ``config``; it takes the other arguments of ``open_source``."""
    return partial(
        open_source,
        config.source,
        width=config.width,
        height=config.height,
        fps=config.fps,
        retries=config.retries,
        timeouts=CaptureTimeouts(stall=config.stall_timeout),
        skip_unreadable=True,
        loop=config.loop,
        input_spec=detector.reduced_input,
    )


def motion_gate_of(config: PipelineConfig, detector: Detector) -> MotionGate | None:
    """Return a new motion gate if ``config`` has one; each camera needs its own, which keeps the last scene."""
    return MotionGate(config.motion_gate_interval, detector.tiles) if config.motion_gate else None


def save_last_frame(last_frame: LastFrameSink) -> bool:
    """Save the last frame; return False, with the error logged, if that fails: other outputs are still finished."""
    try:
        last_frame.save()
    except EdgeSSDError as error:
        _log.error("%s", error)
        return False
    return True


def open_outputs(
    config: PipelineConfig, source: Source, stack: ExitStack, stop: threading.Event, camera: str | None = None
) -> tuple[list[RetryingSink | VideoThread], LastFrameSink | None]:
    """Return the sinks of files and of the window, which ``stack`` closes, and the one that is saved at the end.

    Args:
        stop: ends the wait for a reader of lines that does not read.
        camera: its name, if it is one of several.
    """
    sinks: list[RetryingSink | VideoThread] = []
    last_frame = None
    if config.snapshot is not None:
        last_frame = LastFrameSink(config.snapshot)
        sinks.append(RetryingSink(last_frame, str(config.snapshot)))
    if config.save_video is not None:
        from device_apps.video_thread import VideoThread
        from device_apps.video_writer import VideoWriter

        video = stack.enter_context(VideoWriter(config.save_video, source.fps, live=source.live))
        sink = RetryingSink(video, str(config.save_video))
        # A recording waits for the encoder, and has every frame.
        if source.live:
            sinks.append(stack.enter_context(VideoThread(sink, str(config.save_video), config.save_video_width)))
        else:
            sinks.append(sink)
    if config.jsonl is not None:
        stdout = config.jsonl == "-"
        stream = sys.stdout if stdout else stack.enter_context(open_for_append(Path(config.jsonl)))
        sinks.append(RetryingSink(JsonLinesSink(stream, camera, stop), "standard output" if stdout else config.jsonl))
    if _can_open_window(config.window):
        from device_apps.window import Window

        window = Window(utf8_text(f"edge-ssd: {source.name}"), None if source.live else source.fps)
        sinks.append(RetryingSink(stack.enter_context(window), "window"))
    return sinks, last_frame


def _can_open_window(window: bool | None) -> bool:
    """Return whether to open a window. Without a usable display, log it, or raise EdgeSSDError if it is required."""
    if window is False:
        return False
    from device_apps.window import window_error

    error = window_error()
    if error is not None and window:
        raise EdgeSSDError(f"--show: {error}; run it with --headless")
    if error is not None:
        _log.info("no window: %s; running headless (Ctrl-C ends it)", error)
    return error is None
