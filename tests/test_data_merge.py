"""Merging of datasets: classes, splits, names, and identical images."""

from __future__ import annotations

from pathlib import Path

import pytest
from label_writers import WRITERS, LabeledImage, write_image, write_voc_xml

from edge_ssd.data.dataset import Dataset
from edge_ssd.data.load import load_dataset, open_dataset
from edge_ssd.data.merge import merge_datasets
from edge_ssd.data.splits import load_every_split
from edge_ssd.data.writers.write import write_dataset
from edge_ssd.errors import DataError

BOX = (1.0, 2.0, 30.0, 20.0)


def batch(root: Path, images: dict[str, list[str]], labels: tuple[str, ...], to: str = "coco", width: int = 60) -> Path:
    """Write a dataset of images called ``split/name.png``, each of another width, with a box of each label."""
    written = [
        LabeledImage(name.split("/")[1], name.split("/")[0], (width + number, 40), [(label, BOX) for label in objects])
        for number, (name, objects) in enumerate(images.items())
    ]
    WRITERS[to](root, written, labels)
    return root


def merge(*roots: Path, **options: object) -> dict[str, Dataset]:
    return merge_datasets([open_dataset(root) for root in roots], **options)  # type: ignore[arg-type]


def names(splits: dict[str, Dataset]) -> dict[str, list[tuple[str, list[str]]]]:
    return {
        split: [(s.path.name, [dataset.labels[class_id] for class_id in s.class_ids]) for s in dataset.samples]
        for split, dataset in splits.items()
    }


def test_merge_reports_spellings_of_a_class_once_and_strictly_stops(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for number, label in enumerate(("bolt", "BOLT")):
        image = LabeledImage(f"{number}.png", size=(60 + number, 40), objects=[(label, (1.0, 2.0, 30.0, 20.0))])
        WRITERS["voc"](tmp_path / str(number), [image], (label,))
    folders = [open_dataset(tmp_path / name) for name in ("0", "1")]
    merge_datasets(folders)
    assert sum("class names differ in case" in message for message in caplog.messages) == 1
    with pytest.raises(DataError, match=r"'bolt' \(1 box\) and 'BOLT' \(1 box\); merge them with --classes"):
        merge_datasets(folders, strict=True)
    assert merge_datasets(folders, "*,BOLT=bolt", strict=True)["train"].labels == ("bolt",)


def test_classes_and_splits_are_matched_by_name(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    one = batch(tmp_path / "one", {"train/a.png": ["fork"], "val/b.png": ["knife"]}, ("fork", "knife"))
    two = batch(tmp_path / "two", {"train/c.png": ["fork", "spoon"]}, ("knife", "spoon", "fork"), "yolo", width=80)
    with caplog.at_level("INFO"):
        merged = merge(one, two)
    assert {dataset.labels for dataset in merged.values()} == {("fork", "knife", "spoon")}
    assert names(merged) == {
        "train": [("a.png", ["fork"]), ("c.png", ["fork", "spoon"])],
        "val": [("b.png", ["knife"])],
    }
    assert f"{two}: its classes have another order (knife, spoon, fork): they are matched by name" in caplog.text
    assert f"{one}: it has no class spoon" in caplog.text


def test_undivided_batch_beside_divided_ones_is_for_training(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    one = batch(tmp_path / "one", {"train/a.png": ["fork"], "val/b.png": ["fork"]}, ("fork",))
    write_image(tmp_path / "two" / "c.png", (99, 40))
    write_voc_xml(tmp_path / "two" / "c.xml", "c.png", [("fork", BOX)])
    with caplog.at_level("INFO"):
        merged = merge(one, tmp_path / "two")
    assert [name for name, _ in names(merged)["train"]] == ["a.png", "c.png"]
    assert f"{tmp_path / 'two'}: not divided, beside divided datasets: its images are for training" in caplog.text
    write_image(tmp_path / "three" / "d.png", (98, 40))
    write_voc_xml(tmp_path / "three" / "d.xml", "d.png", [("fork", BOX)])
    assert list(merge(tmp_path / "two", tmp_path / "three")) == [""]


def test_class_list_is_for_the_classes_of_all(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    one = batch(tmp_path / "one", {"train/a.png": ["Fork", "knife"]}, ("Fork", "knife"))
    two = batch(tmp_path / "two", {"train/b.png": ["fork"], "train/c.png": ["spoon"]}, ("fork", "spoon"), width=80)
    with caplog.at_level("INFO"):
        merged = merge(one, two, classes="Fork=fork,fork")
    assert names(merged)["train"] == [("a.png", ["fork"]), ("b.png", ["fork"]), ("c.png", [])]
    assert merged["train"].labels == ("fork",)
    assert not [record for record in caplog.records if record.levelname == "WARNING"]
    merge(one, two)
    assert "'fork' (1 box) and 'Fork' (1 box); merge them with --classes '*,Fork=fork'" in caplog.text
    with pytest.raises(DataError, match="no class 'nife'"):
        merge(one, two, classes="nife")


def test_class_numbers_and_names_are_not_mixed(tmp_path: Path) -> None:
    one = batch(tmp_path / "one", {"train/a.png": ["fork"]}, ("fork",))
    for number in range(2):
        root = tmp_path / f"bare{number}"
        write_image(root / "images" / f"{number}.png", (70 + number, 40))
        (root / "labels").mkdir()
        (root / "labels" / f"{number}.txt").write_text("1 0.5 0.5 0.2 0.2\n")
    with pytest.raises(DataError, match=r"bare0: its labels have class numbers.* in a file classes\.txt"):
        merge(one, tmp_path / "bare0")
    merged = merge(tmp_path / "bare0", tmp_path / "bare1", classes="1=nut")
    assert names(merged) == {"": [("0.png", ["nut"]), ("1.png", ["nut"])]}


def test_identical_images_are_taken_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    # b and c of the second batch are a and b of the first one by their bytes, which differ by the width only.
    one = batch(tmp_path / "one", {"train/a.png": ["fork"], "train/b.png": ["knife"]}, ("fork", "knife"))
    two = batch(tmp_path / "two", {"val/b.png": ["fork"], "val/c.png": ["fork"]}, ("fork",), "voc")
    with caplog.at_level("INFO"):
        merged = merge(one, two)
    assert names(merged) == {"train": [("a.png", ["fork"]), ("b.png", ["knife"])]}
    assert "2 images are identical to another one and left out; 2 of them are in different splits" in caplog.text
    kept, other = one / "train" / "b.png", two / "JPEGImages" / "c.png"
    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert warnings == [f"{other}: the same image as {kept} with other labels; those of the first are used"]
    with pytest.raises(DataError, match=r"c\.png: the same image as .*b\.png with other labels: correct one of them"):
        merge(one, two, strict=True)


def test_rounded_boxes_are_the_same_labels(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name, box in (("one", (1, 2, 30, 20)), ("two", (1.4, 2.2, 29.6, 20.3)), ("three", (1.4, 2.2, 28, 20.3))):
        write_image(tmp_path / name / "a.png")
        write_voc_xml(tmp_path / name / "a.xml", "a.png", [("fork", (5, 5, 9, 9)), ("fork", box)])
    assert len(merge(tmp_path / "one", tmp_path / "two", strict=True)[""]) == 1
    with pytest.raises(DataError, match="other labels"):
        merge(tmp_path / "one", tmp_path / "three", strict=True)


def test_dataset_given_twice_is_merged_once(tmp_path: Path) -> None:
    one = batch(tmp_path / "one", {"train/a.png": ["fork"], "train/b.png": []}, ("fork",))
    assert names(merge(one, one, tmp_path / "one" / ".." / "one")) == names(merge(one))


@pytest.mark.parametrize("to", ["coco", "yolo", "voc"])
def test_merged_batches_are_read_back(tmp_path: Path, to: str) -> None:
    images = {"train/0.png": ["fork"], "val/1.png": ["knife", "fork"], "val/own.png": []}
    one = batch(tmp_path / "one", images, ("fork", "knife"), "coco")
    two = batch(tmp_path / "two", {key: images[key] for key in list(images)[:2]}, ("knife", "fork"), "yolo", width=80)
    write_dataset(tmp_path / "all", merge(one, two), to, [one, two])
    read = load_every_split(open_dataset(tmp_path / "all"), strict=True)
    assert {split: sorted(own) for split, own in names(read).items()} == {
        "train": [("one_0.png", ["fork"]), ("two_0.png", ["fork"])],
        "val": [("one_1.png", ["knife", "fork"]), ("own.png", []), ("two_1.png", ["knife", "fork"])],
    }
    assert load_dataset(tmp_path / "all").labels == ("fork", "knife")


def test_labels_of_identical_images_are_compared_after_renaming(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    images = {f"train/{number}.png": ["fork"] for number in range(7)}
    one = batch(tmp_path / "one", images, ("fork",))
    other = batch(tmp_path / "two", {name: ["Fork"] for name in images}, ("Fork",), "voc")
    for classes in ("*,Fork=fork", "fork,Fork=fork"):
        assert len(merge(one, other, classes=classes, strict=True)["train"]) == 7
    assert not [record for record in caplog.records if record.levelname == "WARNING"]
    merge(one, other)
    (warning,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert "'fork' (7 boxes) and 'Fork' (7 boxes); merge them with --classes '*,Fork=fork'" in warning
    with pytest.raises(DataError, match=r"merge them with --classes '\*,Fork=fork'"):
        merge(one, other, strict=True)


def test_identical_images_with_other_labels_are_shortened(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    images = {f"train/{number}.png": ["fork"] for number in range(7)}
    one = batch(tmp_path / "one", images, ("fork",))
    other = batch(tmp_path / "two", {name: ["fork", "knife"] for name in images}, ("fork", "knife"), "voc")
    assert len(merge(one, other, classes="fork", strict=True)["train"]) == 7
    assert len(merge(one, other)["train"]) == 7
    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert sum("with other labels; those of the first are used" in line for line in warnings) == 2
    assert warnings[-1].startswith("and 5 more identical images with other labels (correct the labels")
