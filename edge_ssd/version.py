"""The version, stated once: the packaging metadata and ``edge-ssd --version`` both read it here."""

from __future__ import annotations

__all__ = ["__version__"]

__version__ = "0.1.0"
