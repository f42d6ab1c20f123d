"""Detection of a folder's label format."""

from __future__ import annotations

import logging
from pathlib import Path

from edge_ssd.data.formats.registry import LABEL_FORMATS
from edge_ssd.data.source import DataSource
from edge_ssd.errors import DataError

__all__ = ["detect_format"]

_log = logging.getLogger(__name__)


def detect_format(source: DataSource) -> tuple[str, Path, tuple[str, ...]]:
    """Detect the label format of a dataset, which is in ``source.folder`` or in the only folder within it.

    Returns:
        Name of the format, the folder to parse, and the names of other formats that it could have.

    Raises:
        DataError: the folder is missing, empty, unreadable, or has no labels in a known (or the requested) format.
    """
    root = source.folder
    if not root.exists():
        raise DataError(f"{root}: no such folder: check the path, or make one with: edge-ssd data make --to {root}")
    if not root.is_dir():
        raise DataError(f"{root}: a dataset is a folder, this is a file: give the folder that holds it")
    try:
        entries = sorted(entry for entry in root.iterdir() if not entry.name.startswith((".", "__MACOSX")))
        if not entries:
            raise DataError(f"{root}: the folder is empty: give a folder of labeled images")
        subfolders = [entry for entry in entries if entry.is_dir()]
        folders = [root, *subfolders] if len(subfolders) == 1 else [root]
        matches = [
            (match, name, folder)
            for name, label_format in LABEL_FORMATS.items()
            if source.format in (None, name)
            for folder in folders
            if (match := label_format.sniff(folder))
        ]
    except OSError as error:
        raise DataError(f"{root}: cannot be read ({error.strerror or error}): check its permissions") from None
    if matches:
        matches.sort(key=lambda found: found[0], reverse=True)  # stable: formats of equal match keep their order
        _, name, folder = matches[0]
        _log.debug("%s: labels of %s", folder, LABEL_FORMATS[name].TITLE)
        return name, folder, tuple(dict.fromkeys(other for _, other, _ in matches if other != name))
    if source.format is not None:
        title = LABEL_FORMATS[source.format].TITLE
        raise DataError(f"{root}: no labels of {title} in it: omit --format to detect the format")
    expected = ", ".join(f"{label_format.TITLE} ({label_format.FILES})" for label_format in LABEL_FORMATS.values())
    raise DataError(f"{root}: no labels in a known format: expected one of {expected}")
