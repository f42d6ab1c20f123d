"""Columns of a label table, by the names in its header.

img_name,label,xmin,ymin,xmax,ymax                  the book's
filename,width,height,class,xmin,ymin,xmax,ymax     TensorFlow's tutorials; width and height are the image's
image,x1,y1,x2,y2,label                             corners under other names
filename,bbox_x,bbox_y,bbox_width,bbox_height,class top-left corner and size
image_id,bbox,label                                 a cell "[x, y, width, height]", as at Kaggle
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from edge_ssd.data.label_files.ignored_regions import ignored_kind
from edge_ssd.data.label_files.label_columns import (
    NO_CLASS,
    BoxKind,
    Columns,
    UnclearColumns,
    header_key,
    is_image_name,
)
from edge_ssd.data.label_files.split_columns import find_split_columns
from edge_ssd.data.label_files.table_header import find_further_box, find_status_column, find_varied_column
from edge_ssd.data.label_files.table_without_header import find_without_header
from edge_ssd.data.label_files.text_table import is_number

__all__ = ["find_columns", "find_later_header"]

# Names in headers, in lower case and without anything but letters and digits; an earlier one is preferred.
_IMAGE_NAMES = """
    imgname filename image imagename file imagefile imagefilename imagepath imgpath filepath path img imgfile fname
    imageid imgid imageuri imageurl uri url frame name
"""
_LABEL_NAMES = """
    classname labelname categoryname objectname label class category objectclass classlabel name object celltype species
    annotationtag tag cls target classid categoryid labelid
"""
_IMAGE = _IMAGE_NAMES.split()
_LABEL = _LABEL_NAMES.split()
_WIDTH = ("imagewidth", "imgwidth", "originalwidth", "width")
_HEIGHT = ("imageheight", "imgheight", "originalheight", "height")
_PREFIXES = ("", "bbox", "box", "boundingbox", "bb", "roi", "rect")
# Four columns of a box. "x1" is the first corner, or the second one beside "x0".
_BOXES: list[tuple[BoxKind, tuple[str, ...]]] = [
    *(
        ("corners", tuple(names.split()))
        for names in (
            "xmin ymin xmax ymax",
            "x0 y0 x1 y1",
            "x1 y1 x2 y2",
            "left top right bottom",
            "xtl ytl xbr ybr",
            "minx miny maxx maxy",
            "xstart ystart xend yend",
            "startx starty endx endy",
            "topleftx toplefty bottomrightx bottomrighty",
            "upperleftcornerx upperleftcornery lowerrightcornerx lowerrightcornery",
        )
    ),
    *(
        ("center and size", tuple(f"{center} {size}".split()))
        for center in ("xcenter ycenter", "centerx centery", "cx cy", "xc yc")
        for size in ("width height", "w h")
    ),
    *(
        ("corner and size", tuple(f"{corner} {size}".split()))
        for corner in ("x y", "xmin ymin", "left top", "x1 y1")
        for size in ("w h", "width height", "boxwidth boxheight")
    ),
]
_BOX_CELLS: dict[str, BoxKind] = {
    **dict.fromkeys(("bbox", "boundingbox", "box", "bboxxywh"), "corner and size"),
    "bboxxyxy": "corners",
}
_SIDES = ("xmin", "ymin", "xmax", "ymax")
_MAX_HEADER_ROWS = 4


def find_columns(rows: Sequence[Sequence[str]]) -> Columns | UnclearColumns:
    """Return the columns of a table by its first rows, without empty ones."""
    if not rows:
        return UnclearColumns("the table is empty", like_labels=False)
    reasons = []
    for count, row in enumerate(rows[:_MAX_HEADER_ROWS], 1):
        if any(is_number(cell) or is_image_name(cell) for cell in row):
            break
        names = [header_key(name) for name in row]
        found = _find_in_header(names)
        if isinstance(found, Columns):
            found = _prefer_varied_classes(found, row, rows[count:])
            used = (found.image, found.label, *found.box, *(found.size or ()))
            split, notice = find_split_columns(names, rows[count:], used)
            ignored = tuple((position, name) for position, name in enumerate(names) if ignored_kind(name))
            unread = find_status_column(row, names, rows[count:], used)
            notice = "; ".join(filter(None, (found.notice, notice, unread)))
            return dataclasses.replace(found, split=split, header_rows=count, notice=notice, ignored=ignored)
        reasons.append(found)
    return (
        next((reason for reason in reasons if reason.like_labels), reasons[0]) if reasons else find_without_header(rows)
    )


def find_later_header(cells: Sequence[str]) -> Columns | None:
    """Return the columns that a later row names, as in tables that were put together; None for any other row."""
    if any(is_number(cell) or is_image_name(cell) for cell in cells):
        return None
    found = _find_in_header([header_key(name) for name in cells])
    return found if isinstance(found, Columns) else None


def _find_in_header(names: list[str]) -> Columns | UnclearColumns:
    kind, box, missing = _find_box(names)
    # "name" is the image's or the object's.
    label = _first(names, _LABEL, used=box)
    image = _first(names, _IMAGE, used=(*box, label))
    if image is None and label is not None and names[label] == "name":
        image, label = label, None
    if image is not None and label is None and not missing:
        return UnclearColumns(NO_CLASS, like_labels=True)
    if image is None or label is None or missing:
        lacking = [*(["image"] if image is None else []), *(["label"] if label is None else []), *missing]
        reason = (
            "its first line must name the columns img_name,label,xmin,ymin,xmax,ymax (or filename and class); "
            f"missing: {', '.join(lacking)}"
        )
        return UnclearColumns(reason, like_labels=not missing and not (image is None and label is None))
    if unread := find_further_box(names, box):
        reason = f"it has more than one box in a row (column {unread!r}): write a row for each object"
        return UnclearColumns(reason, like_labels=True)
    width, height = _first(names, _WIDTH, used=box), _first(names, _HEIGHT, used=box)
    notice = ""
    if len(box) == 1 and names[box[0]] not in ("bboxxywh", "bboxxyxy"):
        notice = f"its boxes are read as x, y, width, height as in COCO (column {names[box[0]]!r}; else state --boxes)"
    elif kind == "corner and size" and names[box[0]].endswith("x"):
        corner = " and ".join(repr(names[position]) for position in box[:2])
        notice = f"columns {corner} are read as the top left corner of a box (if they are its center: --boxes cxcywh)"
    size = (height, width) if height is not None and width is not None else None
    return Columns(image, label, box, kind, size, notice=notice, doubtful_box=bool(notice))


def _prefer_varied_classes(columns: Columns, header: Sequence[str], rows: Sequence[Sequence[str]]) -> Columns:
    """Return the columns, with the class from another column of classes if the chosen one only says "object"."""
    names = [header_key(name) for name in header]
    used = {columns.image, *columns.box, *(columns.size or ())}
    others = [names.index(name) for name in _LABEL if name in names]
    other = find_varied_column(rows, columns.label, [position for position in others if position not in used])
    if other is None:
        return columns
    notice = f"its classes are those of column {header[other]!r}: column {header[columns.label]!r} has only one"
    return dataclasses.replace(columns, label=other, notice="; ".join(filter(None, (columns.notice, notice))))


def _find_box(names: list[str]) -> tuple[BoxKind, tuple[int, ...], list[str]]:
    """Return the kind and the positions of a box, and the sides that the header lacks."""
    known = set(names)
    schemes = [(kind, tuple(prefix + name for name in box)) for prefix in _PREFIXES for kind, box in _BOXES]
    for kind, columns in schemes:
        if known.issuperset(columns):
            positions = tuple(map(names.index, columns))
            # Before the corner, "width" and "height" are the image's: the second corner is missing.
            if kind == "corners" or columns[2] != "width" or min(positions[2:]) > max(positions[:2]):
                return kind, positions, []
    for name, kind in _BOX_CELLS.items():
        if name in known:
            return kind, (names.index(name),), []
    corners = [columns for kind, columns in schemes if kind == "corners"]
    best = max(corners, key=lambda columns: len(known.intersection(columns)))
    return "corners", (), [side for side, column in zip(_SIDES, best, strict=True) if column not in known]


def _first(names: list[str], aliases: Sequence[str], used: Sequence[int | None]) -> int | None:
    """Return the position of the first alias that the header has, apart from the positions in ``used``."""
    free = {name: position for position, name in reversed(list(enumerate(names))) if position not in used}
    return next((free[alias] for alias in aliases if alias in free), None)
