"""Images that lie inside a label file, unpacked once into a cache folder.

The folder is ``$XDG_CACHE_HOME/edge-ssd/tfrecord`` (or ``~/.cache/edge-ssd/tfrecord``), with a folder for each label
file, named by its path, size and time of change. It may be removed at any time.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from edge_ssd.atomic_write import atomic_directory
from edge_ssd.console.counts import count
from edge_ssd.errors import DataError

__all__ = ["unpack_images", "unpacked_folder"]

_log = logging.getLogger(__name__)


def unpacked_folder(path: Path) -> Path:
    """Return the folder for the images of a label file; raise DataError if the file cannot be read."""
    try:
        status = path.stat()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error}): check its permissions") from None
    identity = f"{path.resolve()}\0{status.st_size}\0{status.st_mtime_ns}"
    key = hashlib.sha256(identity.encode("utf-8", "surrogateescape")).hexdigest()[:20]
    cache = os.environ.get("XDG_CACHE_HOME") or ""
    # A relative path is invalid by the XDG specification.
    if os.path.isabs(cache):  # noqa: PTH117 - "" is no path
        base = Path(cache)
    else:
        try:
            base = Path.home() / ".cache"
        except RuntimeError:  # The user has no home folder.
            base = Path(tempfile.gettempdir())
    return base / "edge-ssd" / "tfrecord" / key


def unpack_images(path: Path, names: Sequence[str], contents: Iterable[memoryview]) -> list[Path]:
    """Write the images of a label file, unless they are in the cache already; return their files.

    Args:
        names: different file names.
        contents: the bytes of each image; they are not read if all files exist.

    Raises:
        DataError: the folder cannot be written.
    """
    folder = unpacked_folder(path)
    if not _is_complete(folder, names):
        _log.info("%s: unpacking %s into %s", path, count(len(names), "image"), folder)
        try:
            shutil.rmtree(folder, ignore_errors=True)
            with atomic_directory(folder) as temporary:
                for name, content in zip(names, contents, strict=True):
                    (temporary / name).write_bytes(content)
        except (OSError, DataError) as error:
            # Another process may have finished first.
            if not _is_complete(folder, names):
                reason = (isinstance(error, OSError) and error.strerror) or error
                raise DataError(
                    f"{path}: its images cannot be unpacked into {folder} ({reason}): free space there, or set "
                    "XDG_CACHE_HOME to another folder"
                ) from None
    return [folder / name for name in names]


def _is_complete(folder: Path, names: Sequence[str]) -> bool:
    try:
        return set(names) <= set(os.listdir(folder))  # noqa: PTH208 - names, not paths
    except OSError:
        return False
