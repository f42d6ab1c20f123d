"""Choice among the label files of a format that has one file for many images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edge_ssd.data.dataset import Problem
from edge_ssd.data.file_tree import FileTree
from edge_ssd.data.split_names import split_from_folders, split_from_words
from edge_ssd.errors import DataError

__all__ = ["select_label_files"]


def select_label_files(
    tree: FileTree, paths: Sequence[Path], several: bool = False
) -> tuple[list[tuple[str, Path]], list[Problem]]:
    """Return the label files to read, each with the split that its name or its folders state ("" for none).

    Args:
        several: whether a split may have several files, such as the exports of several labeling jobs.

    Returns:
        The pairs, and notices. Beside files of splits, a file that states none ("all_labels.csv") is not read.

    Raises:
        DataError: a split has several files, and ``several`` is false.
    """
    pairs = _state_splits(tree, paths, uncertain=True)
    if not any(split == "train" for split, _ in pairs):  # "dev_board.json" alone is no validation split
        pairs = _state_splits(tree, paths, uncertain=False)
    notices = []
    if any(split for split, _ in pairs):
        unused = [path for split, path in pairs if not split]
        split, named = next((split, path) for split, path in pairs if split)
        reason = f"not used: {tree.relative(named)} is for {split}, and the name of this file states no split"
        notices = [Problem(path, f"{reason}: rename it to use it") for path in unused]
        pairs = [(split, path) for split, path in pairs if split]
    path_of: dict[str, Path] = {}
    for split, path in pairs:
        other = path_of.setdefault(split, path)
        if other != path and not several:
            names = f"{tree.relative(other)} and {tree.relative(path)}"
            advice = "keep one, give each dataset a folder of its own, or merge them with: edge-ssd data merge"
            raise DataError(
                f"{tree.root}: {names} both hold {split} labels: {advice}"
                if split
                else f"{tree.root}: {names} are both for all splits: name them train and val, {advice}"
            )
    return pairs, notices


def _state_splits(tree: FileTree, paths: Sequence[Path], uncertain: bool) -> list[tuple[str, Path]]:
    return [
        (split_from_words(path.stem, uncertain) or split_from_folders(tree.folder_parts(path), uncertain), path)
        for path in paths
    ]
