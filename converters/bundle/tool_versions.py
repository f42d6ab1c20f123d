"""Versions of the tools that a file is made with."""

from __future__ import annotations

import sys
from importlib.metadata import version

from converters.quantization.schemes import Scheme
from edge_ssd.version import __version__

__all__ = ["tool_versions"]


def tool_versions(scheme: Scheme) -> dict[str, str]:
    """Return name → version of the packages that influence a conversion with ``scheme``, and of Python."""
    import keras
    import numpy as np
    import PIL
    import tensorflow as tf

    versions = {
        "edge-ssd": __version__,
        "tensorflow": str(tf.__version__),
        "keras": str(keras.__version__),
        "numpy": np.__version__,
        "pillow": PIL.__version__,
        "python": ".".join(map(str, sys.version_info[:3])),
    }
    if scheme == "mixed":
        versions["ai-edge-quantizer"] = version("ai-edge-quantizer")
    return versions
