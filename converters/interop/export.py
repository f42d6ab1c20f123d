"""A profile: a detector as a file for somebody else's runtime.

It is made of a plain bundle's flatbuffer, whose network it keeps, and has another end (:mod:`.profile_graph`), other
metadata (:mod:`.profile_metadata`), and a small archive behind it:

    labels.txt               one label a line; the metadata refers to it
    edge_ssd_profile.json    which profile it is, of what, and made with what: for ``edge-ssd inspect``, nothing else

It is no bundle: :class:`~edge_ssd.runtime.detector.Detector` does not open it, since the heads are gone that it reads.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any, Literal, get_args

from converters.bundle.stored_zip import stored_zip
from converters.bundle.writer import BundleContent
from edge_ssd.errors import BundleError
from edge_ssd.network import Network
from edge_ssd.runtime.archive import read_archive
from edge_ssd.runtime.bundle import ENTRY_LABELS, FLATBUFFER_IDENTIFIER, Defaults

__all__ = [
    "PROFILES",
    "Profile",
    "profile_bytes",
    "profile_model",
    "profile_text",
    "profile_warnings",
    "read_profile",
]

Profile = Literal["mediapipe", "postprocess"]
"""
mediapipe     for the ObjectDetector of MediaPipe Tasks
postprocess   for Frigate, the TFLite Task Library, PyCoral's examples, and whatever reads four outputs by their order

One model serves both at present. MediaPipe takes raw heads too, but then suppresses with an IoU threshold of 0.3 and
across classes, whatever it is told, and so loses objects that overlap.
"""

PROFILES: tuple[Profile, ...] = get_args(Profile)

_ENTRY = "edge_ssd_profile.json"
_FORMAT_VERSION = 1
_MAX_FILE, _MAX_ENTRY = 256 * 2**20, 2**20


def profile_model(flatbuffer: bytes, network: Network, defaults: Defaults) -> bytes:
    """The model of a profile, made of a plain bundle's ``flatbuffer``, of any quantisation.

    The IoU threshold and number of detections of ``defaults`` become part of it.
    """
    from converters.interop.graph import postprocess_graph
    from converters.interop.metadata import postprocess_metadata
    from converters.tflite.metadata import METADATA_NAME
    from converters.tflite.schema_model import set_metadata

    editor = postprocess_graph(flatbuffer, network, defaults)
    set_metadata(editor.model, METADATA_NAME, postprocess_metadata(network))
    return editor.finish()


def profile_bytes(profile: Profile, model: bytes, content: BundleContent) -> bytes:
    """The whole file: the model of :func:`profile_model` and the archive. ``content`` is the plain bundle's.

    The same arguments give the same bytes.
    """
    network = content.network
    description = {
        "format_version": _FORMAT_VERSION,
        "profile": profile,
        "name": content.name,
        "labels": list(network.labels),
        "input": {"height": network.input.height, "width": network.input.width, "resize": network.input.resize},
        "anchors": network.num_anchors,
        "iou_threshold": content.defaults.iou_threshold,
        "max_detections": content.defaults.max_detections,
        "quantization": content.quantization,
        "sha256": {"flatbuffer": hashlib.sha256(model).hexdigest()},
        "tools": dict(content.tools),
    }
    entries = {
        ENTRY_LABELS: "".join(f"{label}\n" for label in network.labels).encode(),
        _ENTRY: (json.dumps(description, indent=1, ensure_ascii=False) + "\n").encode(),
    }
    return model + stored_zip(entries, start=len(model))


def profile_warnings(profile: Profile, network: Network) -> list[str]:
    """What the other runtime does differently with such a network, one line each."""
    if profile == "mediapipe" and network.input.resize == "letterbox":
        return [
            "MediaPipe stretches pictures to the input's shape, this network was trained on letterboxed ones: "
            "give it pictures of the input's aspect ratio"
        ]
    return []


def read_profile(path: str | os.PathLike[str]) -> dict[str, Any] | None:
    """The description of the profile at ``path``, with its "file" and "bytes".

    None where the file is something else: :func:`edge_ssd.runtime.bundle.read_bundle` says what. Raises
    :class:`BundleError` for a profile that is damaged or newer than this program.
    """
    path = Path(path)
    if not path.is_file() or path.stat().st_size > _MAX_FILE:
        return None
    data = path.read_bytes()
    if data[4:8] != FLATBUFFER_IDENTIFIER or _ENTRY.encode() not in data:
        return None
    try:
        archive = read_archive(data, {_ENTRY: _MAX_ENTRY})
    except BundleError as error:
        raise BundleError(f"{path}: is damaged or cut short: {error}; copy or convert it again") from None
    try:
        description = json.loads(archive.entries[_ENTRY])
        known = description["format_version"] == _FORMAT_VERSION and description["profile"] in PROFILES
        intact = hashlib.sha256(data[: archive.start]).hexdigest() == description["sha256"]["flatbuffer"]
        described = {"file": str(path), "bytes": len(data), **description}
        if known:
            profile_text(described)  # so that whoever shows it need not doubt its fields
    except (KeyError, TypeError, ValueError, AttributeError):
        raise BundleError(f"{path}: is damaged: its {_ENTRY} cannot be read; convert it again") from None
    if not known:
        raise BundleError(f"{path}: is a profile that this version of edge-ssd does not know; update edge-ssd")
    if not intact:
        raise BundleError(
            f"{path}: is damaged: the SHA-256 of its flatbuffer is not the stated one; copy or convert it again"
        )
    return described


def profile_text(profile: dict[str, Any]) -> str:
    """What :func:`read_profile` gave, for a person."""
    size, tools = profile["input"], profile["tools"]
    lines = [
        f"{profile['file']}: {profile['name']}, {profile['bytes'] / 1e6:.2f} MB",
        f"  profile     {profile['profile']}: for other runtimes; 'edge-ssd detect' needs a file without --profile",
        f"  labels      {', '.join(profile['labels'])}",
        f"  input       {size['height']}×{size['width']} RGB, uint8, {size['resize']}",
        f"  network     {profile['quantization']}, {profile['anchors']} anchors",
        f"  thresholds  IoU {profile['iou_threshold']:g}, at most {profile['max_detections']} detections",
        f"  sha256      {profile['sha256']['flatbuffer']}",
        f"  made with   {', '.join(f'{name} {version}' for name, version in tools.items())}",
    ]
    return "\n".join(lines)
