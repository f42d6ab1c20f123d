"""One of several cameras: its source, its settings of the detector, and its outputs."""

from __future__ import annotations

import argparse
import logging
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from device_apps.arguments import share_detector
from device_apps.cameras.outputs import FILES
from device_apps.collect.options import open_collector
from device_apps.event_clips.options import open_clips
from device_apps.events.options import open_events
from device_apps.follows_model import FollowsModel
from device_apps.loop import process_frame
from device_apps.machine import Health
from device_apps.model_watch import followers_of
from device_apps.pipeline import PipelineConfig, motion_gate_of, open_outputs, save_last_frame, source_of
from device_apps.results import Sink, has_lost
from device_apps.sinks import make_folder
from device_apps.sources.background_source import BackgroundSource
from device_apps.stats import Stats
from device_apps.stats_report import StatsReport, format_stats
from device_apps.zones.masking import MaskedSource
from device_apps.zones.monitor import ZoneMonitor
from device_apps.zones.options import open_zones
from device_apps.zones.overlay import ZoneOverlay
from edge_ssd.console.redact import redact_url
from edge_ssd.console.text import printable
from edge_ssd.errors import EdgeSSDError, SourceError

if TYPE_CHECKING:
    from device_apps.sources.frames import Source
    from edge_ssd.runtime.detector import Detector

__all__ = ["Camera"]

_log = logging.getLogger(__name__)

_IDLE_S = 0.05  # Between two idle turns of the sinks, as in the loop of one camera.


class Camera:
    """A camera that takes its turns in the loop of all of them; :meth:`close` finishes its outputs.

    An error ends this camera only: it is logged, and its outputs are finished.

    Args:
        title: for messages.
        args: its options, and ``config`` what they say of the pipeline.
        detector: of all cameras; this one has settings of its own.
        stop: set when all cameras end.
        wake: called when there may be something to do.
        health: of the machine, read once for all cameras.

    Attributes:
        name, slug: its name, and that in paths.
        sinks: receive every result.
        ended: True after its last turn.
        complete: False when something could not be read or written.

    Raises:
        EdgeSSDError: an option is invalid, or an output cannot be opened.
    """

    def __init__(
        self,
        title: str,
        args: argparse.Namespace,
        config: PipelineConfig,
        detector: Detector,
        *,
        stop: threading.Event,
        wake: Callable[[], None],
        health: Health,
    ) -> None:
        self.name, self.slug = args.name, args.slug
        self.title = title
        self.ended = False
        self.complete = True
        self._failure = ""
        self._max_frames = config.max_frames
        self._idle_at = 0.0
        self._frames = 0
        self._started = False
        self._closed = False
        self._closing = threading.Lock()  # Which a second caller waits for.
        with ExitStack() as stack:
            zones = open_zones(args)
            self.detector = stack.enter_context(share_detector(args, detector))
            zones.check(self.detector.labels)
            self.zones = ZoneMonitor(zones, self.detector.labels)
            self.source = self._make_source(config, wake)
            self.stats = Stats(self.source, health=health)
            _make_folders(args)
            self._outputs, self._last_frame = open_outputs(config, self.source, stack, stop, self.name)
            clips = open_clips(args, stack, live=self.source.live)
            self.events = open_events(
                args, self.source, stack, self.detector.labels, clips, self.zones, camera=self.name
            )
            self.collector = open_collector(args, stack, self.detector)
            more = [sink for sink in (self.events, clips, self.collector) if sink is not None]
            self.sinks: list[Sink] = [*self._outputs, *more]
            if config.stats_every is not None:
                stack.enter_context(
                    StatsReport(self.stats, config.stats_every, as_json=config.stats_json, name=self.name)
                )
            self._masked = MaskedSource(self.source, zones)
            self._draw = ZoneOverlay(self.zones).draw
            self._gate = motion_gate_of(config, self.detector)
            self._stack = stack.pop_all()

    def start(self) -> None:
        """Begin to open the source."""
        self._started = True
        self.source.__enter__()

    @property
    def followers(self) -> list[FollowsModel]:
        """What depends on the labels of the model."""
        return followers_of(self.zones, self._gate, *self.sinks)

    @property
    def problem(self) -> str:
        """Why no frames come, or "": the source is not open, or the camera has ended."""
        return self._failure or self.source.problem or ("it has ended" if self.ended else "")

    @property
    def delivers(self) -> bool:
        """Whether the source is connected, and the camera has not ended."""
        return self.source.counts.connected and not self.ended

    @property
    def health(self) -> str:
        """The frame rate, or why no frames come, in one line."""
        if self.delivers:
            return f"{self.stats.fps or 0.0:.1f} frames per second"
        return printable(self.problem or "lost, being reconnected")

    def take_turn(self) -> bool:
        """Process a frame if there is one, else do what sinks do meanwhile; return whether there was one.

        Raises BrokenPipeError when the reader of standard output has closed it.
        """
        try:
            frame = self._masked.read(0.0)
            if frame is None:
                self._idle()
            else:
                self.stats.add(process_frame(frame, self.detector, self.sinks, self._draw, self._gate))
                self._frames += 1
                self._idle_at = time.monotonic()
        except BrokenPipeError:
            raise
        except (EdgeSSDError, OSError) as error:
            self._fail(error)
            return False
        if self.source.ended or self._frames == self._max_frames or any(sink.finished for sink in self._outputs):
            self.ended = True
        return frame is not None

    def close(self) -> None:
        """Finish the outputs and close the source, once; errors are logged."""
        with self._closing:
            if not self._closed:
                self._closed = True
                self._finish()

    def _finish(self) -> None:
        self.ended = True
        snapshot = self.stats.snapshot()
        self.source.stop()
        try:
            self._stack.close()
        except BrokenPipeError:
            pass
        except (EdgeSSDError, OSError) as error:
            self._log_failure(error, "")
        self.source.__exit__()
        self.complete &= not has_lost(self.sinks)
        if self._last_frame is not None:
            self.complete &= save_last_frame(self._last_frame)
        self.complete &= not self.source.unreadable
        if self._started:
            _log.info("%s: %s", self.title, format_stats(snapshot, self.stats.mean_fps))

    def _idle(self) -> None:
        now = time.monotonic()
        if now - self._idle_at >= _IDLE_S:
            self._idle_at = now
            for sink in self.sinks:
                sink.idle()

    def _fail(self, error: EdgeSSDError | OSError) -> None:
        self.ended = True
        self._log_failure(error, "; it has ended, the others go on")

    def _log_failure(self, error: EdgeSSDError | OSError, consequence: str) -> None:
        self._failure = str(error)
        self.complete = False
        _log.error("%s: %s%s", self.title, error, consequence)

    def _make_source(self, config: PipelineConfig, wake: Callable[[], None]) -> BackgroundSource:
        open_own = source_of(config, self.detector)

        def make_source(stop: threading.Event) -> Source:
            return open_own(stop=stop, on_frame=wake)

        with suppress(SourceError):  # Which may be there later; other errors are mistakes in the options.
            make_source(threading.Event())
        path = Path(config.source)
        recording = config.source == "-" or (not config.loop and (path.is_file() or path.is_dir() or path.is_fifo()))
        return BackgroundSource(
            make_source,
            redact_url(config.source),
            live=not recording,
            retries=config.retries,
            on_frame=wake,
            title=self.title,
        )


def _make_folders(args: argparse.Namespace) -> None:
    """Create the camera's own folders of its files."""
    for name in FILES:
        value = getattr(args, name, None)
        if value is not None and Path(value).parent.name == args.slug:
            make_folder(Path(value).parent)
