"""KITTI: one text file per image, with 15 columns per line, or 16 with a score.

    training/label_2/000000.txt, training/image_2/000000.png     as unpacked; image_3 has the images of the right camera
    labels/a.txt, images/a.jpg                                   as NVIDIA TAO and label tools write it

Source: https://www.cvlibs.net/datasets/kitti, the development kit's readme. A line is the class name, truncation,
occlusion, angle, the box (xmin, ymin, xmax, ymax) in pixels and seven numbers in 3D. "DontCare" regions hold objects
that are not labeled: they are ignored, and so is an image that has nothing else. In KITTI's tracks, the numbers of
the frame and of the track come before the class name.
"""

from __future__ import annotations

import re
from pathlib import Path

from edge_ssd.data.annotations import ParsedDataset
from edge_ssd.data.file_tree import FileTree
from edge_ssd.data.formats.label_format import Match
from edge_ssd.data.label_files.object_reader import IgnoredRegion, Shape
from edge_ssd.data.label_files.text_annotations import annotate_texts, find_label_files

__all__ = ["FILES", "TITLE", "parse", "sniff"]

TITLE = "KITTI"
FILES = "a text file of 15 columns for each image"

_IGNORED_CLASS = "dontcare"
_NUMBERS = 14  # after the class name, without the score


def sniff(tree: FileTree) -> Match:
    """Return ``LIKELY`` if there are text files of 15 columns, else ``NONE``."""
    return Match.LIKELY if find_label_files(tree, _parse_line) else Match.NONE


def parse(tree: FileTree) -> ParsedDataset:
    """Return the annotations of every image. The classes are in alphabetical order."""
    image_of = {(path.parent, path.stem): path for path in tree.images()}

    def find_image(label_file: Path) -> Path | None:
        folder = label_file.parent
        images = re.sub("labels?", lambda word: word[0].replace("label", "image"), folder.name)
        return image_of.get((folder.with_name(images), label_file.stem))

    return annotate_texts(tree, find_label_files(tree, _parse_line), _parse_line, find_image)


def _parse_line(line: str) -> Shape:
    words = line.split()
    count = 0
    while count < len(words) and _is_number(words[-1 - count]):
        count += 1
    if count == len(words):  # a class named by a number
        count -= 1
    if not _NUMBERS <= count <= _NUMBERS + 1:
        raise ValueError(f"expected a class name and {_NUMBERS} numbers")
    name = re.sub(r"^\d+ -?\d+ (?=.)", "", " ".join(words[:-count]))
    xmin, ymin, xmax, ymax = map(float, words[-count:][3:7])
    if name.lower() == _IGNORED_CLASS:
        raise IgnoredRegion(name)
    return Shape(name, (xmin, ymin, xmax, ymax))


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True
