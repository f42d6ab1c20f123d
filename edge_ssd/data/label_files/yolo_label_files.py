"""The label files of a YOLO dataset, and which one is an image's."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from edge_ssd.data.annotations import ImageAnnotations
from edge_ssd.data.dataset import Problem
from edge_ssd.data.file_index import FileIndex
from edge_ssd.data.file_tree import FileTree
from edge_ssd.data.label_files.file_limits import UnsuitableFileError
from edge_ssd.data.label_files.yolo_extra_numbers import ExtraNumbers, find_extra_numbers
from edge_ssd.data.label_files.yolo_labels import looks_like_labels, read_labels
from edge_ssd.data.split_names import SPLIT_OF_WORD, split_from_folders, split_from_words

__all__ = ["YoloLabelFiles", "possible_label_files"]

# Names of text files without labels, before the suffix.
_OTHER_TEXT_FILES = frozenset(
    {
        *("classes", "labels", "names", "class_names", "classnames", "readme", "license", "requirements"),
        *SPLIT_OF_WORD,
    }
)


def possible_label_files(tree: FileTree) -> Iterator[Path]:
    """Return the text files whose names are not those of other files."""
    return (path for path in tree.files(".txt") if path.stem.lower() not in _OTHER_TEXT_FILES)


class YoloLabelFiles:
    """The label files of a dataset. The boxes that are read have class ids in place of class indices.

    ``keypoints`` is that of :func:`~edge_ssd.data.label_files.yolo_labels.read_labels`.

    Attributes:
        notices: how the lines are read, where that is not sure.
    """

    def __init__(self, tree: FileTree, keypoints: bool = False) -> None:
        self._tree = tree
        self._paths = list(possible_label_files(tree))
        self._index = FileIndex(tree, self._paths)
        extra = ExtraNumbers() if keypoints else find_extra_numbers(self._paths)
        self._keypoints = keypoints
        self._extra_numbers = extra.length
        self.notices: list[Problem] = []
        if extra.length:
            message = f"{extra.length} numbers follow each box, which are no points of a polygon: not used"
            self.notices.append(Problem(tree.root, message))
        if extra.doubt:
            self.notices.append(Problem(tree.root, extra.doubt, doubt="files"))
        self._uploaded = _uploaded_labels(tree, self._paths)
        self._upload_named = False  # whether a notice names one that is used
        self._used: dict[Path, Path | None] = {}  # image → its label file
        self._ambiguous: dict[Path, tuple[Path, ...]] = {}  # image → label files that fit equally well
        self._searched: set[Path] = set()  # images whose label files are in no usual place
        self._folders: dict[Path, set[Path]] = {}  # folder of images → the usual folders of their label files
        self._names: dict[Path, set[str]] = {}  # folder → the names of its label files

    def find(self, image: Path) -> Path | None:
        """Return the label file of an image, "a.txt" or "a.jpg.txt" for "a.jpg", or None."""
        if image not in self._used:
            self._used[image] = _find_in_usual_folders(image)
            if self._used[image] is None:
                self._used[image] = self._search(image)
                self._searched.add(image)
        return self._used[image]

    def read(self, image: Path, split: str = "", named_in: Path | None = None) -> ImageAnnotations:
        """Return an image with the boxes of its label file, or with none if it has no label file.

        ``named_in`` is the list that names the image, which may not exist then.
        """
        label_file = self.find(image)
        path = image if os.path.isfile(image) else None  # noqa: PTH113 - false, not an error, for a long name
        if label_file is None:
            return ImageAnnotations(path or named_in or image, image.name, split=split, path=path)
        if image in self._ambiguous:
            names = " and ".join(self._tree.relative(path) for path in self._ambiguous[image][:2])
            fault = f"{names} may both be its labels: keep one, or call the folder of the right one labels"
            return ImageAnnotations(label_file, image.name, split=split, path=path, fault=fault)
        if image in self._searched and (usual := self._replaced_by(image, label_file)):
            self._used[image] = None
            fault = f"not used, since the labels are in {self._tree.relative(usual)}, which has no file of this name"
            return ImageAnnotations(label_file, image.name, split=split, path=path, fault=fault)
        return self._read(label_file, image.name, path, split)

    def read_unused(self, split: str = "") -> list[ImageAnnotations]:
        """Return the content of the label files without an image, which is then reported as missing."""
        used = set(self._used.values())
        folders = {path.parent for path in used if path is not None}
        return [
            self._read(path, path.stem, None, split)
            for path in self._paths
            if path not in used and path.parent in folders and not _may_be_list(path)
        ]

    def _search(self, image: Path) -> Path | None:
        split = split_from_folders(self._tree.folder_parts(image))
        found = [self._index.find_stem(name, "", image, split) for name in (image.stem, image.name)]
        path = next((match.path for match in found if match.path is not None), None)
        if path is None and (equal := next((match.equal for match in found if match.equal), ())):
            self._ambiguous[image] = equal
            return equal[0]
        if path is None and (path := self._uploaded.get(image.stem)) and not self._upload_named:
            self._upload_named = True
            message = f"label files are named by uploads, such as {path.name!r} for {image.name!r}: used"
            self.notices.append(Problem(path.parent, message))
        return path

    def _replaced_by(self, image: Path, label_file: Path) -> Path | None:
        """Return the folder with the label files of the other images, if it has those of ``label_file``'s folder too.

        A file that is only in the other folder may be one that was removed on purpose.
        """
        folders = self._usual_folders(image.parent)
        if label_file.parent in folders:
            return None
        if folders and not self._names:
            for path in self._paths:
                self._names.setdefault(path.parent, set()).add(path.name)
        other = self._names.get(label_file.parent, set())
        return next((folder for folder in sorted(folders) if other & self._names.get(folder, set())), None)

    def _usual_folders(self, folder: Path) -> set[Path]:
        if not self._folders:
            for image in self._tree.images():
                usual = _find_in_usual_folders(image)
                self._folders.setdefault(image.parent, set()).update({usual.parent} if usual else ())
        return self._folders.get(folder, set())

    def _read(self, label_file: Path, name: str, path: Path | None, split: str) -> ImageAnnotations:
        fault = ""
        try:
            if not label_file.is_file():
                fault = "no regular file"
            else:
                labels = read_labels(label_file, self._keypoints, self._extra_numbers)
        except UnsuitableFileError as error:
            fault = str(error)
        except OSError as error:
            fault = f"cannot be read ({error.strerror or error})"
        except UnicodeDecodeError as error:
            fault = f"not UTF-8 text ({error})"
        if fault:
            return ImageAnnotations(label_file, name, split=split, path=path, fault=fault)
        return ImageAnnotations(label_file, name, labels.boxes, split, path, normalized=True, fault=labels.fault)


def _uploaded_labels(tree: FileTree, paths: Sequence[Path]) -> dict[str, Path]:
    """Return the label files without an image by the name of an image without the hash that Label Studio adds."""
    stems = {path.stem for path in tree.images()}
    found: dict[str, list[Path]] = {}
    for path in paths:
        if path.stem not in stems and (match := re.fullmatch(r"[0-9a-f]{8}[-_](.+)", path.stem)):
            found.setdefault(match[1], []).append(path)
    return {stem: same[0] for stem, same in found.items() if len(same) == 1}


def _may_be_list(path: Path) -> bool:
    """Return whether a text file may list the images of a split, such as "train_list.txt"."""
    return split_from_words(path.stem) != "" and not looks_like_labels(path)


def _find_in_usual_folders(image: Path) -> Path | None:
    """Return the label file in "labels" instead of the last "images" of the path, else the one beside the image.

    A folder or a broken link of this name is returned too: the image is not background.
    """
    parts = image.parent.parts
    folders = [image.parent]
    if "images" in parts:
        last = len(parts) - 1 - parts[::-1].index("images")
        folders.insert(0, Path(*parts[:last], "labels", *parts[last + 1 :]))
    paths = (folder / name for folder in folders for name in (f"{image.stem}.txt", f"{image.name}.txt"))
    return next((path for path in paths if os.path.lexists(path)), None)
