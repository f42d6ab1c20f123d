"""NumPy of pip in front of that of Debian, whose packages were built with it.

Debian 12 and Raspberry Pi OS Bookworm have NumPy 1.24. In a virtual environment with --system-site-packages, pip
installs NumPy 2 when a package asks for it: then the system's picamera2 (its simplejpeg) and OpenCV do not load.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import metadata

__all__ = ["is_numpy_conflict", "numpy_cause", "numpy_remedy"]

# What NumPy, and extensions built with Cython, pybind11 or by hand, report.
_MESSAGES = (
    "numpy.dtype size changed",
    "numpy.ufunc size changed",
    "numpy.core.multiarray failed to import",
    "compiled using NumPy 1.x",
    "_ARRAY_API not found",
    "compiled against ABI version",
    "compiled against API version",
)
# Packages of pip whose later versions need NumPy 2.
_LATER_NEED_2 = {"opencv-python": "4.12", "opencv-python-headless": "4.12", "ml-dtypes": "0.6"}


def is_numpy_conflict(message: str) -> bool:
    """Return whether an import failed because a package was built with another NumPy."""
    return any(text in message for text in _MESSAGES)


def numpy_cause(package: str) -> str:
    """Return the cause, for a package of the system that does not load."""
    return f"pip's NumPy {_version('numpy') or 2} hides the older one of the system, with which {package} was built"


def numpy_remedy(version: Callable[[str], str | None] | None = None) -> str:
    """Return the command that makes NumPy 1 the one of this environment; ``version`` returns that of a distribution."""
    find = version or _version
    others = [f' "{name}<{limit}"' for name, limit in _LATER_NEED_2.items() if find(name)]
    return f'pip install "numpy<2"{"".join(others)}'


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None
