"""edge_ssd.data.inspection.summary and contact_sheet: counts, drawn boxes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from label_writers import write_d2l_split

from edge_ssd.data.inspection.contact_sheet import contact_sheet
from edge_ssd.data.inspection.report import inspect_dataset
from edge_ssd.data.inspection.report_text import format_report, format_summary
from edge_ssd.data.inspection.summary import summarize
from edge_ssd.data.load import load_dataset, open_dataset
from edge_ssd.drawing import class_color
from edge_ssd.errors import DataError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three images of 100×50: two forks, a knife, and a box without area."""
    rows = ["a.png,fork,10,10,30,20", "b.png,fork,0,0,50,50", "c.png,knife,20,20,90,30", "c.png,knife,5,5,5,9"]
    return write_d2l_split(tmp_path / "cutlery", rows, ("a.png", "b.png", "c.png"), (100, 50))


def test_problem_of_all_splits_is_listed_once(tmp_path: Path) -> None:
    for split in ("train", "val"):
        rows = [f"{label}.png,{label},1,2,30,20" for label in ("fork", "FORK")]
        write_d2l_split(tmp_path / f"set_{split}", [*rows, "fork.png,fork,5,5,5,5"], ["fork.png", "FORK.png"])
    text = format_report(inspect_dataset(open_dataset(tmp_path), near=False), "cutlery")
    assert text.count("differ in case, spaces or punctuation only") == 1
    assert "problems of several splits: 1\n  " in text
    assert text.count("\n  1 problem:\n") == 2  # the box without area of each split


def test_summary_counts(folder: Path) -> None:
    summary = summarize(load_dataset(folder))
    assert (len(summary.dataset), summary.dataset.num_boxes, summary.backgrounds) == (3, 3, ())
    assert summary.boxes_by_label == {"fork": 2, "knife": 1}
    assert summary.image_sizes == {(100, 50): 3}
    # Longer sides 20, 50 and 70 of 100.
    assert summary.side_quantiles[0] == pytest.approx(0.2)
    assert summary.side_quantiles[50] == pytest.approx(0.5)
    assert summary.side_quantiles[100] == pytest.approx(0.7)
    assert len(summary.dataset.problems) == 1
    text = format_summary(summary, "cutlery")
    assert text.startswith("cutlery: 3 images, 3 boxes (d2l_csv)")
    assert "20% to 70%" in text
    assert "1 problem:" in text
    assert "line 5, c.png: box (5, 5, 5, 9) has no area; dropped" in text
    json.dumps(summary.to_dict())


def test_images_without_a_box_are_named(folder: Path) -> None:
    rows = [f"{number}.png,,,,," for number in range(5)]
    write_d2l_split(folder, ["a.png,fork,1,2,30,20", *rows], ["a.png", *(f"{number}.png" for number in range(5))])
    summary = summarize(load_dataset(folder))
    expected = "5 images without a box (images/0.png, images/1.png, images/2.png and 2 more)"
    assert format_summary(summary, "set").splitlines()[0].endswith(expected)
    assert summary.to_dict()["background_names"] == [f"images/{number}.png" for number in range(5)]


def test_side_quantiles_are_relative_to_the_longer_side_of_the_image(folder: Path) -> None:
    write_d2l_split(folder, ["c.png,0,10,20,30,120"], ["c.png"], (50, 200))
    assert set(summarize(load_dataset(folder)).side_quantiles.values()) == {0.5}


def test_contact_sheet_draws_images_with_boxes(folder: Path) -> None:
    sheet = contact_sheet(load_dataset(folder), columns=2, rows=2, cell=100)
    assert sheet.size == (2 * 104 + 4, 16 + 2 * (104 + 16) + 4)
    # Cell 0 shows a.png (100×50), centered: the top left corner of its box is at (10, 10) of the image.
    left, top = 4, 16 + 4 + 25
    assert sheet.getpixel((left + 10, top + 10)) == class_color(0)
    assert sheet.getpixel((left + 5, top + 5)) == (200, 180, 40)
    assert sheet.getpixel((1, 1)) == (32, 32, 32)
    with pytest.raises(DataError, match="at least one row"):
        contact_sheet(load_dataset(folder), columns=0)
