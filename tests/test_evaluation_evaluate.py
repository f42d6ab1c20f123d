"""edge_ssd.evaluation.evaluate, with a predictor that returns the ground truth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edge_ssd.data.dataset import Dataset, Sample
from edge_ssd.errors import DataError, ImageError
from edge_ssd.evaluation.average_precision import average_precision
from edge_ssd.evaluation.evaluate import decode, evaluate
from edge_ssd.network import Network, tiny_ssd
from edge_ssd.reference_targets import multibox_target
from edge_ssd.runtime.postprocess import Head, Postprocess
from edge_ssd.runtime.preprocess import preprocess, read_image, resize_transform

SIZES = ((64, 64), (120, 80), (50, 200))  # (height, width) of the images
LABELS = ("red", "green")


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """Three images of different shapes, each of one gray level that identifies it. The last has no object."""
    samples = []
    for i, (height, width) in enumerate(SIZES):
        path = tmp_path / f"{i}.png"
        Image.fromarray(np.full((height, width, 3), 40 * i, np.uint8)).save(path)
        boxes = [[width * 0.1, height * 0.2, width * 0.6, height * 0.9], [width * 0.7, 0, width, height * 0.3]]
        count = 0 if i == 2 else 2
        samples.append(Sample(path, np.array(boxes[:count], np.float32), np.arange(count)))
    return Dataset(tmp_path, LABELS, tuple(samples), "test")


def oracle(network: Network, dataset: Dataset, calls: list[int] | None = None, quantized: bool = False):
    """Return a predictor that returns the ground truth of each image, identified by its gray level."""

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
            [head(level.reshape(shape)) for level, shape in zip(np.split(values, ends), shapes, strict=True)]
            for values in (logits, offsets)
        )

    def head(values):
        if not quantized:
            return Head(values)
        scale = float(np.abs(values).max() or 1) / 127
        return Head(np.round(values / scale).astype(np.int8)[None], scale, 0)

    return heads


@pytest.mark.parametrize("resize", ["stretch", "letterbox"])
@pytest.mark.parametrize("batch_size", [1, 2, 16])
def test_evaluate_scores_oracle_as_one(dataset: Dataset, resize, batch_size: int):
    network = tiny_ssd(LABELS, input_size=(64, 64), resize=resize)
    calls: list[int] = []
    result = evaluate(oracle(network, dataset, calls), network, dataset, batch_size=batch_size)
    assert result.precision.ap == pytest.approx(1)
    assert calls == {1: [1, 1, 1], 2: [2, 1], 16: [3]}[batch_size]
    for sample, found in zip(dataset.samples, result.predictions, strict=True):
        order = np.argsort(found.class_id)
        assert found.class_id[order].tolist() == sample.class_ids.tolist()
        assert np.allclose(found.xyxy[order], sample.boxes_xyxy, atol=0.01)


def test_evaluate_accepts_quantized_heads(dataset: Dataset):
    network = tiny_ssd(LABELS, input_size=(64, 64))
    result = evaluate(oracle(network, dataset, quantized=True), network, dataset)
    assert 0.9 < result.precision.ap50 <= 1
    assert [len(found) for found in result.predictions] == [2, 2, 0]


def test_decode_of_preprocessed_images_scores_as_evaluate(dataset: Dataset):
    network = tiny_ssd(LABELS, input_size=(64, 64), resize="letterbox")
    heads, postprocess = oracle(network, dataset), Postprocess(network)
    prepared = [preprocess(read_image(sample.path), network.input) for sample in dataset.samples]
    predictions = [decode(postprocess, heads(image[None])[0], transform) for image, transform in prepared]
    assert average_precision(dataset, predictions) == evaluate(heads, network, dataset).precision


def test_evaluate_reports_progress_after_each_batch(dataset: Dataset):
    network = tiny_ssd(LABELS, input_size=(64, 64))
    calls: list[tuple[int, int]] = []
    evaluate(oracle(network, dataset), network, dataset, batch_size=2, progress=lambda *at: calls.append(at))
    assert calls == [(2, 3), (3, 3)]


def test_evaluate_rejects_other_labels(dataset: Dataset):
    network = tiny_ssd(("green", "red"), input_size=(64, 64))
    with pytest.raises(DataError, match=r"its labels \(red, green\) are not the model's \(green, red\)"):
        evaluate(oracle(network, dataset), network, dataset)


def test_evaluate_names_unreadable_image(dataset: Dataset):
    network = tiny_ssd(LABELS, input_size=(64, 64))
    dataset.samples[1].path.write_bytes(b"not an image")
    with pytest.raises(ImageError, match=r"1\.png"):
        evaluate(oracle(network, dataset), network, dataset)
