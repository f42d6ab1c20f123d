"""The errors that this project raises on purpose.

    EdgeSSDError                 base of all; a command prints it as one line and exits with status 2
    ├── NetworkError             a network description that cannot be
    ├── DataError                a dataset, label file or image that cannot be used
    ├── ModelError               a Keras model that is not one of ours, or not usable
    ├── BundleError              a .tflite that is not an Edge SSD bundle, damaged, or too new
    ├── BackendError             no working TFLite interpreter on this machine
    ├── ImageError               something given as an image that is none
    ├── SettingError             a threshold, class name or other setting out of its range
    └── SourceError              a camera or video that cannot be opened or went away

Messages name the thing (file, value), say what was expected, and what to do next.
"""

from __future__ import annotations

__all__ = [
    "BackendError",
    "BundleError",
    "DataError",
    "EdgeSSDError",
    "ImageError",
    "ModelError",
    "NetworkError",
    "SettingError",
    "SourceError",
]


class EdgeSSDError(Exception):
    """Base of every error that this project raises on purpose."""


class NetworkError(EdgeSSDError, ValueError):
    """A network description that contradicts itself."""


class DataError(EdgeSSDError):
    """A dataset, label file or image that cannot be used."""


class ModelError(EdgeSSDError):
    """A Keras model that is not one of ours, or not usable."""


class BundleError(EdgeSSDError):
    """A ``.tflite`` file that is not an Edge SSD bundle, is damaged, or is too new."""


class BackendError(EdgeSSDError):
    """No TFLite interpreter works on this machine."""


class ImageError(EdgeSSDError, ValueError):
    """Something given as an image that is none."""


class SettingError(EdgeSSDError, ValueError):
    """A threshold, class name or other setting out of its range."""


class SourceError(EdgeSSDError):
    """A camera or video that cannot be opened, or went away for good."""
