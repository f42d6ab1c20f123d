"""A table of images and their splits beside label files that state none.

split.csv      filename,split / a.jpg,train / b.jpg,val
splits.json    {"train": ["a.jpg"], "val": ["b.jpg"]}, or the same as YAML
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePath

from edge_ssd.console.counts import count
from edge_ssd.data.dataset import Problem
from edge_ssd.data.file_index import FileIndex, path_parts
from edge_ssd.data.file_tree import FileTree
from edge_ssd.data.label_files.csv_table import table_files
from edge_ssd.data.label_files.file_limits import read_label_file
from edge_ssd.data.label_files.json_values import parse_json
from edge_ssd.data.label_files.label_columns import Columns, header_key
from edge_ssd.data.label_files.split_columns import find_split_columns
from edge_ssd.data.label_files.split_lists import SplitLists
from edge_ssd.data.label_files.table_columns import find_columns
from edge_ssd.data.label_files.text_table import TextTable, sniff_rows
from edge_ssd.data.label_files.yaml_file import load_yaml
from edge_ssd.data.split_names import SPLITS, split_from_words
from edge_ssd.errors import DataError

__all__ = ["read_split_table"]

_MAX_BYTES = 64 << 20
_SNIFFED_ROWS = 50


def read_split_table(tree: FileTree, index: FileIndex) -> SplitLists:
    """Return the splits that a table without boxes states for images in ``index``; empty without such a table."""
    for path in table_files(tree):
        if lists := _collect(path, index, _table_rows(path, index)):
            return lists
    unread = []
    for path in tree.files(".json", ".yaml", ".yml"):
        rows = list(_rows_by_split(path)) if "split" in path.stem.lower() else []
        if lists := _collect(path, index, rows):
            return lists
        if rows:
            message = f"none of its {count(len(rows), 'entry')} names an image, such as {rows[0][0][:40]!r}: not used"
            unread.append(Problem(path, message, doubt="files"))
    return SplitLists(unread=tuple(unread))


def _table_rows(path: Path, index: FileIndex) -> Iterator[tuple[str, str]]:
    """Yield the image and the split of each row; nothing if the file is no such table. Raises DataError."""
    head = sniff_rows(path)[:_SNIFFED_ROWS]
    if not head or isinstance(find_columns(head), Columns):  # labels, of which the rows state the splits
        return
    has_header = not any(index.find(cell, path).path for cell in head[0])
    rows = head[has_header:]
    found = {
        column: sum(index.find(row[column], path).path is not None for row in rows if column < len(row))
        for column in range(len(head[0]))
    }
    image = max(found, key=lambda column: found[column])
    if found[image] * 2 <= len(rows) or not rows:
        return
    names = [header_key(name) if has_header else "" for name in head[0]]
    columns, _ = find_split_columns(names, rows, used=(image,))
    if columns is None:
        return
    for line, cells in itertools.islice(TextTable(path).rows(), int(has_header), None):
        try:
            yield cells[image], columns.split_of(cells)
        except (IndexError, ValueError) as error:
            raise DataError(f"{path}: line {line}: {error}: correct the table") from None


def _rows_by_split(path: Path) -> Iterator[tuple[str, str]]:
    """Yield each image and its split of lists by split; nothing if the file holds anything else."""
    try:
        is_json = path.suffix.lower() == ".json"
        content = parse_json(read_label_file(path, _MAX_BYTES)) if is_json else load_yaml(path)
    except (OSError, ValueError, ImportError):  # without PyYAML
        return
    if isinstance(content, dict) and all(map(split_from_words, map(str, content))):
        for key, names in content.items():
            for name in names if isinstance(names, list) else ():
                if isinstance(name, (str, int)):
                    yield str(name), split_from_words(str(key))


def _collect(path: Path, index: FileIndex, rows: Iterable[tuple[str, str]]) -> SplitLists:
    by_path: dict[Path, str] = {}
    by_stem: dict[str, str] = {}
    problems: list[Problem] = []
    for name, split in rows:
        if not split:
            continue
        image = index.find(name, path).path
        if image is None:
            by_stem.update({PurePath(part).stem: split for part in path_parts(name)[-1:]})
        elif by_path.setdefault(image, split) != split:
            # An image in two splits is not trained on.
            kept = max(split, by_path[image], key=SPLITS.index)
            problems.append(Problem(path, f"{image.name} is in {by_path[image]} and in {split}: used in {kept} only"))
            by_path[image] = kept
    if not by_path:
        return SplitLists()
    splits = frozenset({*by_path.values(), *by_stem.values()})
    return SplitLists((path,), splits, by_path, by_stem, tuple(problems), by_words=True)
