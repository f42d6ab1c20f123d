"""Edge SSD: a small object detector, from labeled images to a camera on the edge.

    from edge_ssd import Detector

    with Detector("banana.tflite") as detector:
        for found in detector.detect("image.jpg"):
            print(found.label, found.score, found.box)

This is what runs anywhere: NumPy only. Training is in :mod:`edge_ssd.training`, conversion in :mod:`converters`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_ssd.anchors import multibox_prior
from edge_ssd.boxes import FloatArray, box_area, box_iou, clip_boxes, cxcywh_to_xyxy, xyxy_to_cxcywh
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
from edge_ssd.network import DownSampling, InputSpec, Level, Network, Resampling, ResizeMode, tiny_ssd
from edge_ssd.nms import nms
from edge_ssd.reference_detection import multibox_detection
from edge_ssd.reference_targets import MultiboxTarget, multibox_target
from edge_ssd.version import __version__

if TYPE_CHECKING:
    from edge_ssd.drawing import draw_detections
    from edge_ssd.runtime.bundle import Bundle, BundleSource, Defaults, HeadSpec, Readable, SelfTest, read_bundle
    from edge_ssd.runtime.detections import Detection, Detections
    from edge_ssd.runtime.detector import Detector, ModelLike
    from edge_ssd.runtime.image_input import Color, EncodedImage, ImageLike
    from edge_ssd.runtime.interpreter import Backend
    from edge_ssd.runtime.metadata import Metadata
    from edge_ssd.runtime.resize import ImageArray, Resize, numpy_resize, opencv_resize
    from edge_ssd.runtime.selftest_result import SelfTestResult
    from edge_ssd.runtime.settings import ClassesLike, CountLike, FlagLike, FractionLike, ThresholdLike
    from edge_ssd.runtime.shipped_models import default_model, find_model, shipped_models
    from edge_ssd.runtime.tiles import Tile, Tiles

__all__ = [
    "Backend",
    "BackendError",
    "BoxCoding",
    "Bundle",
    "BundleError",
    "BundleSource",
    "ClassesLike",
    "Color",
    "CountLike",
    "DataError",
    "Defaults",
    "Detection",
    "Detections",
    "Detector",
    "DownSampling",
    "EdgeSSDError",
    "EncodedImage",
    "FlagLike",
    "FloatArray",
    "FractionLike",
    "HeadSpec",
    "ImageArray",
    "ImageError",
    "ImageLike",
    "InputSpec",
    "Level",
    "Metadata",
    "ModelError",
    "ModelLike",
    "MultiboxTarget",
    "Network",
    "NetworkError",
    "Readable",
    "Resampling",
    "Resize",
    "ResizeMode",
    "SelfTest",
    "SelfTestResult",
    "SettingError",
    "SourceError",
    "ThresholdLike",
    "Tile",
    "Tiles",
    "__version__",
    "box_area",
    "box_iou",
    "clip_boxes",
    "cxcywh_to_xyxy",
    "default_model",
    "draw_detections",
    "find_model",
    "multibox_detection",
    "multibox_prior",
    "multibox_target",
    "nms",
    "numpy_resize",
    "offset_boxes",
    "offset_inverse",
    "opencv_resize",
    "read_bundle",
    "shipped_models",
    "tiny_ssd",
    "xyxy_to_cxcywh",
]

# Loaded when first asked for, so that `import edge_ssd` for the geometry alone costs little more than NumPy does.
# Modules are relative to edge_ssd.runtime.
_LAZY = {
    "Backend": "interpreter",
    "Bundle": "bundle",
    "BundleSource": "bundle",
    "ClassesLike": "settings",
    "Color": "image_input",
    "CountLike": "settings",
    "Defaults": "metadata",
    "Detection": "detections",
    "Detections": "detections",
    "Detector": "detector",
    "EncodedImage": "image_input",
    "FlagLike": "settings",
    "FractionLike": "settings",
    "HeadSpec": "metadata",
    "ImageArray": "resize",
    "ImageLike": "image_input",
    "Metadata": "metadata",
    "ModelLike": "detector",
    "Readable": "bundle",
    "Resize": "resize",
    "SelfTest": "selftest",
    "SelfTestResult": "selftest_result",
    "ThresholdLike": "settings",
    "Tile": "tiles",
    "Tiles": "tiles",
    "default_model": "shipped_models",
    "draw_detections": ".drawing",
    "find_model": "shipped_models",
    "numpy_resize": "resize",
    "opencv_resize": "resize",
    "read_bundle": "bundle",
    "shipped_models": "shipped_models",
}

if not TYPE_CHECKING:  # a type checker would take every name for one that exists

    def __getattr__(name):
        if name not in _LAZY:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        import importlib

        value = getattr(importlib.import_module(f".{_LAZY[name]}", "edge_ssd.runtime"), name)
        globals()[name] = value
        return value

    def __dir__():
        return sorted(__all__)
