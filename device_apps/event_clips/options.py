"""Options of ``edge-ssd camera`` for clips of events, and the recorder that they describe."""

from __future__ import annotations

import argparse
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from device_apps.arguments import check_positive
from edge_ssd.errors import SettingError

if TYPE_CHECKING:
    from device_apps.event_clips.recorder import ClipRecorder

__all__ = ["add_clip_arguments", "check_clip_options", "open_clips"]

_DAY_S = 24 * 60 * 60.0


def add_clip_arguments(parser: argparse.ArgumentParser) -> None:
    """Add --event-clips and its options to a parser."""
    group = parser.add_argument_group("clips of events")
    group.add_argument(
        "--event-clips",
        type=Path,
        metavar="DIR",
        help="record a clip (WebM) of each event, from some seconds before it, and while an object that entered stays",
    )
    for option, default, metavar, text in (
        ("--clip-before", 5.0, "SECONDS", "seconds before the first event of a clip"),
        ("--clip-after", 3.0, "SECONDS", "seconds after the last event of a clip"),
        (
            "--clip-max-seconds",
            60.0,
            "SECONDS",
            "maximum length of a clip; only the seconds after its last event may exceed it",
        ),
        ("--event-clips-max-mb", 1000.0, "MB", "delete the oldest clips above this total size"),
    ):
        group.add_argument(option, type=float, default=default, metavar=metavar, help=f"{text} (default: {default:g})")
    group.add_argument("--event-clips-days", type=float, metavar="N", help="delete clips after so many days")


def check_clip_options(args: argparse.Namespace) -> None:
    """Raise SettingError for an invalid value."""
    for name in ("clip_before", "clip_after", "clip_max_seconds", "event_clips_max_mb", "event_clips_days"):
        check_positive(args, name)
    if args.clip_max_seconds <= args.clip_before:
        raise SettingError(
            f"--clip-max-seconds must be above --clip-before ({args.clip_before:g}), got {args.clip_max_seconds:g}"
        )
    if args.event_clips is None and args.event_clips_days is not None:
        raise SettingError("--event-clips-days needs --event-clips DIR")


def open_clips(args: argparse.Namespace, stack: ExitStack, *, live: bool) -> ClipRecorder | None:
    """Return the recorder that the options describe, or None; ``stack`` closes it."""
    if args.event_clips is None:
        return None
    from device_apps.event_clips.clip_options import ClipOptions
    from device_apps.event_clips.recorder import ClipRecorder

    options = ClipOptions(
        before=args.clip_before,
        after=args.clip_after,
        max_seconds=args.clip_max_seconds,
        max_bytes=round(args.event_clips_max_mb * 2**20),
        max_age=None if args.event_clips_days is None else _DAY_S * args.event_clips_days,
    )
    return stack.enter_context(ClipRecorder(args.event_clips, options, live=live))
