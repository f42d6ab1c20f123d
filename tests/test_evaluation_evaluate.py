"""Evaluation end to end with a made-up model that knows the answers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edge_ssd.data.dataset import Dataset, Sample
from edge_ssd.data.load import open_dataset
from edge_ssd.data.splits import load_eval_split, load_training_split, subsample_evenly
from edge_ssd.errors import DataError, ImageError, SettingError
from edge_ssd.evaluation.average_precision import average_precision
from edge_ssd.evaluation.evaluate import decode, evaluate
from edge_ssd.network import Network, tiny_ssd
from edge_ssd.reference_targets import multibox_target
from edge_ssd.runtime.postprocess import Head, Postprocess
from edge_ssd.runtime.preprocess import preprocess, read_image, resize_transform

SIZES = ((64, 64), (120, 80), (50, 200))  # (height, width) of the pictures
LABELS = ("red", "green")


@pytest.fixture
def pictures(tmp_path: Path) -> Dataset:
    """Three pictures of different shapes; the first pixel says which one it is. The last has no object."""
    samples = []
    for i, (height, width) in enumerate(SIZES):
        path = tmp_path / f"{i}.png"
        Image.fromarray(np.full((height, width, 3), 40 * i, np.uint8)).save(path)
        boxes = [[width * 0.1, height * 0.2, width * 0.6, height * 0.9], [width * 0.7, 0, width, height * 0.3]]
        count = 0 if i == 2 else 2
        samples.append(Sample(path, np.array(boxes[:count], np.float32), np.arange(count)))
    return Dataset(tmp_path, LABELS, tuple(samples), "test")


def oracle(network: Network, dataset: Dataset, calls: list[int] | None = None, quantised: bool = False):
    """Heads that say exactly what is in each picture, recognised by its grey value."""

    def heads(images):
        if calls is not None:
            calls.append(len(images))
        return [answer(int(image[32, 32, 0]) // 40) for image in images]

    def answer(i: int):
        sample = dataset.samples[i]
        boxes = resize_transform(SIZES[i], network.input).from_pixels(sample.boxes_xyxy)
        rows = np.concatenate([sample.class_ids[:, None], boxes], axis=1).reshape(-1, 5)
        targets = multibox_target(network.anchors(), rows[None], coding=network.coding)
        logits = 20 * np.eye(len(LABELS) + 1, dtype=np.float32)[targets.classes[0]]
        offsets = targets.offsets[0]
        ends = np.cumsum([level.num_anchors for level in network.levels])[:-1]
        shapes = [(level.height, level.width, -1) for level in network.levels]
        return tuple(
            [head(values.reshape(shape)) for values, shape in zip(np.split(joined, ends), shapes, strict=True)]
            for joined in (logits, offsets)
        )

    def head(values):
        if not quantised:
            return Head(values)
        scale = float(np.abs(values).max() or 1) / 127
        return Head(np.round(values / scale).astype(np.int8)[None], scale, 0)

    return heads


@pytest.mark.parametrize("resize", ["stretch", "letterbox"])
@pytest.mark.parametrize("batch_size", [1, 2, 16])
def test_evaluate_scores_oracle_as_one(pictures: Dataset, resize, batch_size: int):
    network = tiny_ssd(LABELS, input_size=(64, 64), resize=resize)
    calls: list[int] = []
    result = evaluate(oracle(network, pictures, calls), network, pictures, batch_size=batch_size)
    assert result.precision.ap == pytest.approx(1)
    assert calls == {1: [1, 1, 1], 2: [2, 1], 16: [3]}[batch_size]
    for sample, found in zip(pictures.samples, result.predictions, strict=True):
        order = np.argsort(found.class_id)
        assert found.class_id[order].tolist() == sample.class_ids.tolist()
        assert np.allclose(found.xyxy[order], sample.boxes_xyxy, atol=0.01)


def test_evaluate_accepts_quantized_heads(pictures: Dataset):
    network = tiny_ssd(LABELS, input_size=(64, 64))
    result = evaluate(oracle(network, pictures, quantised=True), network, pictures)
    assert 0.9 < result.precision.ap50 <= 1
    assert [len(found) for found in result.predictions] == [2, 2, 0]


def test_decode_of_preprocessed_images_scores_as_evaluate(pictures: Dataset):
    network = tiny_ssd(LABELS, input_size=(64, 64), resize="letterbox")
    heads, postprocess = oracle(network, pictures), Postprocess(network)
    prepared = [preprocess(read_image(sample.path), network.input) for sample in pictures.samples]
    predictions = [decode(postprocess, heads(image[None])[0], transform) for image, transform in prepared]
    assert average_precision(pictures, predictions) == evaluate(heads, network, pictures).precision


def test_evaluate_reports_progress_after_each_batch(pictures: Dataset):
    network = tiny_ssd(LABELS, input_size=(64, 64))
    told: list[tuple[int, int]] = []
    evaluate(oracle(network, pictures), network, pictures, batch_size=2, progress=lambda *at: told.append(at))
    assert told == [(2, 3), (3, 3)]


def test_evaluate_rejects_other_labels(pictures: Dataset):
    network = tiny_ssd(("green", "red"), input_size=(64, 64))
    with pytest.raises(DataError, match=r"its labels \(red, green\) are not the model's \(green, red\)"):
        evaluate(oracle(network, pictures), network, pictures)


def test_evaluate_names_unreadable_image(pictures: Dataset):
    network = tiny_ssd(LABELS, input_size=(64, 64))
    pictures.samples[1].path.write_bytes(b"not a picture")
    with pytest.raises(ImageError, match=r"1\.png"):
        evaluate(oracle(network, pictures), network, pictures)


def test_subsample_evenly_spreads_images(pictures: Dataset):
    assert subsample_evenly(pictures, None) is pictures
    assert subsample_evenly(pictures, 3) is pictures
    assert [sample.path.name for sample in subsample_evenly(pictures, 2).samples] == ["0.png", "2.png"]
    assert [sample.path.name for sample in subsample_evenly(pictures, 1).samples] == ["0.png"]
    with pytest.raises(SettingError, match="at least 1"):
        subsample_evenly(pictures, 0)


def write_part(folder: Path, count: int) -> None:
    (folder / "images").mkdir(parents=True)
    rows = ["img_name,label,xmin,ymin,xmax,ymax"]
    for i in range(count):
        Image.new("RGB", (64, 64)).save(folder / "images" / f"{i}.png")
        rows.append(f"{i}.png,0,1,2,30,40")
    (folder / "label.csv").write_text("\n".join(rows) + "\n")


def test_validation_pictures_are_measured_and_training_pictures_calibrate(tmp_path: Path):
    write_part(tmp_path / "set_train", 5)
    write_part(tmp_path / "set_val", 2)
    held_out, part = load_eval_split(open_dataset(tmp_path), ("thing",))
    assert (len(held_out), part) == (2, "val")
    assert len(load_training_split(open_dataset(tmp_path), ("thing",))) == 5
    chosen, part = load_eval_split(open_dataset(tmp_path), ("thing",), "train", limit=3)
    assert (len(chosen), part) == (3, "train")


@pytest.mark.parametrize("split", [None, "val"])
def test_load_eval_split_uses_test_split_without_validation_split(tmp_path: Path, split):
    write_part(tmp_path / "set_train", 2)
    write_part(tmp_path / "set_test", 3)
    dataset, used = load_eval_split(open_dataset(tmp_path), ("thing",), split)
    assert (len(dataset), used) == (3, "test")


def test_a_set_that_is_not_divided_serves_for_both(tmp_path: Path):
    write_part(tmp_path / "set", 4)
    held_out, part = load_eval_split(open_dataset(tmp_path / "set"), ("thing",))
    assert (len(held_out), part) == (4, "all")
    assert len(load_training_split(open_dataset(tmp_path / "set"), ("thing",))) == 4


def test_training_pictures_alone_are_not_measured_on_unasked(tmp_path: Path):
    write_part(tmp_path / "set_train", 5)
    with pytest.raises(DataError, match="training images only"):
        load_eval_split(open_dataset(tmp_path), ("thing",))
