"""Write a profile: a detector as a file for another runtime, such as MediaPipe Tasks.

A profile is made from the flatbuffer of a bundle. It has the same network, with decoding and suppression appended to
the graph (:mod:`converters.interop.graph`), other metadata (:mod:`converters.interop.metadata`), and an appended ZIP:

    labels.txt               one label per line; the metadata refers to it
    edge_ssd_profile.json    description for ``edge-ssd inspect``: profile, network, tools

It is no bundle: :class:`~edge_ssd.runtime.detector.Detector` cannot open it, because it lacks the outputs of the heads.
"""

from __future__ import annotations

import hashlib
import json
from typing import Literal, get_args

from converters.bundle.stored_zip import stored_zip
from converters.bundle.writer import BundleContent
from edge_ssd.network import Network
from edge_ssd.runtime.bundle import ENTRY_LABELS, Defaults

__all__ = [
    "ENTRY_PROFILE",
    "FORMAT_VERSION",
    "PROFILES",
    "Profile",
    "profile_bytes",
    "profile_model",
    "profile_warnings",
]

Profile = Literal["mediapipe", "postprocess"]
"""Target format of a file for another runtime.

mediapipe     ObjectDetector of MediaPipe Tasks
postprocess   Frigate, TFLite Task Library, PyCoral's examples, and programs that read four outputs by their order

Both have the same model at present. MediaPipe also accepts raw heads, but then always suppresses across classes with
an IoU threshold of 0.3, and loses objects that overlap.
"""

PROFILES: tuple[Profile, ...] = get_args(Profile)

ENTRY_PROFILE = "edge_ssd_profile.json"
FORMAT_VERSION = 1


def profile_model(flatbuffer: bytes, network: Network, defaults: Defaults) -> bytes:
    """Return a bundle's ``flatbuffer`` with box decoding and non-maximum suppression appended, for another runtime.

    The IoU threshold and the maximum number of detections of ``defaults`` become part of the model.
    """
    from converters.interop.graph import postprocess_graph
    from converters.interop.metadata import postprocess_metadata
    from converters.tflite.metadata import METADATA_NAME
    from converters.tflite.schema_model import set_metadata

    editor = postprocess_graph(flatbuffer, network, defaults)
    set_metadata(editor.model, METADATA_NAME, postprocess_metadata(network))
    return editor.finish()


def profile_bytes(profile: Profile, model: bytes, content: BundleContent) -> bytes:
    """Return the file: ``model`` from :func:`profile_model`, then a ZIP of labels and description from ``content``."""
    network = content.network
    description = {
        "format_version": FORMAT_VERSION,
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
        ENTRY_PROFILE: (json.dumps(description, indent=1, ensure_ascii=False) + "\n").encode(),
    }
    return model + stored_zip(entries, start=len(model))


def profile_warnings(profile: Profile, network: Network) -> list[str]:
    """Return what the runtime of ``profile`` does with ``network`` that Edge SSD's does not, one line each."""
    if profile == "mediapipe" and network.input.resize == "letterbox":
        return [
            "MediaPipe stretches images to the input's shape, but this network was trained on letterboxed ones: "
            "use images with the input's aspect ratio"
        ]
    return []
