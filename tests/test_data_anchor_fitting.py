"""edge_ssd.data.anchor_fitting: against brute force, on known answers and on real datasets."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_ssd.boxes import box_iou, xyxy_to_cxcywh
from edge_ssd.cli import main
from edge_ssd.data.anchor_fitting.fit import fit_anchors
from edge_ssd.data.anchor_fitting.match import anchor_shapes, match_anchors, network_boxes, shape_iou
from edge_ssd.data.dataset import Dataset, Sample
from edge_ssd.data.load import load_dataset
from edge_ssd.errors import DataError
from edge_ssd.network import InputSpec, Network, tiny_ssd

BOOK = tiny_ssd(("thing",))
WIDE = tiny_ssd(("thing",), input_size=(192, 320))


def random_boxes(count: int, seed: int, low: float = 0.02, high: float = 1.0) -> np.ndarray:  # type: ignore[type-arg]
    rng = np.random.default_rng(seed)
    size = np.exp(rng.uniform(np.log(low), np.log(high), (count, 2)))
    corner = rng.uniform(0, 1, (count, 2)) * (1 - np.minimum(size, 1))
    return np.concatenate([corner, corner + size], axis=1).astype(np.float32)


@settings(max_examples=30)
@given(seed=st.integers(0, 10_000), network=st.sampled_from([BOOK, WIDE]))
def test_shape_iou_equals_best_iou_over_all_anchors(seed: int, network: Network) -> None:
    boxes = random_boxes(20, seed)
    for level in network.levels:
        shapes = anchor_shapes(level)
        iou = box_iou(boxes, level.anchors()).reshape(len(boxes), -1, level.anchors_per_cell).max(axis=1)
        assert shapes.shape == (level.anchors_per_cell, 2)
        np.testing.assert_allclose(shape_iou(xyxy_to_cxcywh(boxes), level, shapes), iou, atol=2e-5)


def test_match_anchors_shares_by_level() -> None:
    # The anchor of a 16×16 cell of size .37, the whole image, and a box that is too small for any anchor.
    half = 0.37 / 2
    center = 8.5 / 16
    boxes = [[center - half, center - half, center + half, center + half], [0, 0, 1, 1], [0.5, 0.5, 0.51, 0.52]]
    match = match_anchors(boxes, BOOK.levels)
    # The first also has IoU .54 with the .272 square of level 0; the second matches the .961 square of level 1×1 and
    # the nearest .79 square of 4×4 (.79² = .62), less its part outside the image.
    assert match.objects == 3
    assert match.matched == pytest.approx(2 / 3)
    assert match.matched_by_level[1] == pytest.approx(1 / 3)
    # The best anchor of the first has 6 cells; the other two are in the receptive field of the first and last level.
    assert match.seen == pytest.approx(2 / 3)
    assert match.matched_by_level[4] == pytest.approx(1 / 3)
    np.testing.assert_allclose(match.unmatched, [0.02], rtol=1e-5)


def test_match_and_fit_without_boxes() -> None:
    match = match_anchors(np.zeros((0, 4)), BOOK.levels)
    assert (match.objects, match.matched, len(match.unmatched)) == (0, 0.0, 0)
    assert match.to_dict()["matched"] is None
    with pytest.raises(DataError, match="there are no boxes"):
        fit_anchors(np.zeros((0, 4)), BOOK.levels)


def test_network_boxes_apply_the_resize_mode() -> None:
    sample = Sample(Path("a.png"), np.array([[0, 0, 100, 50]], np.float32), np.array([0]), (100, 200))
    unknown = Sample(Path("b.png"), np.array([[0, 0, 1, 1]], np.float32), np.array([0]))
    dataset = Dataset(Path("set"), ("thing",), (sample, unknown), "voc")
    assert network_boxes(dataset, InputSpec()).tolist() == [[0, 0, 0.5, 0.5]]
    # 100×200 in 256×256 has 128 rows, starting at row 64.
    assert network_boxes(dataset, InputSpec(resize="letterbox")).tolist() == [[0, 0.25, 0.5, 0.5]]


@pytest.mark.parametrize(("network", "shape"), [(BOOK, (0.3, 0.08)), (WIDE, (0.2, 0.09))])
def test_fit_anchors_finds_a_single_shape(network: Network, shape: tuple[float, float]) -> None:
    # Nearly four times as wide as high, unlike any of the book's anchors.
    rng = np.random.default_rng(0)
    corner = rng.uniform(0, 1, (200, 2)) * (1 - np.array(shape))
    boxes = np.concatenate([corner, corner + shape], axis=1)
    fitted = fit_anchors(boxes, network.levels)
    shapes = np.concatenate([anchor_shapes(level) for level in fitted])
    assert np.abs(np.log(shapes / shape)).max(axis=1).min() < 0.01
    before, after = match_anchors(boxes, network.levels), match_anchors(boxes, fitted)
    assert before.seen < 0.05
    assert after.seen == 1
    assert after.mean_iou > before.mean_iou
    # They are less than 1.5 cells high: some lie between the anchors.
    assert after.matched > 0.6


@pytest.mark.parametrize(
    ("pixels", "level"),
    [(24, 0), (50, 1), (100, 2), (200, 3)],  # of 256; 3 of the level's cells of 8, 16, 32 and 64 pixels
)
def test_fit_anchors_assigns_objects_by_receptive_field(pixels: int, level: int) -> None:
    # The receptive field of the finest level is 52 pixels, while the book's anchors have 51 and 70.
    rng = np.random.default_rng(0)
    corner = rng.uniform(0, 1 - pixels / 256, (200, 2))
    fitted = fit_anchors(np.concatenate([corner, corner + pixels / 256], axis=1), BOOK.levels)
    near = [any(abs(np.log(size * 256 / pixels)) < 0.05 for size in each.sizes) for each in fitted]
    assert near == [index == level for index in range(5)]
    # Levels without objects have anchors of 2 and 2.8 cells; the last keeps the book's.
    others = [each for each in fitted[:4] if each.height != fitted[level].height]
    assert [each.sizes for each in others] == [(2 / each.height, 2.8 / each.height) for each in others]
    assert fitted[4] == BOOK.levels[4]


@settings(max_examples=10)
@given(seed=st.integers(0, 1000), count=st.integers(1, 60))
def test_fit_anchors_is_deterministic_and_keeps_counts(seed: int, count: int) -> None:
    boxes = random_boxes(count, seed)
    fitted = fit_anchors(boxes, BOOK.levels, seed)
    assert fitted == fit_anchors(boxes, BOOK.levels, seed)
    for old, new in zip(BOOK.levels, fitted, strict=True):
        assert (old.height, old.width) == (new.height, new.width)
        assert (len(old.sizes), len(old.ratios)) == (len(new.sizes), len(new.ratios))


@pytest.mark.parametrize(
    ("name", "settings_", "before", "after"),
    [
        ("bccd", {}, 0.92, 0.97),
        ("bananas", {}, 0.92, 0.96),
        ("bccd", {"input_size": (192, 320), "resize": "letterbox"}, 0.93, 0.95),
    ],
)
def test_fitted_anchors_match_more_validation_boxes(
    shared_data: Path, name: str, settings_: dict[str, object], before: float, after: float
) -> None:
    training, validation = (load_dataset(shared_data / name, split) for split in ("train", "val"))
    network = tiny_ssd(training.labels, **settings_)  # type: ignore[arg-type]
    fitted = fit_anchors(network_boxes(training, network.input), network.levels)
    boxes = network_boxes(validation, network.input)
    assert match_anchors(boxes, network.levels).matched < before
    assert match_anchors(boxes, fitted).matched > after


def test_data_anchors_prints_a_table_and_json(shared_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = shared_data / "playing_cards"
    assert main(["data", "anchors", str(folder)]) == 0
    text = capsys.readouterr().out
    assert "anchors fitted to 527 boxes" in text
    assert "val   143 boxes: 100.0% →" in text
    assert main(["data", "anchors", str(folder), "--input-size", "192x320", "--resize", "letterbox", "--json"]) == 0
    parsed = json.loads(capsys.readouterr().out)
    assert (parsed["levels"][0]["height"], parsed["levels"][0]["width"]) == (24, 40)
    assert parsed["match"]["train"]["after"]["seen"] > 0.8 > parsed["match"]["train"]["before"]["seen"]
