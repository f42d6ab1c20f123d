"""Detection of a folder's label format."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from edge_ssd.console.suggestions import missing_path_hint
from edge_ssd.data.file_tree import FileTree
from edge_ssd.data.formats.label_format import Match
from edge_ssd.data.formats.registry import LABEL_FORMATS
from edge_ssd.data.label_files.json_kind import describe_unsupported
from edge_ssd.data.source import DataSource
from edge_ssd.data.unknown_labels import describe_unknown_labels
from edge_ssd.errors import DataError

__all__ = ["detect_format", "list_files"]

# Folders of the examples, which exist once their dataset is downloaded or drawn.
_DRAWN_DATASETS = ("bananas", "synthetic", "drawn")


def list_files(source: DataSource, without: Collection[Path] = ()) -> FileTree:
    """List the files of a dataset, but not those ``without``; raise DataError if it is missing, empty or unreadable."""
    root = source.folder
    if not root.exists():
        raise DataError(f"{root}: no such folder{missing_path_hint(root)}: {_missing_folder_advice(root)}")
    if not root.is_dir():
        raise DataError(f"{root}: a dataset is a folder, this is a file: give the folder that holds it")
    tree = FileTree(root, without)
    if tree.is_empty:
        raise DataError(f"{root}: the folder is empty: give a folder of labeled images")
    return tree


def _missing_folder_advice(root: Path) -> str:
    if root.name not in _DRAWN_DATASETS:
        return "check the path"
    return (
        f"download it with: edge-ssd data fetch bananas --to {root}, or draw one with: edge-ssd data make --to {root}"
    )


def detect_format(source: DataSource, tree: FileTree) -> tuple[str, tuple[str, ...]]:
    """Detect the label format of a dataset by the content of its files.

    Returns:
        Name of the format, and the names of other formats that it could have.

    Raises:
        DataError: there are no labels in a known (or the requested) format.
    """
    matches = [(match, name) for name, label_format in LABEL_FORMATS.items() if (match := label_format.sniff(tree))]
    matches.sort(key=lambda found: found[0], reverse=True)  # stable: formats of equal match keep their order
    detected = [name for _, name in matches]
    if detected and source.format in (None, *detected):
        chosen = source.format or detected[0]
        return chosen, tuple(name for match, name in matches if match > Match.UNCLEAR and name != chosen)
    if source.format is not None:
        title = LABEL_FORMATS[source.format].TITLE
        raise DataError(f"{tree.root}: no labels of {title} in it: omit --format to detect the format")
    for path in tree.files(".xlsx", ".xls", ".ods", ".numbers"):
        raise DataError(f"{path}: labels in a spreadsheet cannot be read: save it as CSV (Excel: Save As, CSV UTF-8)")
    if unsupported := describe_unsupported(tree):
        raise DataError(f"{tree.root}: no labels in a known format: {unsupported}")
    known = ", ".join(label_format.TITLE for label_format in LABEL_FORMATS.values())
    found = "; ".join(filter(None, (describe_unknown_labels(tree), f"known are {known}: see docs/data.md")))
    raise DataError(f"{tree.root}: no labels in a known format: {found}")
