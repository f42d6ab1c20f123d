"""Copying or linking an image file into a dataset that is written."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from typing import Literal

__all__ = ["IMAGE_MODES", "ImageMode", "place_image"]

ImageMode = Literal["copy", "link", "none"]
IMAGE_MODES: tuple[ImageMode, ...] = ("copy", "link", "none")

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def place_image(source: Path, target: Path, mode: ImageMode = "copy") -> None:
    """Copy an image file byte for byte, or link it.

    A link is a hard link, or a symbolic one where the file system has no hard links or is another one; "none" does
    nothing. An OSError names the file that it is about.
    """
    if mode == "link":
        original = source.resolve(strict=True)
        try:
            os.link(original, target)
        except OSError:
            target.symlink_to(original)
    elif mode == "copy":
        try:
            shutil.copyfile(source, target)
        except OSError as error:
            if error.errno in _FULL:  # shutil names the source
                error.filename, error.filename2 = os.fspath(target), None
            raise
