"""Columns of a label table: by its header, or without one where the cells leave no doubt.

    img_name,label,xmin,ymin,xmax,ymax                  the book's
    filename,width,height,class,xmin,ymin,xmax,ymax     TensorFlow's tutorials; width and height are the image's
    image,x1,y1,x2,y2,label                             corners under other names
    filename,bbox_x,bbox_y,bbox_width,bbox_height,class top-left corner and size
    image_id,bbox,label                                 a cell "[x, y, width, height]", as at Kaggle

Without a header:

    a.jpg,10,20,30,40,cat                               keras-retinanet
    TRAIN,gs://x/a.jpg,cat,0.1,0.2,,,0.3,0.4,,          Google's AutoML, in 0–1
    cat,10,20,20,20,a.jpg,640,480                       makesense.ai: top-left corner and size
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

from edge_ssd.data.label_files.split_columns import SplitColumns, find_split_columns
from edge_ssd.data.label_files.table_header import find_further_box, find_varied_column
from edge_ssd.data.label_files.text_table import is_number
from edge_ssd.runtime.image_file import IMAGE_SUFFIXES

__all__ = ["BoxKind", "Columns", "UnclearColumns", "find_columns", "header_key"]

BoxKind = Literal["corners", "corner and size", "center and size"]

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
_NO_CLASS = "no column states the class: add a column called class (for a single class, with its name in every row)"
_SIDES = ("xmin", "ymin", "xmax", "ymax")
_MAX_HEADER_ROWS = 4
# A header is needed unless so many of the boxes have the second corner below and right of the first.
_MIN_VALID = 0.9


@dataclass(frozen=True)
class Columns:
    """Positions of the columns of a label table.

    Attributes:
        box: positions of four numbers, or of a single cell that holds them.
        kind: what the four numbers are.
        size: positions of the image's height and width, if there are such columns.
        split: the columns that state the split, if there are any.
        normalized: whether boxes are in 0–1 of the image.
        header_rows: number of rows before the first object: a header, perhaps after a title, or none.
        notice: how the columns were read, if the header does not state all of it.
        doubtful_box: whether the header leaves open what the numbers of a box are.
    """

    image: int
    label: int
    box: tuple[int, ...]
    kind: BoxKind = "corners"
    size: tuple[int, int] | None = None
    split: SplitColumns | None = None
    normalized: bool = False
    header_rows: int = 1
    notice: str = ""
    doubtful_box: bool = False


@dataclass(frozen=True)
class UnclearColumns:
    """Why the columns of a table are unknown, and whether it seems to hold labels nevertheless."""

    reason: str
    like_labels: bool


def header_key(name: str) -> str:
    """Return a name in a header as it is compared: "Image Name" and "image_name" are "imagename"."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def find_columns(rows: Sequence[Sequence[str]]) -> Columns | UnclearColumns:
    """Return the columns of a table by its first rows, without empty ones."""
    if not rows:
        return UnclearColumns("the table is empty", like_labels=False)
    reasons = []
    for count, row in enumerate(rows[:_MAX_HEADER_ROWS], 1):
        if any(is_number(cell) or _is_image(cell) for cell in row):
            break
        names = [header_key(name) for name in row]
        found = _find_in_header(names)
        if isinstance(found, Columns):
            found = _prefer_varied_classes(found, row, rows[count:])
            used = (found.image, found.label, *found.box, *(found.size or ()))
            split, notice = find_split_columns(names, rows[count:], used)
            notice = "; ".join(filter(None, (found.notice, notice)))
            return dataclasses.replace(found, split=split, header_rows=count, notice=notice)
        reasons.append(found)
    return (
        next((reason for reason in reasons if reason.like_labels), reasons[0])
        if reasons
        else _find_without_header(rows)
    )


def _find_in_header(names: list[str]) -> Columns | UnclearColumns:
    kind, box, missing = _find_box(names)
    # "name" is the image's or the object's.
    label = _first(names, _LABEL, used=box)
    image = _first(names, _IMAGE, used=(*box, label))
    if image is None and label is not None and names[label] == "name":
        image, label = label, None
    if image is not None and label is None and not missing:
        return UnclearColumns(_NO_CLASS, like_labels=True)
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


def _find_without_header(rows: Sequence[Sequence[str]]) -> Columns | UnclearColumns:
    length = max(map(len, rows))
    rows = [[*row, *[""] * (length - len(row))] for row in rows]
    kinds = "".join(_kind_of_column([row[column] for row in rows]) for column in range(length))
    for pattern, columns in _LAYOUTS:
        if pattern.fullmatch(kinds) and _fits(rows, columns):
            return columns
    numbered = [columns for columns in _NUMBERED_LAYOUTS if kinds == "innnnn" and _fits(rows, columns)]
    if len(numbered) == 1:
        return numbered[0]
    if kinds == "innnn":
        return UnclearColumns(_NO_CLASS, like_labels=True)
    reason = (
        "it has no header, and its columns are not clear without one: add a first line such as "
        "filename,xmin,ymin,xmax,ymax,class"
    )
    return UnclearColumns(reason, like_labels=kinds.count("i") == 1 and kinds.count("n") >= 4)


_AUTOML = "it has no header; read as a table of Google's AutoML (set, path, label, corners in 0–1)"
_NO_HEADER = "it has no header; its columns are read as "
# One letter for each column: (i)mage, (n)umbers, (t)ext, (e)mpty.
_LAYOUTS = [
    (
        re.compile("innnn[te]"),
        Columns(0, 5, (1, 2, 3, 4), header_rows=0, notice=f"{_NO_HEADER}image, xmin, ymin, xmax, ymax, class"),
    ),
    (
        re.compile("itnnnn"),
        Columns(0, 1, (2, 3, 4, 5), header_rows=0, notice=f"{_NO_HEADER}image, class, xmin, ymin, xmax, ymax"),
    ),
    (
        re.compile("inntnnnn"),
        Columns(
            0,
            3,
            (4, 5, 6, 7),
            size=(2, 1),
            header_rows=0,
            notice=f"{_NO_HEADER}image, width, height, class, xmin, ymin, xmax, ymax",
        ),
    ),
    (
        re.compile("[tn]nnnninn"),
        Columns(
            5,
            0,
            (1, 2, 3, 4),
            "corner and size",
            size=(7, 6),
            header_rows=0,
            notice=f"{_NO_HEADER}class, x, y, width, height, image, image width, image height",
        ),
    ),
    (
        re.compile("ti[tn]nn(ee|nn)nn(ee|nn)?"),
        Columns(1, 2, (3, 4, 7, 8), split=SplitColumns(0), normalized=True, header_rows=0, notice=_AUTOML),
    ),
    (
        re.compile("i[tn]nn(ee|nn)nn(ee|nn)?"),
        Columns(0, 1, (2, 3, 6, 7), normalized=True, header_rows=0, notice=_AUTOML),
    ),
]
# With class ids, the place of the class is not clear from the cells, but from the corners.
_NUMBERED_LAYOUTS = [_LAYOUTS[0][1], _LAYOUTS[1][1]]


def _kind_of_column(cells: Sequence[str]) -> str:
    filled = [cell for cell in cells if cell]
    if not filled:
        return "e"
    if all(map(is_number, filled)):
        return "n"
    return "i" if len(filled) == len(cells) and all(map(_is_image, filled)) else "t"


def _fits(rows: Sequence[Sequence[str]], columns: Columns) -> bool:
    """Return whether the cells agree with the columns in most rows: order of corners, 0–1, class ids, splits."""
    valid = total = 0
    for row in rows:
        try:
            if columns.split is not None:
                columns.split.split_of(row)
        except ValueError:
            return False
        try:
            first_x, first_y, second_x, second_y = (float(row[position].replace(",", ".")) for position in columns.box)
        except ValueError:  # background, or a row that cannot be read
            continue
        total += 1
        ordered = columns.kind != "corners" or (first_x < second_x and first_y < second_y)
        in_range = not columns.normalized or 0 <= min(first_x, first_y) <= max(second_x, second_y) <= 1.01
        label = row[columns.label]
        valid += ordered and in_range and (not is_number(label) or label.isdecimal())
    return total > 0 and valid >= _MIN_VALID * total


def _is_image(cell: str) -> bool:
    name = re.sub(r"[?#].*$", "", cell).replace("\\", "/")
    return PurePosixPath(name).suffix.lower() in IMAGE_SUFFIXES
