"""Recognition of JSON label files by their content, for all formats at once.

A file is searched, not parsed: it may have half a gigabyte, and a folder may have a file for each of its images.
"""

from __future__ import annotations

import mmap
import os
import re
import weakref
from pathlib import Path
from typing import Literal

from edge_ssd.data.file_tree import FileTree
from edge_ssd.data.label_files.file_limits import UnsuitableFileError, check_size

__all__ = ["JsonKind", "describe_unsupported", "json_files"]

JsonKind = Literal[
    "coco",
    "coco_incomplete",
    "coco_results",
    "createml",
    "darwin",
    "datumaro",
    "invalid",
    "label_studio",
    "labelbox",
    "labelme",
    "other",
    "scalabel",
    "supervisely",
    "via",
    "via3",
]

# Kinds that are no labels this package reads → what they are, for a message.
_UNSUPPORTED: dict[JsonKind, str] = {
    "coco_results": "is a list of COCO results, which names no images and categories: give the label file of the set",
    "darwin": "has labels of V7 Darwin: export them as COCO JSON",
    "labelbox": "has labels of Labelbox: export them as COCO JSON",
    "scalabel": "has labels of Scalabel or BDD100K: convert them to COCO JSON",
    "supervisely": "has labels of Supervisely: export them as COCO JSON",
}

# The keys of a COCO file may be anywhere in it, those of other formats are in its first bytes.
_HEAD_BYTES = (4096, 1 << 18)

_kinds_of_tree: weakref.WeakKeyDictionary[FileTree, dict[JsonKind, list[Path]]] = weakref.WeakKeyDictionary()


def json_files(tree: FileTree, *kinds: JsonKind) -> list[Path]:
    """Return the JSON files of these kinds; every file is classified once for a tree.

    "coco_incomplete" lacks ``categories``, as COCO's captions do; "invalid" is no JSON object or list.
    """
    files = _kinds_of_tree.get(tree)
    if files is None:
        files = _kinds_of_tree[tree] = {}
        for path in tree.files(".json"):
            files.setdefault(_classify(path), []).append(path)
    return [path for kind in kinds for path in files.get(kind, ())]


def describe_unsupported(tree: FileTree) -> str:
    """Return what the first file of a known but unsupported kind is, or ""."""
    for kind, message in _UNSUPPORTED.items():
        for path in json_files(tree, kind):
            return f"{tree.relative(path)} {message}"
    return ""


def _classify(path: Path) -> JsonKind:
    try:
        with path.open("rb") as file:
            head = b""
            for size in _HEAD_BYTES:
                head += file.read(size - len(head))
                text = _to_utf8(head)
                kind = _classify_head(text)
                if kind != "other":
                    return kind
                if len(head) < size:
                    return _classify_coco(text)
            try:
                check_size(os.fstat(file.fileno()).st_size)
            except UnsuitableFileError:  # reported where it is read
                return _classify_coco(text, complete=False)
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                return _classify_coco(content)
    except (OSError, ValueError):
        return "invalid"


def _to_utf8(head: bytes) -> bytes:
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return head.decode("utf-16", "ignore").encode()
    return head.removeprefix(b"\xef\xbb\xbf")


def _classify_head(head: bytes) -> JsonKind:
    """Return the kind that the first bytes of a file show, or "other"."""
    text = head.lstrip()
    if text.startswith(b"["):
        return _classify_list(text)
    return _classify_object(text) if text.startswith(b"{") else "invalid"


def _key(pattern: str, opening: str = "") -> re.Pattern[bytes]:
    """Return a pattern of a key, and of the first character of its value."""
    return re.compile(rf'"(?:{pattern})"\s{{0,40}}:\s{{0,40}}{re.escape(opening)}'.encode())


_LABEL_STUDIO_KEYS = "from_name|annotation_id|completions|total_annotations|(?:rectangle|polygon|ellipse|brush)labels"
_LABEL_STUDIO = (_key(_LABEL_STUDIO_KEYS), _key("result", "["), _key("data", "{"))
_IMAGE_AND_CATEGORY = (_key("image_id"), _key("category_id"))
_CREATEML = (_key("image|imagefilename|imageURL", '"'), _key("annotations?", "["))
_SCALABEL = (_key("box2d", "{"), _key("category", '"'))
_VIA = (_key(r"_via_\w+|region_attributes"), _key("regions", "["), _key("regions", "{"))
_VIA_3 = (_key("project", "{"), _key("vid_list|data_format_version"))
_DATUMARO = _key("dm_format_version")
_DATUMARO_CATEGORIES = (_key("categories", "{"), _key("label", "{"))
_SHAPES, _LABELME = _key("shapes", "["), _key("shape_type|imagePath|points|version")
_IMAGE_DATA = _key("imageData")
_DARWIN = (_key("item", "{"), _key("annotations", "["))
_LABELBOX = (_key("data_row", "{"), _key("projects", "{"))
_LABELBOX_LEGACY = (_key("Labeled Data"), _key("Label"))
_SUPERVISELY = (_key("objects", "["), _key("size", "{"))
_COCO_LISTS = tuple(_key(name, "[") for name in ("categories", "images", "annotations"))


def _has(text: bytes | mmap.mmap, *patterns: re.Pattern[bytes]) -> bool:
    return all(pattern.search(text) for pattern in patterns)


def _classify_list(text: bytes) -> JsonKind:
    if any(pattern.search(text) for pattern in _LABEL_STUDIO):
        return "label_studio"
    if _has(text, *_SCALABEL):
        return "scalabel"
    if _has(text, *_LABELBOX) or _has(text, *_LABELBOX_LEGACY):
        return "labelbox"
    if _has(text, *_CREATEML):
        return "createml"
    return "coco_results" if _has(text, *_IMAGE_AND_CATEGORY) else "other"


def _classify_object(text: bytes) -> JsonKind:
    if _has(text, *_VIA_3):
        return "via3"
    if any(pattern.search(text) for pattern in _VIA):
        return "via"
    if _has(text, _DATUMARO) or _has(text, *_DATUMARO_CATEGORIES):
        return "datumaro"
    if _has(text, _SHAPES, _LABELME) or _has(text, _IMAGE_DATA):
        return "labelme"
    if _has(text, *_SUPERVISELY):
        return "supervisely"
    if _has(text, *_DARWIN):
        return "darwin"
    return "other"


def _classify_coco(text: bytes | mmap.mmap, complete: bool = True) -> JsonKind:
    """Return the kind of a file of no other format. One that ends too early is damaged, whatever it lacks.

    ``complete`` is whether ``text`` is all of it.
    """
    found = [pattern.search(text) is not None for pattern in _COCO_LISTS]
    if sum(found) < (2 if complete else 1):
        return "other"
    is_complete = text[-100:].rstrip().endswith(b"}")
    return "coco_incomplete" if is_complete and not found[0] else "coco"
