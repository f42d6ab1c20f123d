"""edge_ssd.data.label_files.rle: the boxes of masks, compared with pycocotools."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pycocotools import mask as reference

from edge_ssd.data.label_files.rle import enclose_rle


@given(mask=hnp.arrays(np.uint8, st.tuples(st.integers(1, 12), st.integers(1, 12)), elements=st.integers(0, 1)))
def test_box_of_a_mask_is_that_of_its_pixels(mask: np.ndarray) -> None:  # type: ignore[type-arg]
    rle = reference.encode(np.asfortranarray(mask))
    compressed = {"counts": rle["counts"].decode("ascii"), "size": list(rle["size"])}
    flat = mask.T.ravel()  # column by column
    edges = np.flatnonzero(np.diff(flat, prepend=0, append=1 - flat[-1]))
    runs = {"counts": np.diff(edges, prepend=0).tolist(), "size": list(mask.shape)}
    assert sum(runs["counts"]) == mask.size
    rows, columns = np.nonzero(mask)
    if not len(rows):
        for empty in (compressed, runs):
            with pytest.raises(ValueError, match="the mask is empty"):
                enclose_rle(empty)
        return
    expected = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    assert enclose_rle(compressed) == expected
    assert enclose_rle(runs) == expected


def test_counts_above_one_character_are_decoded() -> None:
    mask = np.zeros((300, 500), np.uint8)
    mask[100:250, 200:420] = 1
    rle = reference.encode(np.asfortranarray(mask))
    assert enclose_rle({"counts": rle["counts"].decode("ascii"), "size": [300, 500]}) == (200, 100, 420, 250)


@pytest.mark.parametrize(
    ("rle", "match"),
    [
        (None, "expected a list of 2 numbers"),
        ({"size": [4, 3]}, "expected a list of numbers"),
        ({"counts": [5, 2, 5], "size": [4]}, "expected a list of 2 numbers"),
        ({"counts": [5, -2, 5], "size": [4, 3]}, "exceed its size"),
        ({"counts": [5, 20], "size": [4, 3]}, "exceed its size"),
        ({"counts": [5, float("nan")], "size": [4, 3]}, "exceed its size"),
        ({"counts": "\x00\xff", "size": [4, 3]}, "mask"),
        ({"counts": [0, 0], "size": [0, 0]}, "the mask is empty"),
        ({"counts": [], "size": [4, 3]}, "the mask is empty"),
    ],
)
def test_invalid_mask_raises(rle: object, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        enclose_rle(rle)
