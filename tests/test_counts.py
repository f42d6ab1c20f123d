"""Numbers in messages: nouns, verbs and signs."""

from __future__ import annotations

import pytest

from edge_ssd.console.counts import count, count_of, signed

pytestmark = pytest.mark.machine_independent


def test_count_and_verb_agree() -> None:
    assert [count(n, "new box", "is", "are") for n in (0, 1, 2)] == [
        "0 new boxes are",
        "1 new box is",
        "2 new boxes are",
    ]
    assert count_of(1, 40, "image", "is", "are") == "1 of 40 images is"
    assert count_of(3, 40, "image", "is", "are") == "3 of 40 images are"
    assert count_of(1, 1, "image") == "1 of 1 image"


@pytest.mark.parametrize(
    ("value", "text"), [(0.0, "+0.0000"), (-0.00004, "+0.0000"), (-0.0039, "-0.0039"), (0.0012, "+0.0012")]
)
def test_signed_has_no_negative_zero(value: float, text: str) -> None:
    assert signed(value, 4) == text
