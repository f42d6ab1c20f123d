"""Pascal VOC: one XML file for each image, in any of three layouts.

    Annotations/*.xml, JPEGImages/, ImageSets/Main/{train,val,test}.txt      the original
    {,images/}{train,val,test}/*.xml, each beside its image                  written by label tools
    annotations/*.xml, images/                                               a dataset without splits

Source: The PASCAL Visual Object Classes Challenge 2012 Development Kit, section 4. Box sides are used as stated: the
kit counts pixels from 1, most tools count from 0, and no file states which.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from edge_ssd.data.annotations import BoxAnnotation, ImageAnnotations, ParsedDataset, SplitAnnotations
from edge_ssd.data.dataset import Problem
from edge_ssd.data.formats.label_format import Match
from edge_ssd.data.image_index import ImageIndex
from edge_ssd.data.label_files.text_lines import read_lines
from edge_ssd.data.split_names import SPLITS, split_folders, split_from_suffix
from edge_ssd.errors import DataError

__all__ = ["FILES", "TITLE", "parse", "sniff"]

TITLE = "Pascal VOC"
FILES = "*.xml"

_MAX_XML_BYTES = 16 << 20


@dataclass(frozen=True)
class _Layout:
    """Files of a dataset.

    Attributes:
        label_files: split → its XML files.
        images: split → its folder of images.
        missing: split → the first XML file that its list names but that does not exist.
    """

    label_files: dict[str, list[Path]]
    images: dict[str, Path]
    missing: dict[str, Path] = field(default_factory=dict)


def sniff(folder: Path) -> Match:
    """Return ``SURE`` for XML files that are divided into splits, ``LIKELY`` for others, else ``NONE``."""
    splits = [split for split, paths in _find_files(folder).label_files.items() if paths]
    if not splits:
        return Match.NONE
    return Match.SURE if any(splits) else Match.LIKELY


def parse(folder: Path) -> ParsedDataset:
    """Return the annotations of every split. The classes are those of all splits, in alphabetical order."""
    layout = _find_files(folder)
    if not layout.label_files:
        raise DataError(f"{folder}: no Pascal VOC label files (*.xml) in it: give the folder that holds them")
    read = {split: _read_files(paths) for split, paths in layout.label_files.items()}
    names = sorted({label for files, _ in read.values() for file in files for label, _ in file.objects})
    index_of = {name: index for index, name in enumerate(names)}
    splits = {}
    for split, (files, problems) in read.items():
        folders = (ImageIndex(layout.images[split]),)
        missing = layout.missing.get(split)
        splits[split] = SplitAnnotations(
            tuple(_annotate(file, index_of, folders) for file in files),
            tuple(problems),
            None if missing is None else f"{missing}: listed in the split, but missing: complete the dataset",
        )
    return ParsedDataset(tuple(names), splits, label_file_per_image=True)


@dataclass(frozen=True)
class _LabelFile:
    """Content of an XML file; ``objects`` are (class name, xyxy in pixels)."""

    path: Path
    image_name: str
    size: tuple[int, int] | None
    objects: tuple[tuple[str, tuple[float, float, float, float]], ...]


def _find_files(folder: Path) -> _Layout:
    for labels, images in (("Annotations", "JPEGImages"), ("annotations", "images"), ("Annotations", "images")):
        if (folder / labels).is_dir() and (folder / images).is_dir():
            return _find_listed_files(folder, folder / labels, folder / images)
    folders: dict[str, Path] = {}
    for parent in (folder, folder / "images"):
        for split, path in split_folders(parent):
            if any(path.glob("*.xml")):
                folders.setdefault(split, path)
    if not folders and any(folder.glob("*.xml")):
        folders = {split_from_suffix(folder.resolve().name): folder}
    return _Layout({split: sorted(path.glob("*.xml")) for split, path in folders.items()}, folders)


def _find_listed_files(folder: Path, labels: Path, images: Path) -> _Layout:
    """Return the XML files in ``labels`` by split, as listed in ``ImageSets/Main``; without lists, all of them."""
    path_of = {path.stem: path for path in sorted(labels.glob("*.xml"))}
    label_files: dict[str, list[Path]] = {}
    missing: dict[str, Path] = {}
    for split in SPLITS:
        path = folder / "ImageSets" / "Main" / f"{split}.txt"
        if not path.is_file():
            continue
        # Lists for one class have a second column, 1, 0 or -1; a name may itself have spaces.
        lines = read_lines(path, "image name")
        stems = [line if line in path_of else re.sub(r"\s+-?[01]$", "", line) for line in lines]
        label_files[split] = [path_of[stem] for stem in stems if stem in path_of]
        for stem in stems:
            if stem not in path_of:
                missing.setdefault(split, labels / f"{stem}.xml")
    if not label_files:
        return _Layout({"": list(path_of.values())}, {"": images})
    return _Layout(label_files, dict.fromkeys(label_files, images), missing)


def _read_files(paths: Iterable[Path]) -> tuple[list[_LabelFile], list[Problem]]:
    files: list[_LabelFile] = []
    problems: list[Problem] = []
    for path in paths:
        try:
            files.append(_read_file(path, problems))
        except (OSError, ElementTree.ParseError, ValueError, LookupError) as error:
            problems.append(Problem(path, f"not a Pascal VOC label file ({error}); its image is dropped"))
    return files, problems


def _read_file(path: Path, problems: list[Problem]) -> _LabelFile:
    """Return the content of an XML file and append its faults to ``problems``; raise if it is not an annotation."""
    if path.stat().st_size > _MAX_XML_BYTES:
        raise ValueError(f"larger than {_MAX_XML_BYTES >> 20} MB")
    root = ElementTree.fromstring(path.read_bytes())
    if root.tag != "annotation":
        raise ValueError(f"its root is <{root.tag}>, not <annotation>")
    objects = []
    for number, element in enumerate(root.findall("object"), 1):
        label = (element.findtext("name") or "").strip()
        sides = [element.findtext(f"bndbox/{side}") for side in ("xmin", "ymin", "xmax", "ymax")]
        try:
            xmin, ymin, xmax, ymax = (float(side or "") for side in sides)
        except ValueError:
            label = ""
        if label:
            objects.append((label, (xmin, ymin, xmax, ymax)))
        else:
            problems.append(Problem(path, f"object {number} has no name or no box of four numbers; dropped"))
    return _LabelFile(path, (root.findtext("filename") or "").strip(), _stated_size(root), tuple(objects))


def _stated_size(root: ElementTree.Element) -> tuple[int, int] | None:
    """Return (height, width), or None: some tools omit it or write 0."""
    try:
        height, width = int(root.findtext("size/height") or 0), int(root.findtext("size/width") or 0)
    except ValueError:
        return None
    return (height, width) if height > 0 and width > 0 else None


def _annotate(file: _LabelFile, index_of: dict[str, int], folders: tuple[ImageIndex, ...]) -> ImageAnnotations:
    boxes = tuple(
        BoxAnnotation(index_of[label], box, f"object {number} ({label})")
        for number, (label, box) in enumerate(file.objects, 1)
    )
    # An image is often renamed together with its label file, while the name inside the file stays.
    stem = file.path.stem
    return ImageAnnotations(file.path, file.image_name or stem, folders, boxes, stem, file.size)
