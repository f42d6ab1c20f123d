"""tests/benchmarks/recipe_options.py: its sets are options of train, and its table compares equal seeds."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import pytest
from conftest import REPOSITORY

from edge_ssd import cli
from edge_ssd.commands.recipe_options import given_recipe
from edge_ssd.training.recipe import Recipe

sys.path.append(str(REPOSITORY / "tests" / "benchmarks"))

import recipe_options
from recipe_options import Measurement, folder_name, table


@pytest.mark.parametrize("name", list(recipe_options.SETS | recipe_options.START_SETS))
def test_sets_are_valid_options_that_change_the_recipe(name: str) -> None:
    options = shlex.split((recipe_options.SETS | recipe_options.START_SETS)[name])
    args = cli.command_parser("train").parse_args([*options, "--data=data", "--out=run"])
    assert (Recipe(**given_recipe(args)) == Recipe()) == (name == "default")


def test_names_of_sets_are_different_folders() -> None:
    names = {folder_name(name) for name in recipe_options.SETS}
    assert len(names) == len(recipe_options.SETS)


def test_table_has_spread_over_seeds_and_paired_differences() -> None:
    def result(ap: float, ap50: float) -> Measurement:
        return Measurement(ap, ap50, 0.25, 3.0)

    first = {0: result(0.1, 0.3), 1: result(0.3, 0.5)}
    second = {0: result(0.2, 0.3), 1: result(0.4, 0.5)}
    assert table({"default": first, "mosaic": second}).splitlines()[2:] == [
        "| default | 0.200 ± 0.141 | 0.400 ± 0.141 | 0.250 ± 0.000 |  |  | 3 |",
        "| mosaic | 0.300 ± 0.141 | 0.400 ± 0.141 | 0.250 ± 0.000 | +0.100 ± 0.000 | +0.000 ± 0.000 | 3 |",
    ]
    # Of a set that has not every seed, only those of the first set are compared.
    assert table({"default": {0: first[0]}, "mosaic": second}).endswith("| +0.100 | +0.000 | 3 |")


def test_result_of_other_options_is_not_reused(tmp_path: Path) -> None:
    (tmp_path / "seed_0.json").write_text('["--seed=0"]')
    with pytest.raises(SystemExit, match="has the result of other options"):
        recipe_options.measure(tmp_path / "seed_0", ["--seed=0", "--mosaic=1"], tmp_path, None)
