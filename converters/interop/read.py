"""Read and show the description in a profile file: which profile, of which network, made with which tools."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from converters.interop.export import ENTRY_PROFILE, FORMAT_VERSION, PROFILES
from edge_ssd.console.counts import count
from edge_ssd.console.table import format_table
from edge_ssd.errors import BundleError
from edge_ssd.runtime.archive import read_archive
from edge_ssd.runtime.bundle import FLATBUFFER_IDENTIFIER

__all__ = ["format_profile", "read_profile"]

_MAX_FILE_BYTES, _MAX_ENTRY_BYTES = 256 * 2**20, 2**20


def read_profile(path: str | os.PathLike[str]) -> dict[str, Any] | None:
    """Return the description in a profile file, with its path as "file" and size as "bytes"; None for another file.

    Raises:
        BundleError: the profile is damaged or written by a newer version.
    """
    path = Path(path)
    if not path.is_file() or path.stat().st_size > _MAX_FILE_BYTES:
        return None
    data = path.read_bytes()
    if data[4:8] != FLATBUFFER_IDENTIFIER or ENTRY_PROFILE.encode() not in data:
        return None
    try:
        archive = read_archive(data, {ENTRY_PROFILE: _MAX_ENTRY_BYTES})
    except BundleError as error:
        raise BundleError(f"{path}: is damaged or cut short: {error}; copy or convert it again") from None
    try:
        description = json.loads(archive.entries[ENTRY_PROFILE])
        is_known = description["format_version"] == FORMAT_VERSION and description["profile"] in PROFILES
        is_intact = hashlib.sha256(data[: archive.start]).hexdigest() == description["sha256"]["flatbuffer"]
        profile = {"file": str(path), "bytes": len(data), **description}
        if is_known:
            format_profile(profile)  # raises if a field that is shown is missing or has another type
    except (KeyError, TypeError, ValueError, AttributeError):
        raise BundleError(f"{path}: is damaged: its {ENTRY_PROFILE} cannot be read; convert it again") from None
    if not is_known:
        raise BundleError(f"{path}: is a profile that this version of edge-ssd does not know; update edge-ssd")
    if not is_intact:
        raise BundleError(
            f"{path}: is damaged: the SHA-256 of its flatbuffer is not the stated one; copy or convert it again"
        )
    return profile


def format_profile(profile: dict[str, Any], graph: Sequence[tuple[str, str]] = ()) -> str:
    """Return text of several lines that shows ``profile``, a result of :func:`read_profile`.

    ``graph`` are further rows: the operators and where they run.
    """
    size, tools = profile["input"], profile["tools"]
    rows = [
        ("profile", f"{profile['profile']}: for other runtimes; 'edge-ssd detect' needs a file without --profile"),
        ("labels", ", ".join(profile["labels"])),
        ("input", f"{size['height']}×{size['width']} RGB, uint8, {size['resize']}"),
        ("network", f"{profile['quantization']}, {count(profile['anchors'], 'anchor')}"),
        ("thresholds", f"IoU {profile['iou_threshold']:g}, at most {count(profile['max_detections'], 'detection')}"),
        *graph,
        ("sha256", profile["sha256"]["flatbuffer"]),
        ("made with", ", ".join(f"{name} {version}" for name, version in tools.items())),
    ]
    title = f"{profile['file']}: {profile['name']}, {profile['bytes'] / 1e6:.2f} MB"
    return f"{title}\n{format_table(rows, left=2, indent='  ')}"
