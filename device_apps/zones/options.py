"""Options of zones, and the zones that they describe."""

from __future__ import annotations

import argparse
import hashlib
import logging
import os
from collections.abc import Mapping
from pathlib import Path

from device_apps.state_folder import default_state_folder
from device_apps.zones.active_zones import ActiveZones
from edge_ssd.console.text import utf8_text
from edge_ssd.errors import SettingError

__all__ = ["add_zone_arguments", "counts_path", "open_zones"]

_log = logging.getLogger(__name__)


def add_zone_arguments(parser: argparse.ArgumentParser) -> None:
    """Add --zones-file and --counts-file to a parser."""
    group = parser.add_argument_group(
        "zones",
        "Zones, lines and masks are tables of the --config file ([[zones]], [[lines]], [[masks]]), or are drawn on the "
        "page of --web: edge-ssd camera --source 0 --web 8080 --zones-file zones.toml",
    )
    group.add_argument(
        "--zones-file",
        type=Path,
        metavar="FILE.toml",
        help="take them from this file if it exists, and save them to it (default: the --config file)",
    )
    group.add_argument(
        "--counts-file",
        type=Path,
        metavar="FILE",
        help="file that keeps the counts over restarts (default: in the home folder; for a recording: none)",
    )


def open_zones(args: argparse.Namespace) -> ActiveZones:
    """Return the zones that the options describe, which may be none.

    Raises EdgeSSDError if a file cannot be read, SettingError if it is not valid.
    """
    active = ActiveZones.open(args.config, args.zones_file, getattr(args, "camera_number", None))
    if args.zones_file is not None and not active.shapes and not active.problems:
        if not args.zones_file.exists() and getattr(args, "web", None) is None:
            raise SettingError(f"{args.zones_file}: no such file; check --zones-file, or save zones in it with --web")
        reason = "has no zones yet" if args.zones_file.exists() else "does not exist yet; zones are saved to it"
        _log.info("%s: %s", utf8_text(str(args.zones_file)), reason)
    return active


def counts_path(
    args: argparse.Namespace,
    active: ActiveZones,
    source_name: str,
    *,
    live: bool,
    environment: Mapping[str, str] = os.environ,
) -> Path | None:
    """Return the file of the counts: that of the option, or of a live source one in the state directory; else None.

    The default differs for each source and each file of zones, and for each of several cameras. A recording that
    is read twice is counted once.

    Raises SettingError if there is no state directory.
    """
    given: Path | None = args.counts_file
    if given is not None or not live or not (active.shapes or active.path):
        return given
    folder = default_state_folder("zones", "counts", "--counts-file", environment)
    zones_path = "" if active.path is None else os.path.realpath(active.path)
    key = os.fsencode(f"{zones_path}\0{getattr(args, 'slug', source_name)}")
    return folder / f"counts-{hashlib.sha256(key).hexdigest()[:12]}.json"
