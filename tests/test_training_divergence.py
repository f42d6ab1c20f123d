"""edge_ssd.training.divergence: losses that stop a training, and those of normal runs, which never do."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_ssd.training.divergence import has_collapsed, has_diverged, is_low, is_suspect
from edge_ssd.training.recipe import Recipe, book_recipe

RECIPE = Recipe()


def stopped_after(losses: list[float], recipe: Recipe = RECIPE) -> int | None:
    """Return the number of the epoch that stops the training, or None."""
    return next((n for n in range(1, len(losses) + 1) if has_diverged(losses[:n], recipe)), None)


@pytest.mark.parametrize(
    "losses",
    [
        [36.4, 23.6, 15.5, 13.4, 12.2, 11.5, 11.4, 11.4],  # the default recipe
        [40.2, 65.4, 14.4, 13.3, 55.4, 13.7, 13.2, 12.4],  # a learning rate that is a thousand times too high
        [0.59, 0.2, 0.11, 0.08, 0.068, 0.056, 0.052, 0.045],  # the book's
        [5.0, 4.0, 3.0, 90.0, 60.0, 3.1, 2.9],  # a spike that passes
        [0.6, 0.01, 0.001, 0.0001, 0.002, 0.003, 0.004, 0.005],  # near zero, any change is a large factor
        [0.2, 1.5, 1.6, 1.7, 1.4, 1.2],  # the loss rises at first, while dynamic assignment finds anchors
    ],
)
def test_normal_losses_do_not_stop(losses: list[float]) -> None:
    assert stopped_after(losses) is None
    assert not is_suspect(losses, RECIPE)


@pytest.mark.parametrize(
    ("losses", "epoch"),
    [
        ([float("nan")], 1),
        ([3.0, 2.0, float("inf")], 3),
        ([9.8e8], 1),  # out of bounds at once
        ([4131.0, 7.4e4, 1606.0], 2),
        ([5.0, 3.0, 2.0, 1.0, 30.0, 40.0, 50.0], 7),  # three epochs in a row
        ([0.6, 0.05, 0.04, 0.6, 0.6, 0.6], 6),  # collapsed to where it began
        ([5.0, 3.0, 60.0, 3.0, 60.0, 60.0, 60.0], 7),  # a normal epoch starts the count again
    ],
)
def test_exploded_losses_stop(losses: list[float], epoch: int) -> None:
    assert stopped_after(losses) == epoch
    assert is_suspect(losses[:epoch], RECIPE)


@pytest.mark.parametrize(
    ("losses", "epoch"),
    [
        ([5000.0, 4900.0, 4800.0], 3),  # huge from the start
        ([5000.0, 900.0, 850.0, 800.0, 760.0], 4),  # it fell, and is stuck
        ([5000.0, 2000.0, 900.0, 400.0, 180.0, 80.0], None),  # it still falls
        ([50.0, 49.0, 48.0, 47.0], None),  # as high as that of an untrained network: no learning, but no divergence
    ],
)
def test_huge_losses_that_do_not_fall_stop(losses: list[float], epoch: int | None) -> None:
    assert stopped_after(losses) == epoch


@pytest.mark.parametrize(
    ("precisions", "epoch"),
    [
        ([0.3, 0.5, 0.6, 0.0, 0.0, 0.0], 6),
        ([0.3, 0.5, 0.6, 0.0, 0.0, 0.4, 0.0, 0.005, 0.0], 9),  # it recovered once
        ([0.3, 0.5, 0.6, 0.0, 0.0], None),
        ([0.0, 0.02, 0.05, 0.0, 0.0, 0.0, 0.0], None),  # never good
        ([0.0, 0.3, 0.0, 0.0, 0.0, 0.0, 0.0], None),  # good by chance, in one epoch
        ([0.0, 0.0, 0.0, 0.0], None),
        ([0.3, 0.5, 0.6, 0.1, 0.1, 0.1], None),
        ([], None),
    ],
)
def test_precision_that_stays_near_zero_after_good_epochs_stops(precisions: list[float], epoch: int | None) -> None:
    counts = range(len(precisions) + 1)
    assert next((n for n in counts if has_collapsed(precisions[:n], is_finished=False)), None) == epoch


def test_last_epoch_must_not_be_low() -> None:
    assert is_low([0.3, 0.5, 0.6, 0.0])
    assert has_collapsed([0.3, 0.5, 0.6, 0.0], is_finished=True)
    assert not has_collapsed([0.3, 0.5, 0.6, 0.5], is_finished=True)
    assert not has_collapsed([0.0], is_finished=True)


def test_bound_grows_with_the_weights_of_the_loss() -> None:
    assert has_diverged([1e5], book_recipe())
    assert not has_diverged([1e5], replace(RECIPE, box_weight=50.0))


@given(st.lists(st.floats(0.5, 5), min_size=1, max_size=40))
def test_losses_within_a_factor_of_ten_never_stop(losses: list[float]) -> None:
    assert stopped_after(losses) is None
