"""Datasets whose labels are of several kinds: in other units, layouts or under other headers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from label_writers import LabeledImage, write_coco, write_createml, write_image, write_tf_csv, write_voc, write_yolo

from edge_ssd.data.box_layouts import from_xyxy, to_xyxy
from edge_ssd.data.load import load_dataset
from edge_ssd.data.source import DataSource
from edge_ssd.errors import DataError

Write = Callable[[Path, Sequence[LabeledImage], Sequence[str]], None]
WIDTH, HEIGHT = 160, 120


def make_images(
    count: int, convert: Callable[[np.ndarray], np.ndarray] | None = None, of: int = 0
) -> list[LabeledImage]:  # type: ignore[type-arg]
    """Return images with two boxes each; ``convert`` changes the boxes of the last ``of`` ones."""
    random = np.random.default_rng(0)
    images = []
    for number in range(count):
        size = random.integers(16, 48, (2, 2))
        corner = random.integers(0, np.array([WIDTH, HEIGHT]) - size)
        boxes = np.hstack([corner, corner + size]).astype(float)
        if convert is not None and number >= count - of:
            boxes = convert(boxes)
        images.append(
            LabeledImage(f"{number}.png", "train", (WIDTH, HEIGHT), [("bolt", tuple(box)) for box in boxes.tolist()])
        )
    return images


@pytest.mark.parametrize("write", [write_voc, write_coco, write_createml, write_tf_csv])
def test_images_with_relative_boxes_among_pixels_are_dropped(tmp_path: Path, write: Write) -> None:
    write(tmp_path, make_images(8, lambda boxes: boxes / (WIDTH, HEIGHT, WIDTH, HEIGHT), 2), ("bolt",))
    dataset = load_dataset(tmp_path)
    assert sorted(sample.path.name for sample in dataset.samples) == [f"{number}.png" for number in range(6)]
    (problem,) = dataset.problems
    assert "the boxes of 2 images are in 0–1, not in pixels" in problem.message
    assert len(load_dataset(DataSource(tmp_path, box_units="pixels"))) == 8, "what is stated is not questioned"


@pytest.mark.parametrize(
    ("write", "own", "other"),
    [(write_tf_csv, "xyxy", "xywh"), (write_coco, "xywh", "xyxy"), (write_yolo, "cxcywh", "xyxy")],
)
def test_two_layouts_in_one_dataset_are_refused(tmp_path: Path, write: Write, own: str, other: str) -> None:
    write(tmp_path, make_images(20, lambda boxes: to_xyxy(from_xyxy(boxes, other), own), 10), ("bolt",))
    with pytest.raises(DataError, match=f"mixed: correct them; --boxes {own} reads them all as now"):
        load_dataset(tmp_path)
    assert load_dataset(DataSource(tmp_path, boxes=own)).problems


def test_boxes_that_are_drawn_over_the_borders_are_clipped(tmp_path: Path) -> None:
    """Such as those of objects that are cut off: in no other layout are these right."""

    def grow(boxes: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
        x, y = WIDTH / 15, HEIGHT / 15
        return np.array([[-x, 0, 30, 30], [WIDTH - 30, HEIGHT - 30, WIDTH, HEIGHT + y]])

    write_yolo(tmp_path, make_images(20, grow, 8), ("bolt",))
    assert len(load_dataset(tmp_path)) == 20


def test_boxes_that_are_a_bit_too_large_are_clipped(tmp_path: Path) -> None:
    """They only leave the right and the lower border, and would fit as centers and sizes."""

    def shift(boxes: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
        return np.array([[WIDTH - 30, HEIGHT - 30, WIDTH * 1.02, HEIGHT * 1.02], [1, 1, 30, 30]])

    write_coco(tmp_path, make_images(20, shift, 10), ("bolt",))
    assert len(load_dataset(tmp_path)) == 20


@pytest.mark.parametrize(
    ("header", "row"),
    [("filename,class,cx,cy,w,h", "b.png,ace,9,9,4,4"), ("class,filename,x,y,w,h", "ace,b.png,9,9,4,4")],
)
def test_table_with_another_header_later_is_refused(tmp_path: Path, header: str, row: str) -> None:
    lines = ["filename,class,x,y,w,h", "a.png,ace,1,2,20,30", header, row]
    write_table(tmp_path, lines)
    with pytest.raises(DataError, match="line 3: another header than above: write each table to a file of its own"):
        load_dataset(tmp_path)


def test_header_is_skipped_where_tables_were_put_together(tmp_path: Path) -> None:
    write_table(tmp_path, ["filename,class,x1,y1,x2,y2", "a.png,ace,1,2,21,32"] * 2 + ["b.png,ace,1,2,21,32"])
    dataset = load_dataset(tmp_path)
    assert (len(dataset), ["is the same as" in problem.message for problem in dataset.problems]) == (2, [True])


def write_table(root: Path, lines: Sequence[str]) -> None:
    for name in ("a", "b"):
        write_image(root / f"{name}.png")
    (root / "labels.csv").write_text("\n".join(lines), encoding="utf-8")
