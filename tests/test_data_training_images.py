"""edge_ssd.data.training_images, held_out and manifest: what is trained on, validated on and recorded."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from label_writers import write_d2l_split, write_image
from PIL import Image

from edge_ssd.data.dataset import Dataset, Sample
from edge_ssd.data.held_out import HeldOut, image_name
from edge_ssd.data.load import open_dataset
from edge_ssd.data.manifest import Manifest
from edge_ssd.data.training_images import describe_division, load_training_images, reload_training_images
from edge_ssd.errors import DataError, SettingError


def write_split(folder: Path, names: list[str]) -> None:
    write_d2l_split(folder, [f"{name},0,1,2,30,39" for name in names], names)


def write_dataset(root: Path, **counts: int) -> Path:
    """Write a dataset with this number of images in each split; "undivided" is one folder without splits."""
    for split, count in counts.items():
        folder = root / "data" if split == "undivided" else root / "data" / f"set_{split}"
        write_split(folder, [f"{split}{i}.png" for i in range(count)])
    return root / "data"


def write_yolo(root: Path, missing: tuple[str, ...], splits: tuple[str, ...] = ("train",)) -> Path:
    keys = "\n".join(f"{split}: {split}/images" for split in (*splits, *missing))
    root.mkdir()
    (root / "data.yaml").write_text(f"{keys}\nnames: [bolt]\n")
    for split in splits:
        for i in range(6):
            write_image(root / split / "images" / f"{split}{i}.png")
            label = root / split / "labels" / f"{split}{i}.txt"
            label.parent.mkdir(exist_ok=True)
            label.write_text("0 0.5 0.5 0.4 0.4\n")
    return root


def names(dataset: Dataset) -> list[str]:
    return [sample.path.stem for sample in dataset.samples]


@pytest.mark.parametrize(
    ("counts", "options", "training", "validation", "log"),
    [
        ({"train": 5, "val": 2}, {}, {"train": 5}, {"val": 2}, ""),
        ({"train": 5, "val": 2, "test": 3}, {}, {"train": 5}, {"val": 2}, ""),
        ({"train": 5, "test": 3}, {}, {"train": 5}, {"test": 3}, "validation: on the test split (3 images)"),
        ({"train": 10}, {}, {"train": 8}, {"train": 2}, "2 of 10 training images (20%) are held out at random"),
        (
            {"undivided": 20},
            {},
            {"undivided": 17},
            {"undivided": 3},
            "no validation split: 3 of 20 training images (15%)",
        ),
        (
            {"train": 5, "val": 2},
            {"validation_fraction": 0.4},
            {"train": 3},
            {"train": 2},
            "2 of 5 training images (40%) are held out at random; the val split is not used",
        ),
        ({"val": 4, "test": 3}, {"train_on": "val"}, {"val": 4}, {"test": 3}, "on the test split (3 images)"),
        ({"val": 4}, {"train_on": "valid"}, {"val": 3}, {"val": 1}, "1 of 4 training images (25%)"),
        (
            {"train": 5, "val": 2, "test": 3},
            {"train_on": "train, val"},
            {"train": 5, "val": 2},
            {"test": 3},
            "test split",
        ),
        ({"val": 2, "test": 2}, {"train_on": "all", "validation_fraction": 0.5}, None, None, "2 of 4 training images"),
        ({"undivided": 4}, {"train_on": "all"}, {"undivided": 3}, {"undivided": 1}, "1 of 4"),
    ],
)
def test_training_and_validation_images_are_chosen_and_logged(
    counts: dict[str, int],
    options: dict[str, object],
    training: dict[str, int] | None,
    validation: dict[str, int] | None,
    log: str,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    folder = open_dataset(write_dataset(tmp_path, **counts))
    with caplog.at_level("INFO"):
        images = load_training_images(folder, **options)
    assert log in caplog.text
    assert not set(names(images.training)) & set(names(images.validation))
    for dataset, expected in ((images.training, training), (images.validation, validation)):
        found = [name.rstrip("0123456789") for name in names(dataset)]
        assert expected is None or {split: found.count(split) for split in found} == expected
    # What the validation split of the dataset does not say is recorded.
    is_default = not options and images.validation_fraction is None
    assert (images.held_out.names == ()) is is_default
    if not is_default:
        assert images.held_out == HeldOut.of(images.validation)
    again = reload_training_images(
        folder, ("0",), images.held_out, images_train_on(options), images.validation_fraction, seed=99
    )
    assert names(again.training) == names(images.training)
    assert names(again.validation) == names(images.validation)


def images_train_on(options: dict[str, object]) -> str:
    return str(options.get("train_on", "train"))


@pytest.mark.parametrize(
    ("counts", "train_on", "message"),
    [
        ({"val": 4}, "train", "val (4 images) and no train split. To train on these, name them: --train-on val"),
        ({"val": 4, "test": 1}, "train", "val (4 images) and test (1 image) and no train split"),
        ({"val": 4, "test": 1}, "train", "--train-on val or --train-on all"),
        ({"train": 4}, "val", "it has no val split, only train"),
        ({"undivided": 4}, "val", "is not divided into splits: leave out --train-on"),
        ({"train": 4}, "first", "expected splits such as train,val, or all"),
    ],
)
def test_split_that_was_not_named_is_never_trained_on(
    counts: dict[str, int], train_on: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises((DataError, SettingError)) as caught:
        load_training_images(open_dataset(write_dataset(tmp_path, **counts)), train_on)
    assert message in str(caught.value)


def test_folder_whose_own_name_states_a_split_is_not_trained_on(tmp_path: Path) -> None:
    write_split(tmp_path / "cats_val", ["a.png", "b.png"])
    folder = open_dataset(tmp_path / "cats_val")
    with pytest.raises(DataError, match="no train split"):
        load_training_images(folder)
    assert len(load_training_images(folder, "val").training) == 1


@pytest.mark.parametrize(
    ("splits", "missing", "validation"),
    [
        (("train",), ("val",), "train"),
        (("train",), ("val", "test"), "train"),
        (("train", "test"), ("val",), "test"),
    ],
)
def test_validation_split_that_is_named_but_missing_is_replaced_with_a_warning(
    splits: tuple[str, ...],
    missing: tuple[str, ...],
    validation: str,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    folder = open_dataset(write_yolo(tmp_path / "data", missing, splits))
    with caplog.at_level("INFO"):
        images = load_training_images(folder)
    assert {name.rstrip("0123456789") for name in names(images.validation)} == {validation}
    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert any("val split cannot be used for validation" in line and "does not exist" in line for line in warnings)
    assert ("held out at random" in caplog.text) is (validation == "train")
    again = reload_training_images(folder, ("bolt",), images.held_out, validation_fraction=images.validation_fraction)
    assert names(again.validation) == names(images.validation)


def test_validation_split_without_its_images_is_replaced(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = write_dataset(tmp_path, train=6, val=3)
    for path in (folder / "set_val" / "images").iterdir():
        path.unlink()
    images = load_training_images(open_dataset(folder))
    assert "the val split cannot be used for validation" in caplog.text
    assert "3 of 3 labeled images do not exist" in caplog.text
    assert len(images.validation) == 1


def test_faults_are_logged_before_everything_else(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rows = [f"{i}.png,0,1,2,30,39" for i in range(6)]
    write_d2l_split(tmp_path / "set", [*rows, "5.png,0,20,20,20,20"], [f"{i}.png" for i in range(6)])
    folder = open_dataset(tmp_path / "set")
    with caplog.at_level("INFO"):
        load_training_images(folder)
    messages = [record.getMessage() for record in caplog.records if record.name.endswith("training_images")]
    assert "has no area" in messages[0]
    assert "held out" in messages[-1]


def write_scenes(root: Path, scenes: list[int]) -> Path:
    """Write an undivided dataset: an image of each scene, of which those of the same number differ in quality only."""
    pixels = np.random.default_rng(0).integers(0, 256, (max(scenes) + 1, 8, 8, 3)).astype(np.uint8)
    images = [f"{number}.jpg" for number in range(len(scenes))]
    write_split(root / "set", images)
    for number, scene in enumerate(scenes):
        image = Image.fromarray(pixels[scene]).resize((60, 40), Image.Resampling.BICUBIC)
        image.save(root / "set" / "images" / images[number], quality=95 - number)
    return root / "set"


@pytest.mark.parametrize(
    ("counts", "line"),
    [
        ({"undivided": 4}, "not divided: 'edge-ssd train' holds out 15% at random for validation"),
        ({"train": 4}, "no validation split: of train, 'edge-ssd train' holds out 15% at random"),
        ({"train": 4, "test": 1}, "no validation split: 'edge-ssd train' validates on test"),
        ({"test": 4, "val": 1}, "no train split: 'edge-ssd train' needs --train-on val,test"),
        ({"train": 4, "val": 1}, ""),
    ],
)
def test_division_of_a_training_is_described(tmp_path: Path, counts: dict[str, int], line: str) -> None:
    described = describe_division(open_dataset(write_dataset(tmp_path, **counts)))
    assert described.startswith(line)
    assert bool(described) is bool(line)


@pytest.mark.parametrize("seed", range(4))
def test_similar_images_are_held_out_together(tmp_path: Path, seed: int, caplog: pytest.LogCaptureFixture) -> None:
    scenes = [0, 1, 2, 0, 1, 2, 3, 4, 5, 0]
    folder = open_dataset(write_scenes(tmp_path, scenes))
    with caplog.at_level("INFO"):
        images = load_training_images(folder, validation_fraction=0.3, seed=seed)
    scenes_of = [{scenes[int(name)] for name in names(part)} for part in (images.training, images.validation)]
    assert not scenes_of[0] & scenes_of[1]
    assert len(images.validation) == 3
    assert caplog.text.count("7 images are identical or similar to others: the 3 groups of them stay together") == 1


def test_images_that_all_look_alike_are_divided_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    images = load_training_images(open_dataset(write_scenes(tmp_path, [0] * 6)))
    assert len(images.validation) == 1
    assert "6 images are identical or similar to others, so that validation images look like training" in caplog.text


class TestReload:
    def test_added_images_are_trained_on_and_held_out_ones_stay(self, tmp_path: Path) -> None:
        root = write_dataset(tmp_path, undivided=20)
        before = load_training_images(open_dataset(root))
        write_split(root, ["a_new.png", "z_new.png", *(f"undivided{i}.png" for i in range(20))])
        after = reload_training_images(open_dataset(root), ("0",), before.held_out, validation_fraction=0.15)
        assert names(after.validation) == names(before.validation)
        assert set(names(after.training)) == {*names(before.training), "a_new", "z_new"}
        assert after.held_out == before.held_out
        # A choice by the seed would have been another one: that is what the names are kept for.
        assert names(load_training_images(open_dataset(root)).validation) != names(before.validation)

    def test_folder_without_the_held_out_images_is_refused(self, tmp_path: Path) -> None:
        folder = open_dataset(write_dataset(tmp_path, undivided=6))
        held_out = HeldOut(("images/other.png",))
        with pytest.raises(DataError, match=r"none of the 1 image that the run held out .*images/other\.png"):
            reload_training_images(folder, ("0",), held_out, validation_fraction=0.15)

    def test_validation_split_that_is_gone_is_refused(self, tmp_path: Path) -> None:
        folder = open_dataset(write_dataset(tmp_path, train=6))
        with pytest.raises(DataError, match="it has no validation split, which the run was started with"):
            reload_training_images(folder, ("0",), HeldOut())

    def test_run_of_earlier_version_is_divided_by_its_seed(self, tmp_path: Path) -> None:
        folder = open_dataset(write_dataset(tmp_path, undivided=20))
        first = load_training_images(folder, seed=5)
        again = reload_training_images(folder, ("0",), None, validation_fraction=0.15, seed=5)
        assert again.held_out == first.held_out


def test_held_out_names_are_relative_sorted_and_restored_from_json(tmp_path: Path) -> None:
    assert image_name(tmp_path / "a" / "b.png", tmp_path) == "a/b.png"
    assert image_name(tmp_path / "b.png", tmp_path / "a") == "../b.png"
    assert image_name(Path("set/é\udcff.png"), Path("set")) == "é\udcff.png"
    held_out = HeldOut(("a.png", "é\udcff.png"))
    assert HeldOut.from_dict(json.loads(json.dumps(held_out.to_dict()))) == held_out
    assert HeldOut.from_dict({"names": ["b", "a"]}).names == ("a", "b")
    for invalid in ({}, {"names": "abc"}, {"names": [1]}, []):
        with pytest.raises(ValueError, match="expected a list of names"):
            HeldOut.from_dict(invalid)


def make_dataset(**boxes: int) -> Dataset:
    samples = [
        Sample(Path("set") / f"{name}.png", np.array([[0, 0, 1 + i, 1] for i in range(count)]), np.zeros(count), (9, 9))
        for name, count in boxes.items()
    ]
    return Dataset(Path("set"), ("cat",), tuple(samples), "voc")


def test_manifest_names_every_change() -> None:
    before = Manifest.of(make_dataset(a=1, b=1, c=1, d=1, e=1), make_dataset(v=1, w=1, x=1))
    now = Manifest.of(make_dataset(a=1, b=2, c=1, new=1, w=1), make_dataset(v=1, d=1, other=1))
    assert before.changes(before) == []
    assert before.changes(now) == [
        "1 image added: used for training (new.png)",
        "1 image added: used for validation (other.png)",
        "2 images removed, 1 of the validation images (e.png, x.png)",
        "1 image with other labels or another size (b.png)",
        "1 image moved to validation, which the model was trained on: its AP is too high (d.png)",
        "1 image moved from validation to training (w.png)",
    ]
    many = Manifest.of(make_dataset(a=1, **{f"n{i}": 1 for i in range(5)}), make_dataset(v=1))
    first = Manifest.of(make_dataset(a=1), make_dataset(v=1))
    assert first.changes(many) == ["5 images added: used for training (n0.png, n1.png, n2.png …)"]
    assert Manifest.from_dict(json.loads(json.dumps(now.to_dict()))) == now


def test_manifest_does_not_depend_on_the_order_of_boxes() -> None:
    boxes = np.array([[0, 0, 4, 4], [1, 1, 3, 3]])
    datasets = [
        Dataset(Path("set"), ("cat",), (Sample(Path("set/a.png"), boxes[order], np.zeros(2)),), "voc")
        for order in ([0, 1], [1, 0])
    ]
    assert Manifest.of(datasets[0], datasets[0]) == Manifest.of(datasets[1], datasets[1])
