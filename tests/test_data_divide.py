"""Stratified division of a dataset, and the lists that divide it where it is."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from label_writers import WRITERS, LabeledImage, write_image, write_voc_xml
from PIL import Image

from edge_ssd.data import divide
from edge_ssd.data.dataset import Dataset, Sample
from edge_ssd.data.divide import divide_dataset, find_similar, split_shares
from edge_ssd.data.load import load_dataset, open_dataset
from edge_ssd.data.splits import combine_splits, load_every_split
from edge_ssd.data.writers import split_lists
from edge_ssd.data.writers.split_lists import check_listable, write_split_lists
from edge_ssd.errors import DataError, SettingError

SHARES = split_shares(0.15, 0.1)


def dataset_of(classes: list[list[int]], num_classes: int = 3) -> Dataset:
    """Return a dataset with images that exist nowhere, each with a box of each of its classes."""
    samples = [
        Sample(Path(f"/set/{number:04}.png"), np.tile(np.float32([0, 0, 9, 9]), (len(ids), 1)), np.array(ids))
        for number, ids in enumerate(classes)
    ]
    return Dataset(Path("/set"), tuple(f"class{i}" for i in range(num_classes)), tuple(samples), "coco")


def count_class(dataset: Dataset, class_id: int) -> int:
    return sum(class_id in sample.class_ids for sample in dataset.samples)


def test_every_class_has_the_same_share_in_each_split() -> None:
    dataset = dataset_of([[0]] * 200 + [[0, 1]] * 60 + [[1]] * 20 + [[2]] * 20 + [[]] * 100)
    splits = divide_dataset(dataset, SHARES, seed=3)
    assert list(splits) == ["train", "val", "test"]
    assert {split: len(own) for split, own in splits.items()} == {"train": 300, "val": 60, "test": 40}
    for class_id, total in ((0, 260), (1, 80), (2, 20)):
        for split, share in SHARES.items():
            assert abs(count_class(splits[split], class_id) - share * total) <= 1
    assert abs(sum(len(sample.class_ids) == 0 for sample in splits["val"].samples) - 15) <= 1


def test_rare_class_is_in_every_split_that_it_suffices_for() -> None:
    dataset = dataset_of([[0]] * 40 + [[1]] * 2 + [[2]] * 3)
    splits = divide_dataset(dataset, SHARES)
    assert [count_class(splits[split], 1) for split in splits] == [1, 1, 0]
    assert [count_class(splits[split], 2) for split in splits] == [1, 1, 1]
    single = divide_dataset(dataset_of([[0]] * 20 + [[1]]), split_shares(0.3))
    assert [count_class(own, 1) for own in single.values()] == [1, 0]


@settings(deadline=None, max_examples=60)
@given(
    classes=st.lists(st.lists(st.integers(0, 2), unique=True, max_size=3), min_size=3, max_size=40),
    sizes=st.lists(st.integers(2, 6), max_size=4),
    seed=st.integers(0, 5),
)
def test_division_is_complete_and_keeps_similar_images_together(
    classes: list[list[int]], sizes: list[int], seed: int
) -> None:
    dataset = dataset_of(classes)
    ends = np.cumsum(sizes).tolist()
    similar = [tuple(range(end - size, end)) for size, end in zip(sizes, ends, strict=True) if end <= len(dataset) - 2]
    splits = divide_dataset(dataset, SHARES, similar, seed)
    assert all(len(own) for own in splits.values())
    split_of = {sample: split for split, own in splits.items() for sample in own.samples}
    assert len(split_of) == len(dataset) == sum(map(len, splits.values()))
    for group in similar:
        assert len({split_of[dataset.samples[index]] for index in group}) == 1
    for own in splits.values():
        assert list(own.samples) == [sample for sample in dataset.samples if sample in set(own.samples)]
    again = divide_dataset(dataset, SHARES, similar, seed)
    assert {split: own.samples for split, own in again.items()} == {split: own.samples for split, own in splits.items()}


def test_another_seed_divides_otherwise() -> None:
    dataset = dataset_of([[0]] * 50)
    first, second = (divide_dataset(dataset, split_shares(0.5), seed=seed)["val"].samples for seed in (0, 1))
    assert first != second


def test_too_few_images_cannot_be_divided() -> None:
    with pytest.raises(DataError, match=r"1 image cannot be divided into train and val$"):
        divide_dataset(dataset_of([[0]]), split_shares(0.5))
    with pytest.raises(DataError, match="as many of the 4 look alike"):
        divide_dataset(dataset_of([[0]] * 4), split_shares(0.5), [(0, 1, 2, 3)])


@pytest.mark.parametrize("val_test", [(0, 0), (1, 0), (0.5, 0.5), (-0.1, 0), (0.2, -0.1), (float("nan"), 0)])
def test_invalid_share_is_refused(val_test: tuple[float, float]) -> None:
    with pytest.raises(SettingError, match="--val must be between 0 and 1"):
        split_shares(*val_test)


def test_identical_and_similar_images_are_found(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    scenes = [random.integers(0, 256, (8, 8, 3)).astype(np.uint8) for _ in range(3)]
    samples = []
    for number, (scene, quality) in enumerate(((0, 95), (1, 95), (0, 95), (0, 40), (2, 95))):
        path = tmp_path / f"{number}.jpg"
        Image.fromarray(scenes[scene]).resize((64, 64), Image.Resampling.BICUBIC).save(path, quality=quality)
        samples.append(Sample(path, np.float32([[0, 0, 9, 9]]), np.array([0])))
    dataset = Dataset(tmp_path, ("a",), tuple(samples), "coco")
    assert find_similar(dataset) == [(0, 2, 3)]
    assert find_similar(dataset, near=False) == [(0, 2)]


def undivided(root: Path, count: int = 12) -> None:
    for number in range(count):
        name = f"{number} 1.png" if number % 2 else f"{number}.png"
        write_image(root / "images" / name, (60 + number, 40))
        write_voc_xml(
            root / "labels" / f"{Path(name).stem}.xml", name, [(("ace", "jack", "king")[number % 3], (1, 2, 30, 20))]
        )


def divide_folder(root: Path) -> dict[str, Dataset]:
    folder = open_dataset(root)
    splits = divide_dataset(combine_splits(load_every_split(folder)), split_shares(0.25))
    write_split_lists(folder, splits)
    return splits


def test_lists_divide_a_dataset_where_it_is(tmp_path: Path) -> None:
    undivided(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    splits = divide_folder(tmp_path)
    assert {split: len(own) for split, own in splits.items()} == {"train": 9, "val": 3}
    for split, own in splits.items():
        read = load_dataset(tmp_path, split, strict=True)  # type: ignore[arg-type]
        assert [sample.path for sample in read.samples] == [sample.path for sample in own.samples]
        assert read.notices == ()
    after = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert after.keys() - before.keys() == {tmp_path / "train.txt", tmp_path / "val.txt"}
    assert before.items() <= after.items()
    # Ultralytics takes a line that starts with ./ as relative to the list.
    assert (tmp_path / "val.txt").read_text().startswith("./images/")


@pytest.mark.parametrize("format_name", WRITERS)
def test_lists_divide_every_format_or_are_refused(tmp_path: Path, format_name: str) -> None:
    objects = [("fork", (1, 2, 30, 20))]
    images = [LabeledImage(f"{number}.png", objects=objects, size=(60 + number, 40)) for number in range(6)]
    WRITERS[format_name](tmp_path, images, ("fork",))
    if format_name == "voc":
        (tmp_path / "ImageSets" / "Main" / "train.txt").unlink()
    try:
        splits = divide_folder(tmp_path)
    except DataError as error:
        assert "it states a split, which lists of images cannot change: give a second folder" in str(error)  # noqa: PT017
        assert not list(tmp_path.glob("*.txt")) or format_name == "d2l_csv"
        return
    read = load_every_split(open_dataset(tmp_path), strict=True)
    assert {split: len(own) for split, own in read.items()} == {split: len(own) for split, own in splits.items()}


def test_existing_lists_are_kept(tmp_path: Path) -> None:
    undivided(tmp_path)
    (tmp_path / "Valid.txt").write_text("nothing\n")
    with pytest.raises(DataError, match=r"Valid\.txt: this list was not written by data split"):
        check_listable(open_dataset(tmp_path))
    (tmp_path / "Valid.txt").unlink()
    (tmp_path / "ImageSets" / "Main").mkdir(parents=True)
    (tmp_path / "ImageSets" / "Main" / "train.txt").write_text("0\n")
    with pytest.raises(DataError, match="this list was not written by data split"):
        check_listable(open_dataset(tmp_path))
    assert not (tmp_path / "val.txt").exists()


def test_lists_that_do_not_divide_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    undivided(tmp_path)
    folder = open_dataset(tmp_path)
    monkeypatch.setattr(split_lists, "list_files", lambda source: folder.tree)  # as if the lists were not read
    with pytest.raises(DataError, match="lists do not divide this dataset: give a second folder"):
        divide_folder(tmp_path)
    assert not list(tmp_path.glob("*.txt"))


@pytest.mark.skipif(os.name == "nt", reason="names are Unicode there")
def test_names_that_are_not_utf8_are_divided_or_refused(tmp_path: Path) -> None:
    undivided(tmp_path, 4)
    name = os.fsdecode(b"\xff.png")
    write_image(tmp_path / "images" / name)
    write_voc_xml(tmp_path / "labels" / os.fsdecode(b"\xff.xml"), "x", [("class0", (1, 2, 30, 20))])
    try:
        divide_folder(tmp_path)
    except DataError as error:
        assert "give a second folder" in str(error)  # noqa: PT017
        assert not list(tmp_path.glob("*.txt"))
    else:
        assert sum(map(len, load_every_split(open_dataset(tmp_path)).values())) == 5


def test_every_share_is_reached_with_large_groups() -> None:
    # Of 40 images, half are frames of one scene: they are for training, and validation gets its share of the others.
    dataset = dataset_of([[0]] * 40)
    splits = divide.divide_dataset(dataset, split_shares(0.25), [tuple(range(20))])
    assert {split: len(own) for split, own in splits.items()} == {"train": 30, "val": 10}
