"""The model that is shipped with the package."""

from __future__ import annotations

from pathlib import Path

from edge_ssd.errors import BundleError

__all__ = ["default_model"]


def default_model() -> Path:
    """The shipped banana detector, a bundle; raises :class:`BundleError` where the installation lacks it."""
    path = Path(__file__).resolve().parent.parent / "models" / "banana.tflite"
    if not path.is_file():
        raise BundleError(f"{path}: the shipped model is missing; install edge-ssd again, or name a model")
    return path
