"""Exceptions of this project.

    EdgeSSDError                 base class; a command prints it as one line and exits with status 2
    ├── NetworkError             an invalid network description
    ├── DataError                an unusable dataset, label file or image
    ├── ModelError               not a usable Keras TinySSD
    ├── BundleError              not an Edge SSD bundle, damaged, or too new
    ├── BackendError             no usable interpreter or delegate, or a detector that is closed
    ├── ImageError               an invalid image
    ├── SettingError             an invalid argument: a threshold, class name, array of boxes or other setting
    └── SourceError              a camera or video that cannot be opened, or has ended permanently

Training adds RecipeError and WorkersError. Messages name the file or value, what was expected, and what to do next.
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
    """Base class of this project's exceptions."""


class NetworkError(EdgeSSDError, ValueError):
    """Invalid network description, or outputs that do not match it."""


class DataError(EdgeSSDError):
    """Unusable dataset, label file or image."""


class ModelError(EdgeSSDError):
    """File that is not a usable Keras TinySSD."""


class BundleError(EdgeSSDError):
    """File that is not an Edge SSD bundle, is damaged, or has a newer format."""


class BackendError(EdgeSSDError):
    """No usable TFLite interpreter or delegate, or a detector that is closed."""


class ImageError(EdgeSSDError, ValueError):
    """Image that cannot be read, or array that is not uint8 RGB [H, W, 3]."""


class SettingError(EdgeSSDError, ValueError):
    """Invalid argument: a threshold, class name, array of boxes or other setting."""


class SourceError(EdgeSSDError):
    """Camera or video that cannot be opened, or has ended permanently."""
