"""Every dataset writer: what is written is read back, from every label format."""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from label_writers import WRITERS, LabeledImage, write_image, write_voc_xml
from PIL import Image
from pycocotools.coco import COCO

from edge_ssd.data.dataset import Dataset, Sample
from edge_ssd.data.load import load_dataset, open_dataset
from edge_ssd.data.source import DataSource
from edge_ssd.data.splits import load_every_split
from edge_ssd.data.writers import place_image
from edge_ssd.data.writers.image_names import unique_names
from edge_ssd.data.writers.plain_numbers import difference, plain_number
from edge_ssd.data.writers.registry import DATASET_WRITERS
from edge_ssd.data.writers.write import check_new_folder, write_dataset
from edge_ssd.errors import DataError

LABELS = ("knife", "fork", "pièce à main, petite")
WIDTH, HEIGHT = 67, 31
Content = dict[str, dict[str, tuple[bytes, list[tuple[str, tuple[float, ...]]]]]]

# Thousandths of a pixel, which no binary number is.
sides = st.tuples(st.integers(0, 1000), st.integers(0, 1000)).filter(lambda side: side[0] != side[1]).map(sorted)
boxes = st.tuples(sides, sides).map(
    lambda box: tuple(box[i][j] * size / 1000 for j in (0, 1) for i, size in ((0, WIDTH), (1, HEIGHT)))
)
objects = st.lists(st.tuples(st.sampled_from(LABELS), boxes), max_size=3)
names = st.text("abAB é漢_-&'. #%", min_size=1, max_size=6).filter(lambda text: text.strip(" .") == text)
rows = st.tuples(names, st.sampled_from(["train", "val", "test"]), objects)
datasets = st.lists(rows, min_size=1, max_size=4, unique_by=lambda row: row[0].casefold()).filter(
    lambda rows: any(objects for *_, objects in rows)
)


def content(splits: Mapping[str, Dataset]) -> Content:
    """Return split → image name → bytes of the image, and its labels and boxes in order."""
    return {
        split: {
            sample.path.name: (
                sample.path.read_bytes(),
                [
                    (dataset.labels[class_id], tuple(box))
                    for class_id, box in zip(sample.class_ids, sample.boxes_xyxy.tolist(), strict=True)
                ],
            )
            for sample in dataset.samples
        }
        for split, dataset in splits.items()
    }


def read(root: Path, format_name: str | None = None, strict: bool = True) -> dict[str, Dataset]:
    return load_every_split(open_dataset(DataSource(root, format_name)), strict=strict)


def write_and_read(out: Path, splits: Mapping[str, Dataset], to: str, root: Path) -> dict[str, Dataset]:
    write_dataset(out, splits, to, [root])
    written = read(out)
    assert {dataset.format for dataset in written.values()} == {to}
    return written


def expected_labels(splits: Mapping[str, Dataset], to: str) -> tuple[str, ...]:
    """Return all labels in their order, or for VOC those with a box in alphabetical order."""
    if to != "voc":
        return next(iter(splits.values())).labels
    return tuple(sorted({d.labels[class_id] for d in splits.values() for s in d.samples for class_id in s.class_ids}))


@pytest.mark.parametrize("to", DATASET_WRITERS)
@pytest.mark.parametrize("format_name", WRITERS)
@settings(max_examples=12, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(rows=datasets, divided=st.booleans())
def test_written_dataset_is_read_back(
    format_name: str,
    to: str,
    rows: list[tuple[str, str, list]],
    divided: bool,  # type: ignore[type-arg]
) -> None:
    images = [
        LabeledImage(f"{name}.png", split if divided else "train", (WIDTH, HEIGHT), objects)
        for name, split, objects in rows
    ]
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "dataset"
        root.mkdir()
        WRITERS[format_name](root, images, LABELS)
        before = read(root, format_name, strict=False)  # tables have no background images
        if not divided:
            before = {"": next(iter(before.values()))}
        after = write_and_read(Path(folder) / "out", before, to, root)
        assert content(after) == content(before)
        assert {dataset.labels for dataset in after.values()} == {expected_labels(before, to)}
        assert {sample.size for dataset in after.values() for sample in dataset.samples} == {(HEIGHT, WIDTH)}


@given(low=st.floats(0, 1e5, width=32), size=st.floats(0, 1e5, width=32))
def test_numbers_are_short_and_exact(low: float, size: float) -> None:
    high = np.float32(low) + np.float32(size)
    assert np.float32(plain_number(low)) == np.float32(low)
    assert np.float32(plain_number(low) + difference(high, low)) == high


def test_numbers_are_as_a_person_writes_them() -> None:
    assert json.dumps([plain_number(np.float32(0.1)), plain_number(np.float32(12))]) == "[0.1, 12]"
    assert json.dumps(difference(np.float32(10.3), np.float32(0.1))) == "10.2"


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
@pytest.mark.parametrize("to", DATASET_WRITERS)
def test_boxes_fit_the_upright_image(
    tmp_path: Path, to: str, orientation: int, caplog: pytest.LogCaptureFixture
) -> None:
    upright = (60, 40) if orientation < 5 else (40, 60)
    write_image(tmp_path / "in" / "a.jpg", (60, 40), orientation)
    size = f"<size><width>{upright[0]}</width><height>{upright[1]}</height></size>"
    write_voc_xml(tmp_path / "in" / "a.xml", "a.jpg", [("fork", (1, 2, 30, 40))], size)
    before = read(tmp_path / "in")
    with caplog.at_level("INFO"):
        after = write_and_read(tmp_path / "out", before, to, tmp_path / "in")
    assert content(after) == content(before)
    sample = after[""].samples[0]
    assert sample.size == (upright[1], upright[0])
    assert sample.boxes_xyxy.tolist() == [[1, 2, 30, 40]]
    assert ("rotated by EXIF" in caplog.text) == (orientation != 1)
    if to == "coco":
        stated = json.loads((tmp_path / "out" / "annotations" / "instances.json").read_text())["images"][0]
        assert (stated["width"], stated["height"]) == upright


def test_coco_is_read_by_pycocotools(tmp_path: Path) -> None:
    images = [
        LabeledImage("a.png", "train", objects=[("fork", (1, 2, 30.5, 20)), ("knife", (0, 0, 60, 40))]),
        LabeledImage("b.png", "train"),
        LabeledImage("c.png", "val", objects=[("knife", (5, 5, 9, 9))]),
    ]
    WRITERS["yolo"](tmp_path / "in", images, ("knife", "spoon", "fork"))
    write_dataset(tmp_path / "out", read(tmp_path / "in"), "coco", [tmp_path / "in"])
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(str(tmp_path / "out" / "annotations" / "instances_train.json"))
        predicted = [{"image_id": 1, "category_id": 3, "bbox": [1, 2, 29.5, 18], "score": 0.5}]
        assert len(coco.loadRes(predicted).anns) == 1
    assert [category["name"] for category in coco.loadCats(coco.getCatIds())] == ["knife", "spoon", "fork"]
    assert [image["file_name"] for image in coco.loadImgs(coco.getImgIds())] == ["a.png", "b.png"]
    first, second = coco.loadAnns(coco.getAnnIds(imgIds=[1]))
    assert (first["bbox"], first["area"], first["iscrowd"]) == ([1, 2, 29.5, 18], 531, 0)
    assert coco.loadCats([second["category_id"]])[0]["name"] == "knife"
    assert coco.getAnnIds(imgIds=[2]) == []
    assert (tmp_path / "out" / "train" / "b.png").is_file()
    other = json.loads((tmp_path / "out" / "annotations" / "instances_val.json").read_text())
    assert other["images"][0]["id"] not in coco.imgs  # ids differ in all splits


def test_yolo_has_the_layout_of_ultralytics(tmp_path: Path) -> None:
    yaml = pytest.importorskip("yaml")
    labels = ("fork", 'a "b"\\c: #d', "no", "a\t\x1bb", "\U0001f34c")
    images = [
        LabeledImage("a.png", "train", objects=[(label, (1 + i, 2, 30, 20)) for i, label in enumerate(labels)]),
        LabeledImage("b.png", "val"),
    ]
    WRITERS["coco"](tmp_path / "in", images, labels)
    out = tmp_path / "out"
    write_dataset(out, read(tmp_path / "in"), "yolo", [tmp_path / "in"])
    stated = yaml.safe_load((out / "data.yaml").read_text(encoding="utf-8"))
    assert stated == {
        "train": "images/train",
        "val": "images/val",
        "nc": len(labels),
        "names": dict(enumerate(labels)),
    }
    # Ultralytics finds a label file by the image's path, with the last "images" replaced.
    for split, name in (("train", "a"), ("val", "b")):
        assert (out / stated[split] / f"{name}.png").is_file()
        lines = (out / stated[split].replace("images", "labels") / f"{name}.txt").read_text().splitlines()
        rows = [list(map(float, line.split())) for line in lines]
        assert all(len(row) == 5 and min(row[1:]) >= 0 and max(row[1:]) <= 1 for row in rows)
    assert lines == []
    first = (out / "labels" / "train" / "a.txt").read_text().splitlines()[0]
    assert first == "0 0.2583333333 0.2750000000 0.4833333333 0.4500000000"


def test_undivided_yolo_names_the_same_images_twice(tmp_path: Path) -> None:
    write_image(tmp_path / "in" / "a.png")
    write_voc_xml(tmp_path / "in" / "a.xml", "a.png", [("fork", (1, 2, 30, 20))])
    after = write_and_read(tmp_path / "out", read(tmp_path / "in"), "yolo", tmp_path / "in")
    assert list(after) == [""]
    assert "train: images\nval: images\n" in (tmp_path / "out" / "data.yaml").read_text()


def test_images_that_ultralytics_skips_are_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("a.gif", "b.PNG"):
        write_image(tmp_path / "in" / name)
        write_voc_xml(tmp_path / "in" / f"{name[0]}.xml", name, [("fork", (1, 2, 30, 20))])
    with caplog.at_level("INFO"):
        assert len(write_and_read(tmp_path / "out", read(tmp_path / "in"), "yolo", tmp_path / "in")[""]) == 2
    assert "Ultralytics skips 1 of 2 images, as it does not know .gif" in caplog.text


def test_missing_validation_split_is_logged_for_yolo(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    WRITERS["coco"](tmp_path / "in", [LabeledImage("a.png", objects=[("fork", (1, 2, 30, 20))])], ("fork",))
    with caplog.at_level("INFO"):
        after = write_and_read(tmp_path / "out", read(tmp_path / "in"), "yolo", tmp_path / "in")
    assert list(after) == ["train"]
    assert "no val split, which Ultralytics needs" in caplog.text


def test_class_that_xml_cannot_hold_is_refused(tmp_path: Path) -> None:
    WRITERS["coco"](tmp_path / "in", [LabeledImage("a.png", objects=[("a\x01", (1, 2, 30, 20))])], ("a\x01",))
    with pytest.raises(DataError, match="rename it with --classes"):
        write_dataset(tmp_path / "out", read(tmp_path / "in"), "voc", [tmp_path / "in"])
    assert [path.name for path in tmp_path.iterdir()] == ["in"]
    after = write_and_read(tmp_path / "out", read(tmp_path / "in"), "yolo", tmp_path / "in")
    assert after["train"].labels == ("a\x01",)


def test_order_of_classes_that_voc_loses_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    objects = [("knife", (1, 2, 30, 20)), ("fork", (1, 2, 30, 20))]
    WRITERS["yolo"](tmp_path / "in", [LabeledImage("a.png", objects=objects)], ("knife", "spoon", "fork"))
    with caplog.at_level("INFO"):
        after = write_and_read(tmp_path / "out", read(tmp_path / "in"), "voc", tmp_path / "in")
    assert after["train"].labels == ("fork", "knife")
    assert "they will be read as fork, knife" in caplog.text


@pytest.mark.parametrize(
    ("paths", "by_stem", "expected"),
    [
        (["s/a/1.jpg", "s/b/2.jpg"], True, ["1.jpg", "2.jpg"]),
        (["s/a/1.jpg", "s/b/1.jpg"], False, ["a_1.jpg", "b_1.jpg"]),
        (["s/a/1.jpg", "s/b/1.JPG"], False, ["a_1.jpg", "b_1.JPG"]),  # the same on Windows and macOS
        (["s/a/1.jpg", "s/b/1.png"], False, ["1.jpg", "1.png"]),
        (["s/a/1.jpg", "s/b/1.png"], True, ["a_1.jpg", "b_1.png"]),
        (["s/a/1.jpg", "s/a/1.png"], True, ["1.jpg", "1_2.png"]),
        (["s/s_train/images/0.png", "s/s_val/images/0.png"], True, ["s_train_0.png", "s_val_0.png"]),
        (["s/x/a/0.png", "s/y/a/0.png", "s/y/b/0.png"], True, ["x_a_0.png", "y_a_0.png", "y_b_0.png"]),
        (["s/a/1.jpg", "s/b/1.jpg", "s/c/a_1.jpg"], True, ["a_1_2.jpg", "b_1.jpg", "a_1.jpg"]),
        (["s/e\u0301.jpg", "s/\u00e9.jpg"], True, ["e\u0301.jpg", "\u00e9_2.jpg"]),
        (["s/a\\b.jpg", "s/c:d.jpg", "s/x\n.jpg", "s/ y .jpg", "s/\udcff.jpg"], True,
         ["a_b.jpg", "c_d.jpg", "x_.jpg", "y.jpg", "_.jpg"]),
    ],
)  # fmt: skip
def test_names_are_unique(paths: list[str], by_stem: bool, expected: list[str]) -> None:
    assert unique_names([Path("/", path) for path in paths], [Path("/s")], by_stem) == expected


def test_names_of_several_datasets_have_their_folders_in_front() -> None:
    paths = [Path("/x/one/images/1.jpg"), Path("/x/two/images/1.jpg"), Path("/x/two/images/2.jpg")]
    roots = [Path("/x/one"), Path("/x/two")]
    assert unique_names(paths, roots, True) == ["one_1.jpg", "two_1.jpg", "2.jpg"]
    paths = [Path("/x/one/set/1.jpg"), Path("/x/two/set/1.jpg"), Path("/x/two/set/a/1.jpg")]
    assert unique_names(paths, [Path("/x/one/set"), Path("/x/two/set")], True) == [
        "one_1.jpg",
        "two_set_1.jpg",
        "two_a_1.jpg",
    ]


@pytest.mark.parametrize("to", DATASET_WRITERS)
def test_images_of_the_same_name_are_all_written(tmp_path: Path, to: str, caplog: pytest.LogCaptureFixture) -> None:
    for number, folder in enumerate(("monday", "tuesday")):
        write_image(tmp_path / "in" / folder / "a.png", (60 + number, 40))
        write_voc_xml(tmp_path / "in" / folder / "a.xml", "a.png", [("fork", (1 + number, 2, 30, 20))])
    with caplog.at_level("INFO"):
        after = write_and_read(tmp_path / "out", read(tmp_path / "in"), to, tmp_path / "in")
    found = {sample.path.name: sample.boxes_xyxy[0, 0] for sample in after[""].samples}
    assert found == {"monday_a.png": 1, "tuesday_a.png": 2}
    assert "2 images renamed" in caplog.text


@pytest.mark.parametrize("to", DATASET_WRITERS)
def test_same_names_in_different_splits(tmp_path: Path, to: str) -> None:
    for number, split in enumerate(("train", "val")):
        write_image(tmp_path / "in" / split / "0.png", (60 + number, 40))
        write_voc_xml(tmp_path / "in" / split / "0.xml", "0.png", [("fork", (1 + number, 2, 30, 20))])
    after = write_and_read(tmp_path / "out", read(tmp_path / "in"), to, tmp_path / "in")
    names = {split: (d.samples[0].path.name, d.samples[0].boxes_xyxy[0, 0]) for split, d in after.items()}
    prefix = {"voc": ("train_", "val_")}.get(to, ("", ""))
    assert names == {"train": (f"{prefix[0]}0.png", 1), "val": (f"{prefix[1]}0.png", 2)}


def small_dataset(folder: Path) -> dict[str, Dataset]:
    write_image(folder / "a.png")
    box = np.array([[1, 2, 30, 20]], np.float32)
    return {"": Dataset(folder, ("fork",), (Sample(folder / "a.png", box, np.array([0])),), "voc")}


def test_images_are_copied_linked_or_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    splits = small_dataset(tmp_path / "in")
    source = splits[""].samples[0].path
    for mode in ("copy", "link", "none"):
        write_dataset(tmp_path / mode, splits, "coco", [tmp_path / "in"], images=mode)  # type: ignore[arg-type]
    copy, link = (tmp_path / mode / "images" / "a.png" for mode in ("copy", "link"))
    assert copy.read_bytes() == source.read_bytes()
    assert not copy.samefile(source)
    assert link.samefile(source)
    assert not link.is_symlink()
    assert [path.name for path in (tmp_path / "none").iterdir()] == ["annotations"]

    outside = tmp_path / "outside"
    write_dataset(outside, splits, "coco", [tmp_path / "other"], images="link")
    assert not (outside / "images" / "a.png").samefile(source)

    def no_hard_links(*arguments: object) -> None:
        raise OSError(errno.EXDEV, "another file system")

    monkeypatch.setattr(place_image.os, "link", no_hard_links)
    monkeypatch.chdir(tmp_path)
    relative = {"": splits[""].with_samples((Sample(Path("in/a.png"), [[1, 2, 30, 20]], [0]),))}  # type: ignore[arg-type]
    write_dataset(Path("symbolic"), relative, "coco", [Path("in")], images="link")
    symbolic = tmp_path / "symbolic" / "images" / "a.png"
    assert symbolic.is_symlink()
    assert symbolic.read_bytes() == source.read_bytes()
    assert load_dataset(tmp_path / "symbolic").num_boxes == 1


def test_error_leaves_nothing_and_names_the_file(tmp_path: Path) -> None:
    splits = small_dataset(tmp_path / "in")
    missing = Sample(tmp_path / "in" / "b.png", np.zeros((0, 4), np.float32), np.zeros(0, np.int64))
    write_image(missing.path)
    headers = dict.fromkeys((tmp_path / "in").iterdir())
    assert len(headers) == 2
    both = {"": splits[""].with_samples((*splits[""].samples, missing))}

    def remove(done: int, total: int | None) -> None:
        missing.path.unlink(missing_ok=True)

    for mode in ("copy", "link"):
        write_image(missing.path)
        with pytest.raises(FileNotFoundError) as error:
            write_dataset(tmp_path / "out", both, "yolo", [tmp_path / "in"], mode, progress=remove)  # type: ignore[arg-type]
        assert error.value.filename == str(missing.path)
        assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_existing_folder_is_not_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    splits = small_dataset(tmp_path / "in")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "empty")
    for name in ("full", "file"):
        with pytest.raises(DataError, match="is not an empty folder"):
            check_new_folder(tmp_path / name, [tmp_path / "in"])
    for inside in (tmp_path / "in" / "new", tmp_path / "in" / ".." / "in" / "x" / "y"):
        with pytest.raises(DataError, match="is inside the dataset"):
            check_new_folder(inside, [tmp_path / "in"])
    monkeypatch.chdir(tmp_path / "empty")
    with pytest.raises(DataError, match="is the current folder"):
        check_new_folder(Path(), [tmp_path / "in"])
    monkeypatch.undo()
    write_dataset(tmp_path / "link", splits, "voc", [tmp_path / "in"])
    assert len(read(tmp_path / "empty")[""]) == 1
    assert (tmp_path / "link").is_symlink()
    if os.getuid():
        (tmp_path / "locked").mkdir(mode=0o500)
        with pytest.raises(PermissionError, match="new"):
            check_new_folder(tmp_path / "locked" / "new", [tmp_path / "in"])
    with Image.open(tmp_path / "empty" / "JPEGImages" / "a.png") as image:
        assert image.size == (60, 40)
