"""Run several cameras with one detector, one loop and one web page."""

from __future__ import annotations

import argparse
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from device_apps.cameras.camera import Camera
from device_apps.cameras.loop import run_turns
from device_apps.cameras.tables import CameraTable
from device_apps.daemon_thread import DaemonThread
from device_apps.machine import Health
from device_apps.model_watch import ModelUser, ModelWatch
from device_apps.sd_notify import SystemdNotifier
from device_apps.signals import stop_on_signals
from device_apps.thread_errors import stop_on_thread_errors
from device_apps.web.options import WebCamera, open_web_cameras
from edge_ssd.errors import EdgeSSDError, SettingError
from edge_ssd.runtime.resize import prepare_resize

if TYPE_CHECKING:
    from device_apps.pipeline import PipelineConfig
    from edge_ssd.runtime.detector import Detector

__all__ = ["run_cameras"]

_log = logging.getLogger(__name__)


def run_cameras(
    args: argparse.Namespace,
    tables: Sequence[CameraTable],
    make_config: Callable[[argparse.Namespace], PipelineConfig],
    make_detector: Callable[[], Detector],
) -> int:
    """Detect in the frames of all cameras; return the exit status: 0, or 2 when something was left out or lost.

    A camera that cannot be used is left out with one line. Raises EdgeSSDError if none can be used, or what all of them
    share cannot.

    Args:
        args: options of all cameras together.
        make_config: returns the pipeline configuration of a camera's options.
    """
    if args.show:
        raise SettingError("--show: several cameras have no window; --web 8080 shows all of them on one page")
    config = make_config(args)
    wake = threading.Event()
    with stop_on_signals() as stop, stop_on_thread_errors(stop), ExitStack() as stack:
        notifier = stack.enter_context(SystemdNotifier())
        detector = stack.enter_context(make_detector())
        prepare_resize()
        cameras = stack.enter_context(_open_cameras(args, tables, make_config, detector, stop, wake.set))
        encoders = open_web_cameras(args, [_show(camera) for camera in cameras], stack)
        for camera, encoder in zip(cameras, encoders, strict=False):
            camera.sinks.append(encoder)
        for camera in cameras:
            camera.start()

        watch = None
        if config.watch_model:
            watch = stack.enter_context(ModelWatch(detector, lambda: _model_users(cameras)))

        def on_turn() -> None:
            notifier.idle()
            if watch is not None:
                watch.idle()
            for encoder, camera in zip(encoders, cameras, strict=False):
                if camera.ended:
                    encoder.idle()  # The loop runs, although this camera does not.

        notifier.describe = lambda: _describe(cameras, len(tables))
        broken_pipe = run_turns(cameras, stop=stop, wake=wake, on_turn=on_turn, duration=config.duration)
    if broken_pipe is not None:
        raise broken_pipe
    return 0 if len(cameras) == len(tables) and all(camera.complete for camera in cameras) else 2


def _model_users(cameras: Sequence[Camera]) -> list[ModelUser]:
    return [ModelUser(camera.detector, camera.followers) for camera in cameras if not camera.ended]


def _show(camera: Camera) -> WebCamera:
    """Return what the web page needs of a camera."""
    return WebCamera(
        camera.name,
        camera.slug,
        camera.source,
        camera.detector,
        camera.stats,
        camera.events,
        camera.zones,
        camera.collector,
        lambda: camera.problem,
    )


@contextmanager
def _open_cameras(
    args: argparse.Namespace,
    tables: Sequence[CameraTable],
    make_config: Callable[[argparse.Namespace], PipelineConfig],
    detector: Detector,
    stop: threading.Event,
    wake: Callable[[], None],
) -> Iterator[list[Camera]]:
    """Open every camera that can be used, log why others cannot, and close them all at once on exit."""
    cameras: list[Camera] = []
    problems: list[tuple[str, str]] = []
    health = Health()
    try:
        for table in tables:
            if table.args is None:
                problems.append((table.title, table.problem))
                continue
            try:
                own = make_config(table.args)
                cameras.append(Camera(table.title, table.args, own, detector, stop=stop, wake=wake, health=health))
            except (EdgeSSDError, OSError) as error:
                reason = str(error) if isinstance(error, EdgeSSDError) else f"{error.filename}: {error.strerror}"
                problems.append((table.title, reason))
        if not cameras:
            reasons = {reason for _, reason in problems}
            # The same reason for all of them is one of what they share.
            titles = "; ".join(f"{title}: {reason}" for title, reason in problems)
            raise SettingError(reasons.pop() if len(reasons) == 1 and len(problems) > 1 else f"{args.config}: {titles}")
        for title, reason in problems:
            _log.error("%s: %s: %s; it is left out", args.config, title, reason)
        yield cameras
    finally:
        # Beside each other: each may take a second for what is still to be written. A second Ctrl-C ends the wait.
        closing = [DaemonThread(camera.close, f"close {camera.name}") for camera in cameras]
        for thread in closing:
            thread.start()
        for thread in closing:
            thread.join()


def _describe(cameras: Sequence[Camera], tables: int) -> str:
    """Return the status line of the service: how many of the ``tables`` are cameras with frames, and each of them."""
    left_out = tables - len(cameras)
    states = [f"{camera.name}: {camera.health}" for camera in cameras] + [f"{left_out} left out"] * (left_out > 0)
    return f"{sum(camera.delivers for camera in cameras)} of {tables} cameras; {'; '.join(states)}"
