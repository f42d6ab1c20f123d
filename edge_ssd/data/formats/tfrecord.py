"""TFRecord of TensorFlow's object detection API: images and boxes in the same files.

    train.record, val.record, label_map.pbtxt
    train/cutlery.tfrecord, train/cutlery_label_map.pbtxt …      Roboflow's export
    train.record-00000-of-00010 …                                in shards

Source: https://github.com/tensorflow/models/blob/master/research/object_detection/dataset_tools/tf_record_creation_util.py
and ``docs/using_your_own_dataset.md`` beside it. A record is a ``tf.train.Example`` with the features
``image/encoded``, ``image/filename``, ``image/object/bbox/xmin`` … in 0–1, ``image/object/class/text`` and
``image/object/class/label``. Crowds and groups surround many objects and are ignored. The images are unpacked into a
cache folder, see :mod:`edge_ssd.data.label_files.unpacked_images`.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath

from edge_ssd.console.counts import count
from edge_ssd.data.annotations import BoxAnnotation, ImageAnnotations, ParsedDataset
from edge_ssd.data.dataset import Problem
from edge_ssd.data.file_index import path_parts
from edge_ssd.data.file_tree import FileTree
from edge_ssd.data.formats.label_format import Match
from edge_ssd.data.label_files.json_values import stated_size
from edge_ssd.data.label_files.label_map import read_label_map
from edge_ssd.data.label_files.object_reader import ONLY_IGNORED, IgnoredRegion, ObjectReader, Shape
from edge_ssd.data.label_files.select_files import select_label_files
from edge_ssd.data.label_files.tfrecord_file import Example, read_examples
from edge_ssd.data.label_files.unpacked_images import unpack_images
from edge_ssd.errors import DataError
from edge_ssd.runtime.image_file import IMAGE_SUFFIXES

__all__ = ["FILES", "TITLE", "parse", "sniff"]

TITLE = "TFRecord"
FILES = "*.record or *.tfrecord with image/object/bbox/xmin"

_FILE_NAME = re.compile(r"\.(tf_?)?rec(ords?)?(-\d+-of-\d+)?(\.gz)?$|-\d+-of-\d+$", re.IGNORECASE)
_SIDES = tuple(f"image/object/bbox/{side}" for side in ("xmin", "ymin", "xmax", "ymax"))
_MAX_SNIFFED_RECORDS = 3
_SUFFIX_OF_MAGIC = {b"\xff\xd8": ".jpg", b"\x89PNG": ".png", b"GIF8": ".gif", b"BM": ".bmp", b"RIFF": ".webp"}
_MAX_NAME = 120


def sniff(tree: FileTree) -> Match:
    """Return ``SURE`` if there is a TFRecord file of images with boxes, else ``NONE``."""
    return Match.SURE if any(map(_has_boxes, tree.matching(_FILE_NAME))) else Match.NONE


def parse(tree: FileTree) -> ParsedDataset:
    """Return the annotations of every record, whose images are unpacked; raise DataError if that is impossible."""
    pairs, notices = select_label_files(tree, list(filter(_has_boxes, tree.matching(_FILE_NAME))), several=True)
    label_map: dict[int, tuple[str, str]] = {}
    for path in tree.files(".pbtxt"):
        label_map = read_label_map(path) | label_map
    reader = ObjectReader(name for _, name in label_map.values())
    files = [_LabelFile(path, split, label_map, reader) for split, path in pairs]
    images = [image for file in files for image in file.annotate()]
    if any(file.has_bare_ids for file in files):
        message = "classes without a name are called class_1, class_2 … by their ids: add label_map.pbtxt"
        notices.append(Problem(tree.root, message))
    return reader.dataset(tree.root, images, [problem for file in files for problem in file.problems], notices)


@dataclass(frozen=True)
class _Image:
    """One record."""

    file_name: str
    content: memoryview | None
    boxes: tuple[BoxAnnotation, ...]
    stated_size: tuple[int, int] | None
    fault: str


class _LabelFile:
    """Content of a TFRecord file."""

    def __init__(self, path: Path, split: str, label_map: Mapping[int, tuple[str, str]], reader: ObjectReader) -> None:
        self.images: list[_Image] = []
        self.problems: list[Problem] = []
        self.has_bare_ids = False
        self._path = path
        self._split = split
        self._label_map = label_map
        self._display_names = dict(label_map.values())
        self._reader = reader
        for number, example in enumerate(read_examples(path), 1):
            if isinstance(example, str):
                verb = "is" if len(self.images) == 1 else "are"
                used = f"{count(len(self.images), 'other record')} of it {verb} used"
                self.problems.append(Problem(path, f"{example}: {used}; copy the file again"))
            else:
                self._add(number, example)

    def annotate(self) -> list[ImageAnnotations]:
        """Unpack the images, and return them with their boxes."""
        contents = [image.content for image in self.images if image.content is not None]
        names = _distinct_names([image for image in self.images if image.content is not None])
        paths = iter(unpack_images(self._path, names, contents) if contents else ())
        return [
            ImageAnnotations(
                self._path,
                image.file_name,
                image.boxes,
                self._split,
                path=next(paths) if image.content is not None else None,
                stated_size=image.stated_size,
                normalized=True,
                fault=image.fault,
            )
            for image in self.images
        ]

    def _add(self, number: int, example: Example) -> None:
        sides = [_numbers(example, key) for key in _SIDES]
        texts, ids = _texts(example, "image/object/class/text"), _numbers(example, "image/object/class/label")
        ignored = [*_numbers(example, "image/object/is_crowd"), *_numbers(example, "image/object/group_of")]
        count = len(sides[0])
        unequal = any(len(values) != count for values in sides) or max(len(texts), len(ids)) != count

        def parse(index: int) -> Shape:
            if index < len(ignored) and ignored[index] == 1:
                raise IgnoredRegion("crowd")
            text, class_id = texts[index : index + 1], ids[index : index + 1]
            name = self._class_name(text[0] if text else "", class_id[0] if class_id else None)
            if not name:
                raise ValueError("no class")
            xmin, ymin, xmax, ymax = (values[index] for values in sides)
            return Shape(name, (xmin, ymin, xmax, ymax))

        boxes, fault = self._reader.read(range(0 if unequal else count), parse, f"record {number}, object")
        if unequal:
            fault = f"record {number}: xmin, ymin, xmax, ymax and class do not have the same length"
        if fault == ONLY_IGNORED:  # before its image is unpacked
            return
        encoded = example.get("image/encoded", [])
        content = encoded[0] if encoded and isinstance(encoded[0], memoryview) and len(encoded[0]) else None
        stated = next(filter(None, _texts(example, "image/filename")), "")
        height, width = (next(iter(_numbers(example, f"image/{side}")), 0) for side in ("height", "width"))
        size = stated_size(height, width)
        self.images.append(_Image(stated or f"record {number}", content, boxes, size, fault))

    def _class_name(self, text: str, class_id: float | None) -> str:
        if text:
            return self._display_names.get(text, text)
        if class_id is None or not isinstance(class_id, int):
            return ""
        if class_id in self._label_map:
            return self._label_map[class_id][1]
        self.has_bare_ids = True
        return f"class_{class_id}"


def _has_boxes(path: Path) -> bool:
    try:
        examples = list(itertools.islice(read_examples(path), _MAX_SNIFFED_RECORDS))
    except DataError:
        return False
    return any(not isinstance(example, str) and set(_SIDES) <= set(example) for example in examples)


def _distinct_names(images: list[_Image]) -> list[str]:
    """Return a name for the file of each image: its own, as far as it is a valid and the only one."""
    names: dict[str, str] = {}
    for number, image in enumerate(images, 1):
        parts = path_parts(image.file_name)
        name = re.sub(r"[\x00-\x1f:*?\"<>|]", "_", parts[-1] if parts else "").lstrip(".")
        suffix = PurePath(name).suffix
        if suffix.lower() not in IMAGE_SUFFIXES:
            assert image.content is not None
            head = bytes(image.content[:4])
            suffix = next((value for magic, value in _SUFFIX_OF_MAGIC.items() if head.startswith(magic)), ".img")
            name += suffix
        if len(name.encode("utf-8", "surrogatepass")) > _MAX_NAME:
            name = f"{name[:20]}{suffix[:10]}"
        key = name.casefold()
        if key in names:
            name = f"{number}_{name}"
            key = name.casefold()
        names[key] = name
    return list(names.values())


def _texts(example: Example, key: str) -> list[str]:
    return [
        bytes(value).decode("utf-8", "replace").strip()
        for value in example.get(key, [])
        if isinstance(value, memoryview)
    ]


def _numbers(example: Example, key: str) -> list[float]:
    return [value for value in example.get(key, []) if not isinstance(value, memoryview)]
