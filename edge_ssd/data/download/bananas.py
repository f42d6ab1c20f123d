"""Download of the book's banana-detection dataset.

Source: d2l, "The Object Detection Dataset"; the address and the SHA-1 are the book's own.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from edge_ssd.atomic_write import atomic_directory, is_nonempty
from edge_ssd.console.progress import ProgressCallback, no_progress
from edge_ssd.console.redact import redact_url
from edge_ssd.data.download.http import download
from edge_ssd.data.download.unpack import unpack_zip
from edge_ssd.errors import DataError

__all__ = ["SHA1", "URL", "fetch_bananas"]

URL = "http://d2l-data.s3-accelerate.amazonaws.com/banana-detection.zip"
SHA1 = "5de26c8fce5ccdea9f91267273464dc968d20d72"


def fetch_bananas(
    folder: str | os.PathLike[str],
    url: str = URL,
    sha1: str = SHA1,
    progress: ProgressCallback = no_progress,
    timeout: float = 30.0,
    retry_delay: float = 1.0,
) -> bool:
    """Download the banana dataset, verify its checksum and unpack it to ``folder``.

    The folder then has ``bananas_train`` and ``bananas_val``; it appears when it is complete. An incomplete download
    is kept beside it as ``<folder>.zip.part``, also if it was too slow, and continued by the next call. A file with
    another checksum is removed. Returns False for a complete dataset.

    Args:
        folder: must be missing or empty, or have the dataset.
        sha1: of the archive, 40 hexadecimal digits.
        url, progress, timeout, retry_delay: as for :func:`edge_ssd.data.download.http.download`.

    Raises:
        DataError: the folder has other content, the download fails, or the archive has another checksum, unsafe
            entries or other content.
    """
    root = Path(folder)
    if _is_complete(root):
        return False
    if is_nonempty(root):
        raise DataError(f"{root}: is not an empty folder: remove it, or choose another folder with --to")
    root.parent.mkdir(parents=True, exist_ok=True)
    part = root.with_name(root.name + ".zip.part")
    download(url, part, progress, timeout, retry_delay)
    actual = _sha1_of(part)
    if actual != sha1.lower():
        part.unlink()
        raise DataError(
            f"{redact_url(url)}: the downloaded file has SHA-1 {actual}, expected {sha1.lower()}; it is removed. "
            "Run the command again; if that does not help, the address no longer has the book's dataset"
        )
    try:
        with atomic_directory(root) as temporary:
            unpack_zip(part, temporary)
            if not _is_complete(temporary):
                raise DataError(
                    f"{redact_url(url)}: the archive has no bananas_train/label.csv and bananas_val/label.csv in it"
                )
    except DataError:
        # The same archive would fail again.
        part.unlink(missing_ok=True)
        raise
    part.unlink()
    return True


def _is_complete(root: Path) -> bool:
    return all((root / split / "label.csv").is_file() for split in ("bananas_train", "bananas_val"))


def _sha1_of(path: Path) -> str:
    digest = hashlib.sha1(usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()
