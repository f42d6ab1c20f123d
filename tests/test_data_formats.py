"""One set written in every format comes back as the same data set; odd names, line ends and numbers included."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from label_writers import WRITERS, Labelled

from edge_ssd.data.load import load_dataset, open_dataset
from edge_ssd.data.source import DataSource
from edge_ssd.errors import DataError

LABELS = ("knife", "fork", "pièce à main, petite")

# Eighths are exact in every format, YOLO's shares of 64 and 32 included.
eighths = st.integers(0, 8 * 31).map(lambda number: number / 8)
boxes = st.tuples(eighths, eighths, eighths, eighths).map(
    lambda b: (min(b[0], b[2]), min(b[1], b[3]), max(b[0], b[2]) + 0.125, max(b[1], b[3]) + 0.125)
)
objects = st.lists(st.tuples(st.sampled_from(LABELS), boxes), min_size=1, max_size=4, unique=True)
names = st.text("ab é漢_-&'", min_size=1, max_size=6).filter(lambda text: text == text.strip())
sets = st.lists(
    st.builds(
        lambda name, split, found: (name, split, found), names, st.sampled_from(["train", "val", "test"]), objects
    ),
    min_size=1,
    max_size=4,
    unique_by=lambda row: row[0],
)


@pytest.mark.parametrize("format_name", WRITERS)
@settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow])
@given(rows=sets)
def test_what_is_written_comes_back(format_name: str, rows: list[tuple[str, str, list]]) -> None:  # type: ignore[type-arg]
    pictures = [Labelled(f"{name}.png", split, (64, 32), found) for name, split, found in rows]
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "set"
        root.mkdir()
        WRITERS[format_name](root, pictures, LABELS)
        assert set(open_dataset(root).splits) == {picture.split for picture in pictures}
        for split in open_dataset(root).splits:
            dataset = load_dataset(root, split, strict=True)
            assert dataset.format == format_name
            assert dataset.notices == ()
            # Those formats that state an order have it, the others the alphabet's.
            used = {label for picture in pictures for label, _ in picture.objects}
            stated = format_name in ("d2l_csv", "coco", "yolo")
            assert dataset.labels == (LABELS if stated else tuple(sorted(used)))
            expected = {
                picture.name: [(label, box) for label, box in picture.objects]
                for picture in pictures
                if picture.split == split
            }
            found = {
                sample.path.name: [
                    (dataset.labels[class_id], tuple(box))
                    for class_id, box in zip(sample.class_ids, sample.boxes_xyxy.tolist(), strict=True)
                ]
                for sample in dataset.samples
            }
            assert found == expected
            assert {sample.size for sample in dataset.samples} == {(32, 64)}


@pytest.mark.parametrize("format_name", WRITERS)
def test_windows_line_ends_and_byte_order_marks_change_nothing(tmp_path: Path, format_name: str) -> None:
    pictures = [Labelled("a b.png", "train", objects=[("fork", (1, 2, 30, 20))]), Labelled("ü.png", "val")]
    pictures[1] = Labelled("ü.png", "val", objects=[("knife", (5, 6, 7, 8))])
    WRITERS[format_name](tmp_path, pictures, ("fork", "knife"))
    before = load_dataset(tmp_path, strict=True)
    for path in tmp_path.rglob("*"):
        if path.suffix in (".csv", ".txt", ".xml", ".json", ".yaml"):
            text = path.read_text(encoding="utf-8").replace("\r\n", "\n").replace("\n", "\r\n")
            mark = "" if path.suffix == ".xml" else "\ufeff"
            path.write_bytes((mark + text).encode("utf-8"))
    after = load_dataset(tmp_path, strict=True)
    assert after.labels == before.labels
    for one, other in zip(before.samples, after.samples, strict=True):
        assert one.path == other.path
        assert np.array_equal(one.boxes_xyxy, other.boxes_xyxy)


@pytest.mark.parametrize("format_name", WRITERS)
def test_numbers_that_are_no_boxes_are_dropped_and_named(tmp_path: Path, format_name: str) -> None:
    bad = [
        (float("nan"), 1.0, 5.0, 5.0),
        (1e300, 1.0, 2e300, 5.0),
        (9.0, 9.0, 5.0, 20.0),
        (9.0, 9.0, 9.0, 20.0),
        (1.0, 2.0, 30.0, 20.0),  # as the good one
    ]
    good = ("fork", (1.0, 2.0, 30.0, 20.0))
    found = [good, *(("fork", box) for box in bad), ("fork", (1e1, 1.25e1, 2e1, 2.5e1))]
    WRITERS[format_name](tmp_path, [Labelled("a.png", "train", objects=found)], ("fork",))
    dataset = load_dataset(tmp_path)
    assert dataset.samples[0].boxes_xyxy.tolist() == [[1, 2, 30, 20], [10, 12.5, 20, 25]]
    text = "\n".join(problem.message for problem in dataset.problems)
    for word in ("not finite", "reversed", "no area", "the same as"):
        assert word in text, text
    assert len(dataset.problems) == len(bad)
    with pytest.raises(DataError):
        load_dataset(tmp_path, strict=True)


@pytest.mark.parametrize(
    "stated",
    ["C:\\Users\\me\\set\\images\\a.png", "/home/me/set/images/a.png", "images\\a.png", "./images/a.png", "../x/a.png"],
)
def test_a_path_of_another_machine_leads_to_the_picture_here(tmp_path: Path, stated: str) -> None:
    WRITERS["tf_csv"](tmp_path, [Labelled("a.png", "train", objects=[("fork", (1, 2, 30, 20))])], ("fork",))
    table = tmp_path / "images" / "train_labels.csv"
    table.write_text(table.read_text(encoding="utf-8").replace("a.png", stated), encoding="utf-8")
    assert load_dataset(tmp_path, strict=True).samples[0].path == tmp_path / "images" / "train" / "a.png"


def test_accents_are_the_same_however_they_are_stored(tmp_path: Path) -> None:
    WRITERS["tf_csv"](tmp_path, [Labelled("e\u0301.png", "train", objects=[("fork", (1, 2, 30, 20))])], ("fork",))
    table = tmp_path / "images" / "train_labels.csv"
    table.write_text(table.read_text(encoding="utf-8").replace("e\u0301", "\u00e9"), encoding="utf-8")
    assert load_dataset(tmp_path).samples[0].path.name == "e\u0301.png"


def test_a_folder_with_two_formats_says_so_and_takes_the_one_that_is_asked_for(tmp_path: Path) -> None:
    pictures = [Labelled("a.png", "train", objects=[("fork", (1, 2, 30, 20))])]
    WRITERS["voc"](tmp_path, pictures, ("fork",))
    WRITERS["coco"](tmp_path, [*pictures, Labelled("b.png", "train")], ("fork",))
    opened = open_dataset(tmp_path)
    assert (opened.format, opened.other_formats) == ("coco", ("voc",))
    dataset = load_dataset(tmp_path, strict=True)
    assert len(dataset) == 2
    assert "could also be voc (Pascal VOC): choose with --format" in dataset.notices[0].message
    chosen = load_dataset(DataSource(tmp_path, format="voc"))
    assert (chosen.format, len(chosen), chosen.notices) == ("voc", 1, ())
    with pytest.raises(DataError, match=r"no labels of YOLO in it: omit --format"):
        load_dataset(DataSource(tmp_path, format="yolo"))


def test_a_picture_labelled_twice_is_taken_once(tmp_path: Path) -> None:
    pictures = [Labelled("a.png", "train", objects=[("fork", (1, 2, 30, 20))])]
    WRITERS["voc"](tmp_path, pictures, ("fork",))
    (tmp_path / "ImageSets" / "Main" / "val.txt").write_text("a\n", encoding="utf-8")
    assert len(load_dataset(tmp_path, "val", strict=True)) == 1
    dataset = load_dataset(tmp_path)
    assert len(dataset) == 1
    assert "labels a.png, as" in dataset.problems[0].message


@pytest.mark.parametrize("size", ["60,40", ",", "0,0", "inf,nan", "unknown,", "60.0,40.0"])
def test_a_size_that_is_not_stated_is_no_fault(tmp_path: Path, size: str) -> None:
    WRITERS["tf_csv"](tmp_path, [Labelled("a.png", "train", objects=[("fork", (1, 2, 30, 20))])], ("fork",))
    table = tmp_path / "images" / "train_labels.csv"
    table.write_text(table.read_text(encoding="utf-8").replace("60,40", size), encoding="utf-8")
    assert load_dataset(tmp_path, strict=True).num_boxes == 1
