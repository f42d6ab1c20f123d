"""Order of the classes of a format whose label files only name them, from a text file beside these.

labels.txt        PaddleX
label_list.txt    PaddleDetection
classes.txt       label tools
"""

from __future__ import annotations

from collections.abc import Collection

from edge_ssd.data.dataset import Problem
from edge_ssd.data.file_tree import FileTree
from edge_ssd.data.label_files.text_lines import read_class_names
from edge_ssd.errors import DataError

__all__ = ["order_classes"]

_FILES = frozenset({"labels.txt", "label_list.txt", "classes.txt"})


def order_classes(tree: FileTree, names: Collection[str]) -> tuple[list[str], list[Problem]]:
    """Return the names of a dataset's classes in the order of a file that has all of them and no other, and notices.

    Without such a file they are in alphabetical order. A file of other names is not used, and named in a notice.
    """
    notices = []
    paths = [path for path in tree.files(".txt") if path.name.lower() in _FILES]
    for path in sorted(paths, key=lambda path: len(path.parts)):
        try:
            stated = read_class_names([path]) or []
        except DataError:  # no class names
            continue
        if set(stated) == set(names):
            return stated, []
        differing = sorted(set(stated).symmetric_difference(names))
        fact = f"it is not used for the order of the classes: {differing[0]!r} is"
        place = "in the label files only" if differing[0] in names else "in no label file"
        notices.append(Problem(path, f"{fact} {place}"))
    return sorted(names), notices if names else []
