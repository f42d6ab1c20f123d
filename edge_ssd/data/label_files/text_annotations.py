"""Label files of formats with one text file per image, which are told apart by the content of their lines."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Sequence
from pathlib import Path

from edge_ssd.data.annotations import ImageAnnotations, ParsedDataset
from edge_ssd.data.file_tree import FileTree
from edge_ssd.data.label_files.file_limits import MAX_BYTES_PER_IMAGE, UnsuitableFileError, read_label_file
from edge_ssd.data.label_files.object_reader import IgnoredRegion, ObjectReader, Shape

__all__ = ["annotate_texts", "find_label_files"]

# Files that are read in each folder to recognize its format.
_MAX_SNIFFED_FILES = 20
_MAX_LINE = 4096


ParseLine = Callable[[str], Shape | None]
"""Returns the object of a line, or None for a line that states no object; raises ValueError for an invalid line, and
:class:`~edge_ssd.data.label_files.object_reader.IgnoredRegion`."""


def find_label_files(tree: FileTree, parse_line: ParseLine) -> list[Path]:
    """Return the text files of the folders in which a file starts with an object in a format."""
    folders: dict[Path, list[Path]] = {}
    for path in tree.files(".txt"):
        folders.setdefault(path.parent, []).append(path)
    return [
        path
        for paths in folders.values()
        if any(_starts_with_object(path, parse_line) for path in itertools.islice(paths, _MAX_SNIFFED_FILES))
        for path in paths
    ]


def annotate_texts(
    tree: FileTree,
    paths: list[Path],
    parse_line: ParseLine,
    find_image: Callable[[Path], Path | None] = lambda path: None,
    class_order: Sequence[str] = (),
) -> ParsedDataset:
    """Return the annotations of label files; an empty one states a background image.

    Args:
        find_image: returns the image of a label file where the format states it, else None.
        class_order: names of all classes in their order; the order is alphabetical if one is missing.
    """
    stems = {path.stem for path in tree.images()}
    reader = ObjectReader()
    images = []
    for path in paths:
        lines, fault = _read_lines(path)
        # A text without any object, and not named as an image, is a readme or the like.
        if path.stem not in stems and not any(_states_object(line, parse_line) for line in lines):
            continue
        boxes, invalid = reader.read(lines, functools.partial(_parse_named, parse_line), "line")
        fault = fault or invalid
        images.append(ImageAnnotations(path, path.stem, boxes, path=find_image(path), stem=path.stem, fault=fault))
    if set(class_order).issuperset(reader.used_classes):
        reader.state_classes(class_order)
    return reader.dataset(tree.root, images, label_file_per_image=True)


def _parse_named(parse_line: ParseLine, line: str) -> Shape | None:
    """Return the object of a line, or None; a ValueError has the text of the line."""
    try:
        return parse_line(line) if line.strip() else None
    except ValueError as error:
        raise ValueError(f"{error}: {line.strip()[:80]!r}") from None


def _states_object(line: str, parse_line: ParseLine) -> bool:
    try:
        return bool(line.strip()) and parse_line(line) is not None
    except IgnoredRegion:
        return True
    except ValueError:
        return False


def _starts_with_object(path: Path, parse_line: ParseLine) -> bool:
    try:
        with path.open(encoding="utf-8-sig") as file:
            lines = list(itertools.islice(iter(lambda: file.readline(_MAX_LINE), ""), 5))
    except (OSError, ValueError):
        return False
    return any(_states_object(line, parse_line) for line in lines)


def _read_lines(path: Path) -> tuple[list[str], str]:
    """Return the lines of a file, and why it cannot be read or ""."""
    try:
        return read_label_file(path, MAX_BYTES_PER_IMAGE).decode("utf-8-sig").splitlines(), ""
    except UnsuitableFileError as error:
        return [], str(error)
    except OSError as error:
        return [], f"cannot be read ({error.strerror or error})"
    except UnicodeDecodeError as error:
        return [], f"not UTF-8 text ({error})"
