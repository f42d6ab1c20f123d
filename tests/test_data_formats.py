"""Every label format: a written dataset is read back, and faults that all formats share are reported."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from label_writers import WRITERS, LabeledImage

from edge_ssd.data.formats.registry import LABEL_FORMATS
from edge_ssd.data.load import load_dataset, open_dataset
from edge_ssd.data.source import DataSource
from edge_ssd.errors import DataError

LABELS = ("knife", "fork", "pièce à main, petite")
FORK = ("fork", (1.0, 2.0, 30.0, 20.0))

# Eighths are exact in every format, also in YOLO's 0–1 of 64 and 32.
eighths = st.integers(0, 8 * 31).map(lambda number: number / 8)
boxes = st.tuples(eighths, eighths, eighths, eighths).map(
    lambda b: (min(b[0], b[2]), min(b[1], b[3]), max(b[0], b[2]) + 0.125, max(b[1], b[3]) + 0.125)
)
objects = st.lists(st.tuples(st.sampled_from(LABELS), boxes), min_size=1, max_size=4, unique=True)
names = st.text("ab é漢_-&'", min_size=1, max_size=6).filter(lambda text: text == text.strip())
rows = st.tuples(names, st.sampled_from(["train", "val", "test"]), objects)
datasets = st.lists(rows, min_size=1, max_size=4, unique_by=lambda row: row[0])


def test_every_label_format_has_a_writer() -> None:
    assert WRITERS.keys() == LABEL_FORMATS.keys()


@pytest.mark.parametrize("format_name", WRITERS)
@settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow])
@given(rows=datasets)
def test_written_dataset_is_read_back(format_name: str, rows: list[tuple[str, str, list]]) -> None:  # type: ignore[type-arg]
    images = [LabeledImage(f"{name}.png", split, (64, 32), objects) for name, split, objects in rows]
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "dataset"
        root.mkdir()
        WRITERS[format_name](root, images, LABELS)
        assert set(open_dataset(root).splits) == {image.split for image in images}
        for split in open_dataset(root).splits:
            dataset = load_dataset(root, split, strict=True)
            assert dataset.format == format_name
            assert dataset.notices == ()
            # Formats without an order of the classes sort them.
            used = {label for image in images for label, _ in image.objects}
            ordered = format_name in ("d2l_csv", "coco", "yolo", "datumaro", "via", "cvat", "tfrecord", "yolo_keras")
            assert dataset.labels == (LABELS if ordered else tuple(sorted(used)))
            expected = {image.name: image.objects for image in images if image.split == split}
            loaded = {
                sample.path.name: [
                    (dataset.labels[class_id], tuple(box))
                    for class_id, box in zip(sample.class_ids, sample.boxes_xyxy.tolist(), strict=True)
                ]
                for sample in dataset.samples
            }
            assert loaded == expected
            assert {sample.size for sample in dataset.samples} == {(32, 64)}


@pytest.mark.parametrize("format_name", WRITERS)
def test_crlf_and_byte_order_marks_are_accepted(tmp_path: Path, format_name: str) -> None:
    knife = ("knife", (5.0, 6.0, 7.0, 8.0))
    images = [LabeledImage("a b.png", "train", objects=[FORK]), LabeledImage("ü.png", "val", objects=[knife])]
    WRITERS[format_name](tmp_path, images, ("fork", "knife"))
    before = load_dataset(tmp_path, strict=True)
    for path in tmp_path.rglob("*"):
        if path.suffix in (".csv", ".txt", ".xml", ".json", ".yaml"):
            text = path.read_text(encoding="utf-8").replace("\r\n", "\n").replace("\n", "\r\n")
            mark = "" if path.suffix == ".xml" else "\ufeff"
            path.write_bytes((mark + text).encode("utf-8"))
    after = load_dataset(tmp_path, strict=True)
    assert after.labels == before.labels
    for old, new in zip(before.samples, after.samples, strict=True):
        assert old.path == new.path
        assert np.array_equal(old.boxes_xyxy, new.boxes_xyxy)


@pytest.mark.parametrize("format_name", list(WRITERS))
def test_image_with_a_number_that_is_not_finite_is_dropped(tmp_path: Path, format_name: str) -> None:
    images = [
        LabeledImage("a.png", "train", objects=[FORK]),
        LabeledImage("b.png", "train", objects=[FORK, ("fork", (float("nan"), 1.0, 5.0, 5.0))]),
    ]
    WRITERS[format_name](tmp_path, images, ("fork",))
    dataset = load_dataset(tmp_path)
    assert [(sample.path.name, len(sample.class_ids)) for sample in dataset.samples] == [("a.png", 1)]
    assert ["b.png is dropped" in problem.message for problem in dataset.problems] == [True]


# The corners of DOTA are enclosed, so none is reversed.
@pytest.mark.parametrize("format_name", [name for name in WRITERS if name != "dota"])
def test_invalid_boxes_are_dropped_and_reported(tmp_path: Path, format_name: str) -> None:
    bad = [
        (1e300, 1.0, 2e300, 5.0),
        (9.0, 9.0, 5.0, 20.0),
        (9.0, 9.0, 9.0, 20.0),
        (1.0, 2.0, 30.0, 20.0),  # the same as the good one
    ]
    words = ["reversed", "no area", "the same as"]
    if format_name == "labelme":  # it states two opposite corners, whichever they are
        bad.remove((9.0, 9.0, 5.0, 20.0))
        words.remove("reversed")
    if format_name == "tfrecord":  # it has float32, where the larger ones are infinite
        bad[0] = (1e30, 1.0, 2e30, 5.0)
    objects = [FORK, *(("fork", box) for box in bad), ("fork", (1e1, 1.25e1, 2e1, 2.5e1))]
    WRITERS[format_name](tmp_path, [LabeledImage("a.png", "train", objects=objects)], ("fork",))
    dataset = load_dataset(tmp_path)
    assert dataset.samples[0].boxes_xyxy.tolist() == [[1, 2, 30, 20], [10, 12.5, 20, 25]]
    text = "\n".join(problem.message for problem in dataset.problems)
    for word in words:
        assert word in text, text
    assert len(dataset.problems) == len(bad)
    with pytest.raises(DataError):
        load_dataset(tmp_path, strict=True)


def write_tf_csv(root: Path, image_name: str, old: str, new: str) -> None:
    """Write a dataset of one image, and replace a text in its table."""
    WRITERS["tf_csv"](root, [LabeledImage(image_name, objects=[FORK])], ("fork",))
    table = root / "images" / "train_labels.csv"
    table.write_text(table.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")


@pytest.mark.parametrize(
    "stated",
    ["C:\\Users\\me\\set\\images\\a.png", "/home/me/set/images/a.png", "images\\a.png", "./images/a.png", "../x/a.png"],
)
def test_image_path_of_another_machine_is_found(tmp_path: Path, stated: str) -> None:
    write_tf_csv(tmp_path, "a.png", "a.png", stated)
    assert load_dataset(tmp_path, strict=True).samples[0].path == tmp_path / "images" / "train" / "a.png"


def test_image_name_matches_across_unicode_normalization(tmp_path: Path) -> None:
    write_tf_csv(tmp_path, "e\u0301.png", "e\u0301", "\u00e9")
    assert load_dataset(tmp_path).samples[0].path.name == "e\u0301.png"


def test_folder_with_two_formats_reports_both_and_follows_the_option(tmp_path: Path) -> None:
    images = [LabeledImage("a.png", objects=[FORK])]
    WRITERS["voc"](tmp_path, images, ("fork",))
    WRITERS["coco"](tmp_path, [*images, LabeledImage("b.png", "train")], ("fork",))
    opened = open_dataset(tmp_path)
    assert (opened.format, opened.other_formats) == ("coco", ("voc",))
    dataset = load_dataset(tmp_path)
    assert (len(dataset), dataset.problems) == (2, ())
    with pytest.raises(DataError, match="could also be voc"):
        load_dataset(tmp_path, strict=True)
    assert len(load_dataset(DataSource(tmp_path, format="coco"), strict=True)) == 2
    assert "could also be voc (Pascal VOC): choose with --format" in dataset.notices[0].message
    assert "more images" not in dataset.notices[0].message
    chosen = load_dataset(DataSource(tmp_path, format="voc"))
    assert (chosen.format, len(chosen), chosen.notices) == ("voc", 1, ())
    with pytest.raises(DataError, match=r"no labels of YOLO in it: omit --format"):
        load_dataset(DataSource(tmp_path, format="yolo"))
    WRITERS["voc"](tmp_path, [LabeledImage("c.png", objects=[FORK])], ("fork",))
    message = load_dataset(tmp_path).notices[0].message
    assert message.endswith("choose with --format (voc has labels of 1 more image)")


def test_image_without_objects_that_another_format_labels_is_no_background(tmp_path: Path) -> None:
    images = [LabeledImage(f"{name}.png", "train", objects=[FORK]) for name in "abc"]
    WRITERS["coco"](tmp_path, [*images, LabeledImage("d.png", "train")], ("fork",))
    WRITERS["voc"](tmp_path, [LabeledImage("d.png", "train", objects=[FORK])], ("fork",))
    for path in (tmp_path / "JPEGImages").iterdir():
        path.unlink()
    for source in (DataSource(tmp_path), DataSource(tmp_path, format="coco")):
        dataset = load_dataset(source)
        assert (dataset.format, len(dataset)) == ("coco", 3)
        assert "no objects in these labels, but in those of Pascal VOC; d.png is dropped" in str(dataset.problems[0])


def test_one_file_of_another_format_does_not_decide(tmp_path: Path) -> None:
    WRITERS["yolo"](tmp_path, [LabeledImage(f"{name}.png", "train", objects=[FORK]) for name in "abc"], ("fork",))
    image = next(tmp_path.rglob("c.png"))
    next(tmp_path.rglob("c.txt")).unlink()
    shape = {"label": "fork", "shape_type": "rectangle", "points": [[1, 2], [30, 20]]}
    image.with_suffix(".json").write_text(json.dumps({"imagePath": "c.png", "shapes": [shape]}), encoding="utf-8")
    dataset = load_dataset(tmp_path, "train")
    assert (dataset.format, [sample.path.stem for sample in dataset.samples]) == ("yolo", ["a", "b"])
    assert "in those of LabelMe; c.png is dropped" in str(dataset.problems[0])


def test_image_labeled_twice_is_loaded_once(tmp_path: Path) -> None:
    images = [LabeledImage("a.png", objects=[FORK])]
    WRITERS["voc"](tmp_path, images, ("fork",))
    (tmp_path / "ImageSets" / "Main" / "val.txt").write_text("a\n", encoding="utf-8")
    dataset = load_dataset(tmp_path)
    assert len(dataset) == len(load_dataset(tmp_path, "val")) == 1
    assert "1 image is in the lists of val and train, such as a.png: used in val only" in dataset.problems[0].message


@pytest.mark.parametrize("size", ["60,40", ",", "0,0", "inf,nan", "unknown,", "60.0,40.0"])
def test_missing_image_size_is_accepted(tmp_path: Path, size: str) -> None:
    write_tf_csv(tmp_path, "a.png", "60,40", size)
    assert load_dataset(tmp_path, strict=True).num_boxes == 1
