"""Label files of formats with one text file per image, which are told apart by the content of their lines."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edge_ssd.data.annotations import BoxAnnotation, ImageAnnotations
from edge_ssd.data.dataset import Problem
from edge_ssd.data.file_tree import FileTree
from edge_ssd.data.label_files.shapes import Box

__all__ = ["TextObject", "annotate_texts", "find_label_files"]

# Files that are read in each folder to recognize its format.
_MAX_SNIFFED_FILES = 20
_MAX_LINE = 4096


@dataclass(frozen=True)
class TextObject:
    """One labeled object; ``ignored`` marks a region that is neither an object nor background."""

    class_name: str
    box_xyxy: Box
    enclosing: bool = False
    ignored: bool = False


ParseLine = Callable[[str], TextObject | None]
"""Returns the object of a line, or None for a line that states no object; raises ValueError for an invalid line."""


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
    tree: FileTree, paths: list[Path], parse_line: ParseLine, find_image: Callable[[Path], Path | None]
) -> tuple[tuple[str, ...], list[ImageAnnotations], list[Problem]]:
    """Read label files; an empty one states a background image.

    Args:
        find_image: returns the image of a label file where the format states it, else None.

    Returns:
        The class names in alphabetical order, the images without those that have only ignored regions, and notices.
    """
    stems = {path.stem for path in tree.images()}
    contents = {path: _read(path, parse_line) for path in paths}
    # A text without any object, and not named as an image, is a readme or the like.
    contents = {path: content for path, content in contents.items() if content[0] or path.stem in stems}
    names = sorted({item.class_name for objects, _ in contents.values() for _, item in objects if not item.ignored})
    index_of = {name: index for index, name in enumerate(names)}
    images = []
    ignored = only_ignored = 0
    for path, (objects, fault) in contents.items():
        boxes = tuple(
            BoxAnnotation(index_of[item.class_name], item.box_xyxy, f"line {number}", item.enclosing)
            for number, item in objects
            if not item.ignored
        )
        ignored += len(objects) - len(boxes)
        if objects and not boxes and not fault:
            only_ignored += 1
            continue
        images.append(ImageAnnotations(path, path.stem, boxes, path=find_image(path), stem=path.stem, fault=fault))
    notices = []
    if ignored:
        left_out = f", and {only_ignored} images with only such regions" if only_ignored else ""
        notices.append(Problem(tree.root, f"{ignored} regions that are marked to be ignored are not used{left_out}"))
    return tuple(names), images, notices


def _starts_with_object(path: Path, parse_line: ParseLine) -> bool:
    try:
        with path.open(encoding="utf-8-sig") as file:
            for line in itertools.islice(iter(lambda: file.readline(_MAX_LINE), ""), 5):
                if line.strip() and parse_line(line) is not None:
                    return True
    except (OSError, ValueError):
        pass
    return False


def _read(path: Path, parse_line: ParseLine) -> tuple[list[tuple[int, TextObject]], str]:
    """Return the objects of a file with their line numbers, and its first fault or ""."""
    objects = []
    fault = ""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        return [], f"cannot be read ({error.strerror or error})"
    except UnicodeDecodeError as error:
        return [], f"not UTF-8 text ({error})"
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            item = parse_line(line)
        except ValueError as error:
            fault = fault or f"line {number}: {error}: {line.strip()[:80]!r}"
            continue
        if item is not None:
            objects.append((number, item))
    return objects, fault
