"""Error analysis of synthetic head outputs with a known cause of the loss."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from converters.verification.error_analysis import analyze_errors
from edge_ssd.coding import offset_boxes
from edge_ssd.data.dataset import Dataset, Sample
from edge_ssd.network import tiny_ssd
from edge_ssd.runtime.postprocess import Head

pytest.importorskip("faster_coco_eval")

NETWORK = tiny_ssd(("a",), input_size=(64, 64), width=0.25)
ANCHOR = 4 * 27  # the first anchor of a cell in the middle of level 0, an 8×8 map


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """Return images whose object is ``ANCHOR``, moved a little; the image's first pixel holds its number."""
    samples = []
    for i in range(6):
        path = tmp_path / f"{i}.png"
        pixels = np.zeros((64, 64, 3), np.uint8)
        pixels[0, 0, 0] = i
        Image.fromarray(pixels).save(path)
        samples.append(Sample(path, true_box(i)[None], np.array([0])))
    return Dataset(tmp_path, ("a",), tuple(samples), "test")


def true_box(i: int) -> np.ndarray:
    return (NETWORK.anchors()[ANCHOR] * 64 + np.float32([0.3, 0.2, 0.3, 0.2]) * i).astype(np.float32)


def exact_heads(image: np.ndarray):
    """Return float heads with one exact detection and one false positive with a lower score."""
    classes = [np.full((1, *level_shape(i), 8), 0, np.float32) for i in range(5)]
    for values in classes:
        values[..., 0::2] = 6  # background
    boxes = [np.zeros((1, *level_shape(i), 16), np.float32) for i in range(5)]
    classes[0].reshape(-1, 2)[ANCHOR] = (0, 5)
    classes[0].reshape(-1, 2)[4 * 18] = (0, 3)
    box = true_box(int(image[0, 0, 0])) / 64
    boxes[0].reshape(-1, 4)[ANCHOR] = offset_boxes(NETWORK.anchors()[ANCHOR][None], box[None], NETWORK.coding)[0]
    return classes, boxes


def level_shape(i: int) -> tuple[int, int]:
    return NETWORK.levels[i].height, NETWORK.levels[i].width


def model(change=lambda classes, boxes: ([Head(v) for v in classes], [Head(v) for v in boxes])):
    return lambda images: [change(*exact_heads(image)) for image in images]


def quantize(values: np.ndarray, scale: float, zero_point: int = 0) -> Head:
    steps = np.round(values / scale) + zero_point
    return Head(np.clip(steps, -128, 127).astype(np.int8), scale, zero_point)


def test_equal_models_have_negligible_loss(dataset: Dataset):
    result = analyze_errors(model(), model(), NETWORK, dataset)
    assert (result.float_ap, result.converted_ap, result.num_images) == (1.0, 1.0, 6)
    assert all(row.gain == 0 for row in result.contributions)
    assert all(head.relative_rmse == 0 and head.scale is None and head.dtype == "float32" for head in result.heads)
    assert result.recommendation.startswith("AP loss is negligible (0.0000).")
    assert [head.output for head in result.heads] == [f"{k}_{i}" for i in range(5) for k in ("classes", "boxes")]


def test_coarsely_quantized_head_is_recommended_for_higher_precision(dataset: Dataset):
    def coarse(classes, boxes):
        heads = [Head(values) for values in boxes]
        heads[0] = quantize(boxes[0], 1.7)
        return [Head(values) for values in classes], heads

    result = analyze_errors(model(coarse), model(), NETWORK, dataset)
    gains = {row.name: row for row in result.contributions}
    assert result.converted_ap < 0.9
    assert gains["boxes_0"].gain == pytest.approx(1 - result.converted_ap)
    assert gains["boxes_0"].ap == gains["all boxes"].ap == 1.0
    assert gains["classes_0"].gain == gains["boxes_1"].gain == gains["all classes"].gain == 0
    (head,) = [head for head in result.heads if head.scale is not None]
    assert (head.output, head.dtype, head.scale, head.zero_point) == ("boxes_0", "int8", 1.7, 0)
    assert head.relative_rmse > 0
    assert result.recommendation.startswith(
        "Keep heads with a large rounding error out of int8: --quantize mixed --keep boxes_0 (AP gain: boxes_0 "
    )


def test_clipped_head_recommends_other_calibration_images(dataset: Dataset):
    def narrow(classes, boxes):
        heads = [Head(values) for values in classes]
        # 127 steps reach 1.9: the logits of the objects, 5 and 3, and of background, 6, become equal.
        heads[0] = quantize(classes[0], 0.015)
        return heads, [Head(values) for values in boxes]

    result = analyze_errors(model(narrow), model(), NETWORK, dataset)
    (head,) = [head for head in result.heads if head.scale is not None]
    # Background's logit 6 and the objects' 5 and 3 are clipped to 1.9, so every difference is wrong.
    assert head.clipped == 1
    assert (head.low, head.high) == (-6, 5)
    assert result.converted_ap < 0.99
    assert result.recommendation.startswith("Calibrate on more or other images: values of classes_0 (")


def test_error_of_head_input_is_distinguished_from_rounding(dataset: Dataset):
    def shifted(classes, boxes):
        heads = [Head(values) for values in boxes]
        heads[0] = quantize(boxes[0] + 1.3, 0.05)
        return [Head(values) for values in classes], heads

    result = analyze_errors(model(shifted), model(), NETWORK, dataset)
    head = next(head for head in result.heads if head.output == "boxes_0")
    assert head.rounding_error < 0.1 * head.relative_rmse
    assert "originates in the layers before the heads" in result.recommendation


def test_to_dict_is_json_with_stable_keys(dataset: Dataset):
    facts = json.loads(json.dumps(analyze_errors(model(), model(), NETWORK, dataset).to_dict()))
    assert list(facts) == ["pictures", "float_ap", "converted_ap", "heads", "attributions", "recommendation"]
    assert facts["float_ap"] == 1
    assert facts["heads"][0]["output"] == "classes_0"
    assert facts["attributions"][0]["interval"] == {"low": 0, "high": 0}
