"""Edge SSD: a small object detector, from labeled images to a camera on the edge.

    from edge_ssd import Detector

    with Detector("banana.tflite") as detector:
        for found in detector.detect("image.jpg"):
            print(found.label, found.score, found.box)

This is what runs anywhere: NumPy only. Training is in :mod:`edge_ssd.training`, conversion in :mod:`converters`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edge_ssd.anchors import multibox_prior
from edge_ssd.boxes import box_area, box_iou, clip_boxes, cxcywh_to_xyxy, xyxy_to_cxcywh
from edge_ssd.coding import BoxCoding, offset_boxes, offset_inverse
from edge_ssd.errors import (
    BackendError,
    BundleError,
    DataError,
    EdgeSSDError,
    ImageError,
    ModelError,
    NetworkError,
    SettingError,
    SourceError,
)
from edge_ssd.network import InputSpec, Level, Network, tiny_ssd
from edge_ssd.nms import nms
from edge_ssd.reference_detection import multibox_detection
from edge_ssd.reference_targets import multibox_target
from edge_ssd.version import __version__

if TYPE_CHECKING:
    from edge_ssd.runtime.bundle import Bundle, read_bundle
    from edge_ssd.runtime.detections import Detection, Detections
    from edge_ssd.runtime.detector import Detector
    from edge_ssd.runtime.shipped_models import default_model, find_model, shipped_models

__all__ = [
    "BackendError",
    "BoxCoding",
    "Bundle",
    "BundleError",
    "DataError",
    "Detection",
    "Detections",
    "Detector",
    "EdgeSSDError",
    "ImageError",
    "InputSpec",
    "Level",
    "ModelError",
    "Network",
    "NetworkError",
    "SettingError",
    "SourceError",
    "__version__",
    "box_area",
    "box_iou",
    "clip_boxes",
    "cxcywh_to_xyxy",
    "default_model",
    "find_model",
    "multibox_detection",
    "multibox_prior",
    "multibox_target",
    "nms",
    "offset_boxes",
    "offset_inverse",
    "read_bundle",
    "shipped_models",
    "tiny_ssd",
    "xyxy_to_cxcywh",
]

# Loaded when first asked for, so that `import edge_ssd` for the geometry alone costs little more than NumPy does.
_LAZY = {
    "Bundle": "edge_ssd.runtime.bundle",
    "Detection": "edge_ssd.runtime.detections",
    "Detections": "edge_ssd.runtime.detections",
    "Detector": "edge_ssd.runtime.detector",
    "default_model": "edge_ssd.runtime.shipped_models",
    "find_model": "edge_ssd.runtime.shipped_models",
    "read_bundle": "edge_ssd.runtime.bundle",
    "shipped_models": "edge_ssd.runtime.shipped_models",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    value = getattr(importlib.import_module(_LAZY[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})
