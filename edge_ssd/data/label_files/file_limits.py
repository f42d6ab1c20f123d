"""Opening of label files: regular files of limited size only, since neither is certain of a file from elsewhere.

Reading a named pipe or a device may never end, and a label file takes many times its size in memory.
"""

from __future__ import annotations

import math
import os
import stat
from pathlib import Path
from typing import BinaryIO

__all__ = [
    "MAX_BYTES_PER_IMAGE",
    "MAX_LABEL_MEGABYTES_VARIABLE",
    "UnsuitableFileError",
    "check_size",
    "max_label_bytes",
    "open_label_file",
    "read_label_file",
]

MAX_LABEL_MEGABYTES_VARIABLE = "EDGE_SSD_MAX_LABEL_MEGABYTES"
"""Environment variable: the most megabytes of a label file."""

MAX_BYTES_PER_IMAGE = 16 << 20
"""Limit of a text file with the labels of one image: several hundred thousand objects."""

# A label file takes up to 24 times its size in memory, mostly 10 times.
_MEMORY_FRACTION = 16
_MIN_DEFAULT = 64 << 20
_WITHOUT_SYSCONF = 8 << 30
_MEGABYTE = 1_000_000


class UnsuitableFileError(ValueError):
    """A file that is not read: it is no regular file, or too large."""


def max_label_bytes() -> int:
    """Return the limit of a label file: a sixteenth of the machine's memory, or the value of the environment variable.

    Raises:
        UnsuitableFileError: the value is not a positive number.
    """
    text = os.environ.get(MAX_LABEL_MEGABYTES_VARIABLE)
    if not text:
        return max(_physical_memory() // _MEMORY_FRACTION, _MIN_DEFAULT)
    try:
        megabytes = float(text)
    except ValueError:
        megabytes = 0.0
    if not 0 < megabytes < math.inf:
        name = MAX_LABEL_MEGABYTES_VARIABLE
        raise UnsuitableFileError(f"the environment variable {name} must be a positive number, is {text!r}")
    return int(megabytes * _MEGABYTE)


def check_size(size: int, limit: int | None = None) -> None:
    """Raise UnsuitableFileError if a file of ``size`` bytes is larger than ``limit`` or :func:`max_label_bytes`."""
    allowed = max_label_bytes() if limit is None else limit
    if size <= allowed:
        return
    fact = f"has {size / _MEGABYTE:.0f} MB, more than {allowed / _MEGABYTE:.0f}"
    if limit is not None:
        raise UnsuitableFileError(f"{fact}, which a file of its kind never needs")
    advice = f"divide it, or allow more with the environment variable {MAX_LABEL_MEGABYTES_VARIABLE}"
    raise UnsuitableFileError(f"{fact}: {advice}, such as {math.ceil(size * 1.2 / _MEGABYTE)}")


def open_label_file(path: Path) -> BinaryIO:
    """Open a regular file to read its bytes, whatever its size.

    Raises:
        OSError: it cannot be opened.
        UnsuitableFileError: it is a named pipe, a socket or a device.
    """
    # Without O_NONBLOCK, opening a named pipe waits for a writer.
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):  # a folder raises OSError below
            raise UnsuitableFileError("is no regular file")
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def read_label_file(path: Path, limit: int | None = None) -> bytes:
    """Return the content of a regular file.

    Args:
        limit: the most bytes that such a file may have; None for :func:`max_label_bytes`.

    Raises:
        OSError: it cannot be read.
        UnsuitableFileError: it is no regular file, or larger.
    """
    with open_label_file(path) as file:
        check_size(os.fstat(file.fileno()).st_size, limit)
        return file.read()


def _physical_memory() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return _WITHOUT_SYSCONF
