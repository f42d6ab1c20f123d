"""Pascal VOC: one XML file a picture, in any of the three arrangements that are about.

    Annotations/*.xml, JPEGImages/, ImageSets/Main/{train,val,test}.txt      the original
    {,images/}{train,val,test}/*.xml, each beside its picture                what labelling tools leave
    annotations/*.xml, images/                                               a set without splits

Source: The PASCAL Visual Object Classes Challenge 2012 Development Kit, section 4. Box sides are taken as they
stand: the kit counts pixels from 1, most tools that write the format count from 0, and no file says which.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from edge_ssd.data.dataset import Problem
from edge_ssd.data.formats.annotations import (
    SPLITS,
    BoxAnnotation,
    ImageAnnotations,
    ImageIndex,
    ParsedDataset,
    SplitAnnotations,
    split_from_suffix,
)
from edge_ssd.errors import DataError

__all__ = ["parse", "sniff", "sniff_splits"]

_MAX_XML_BYTES = 16 << 20


@dataclass(frozen=True)
class _Layout:
    """Where the XML files of each split are, and where the pictures. ``absent`` are listed but not there."""

    xml_files: dict[str, list[Path]]
    pictures: dict[str, Path]
    absent: dict[str, Path]


def sniff(folder: Path) -> bool:
    """Whether there are XML files in one of the three arrangements."""
    layout = _layout(folder)
    return layout is not None and any(layout.xml_files.values())


def sniff_splits(folder: Path) -> bool:
    """As :func:`sniff`, and they are divided into splits."""
    layout = _layout(folder)
    return layout is not None and any(files for split, files in layout.xml_files.items() if split)


def parse(folder: Path) -> ParsedDataset:
    """Read every XML file. The class names are those that occur in any split, in alphabetical order."""
    layout = _layout(folder)
    if layout is None:
        raise DataError(f"{folder}: no Pascal VOC label files (*.xml) in it: give the folder that holds them")
    parsed: dict[str, list[_Annotation]] = {}
    problems: dict[str, list[Problem]] = {}
    for split, paths in layout.xml_files.items():
        parsed[split], problems[split] = _parse_all(paths)
    names = sorted({label for found in parsed.values() for a in found for label, _ in a.objects})
    index_of = {name: index for index, name in enumerate(names)}
    parts = {}
    for split, found in parsed.items():
        folders = (ImageIndex(layout.pictures[split]),)
        absent = layout.absent.get(split)
        parts[split] = SplitAnnotations(
            tuple(_record(annotation, index_of, folders) for annotation in found),
            tuple(problems[split]),
            None if absent is None else f"{absent}: the split's list names it, but it is absent: complete the data set",
        )
    return ParsedDataset(tuple(names), parts)


@dataclass(frozen=True)
class _Annotation:
    path: Path
    filename: str
    size: tuple[int, int] | None
    objects: tuple[tuple[str, tuple[float, float, float, float]], ...]


def _layout(folder: Path) -> _Layout | None:
    for labels, pictures in (("Annotations", "JPEGImages"), ("annotations", "images"), ("Annotations", "images")):
        if (folder / labels).is_dir() and (folder / pictures).is_dir():
            return _separate(folder, folder / labels, folder / pictures)
    found: dict[str, Path] = {}
    for parent in (folder, folder / "images"):
        for path in sorted(parent.iterdir()) if parent.is_dir() else []:
            split = split_from_suffix(path.name)
            if split and path.is_dir() and any(path.glob("*.xml")):
                found.setdefault(split, path)
    if not found and any(folder.glob("*.xml")):
        found = {split_from_suffix(folder.resolve().name): folder}
    if not found:
        return None
    return _Layout({split: sorted(path.glob("*.xml")) for split, path in found.items()}, found, {})


def _separate(folder: Path, labels: Path, pictures: Path) -> _Layout:
    """Label files and pictures each in a folder of their own, splits as lists of names if at all."""
    files = {path.stem: path for path in sorted(labels.glob("*.xml"))}
    lists = {split: folder / "ImageSets" / "Main" / f"{split}.txt" for split in SPLITS}
    lists = {split: path for split, path in lists.items() if path.is_file()}
    if not lists:
        return _Layout({"": list(files.values())}, {"": pictures}, {})
    xml_files: dict[str, list[Path]] = {}
    absent: dict[str, Path] = {}
    for split, path in lists.items():
        try:
            lines = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"{path}: cannot be read ({error}): it should list one picture name a line") from None
        # The lists for one class have a second column, 1 or -1; a name may have spaces of its own.
        stems = [line if line in files else re.sub(r"\s+-?[01]$", "", line) for line in lines]
        xml_files[split] = [files[stem] for stem in stems if stem in files]
        for stem in stems:
            if stem not in files:
                absent.setdefault(split, labels / f"{stem}.xml")
    return _Layout(xml_files, dict.fromkeys(xml_files, pictures), absent)


def _parse_all(paths: Iterable[Path]) -> tuple[list[_Annotation], list[Problem]]:
    annotations: list[_Annotation] = []
    problems: list[Problem] = []
    for path in paths:
        try:
            annotation, faults = _parse(path)
        except (OSError, ElementTree.ParseError, ValueError, LookupError) as error:
            problems.append(Problem(path, f"not a Pascal VOC label file ({error}); its picture is dropped"))
            continue
        annotations.append(annotation)
        problems.extend(Problem(path, fault) for fault in faults)
    return annotations, problems


def _parse(path: Path) -> tuple[_Annotation, list[str]]:
    """Raises OSError, ParseError (LookupError: unknown encoding) or ValueError for what is no annotation."""
    if path.stat().st_size > _MAX_XML_BYTES:
        raise ValueError(f"larger than {_MAX_XML_BYTES >> 20} MB")
    root = ElementTree.fromstring(path.read_bytes())
    if root.tag != "annotation":
        raise ValueError(f"its root is <{root.tag}>, not <annotation>")
    objects, faults = [], []
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
            faults.append(f"object {number} lacks a name or a box of four numbers; dropped")
    return _Annotation(path, (root.findtext("filename") or "").strip(), _stated_size(root), tuple(objects)), faults


def _stated_size(root: ElementTree.Element) -> tuple[int, int] | None:
    """(height, width), or None: some tools leave it out or write 0."""
    try:
        height, width = int(root.findtext("size/height") or 0), int(root.findtext("size/width") or 0)
    except ValueError:
        return None
    return (height, width) if height > 0 and width > 0 else None


def _record(annotation: _Annotation, index_of: dict[str, int], folders: tuple[ImageIndex, ...]) -> ImageAnnotations:
    objects = tuple(
        BoxAnnotation(index_of[label], box, f"object {number} ({label})")
        for number, (label, box) in enumerate(annotation.objects, 1)
    )
    # A label file is renamed together with its picture, the name inside it is not: its own name comes first.
    stem = annotation.path.stem
    return ImageAnnotations(annotation.path, annotation.filename or stem, folders, objects, stem, annotation.size)
