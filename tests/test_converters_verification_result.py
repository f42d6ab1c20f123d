"""Words for the differences of a verification."""

from __future__ import annotations

import pytest

from converters.verification.result import describe_change, describe_ratio


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (20.0, 5.7, "3.51 times faster"),
        (8.0, 10.0, "1.25 times slower"),
        (10.0, 10.01, "not faster"),
        (10.01, 10.0, "not faster"),
        (1000.0, 10.0, "100 times faster"),
    ],
)
def test_ratio_is_described_from_its_larger_side(before: float, after: float, words: str) -> None:
    assert describe_ratio(before, after, "faster", "slower") == words


@pytest.mark.parametrize(
    ("difference", "words"), [(-0.0049, "0.0049 AP lost"), (0.0049, "0.0049 AP gained"), (0.0, "0.0000 AP lost")]
)
def test_change_of_precision_has_no_sign(difference: float, words: str) -> None:
    assert describe_change(difference) == words
