"""What the most likely label file of a folder is, if the folder has no known label format."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

from edge_ssd.data.file_tree import FileTree
from edge_ssd.data.label_files.label_columns import UnclearColumns
from edge_ssd.data.label_files.labels_beside import describe_labels_above
from edge_ssd.data.label_files.table_columns import find_columns
from edge_ssd.data.label_files.text_lines import decode_text
from edge_ssd.data.label_files.text_table import sniff_rows

__all__ = ["describe_unknown_labels"]

_HEAD_BYTES = 1 << 16
_ANY = re.compile("")
_MAX_SHOWN = 60  # characters of a line
_SET_WIDE = (".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".xml", ".yaml", ".yml")
_COMPRESSED = (".gz", ".zip", ".tar", ".tgz", ".bz2", ".xz", ".7z", ".rar", ".zst")
_BINARY = {
    **dict.fromkeys((".parquet", ".arrow", ".feather"), "columns"),
    **dict.fromkeys((".pkl", ".pickle", ".npy", ".npz", ".mat", ".h5", ".hdf5"), "arrays or objects"),
}
_NO_LABELS = re.compile(r"readme|license|requirements|classes|labels|names|notes|history|train|val|test", re.IGNORECASE)
# First bytes of a file → what it is, and what to do.
_CONTENTS = (
    (b"version https://git-lfs", "is a pointer of Git LFS, not the file: get it with git lfs pull"),
    (b"PK\x03\x04", "is an archive or a spreadsheet under this name: unpack it, or save it as CSV"),
    (b"\x1f\x8b", "is compressed: unpack it"),
    (b"<!doctype html", "is a web page, not the file: download it again"),
    (b"<html", "is a web page, not the file: download it again"),
)


def describe_unknown_labels(tree: FileTree) -> str:
    """Return what the most likely label file is, and what it lacks."""
    images = tree.images()
    stems = {path.stem for path in images}
    own = [path for path in tree.files(".txt", ".xml", ".json", ".csv") if path.stem in stems]
    shared = sorted(tree.files(*_SET_WIDE), key=lambda path: (_SET_WIDE.index(path.suffix.lower()), str(path)))
    shared = [path for path in shared if path.suffix.lower() not in (".yaml", ".yml")] or shared
    texts = [path for path in tree.files(".txt") if not _NO_LABELS.search(path.stem)]
    candidates = own if own and 2 * len(own) >= len(stems) else [*shared, *own, *texts]
    compressed, binary = tree.files(*_COMPRESSED), tree.files(*_BINARY)
    if not candidates and compressed:
        return f"{tree.relative(compressed[0])} is compressed: unpack it"
    if not candidates and binary:
        what = _BINARY[binary[0].suffix.lower()]
        return f"{tree.relative(binary[0])} holds {what} of a program: export the labels as COCO JSON, or as CSV"
    others = sorted(set(tree.matching(_ANY)) - set(images) - set(tree.files(".txt", ".md", ".yaml", ".yml")))
    if not candidates and others:
        return f"{tree.relative(others[0])} is no label file of a known kind: export the labels as COCO JSON, or as CSV"
    if not candidates:
        advice = describe_labels_above(tree) or "label images with a tool such as Label Studio, CVAT or LabelImg"
        return f"it has no label file: {advice}" if images else ""
    return f"{tree.relative(candidates[0])} {_describe(candidates[0])}"


def _describe(path: Path) -> str:
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
        # A character may be cut off at the end.
        text = decode_text(head) if len(head) < _HEAD_BYTES else head.decode("utf-8", "ignore")
    except OSError as error:
        return f"cannot be read ({error.strerror or error}): check its permissions"
    except UnicodeDecodeError:
        text = ""
    for start, message in _CONTENTS:
        if head.lstrip()[: len(start)].lower() == start.lower():
            return message
    if not text.strip():
        return "is empty" if not head.strip() else "is no text: export the labels as COCO JSON, or as CSV"
    suffix = path.suffix.lower()
    if suffix in (".csv", ".tsv"):
        return _describe_table(path)
    if suffix in (".jsonl", ".ndjson"):
        return "has a JSON object a line: export the labels as COCO JSON"
    if suffix == ".json":
        return _describe_json(text)
    if suffix == ".xml":
        tags = re.findall(r"<([A-Za-z][\w.:-]*)", text)
        return f"is XML of another kind, with <{'>, <'.join(dict.fromkeys(tags[:3]))}>: export the labels as COCO JSON"
    if suffix in (".yaml", ".yml"):
        return "is no description of a YOLO dataset: it needs names and train"
    line = next(line for line in text.splitlines() if line.strip())
    return f"starts with {_shorten(line)}: {_explain_line(line)}"


def _describe_table(path: Path) -> str:
    rows = sniff_rows(path)
    columns = find_columns(rows)
    first = _shorten(",".join(rows[0])) if rows else "nothing"
    reason = columns.reason if isinstance(columns, UnclearColumns) else "its rows are not understood"
    return f"starts with {first}: {reason}"


def _describe_json(text: str) -> str:
    keys = re.findall(r'"((?:[^"\\]|\\.){1,40})"\s*:', text)
    try:
        json.loads(text)
    except ValueError as error:
        if len(text) < _HEAD_BYTES - 1:
            return f"is no valid JSON ({error}): export the labels again"
    except RecursionError:
        return "is no JSON of labels, but nested too deeply: export the labels again"
    if not keys:
        return "is JSON without any key: export the labels as COCO JSON"
    shown = ", ".join(list(dict.fromkeys(keys))[:6])
    return f"is JSON of an unknown kind, with the keys {shown}: export the labels as COCO JSON"


def _explain_line(line: str) -> str:
    words: Sequence[str] = line.split()
    if line.lstrip().startswith(("{", "[")):
        return "if it is JSON, call it .json"
    if "," in line or ";" in line:
        return "YOLO's numbers have spaces between them, and a point for decimals; a table needs a line of column names"
    if "#" in line:
        return "YOLO's lines have no comments: remove them"
    numbers = sum(re.fullmatch(r"[-+]?[\d.]+(e[-+]?\d+)?", word, re.IGNORECASE) is not None for word in words)
    if numbers < len(words) and numbers >= 4:
        return "YOLO's lines are five numbers, the first of them a class id, which classes.txt names"
    return "YOLO's lines are a class id, center x, center y, width and height, in 0–1"


def _shorten(text: str) -> str:
    text = text.strip()
    return repr(text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}…")
