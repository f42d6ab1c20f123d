"""TFRecord: edge_ssd.data.formats.tfrecord and its label files."""

from __future__ import annotations

import contextlib
import gzip
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from label_writers import LabeledImage, record_features, write_tfrecord
from tfrecord_writer import Values, write_records

from edge_ssd.data.label_files.label_map import read_label_map
from edge_ssd.data.label_files.tfrecord_file import read_examples
from edge_ssd.data.label_files.unpacked_images import unpacked_folder
from edge_ssd.data.load import load_dataset, open_dataset
from edge_ssd.errors import DataError

LABELS = ("cat", "dog")
BOX = (15.0, 10.0, 30.0, 20.0)
IMAGES = [LabeledImage(f"{name}.png", objects=[("cat", BOX)]) for name in "abc"]


def features(images: Sequence[LabeledImage] = IMAGES, **replaced: Values | None) -> list[dict[str, Values]]:
    """Return the features of images, with those whose keys end in a given word replaced or, for None, left out."""
    examples = []
    for image in images:
        example = record_features(image, LABELS)
        for word, values in replaced.items():
            key = next(key for key in [*example, f"image/object/{word}"] if key.endswith(word))
            example.pop(key, None)
            if values is not None:
                example[key] = values
        examples.append(example)
    return examples


def test_records_written_by_tensorflow_are_read(tmp_path: Path) -> None:
    tf = pytest.importorskip("tensorflow")
    feature = {
        "image/object/bbox/xmin": tf.train.Feature(float_list=tf.train.FloatList(value=[0.25, -1.5])),
        "image/object/class/label": tf.train.Feature(int64_list=tf.train.Int64List(value=[1, -3, 1 << 40])),
        "image/filename": tf.train.Feature(bytes_list=tf.train.BytesList(value=[b"a.png", b""])),
        "empty": tf.train.Feature(),
    }
    example = tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString()
    with tf.io.TFRecordWriter(str(tmp_path / "x.record")) as writer:
        writer.write(example)
        writer.write(example)
    examples = list(read_examples(tmp_path / "x.record"))
    assert len(examples) == 2
    assert examples[1] == {
        "image/object/bbox/xmin": [0.25, -1.5],
        "image/object/class/label": [1, -3, 1 << 40],
        "image/filename": [b"a.png", b""],
        "empty": [],
    }


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize(
    "name", ["a.record", "a.tfrecord", "a.tfrecords", "train.record-00000-of-00001", "x-00000-of-00001"]
)
def test_record_files_of_any_name_are_read(tmp_path: Path, name: str, packed: bool) -> None:
    write_records(tmp_path / name, features(), packed)
    dataset = load_dataset(tmp_path, strict=True)
    assert dataset.format == "tfrecord"
    assert [sample.path.name for sample in dataset.samples] == ["a.png", "b.png", "c.png"]
    assert dataset.samples[0].boxes_xyxy.tolist() == [pytest.approx(BOX, abs=1e-5)]


def test_compressed_records_are_read(tmp_path: Path) -> None:
    path = tmp_path / "train.record.gz"
    write_records(path, features())
    data = gzip.compress(path.read_bytes())
    path.write_bytes(data)
    assert len(load_dataset(tmp_path, strict=True)) == 3
    path.write_bytes(data[:-100])
    with pytest.raises(DataError, match="no labels in a known format"):
        load_dataset(tmp_path)


def test_shards_state_their_split(tmp_path: Path) -> None:
    for split, images in (("train", IMAGES[:2]), ("val", IMAGES[2:])):
        for shard in range(2):
            write_records(tmp_path / f"{split}.record-0000{shard}-of-00002", features(images[shard : shard + 1]))
    assert open_dataset(tmp_path).splits == ("train", "val")
    assert [sample.path.name for sample in load_dataset(tmp_path, "train").samples] == ["a.png", "b.png"]


def test_images_are_unpacked_once_and_again_after_a_change(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "train.record"
    write_records(path, features())
    folder = unpacked_folder(path)
    with caplog.at_level("INFO"):
        samples = load_dataset(tmp_path).samples
    assert {sample.path.parent for sample in samples} == {folder}
    assert f"unpacking 3 images into {folder}" in caplog.text
    before = samples[0].path.stat().st_mtime_ns
    assert load_dataset(tmp_path).samples[0].path.stat().st_mtime_ns == before
    samples[1].path.unlink()
    assert all(sample.path.is_file() for sample in load_dataset(tmp_path).samples)
    os.utime(path, (1, 1))
    assert load_dataset(tmp_path).samples[0].path.parent == unpacked_folder(path) != folder


def test_images_of_one_name_are_kept_apart(tmp_path: Path) -> None:
    names = ["x/a.png", "y/a.png", "A.png", "", "../../b.png", "sub\\c", ".hidden.png", "a:b?.png", "é" * 200 + ".png"]
    images = [LabeledImage(name, size=(60 + number, 40), objects=[("cat", BOX)]) for number, name in enumerate(names)]
    write_records(tmp_path / "train.record", features(images))
    samples = load_dataset(tmp_path, strict=True).samples
    assert sorted(sample.size[1] for sample in samples) == [60 + number for number in range(len(names))]
    assert {sample.path.parent for sample in samples} == {unpacked_folder(tmp_path / "train.record")}


def test_cache_that_cannot_be_written_raises(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_records(tmp_path / "train.record", features())
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(DataError, match=r"train\.record: its images cannot be unpacked into .*set XDG_CACHE_HOME"):
        load_dataset(tmp_path)


@pytest.mark.parametrize("kept", [0.5, 0.9, 0.999])
def test_records_before_damage_are_used(tmp_path: Path, kept: float) -> None:
    path = tmp_path / "train.record"
    write_records(path, features())
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * kept)])
    dataset = load_dataset(tmp_path)
    assert [sample.path.name for sample in dataset.samples] == ["a.png", "b.png", "c.png"][: 1 if kept < 0.6 else 2]
    others = "1 other record of it is" if len(dataset) == 1 else f"{len(dataset)} other records of it are"
    assert f"ends within record {len(dataset) + 1}: {others} used" in str(dataset.problems)
    path.write_bytes(data[: -len(data) // 3] + bytes(len(data) // 3))
    assert "damaged at record" in str(load_dataset(tmp_path).problems)


def test_random_bytes_never_raise_anything_but_an_error_of_data(tmp_path: Path) -> None:
    path = tmp_path / "train.record"
    write_records(path, features())
    data = np.frombuffer(path.read_bytes(), np.uint8)
    generator = np.random.default_rng(0)
    for _ in range(60):
        damaged = data.copy()
        damaged[generator.integers(0, len(data), 3)] = generator.integers(0, 256, 3)
        path.write_bytes(damaged.tobytes())
        with contextlib.suppress(DataError):
            load_dataset(tmp_path)


def test_class_names_come_from_the_label_map_or_the_ids(tmp_path: Path) -> None:
    write_tfrecord(tmp_path, [LabeledImage("a.png", objects=[("dog", BOX)])], LABELS)
    write_records(tmp_path / "train.record", features([LabeledImage("a.png", objects=[("dog", BOX)])], text=None))
    assert load_dataset(tmp_path, strict=True).labels == ("cat", "dog")
    (tmp_path / "label_map.pbtxt").unlink()
    dataset = load_dataset(tmp_path, strict=True)
    assert dataset.labels == ("class_2",)
    assert "add label_map.pbtxt" in dataset.notices[0].message


def test_label_map_is_read(tmp_path: Path) -> None:
    path = tmp_path / "label_map.pbtxt"
    path.write_text(
        '# comment\nitem {\n  name: "/m/01yrx"\n  id: 2\n  display_name: "Cat\'s \\"own\\""\n}\n'
        "item{id:1 name:'dog'}\nother { id: 3 }"
    )
    assert read_label_map(path) == {1: ("dog", "dog"), 2: ("/m/01yrx", 'Cat\'s "own"')}


def test_crowds_are_ignored_and_never_make_background(tmp_path: Path) -> None:
    examples = [*features(IMAGES[:1]), *features(IMAGES[1:2], is_crowd=[1])]
    empty = features([LabeledImage("empty.png")])
    write_records(tmp_path / "train.record", [*examples, *empty])
    dataset = load_dataset(tmp_path, strict=True)
    assert {sample.path.name: len(sample.class_ids) for sample in dataset.samples} == {"a.png": 1, "empty.png": 0}
    assert "1 region marked to be ignored (1 × crowd): not used, nor 1 image" in str(dataset.notices)


@pytest.mark.parametrize(
    "replaced", [{"ymax": [0.5, 0.7]}, {"xmin": []}, {"text": None, "label": None}, {"text": [b""], "label": None}]
)
def test_object_that_cannot_be_read_drops_its_image(tmp_path: Path, replaced: dict[str, Values | None]) -> None:
    write_records(tmp_path / "train.record", [*features(IMAGES[:1]), *features(IMAGES[1:2], **replaced)])
    dataset = load_dataset(tmp_path)
    assert [sample.path.name for sample in dataset.samples] == ["a.png"]
    assert dataset.problems[0].message.startswith(("record 2: ", "record 2, object 1: no class"))


def test_records_of_something_else_are_ignored(tmp_path: Path) -> None:
    write_records(tmp_path / "train.record", [{"audio": [b"x"]}])
    (tmp_path / "empty.record").write_bytes(b"")
    (tmp_path / "text.record").write_text("not a record")
    with pytest.raises(DataError, match="no labels in a known format"):
        load_dataset(tmp_path)
