"""Outputs of each of several cameras: a folder of its own, so that none writes to the files of another."""

from __future__ import annotations

import argparse
import os
from collections.abc import Collection
from pathlib import Path

from device_apps.arguments import SECRET_FILES, option_name
from device_apps.events.mqtt.address import add_topic
from edge_ssd.errors import SettingError

__all__ = ["FILES", "FOLDERS", "check_files", "claim_outputs", "own_outputs"]

# Argparse destinations of options that name a file, and a folder, that is written to.
FILES = ("save_video", "jsonl", "snapshot", "events", "counts_file", "zones_file", "mqtt_spool", "webhook_spool")
FOLDERS = ("event_snapshots", "event_clips", "collect")


def own_outputs(args: argparse.Namespace, slug: str, as_given: Collection[str] = ()) -> argparse.Namespace:
    """Return the options of a camera with outputs that no other camera has, unless they are in ``as_given``.

    A file ``seen.mp4`` becomes ``SLUG/seen.mp4``, a folder ``clips`` becomes ``clips/SLUG``, the MQTT topic
    ``edge-ssd`` becomes ``edge-ssd/SLUG``. Standard output, pipes and devices are shared.
    """
    own = argparse.Namespace(**vars(args))
    for name in (*FILES, *FOLDERS):
        value = getattr(args, name, None)
        if value is None or name in as_given or _is_shared(value):
            continue
        path = Path(value)
        path = path / slug if name in FOLDERS else path.parent / slug / path.name
        setattr(own, name, str(path) if isinstance(value, str) else path)
    if getattr(args, "web_url", None) is not None:
        own.web_url = f"{args.web_url.rstrip('/')}/cameras/{slug}"
    if args.mqtt is not None:
        own.mqtt = add_topic(args.mqtt, slug)
    return own


def check_files(args: argparse.Namespace) -> None:
    """Raise SettingError if an option names a file to write to that another option names too."""
    taken: dict[str, str] = {}
    for name in ("config", *SECRET_FILES, *FILES):
        value = getattr(args, name, None)
        if value is None or _is_shared(value):
            continue
        path = os.path.realpath(value)
        if name in FILES and path in taken and (name, taken[path]) != ("zones_file", "config"):
            raise SettingError(f"{option_name(name)} {value} is the file of {option_name(taken[path])}; name another")
        taken[path] = name


def claim_outputs(args: argparse.Namespace, title: str, taken: dict[str, str]) -> None:
    """Note in ``taken`` which outputs a camera has, by the camera's title.

    Raises SettingError if one is another camera's, or if standard output gets lines of two kinds.
    """
    claims: dict[str, str] = {}
    for name in (*FILES, *FOLDERS):
        value = getattr(args, name, None)
        if value is not None and not _is_shared(value):
            claims[f"path {os.path.realpath(value)}"] = f"{option_name(name)} {value}"
    for pin in args.gpio or ():
        claims[f"pin {pin.partition(':')[0]}"] = f"--gpio {pin}"
    for key, what in claims.items():
        if key in taken:
            raise SettingError(f"{what} is that of {taken[key]} too; give each camera its own")
    streams = {f"lines {name}": title for name in ("jsonl", "events") if getattr(args, name, None) == "-"}
    if len({*streams, *(key for key in taken if key.startswith("lines "))}) > 1:
        raise SettingError("--events - and --jsonl - would both write to standard output; name a file for one of them")
    taken.update(dict.fromkeys(claims, title) | streams)


def _is_shared(target: str | Path) -> bool:
    """Return whether all cameras write to a target: standard output, a pipe or a device."""
    path = Path(target)
    try:
        return str(target) == "-" or (path.exists() and not path.is_file() and not path.is_dir())
    except OSError:  # Opening it tells why.
        return False
