from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_ssd.anchors import multibox_prior
from edge_ssd.network import BOOK_RATIOS, BOOK_SIZES


def slow_prior(height: int, width: int, sizes: list[float], ratios: list[float]) -> list[list[float]]:
    shapes = [(size, ratios[0]) for size in sizes] + [(sizes[0], ratio) for ratio in ratios[1:]]
    anchors = []
    for row in range(height):
        for column in range(width):
            x, y = (column + 0.5) / width, (row + 0.5) / height
            for size, ratio in shapes:
                w, h = size * math.sqrt(ratio) * height / width, size / math.sqrt(ratio)
                anchors.append([x - w / 2, y - h / 2, x + w / 2, y + h / 2])
    return anchors


def test_multibox_prior_one_cell_by_hand() -> None:
    # Size 0.5 square, size 0.25 square, size 0.5 four times as wide as high: 1 × 0.25.
    anchors = multibox_prior(1, 1, [0.5, 0.25], [1, 4])
    expected = [[0.25, 0.25, 0.75, 0.75], [0.375, 0.375, 0.625, 0.625], [0, 0.375, 1, 0.625]]
    np.testing.assert_allclose(anchors, expected, atol=1e-7)


def test_multibox_prior_wide_map_by_hand() -> None:
    # Two cells side by side: a square in cells is half as wide in 0–1, and columns follow each other.
    anchors = multibox_prior(1, 2, [0.5], [1])
    np.testing.assert_allclose(anchors, [[0.125, 0.25, 0.375, 0.75], [0.625, 0.25, 0.875, 0.75]], atol=1e-7)


def test_multibox_prior_orders_cells_by_row() -> None:
    centers = multibox_prior(2, 2, [0.1], [1])
    centers = (centers[:, :2] + centers[:, 2:]) / 2
    np.testing.assert_allclose(centers, [[0.25, 0.25], [0.75, 0.25], [0.25, 0.75], [0.75, 0.75]], atol=1e-7)


@given(
    st.integers(1, 6),
    st.integers(1, 6),
    st.lists(st.floats(0.01, 2), min_size=1, max_size=3),
    st.lists(st.floats(0.1, 10), min_size=1, max_size=3),
)
@settings(deadline=None)
def test_multibox_prior_equals_reference(height: int, width: int, sizes: list[float], ratios: list[float]) -> None:
    anchors = multibox_prior(height, width, sizes, ratios)
    assert anchors.dtype == np.float32
    np.testing.assert_allclose(anchors, slow_prior(height, width, sizes, ratios), rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize(
    ("key", "maps"),
    [
        ("anchors_256", [(32, 32), (16, 16), (8, 8), (4, 4), (1, 1)]),
        ("anchors_240x320", [(30, 40), (15, 20), (7, 10), (3, 5), (1, 1)]),
    ],
)
def test_multibox_prior_equals_book(book_vectors: Path, key: str, maps: list[tuple[int, int]]) -> None:
    anchors = [multibox_prior(*cells, sizes, BOOK_RATIOS) for cells, sizes in zip(maps, BOOK_SIZES, strict=True)]
    with np.load(book_vectors) as vectors:
        np.testing.assert_allclose(np.concatenate(anchors), vectors[key], rtol=0, atol=2e-6)
