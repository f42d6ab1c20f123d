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
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_args

from converters.stored_zip import stored_zip
from edge_ssd.errors import BundleError
from edge_ssd.network import Network
from edge_ssd.runtime.archive import read_archive
from edge_ssd.runtime.bundle import ENTRY_LABELS, FLATBUFFER_IDENTIFIER, Defaults

__all__ = ["PROFILES", "Profile", "profile_bytes", "profile_warnings", "read_profile"]

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


def profile_bytes(
    profile: Profile,
    flatbuffer: bytes,
    network: Network,
    defaults: Defaults,
    *,
    name: str,
    quantization: str,
    tools: Mapping[str, str],
) -> bytes:
    """The whole file; the same arguments give the same bytes.

    Args:
        flatbuffer: of a plain bundle of ``network``, of any quantisation.
        defaults: the IoU threshold and number of detections become part of the model.
        name, quantization, tools: for people, as in the bundle.
    """
    from converters.flatbuffer_model import set_metadata
    from converters.profile_graph import postprocess_graph
    from converters.profile_metadata import postprocess_metadata
    from converters.tflite_metadata import METADATA_NAME

    editor = postprocess_graph(flatbuffer, network, defaults)
    set_metadata(editor.model, METADATA_NAME, postprocess_metadata(network))
    model = editor.finish()
    description = {
        "format_version": _FORMAT_VERSION,
        "profile": profile,
        "name": name,
        "labels": list(network.labels),
        "input": {"height": network.input.height, "width": network.input.width, "resize": network.input.resize},
        "anchors": network.num_anchors,
        "quantization": quantization,
        "sha256": {"flatbuffer": hashlib.sha256(model).hexdigest()},
        "tools": dict(tools),
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
    """The description of the profile at ``path``, and where the archive starts as "model_bytes".

    None where the file is something else: :func:`edge_ssd.runtime.bundle.read_bundle` says what. Raises
    :class:`BundleError` for a profile that is damaged.
    """
    path = Path(path)
    if not path.is_file() or path.stat().st_size > _MAX_FILE:
        return None
    data = path.read_bytes()
    if data[4:8] != FLATBUFFER_IDENTIFIER or _ENTRY.encode() not in data:
        return None
    try:
        archive = read_archive(data, {_ENTRY: _MAX_ENTRY})
        description = json.loads(archive.entries[_ENTRY])
        if description["format_version"] != _FORMAT_VERSION or description["profile"] not in PROFILES:
            raise BundleError(f"is a profile of a newer format than {_FORMAT_VERSION}; update edge-ssd")
        stated = description["sha256"]["flatbuffer"]
    except BundleError as error:
        raise BundleError(f"{path}: {error}") from None
    except (KeyError, TypeError, ValueError):
        raise BundleError(f"{path}: is damaged: its {_ENTRY} cannot be read; convert it again") from None
    if hashlib.sha256(data[: archive.start]).hexdigest() != stated:
        raise BundleError(
            f"{path}: is damaged: the SHA-256 of its flatbuffer is not the stated one; copy or convert it again"
        )
    return {**description, "model_bytes": archive.start}
