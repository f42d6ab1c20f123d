"""The book's banana-detection set: download it (resumable), verify it, unpack it safely.

Source: d2l, "The Object Detection Dataset"; the address and the SHA-1 are the book's own.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edge_ssd.atomic_write import atomic_directory, is_nonempty
from edge_ssd.data.download.http import download
from edge_ssd.data.download.unpack import unpack_zip
from edge_ssd.errors import DataError

__all__ = ["SHA1", "URL", "DownloadResult", "fetch_bananas"]

URL = "http://d2l-data.s3-accelerate.amazonaws.com/banana-detection.zip"
SHA1 = "5de26c8fce5ccdea9f91267273464dc968d20d72"

_TIMEOUT_SECONDS = 30.0


@dataclass(frozen=True)
class DownloadResult:
    """The data set's folder, and whether it was downloaded now (False: it was there already)."""

    path: Path
    downloaded: bool


def fetch_bananas(
    folder: str | os.PathLike[str],
    url: str = URL,
    sha1: str = SHA1,
    progress: Callable[[int, int | None], None] | None = None,
    timeout: float = _TIMEOUT_SECONDS,
) -> DownloadResult:
    """Bring the banana set to ``folder``, which then holds ``bananas_train`` and ``bananas_val``.

    The download is kept beside the folder as ``<folder>.zip.part`` until it is complete, and the next call goes on
    where it stopped. The folder appears when everything is in it and not before; if it is there, nothing happens.

    Args:
        folder: must not exist, be empty, or hold the set.
        url: http or https.
        sha1: of the archive, 40 hexadecimal digits.
        progress: called with (bytes so far, bytes in all or None).
        timeout: seconds without a byte after which the connection counts as dropped.

    Raises DataError, saying what to do next, where the server cannot be reached or answers something else, the
    archive has another checksum, or holds anything but plain files within bounds.
    """
    root = Path(folder)
    if _is_complete(root):
        return DownloadResult(root, downloaded=False)
    if is_nonempty(root):
        raise DataError(f"{root}: is not an empty folder: remove it, or choose another folder with --to")
    root.parent.mkdir(parents=True, exist_ok=True)
    part = root.with_name(root.name + ".zip.part")
    download(url, part, progress, timeout)
    actual = _sha1_of(part)
    if actual != sha1.lower():
        part.unlink()
        raise DataError(
            f"{url}: the file that came has SHA-1 {actual}, expected {sha1.lower()}; it is removed. "
            "Run the command again; if that does not help, the address no longer serves the book's set"
        )
    try:
        with atomic_directory(root) as temporary:
            unpack_zip(part, temporary)
            if not _is_complete(temporary):
                raise DataError(f"{url}: the archive has no bananas_train/label.csv and bananas_val/label.csv in it")
    except DataError:
        # What does not unpack now will not unpack next time either.
        part.unlink(missing_ok=True)
        raise
    part.unlink()
    return DownloadResult(root, downloaded=True)


def _is_complete(root: Path) -> bool:
    return all((root / split / "label.csv").is_file() for split in ("bananas_train", "bananas_val"))


def _sha1_of(path: Path) -> str:
    digest = hashlib.sha1(usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()
