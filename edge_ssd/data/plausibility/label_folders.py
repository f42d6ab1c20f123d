"""Label files that may be those of other images, where each image has a label file of its name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from edge_ssd.console.counts import count
from edge_ssd.data.annotations import ImageAnnotations, ParsedDataset
from edge_ssd.data.dataset import Problem
from edge_ssd.data.file_tree import FileTree

__all__ = ["check_label_folders"]

# Share of the images of a folder at most whose label files are elsewhere, where this is no arrangement of the labels.
_FEW = 0.2


def check_label_folders(
    tree: FileTree, parsed: ParsedDataset, splits: Mapping[str, Sequence[ImageAnnotations]]
) -> list[Problem]:
    """Return notices of label files that several images share, and of those in another folder than most.

    Args:
        splits: split → its images, as located.
    """
    return [*_check_shared(tree, splits), *_check_stray(tree, splits)] if parsed.label_file_per_image else []


def _check_shared(tree: FileTree, splits: Mapping[str, Sequence[ImageAnnotations]]) -> list[Problem]:
    images_of: dict[Path, dict[Path, None]] = {}
    for label_file, path in (pair for images in splits.values() for pair in _pairs(images)):
        images_of.setdefault(label_file, {})[path] = None
    several = ((label_file, list(paths)) for label_file, paths in images_of.items() if len(paths) > 1)
    # Links to one image file are one image.
    shared = [(label_file, paths) for label_file, paths in several if len({path.resolve() for path in paths}) > 1]
    if not shared:
        return []
    label_file, paths = shared[0]
    names = " and ".join(tree.relative(path) for path in paths[:2])
    fact = f"{count(len(shared), 'label file', 'is', 'are')} used for several images each, such as"
    message = f"{fact} {tree.relative(label_file)} for {names}: rename all but one if they are different images"
    return [Problem(tree.root, message, doubt="files")]


def _check_stray(tree: FileTree, splits: Mapping[str, Sequence[ImageAnnotations]]) -> list[Problem]:
    notices = []
    for images in splits.values():
        folders: dict[Path, dict[Path, list[Path]]] = {}  # image folder → image → its label files
        for label_file, path in _pairs(images):
            folders.setdefault(path.parent, {}).setdefault(path, []).append(label_file)
        for folder, files_of in folders.items():
            numbers = Counter(label_file.parent for files in files_of.values() for label_file in files)
            usual = numbers.most_common(1)[0][0]
            stray = [files[0] for files in files_of.values() if all(file.parent != usual for file in files)]
            if 0 < len(stray) <= _FEW * len(files_of):
                have = count(len(stray), "image", "has its labels", "have their labels")
                names = f"in {tree.relative(usual)}, as those of the others in {tree.relative(folder)}"
                example = tree.relative(stray[0])
                message = f"{have} not {names}, but elsewhere, such as {example}: remove them if they are old"
                notices.append(Problem(tree.root, message, doubt="files"))
    return notices


def _pairs(images: Sequence[ImageAnnotations]) -> Iterator[tuple[Path, Path]]:
    """Yield label file and image of the usable images that have both."""
    for image in images:
        if image.path is not None and image.path != image.label_file and not image.fault:
            yield image.label_file, image.path
