"""tests/benchmarks/pareto.py: tables, estimates and points of the Pareto plot."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import pytest
from conftest import REPOSITORY

# Appended, because some names are in both folders.
sys.path.append(str(REPOSITORY / "tests" / "benchmarks"))

from pareto import VARIANTS, Row, estimates, points, table
from pareto_boards import BOARDS, Board, frames_per_second
from pareto_costs import Costs, cached_instructions

from device_apps.bench.pareto_plot import Point
from edge_ssd import cli
from edge_ssd.commands.network_options import given_network
from edge_ssd.network import NETWORKS, tiny_ssd


def metrics(ap: float, int8: float) -> dict:
    return {"float": {"ap": ap, "ap50": 1.0}, "quantized": {"ap": int8, "ap50": 0.99}, "loss": ap - int8}


def counted(millions: int) -> dict[str, dict[str, int]]:
    stages = {"invoke": millions * 10**6, "all but invoke": 20 * 10**6}
    return dict.fromkeys(("cortex-a53", "cortex-a72", "cortex-a76"), stages)


def rows(arm: bool) -> list[Row]:
    book = Costs(1_230_000, 1_012_360, 976_628_736, {1: 6.0, 2: 3.0}, {1: 1.0, 2: 1.0}, 70_000_000, {})
    half = Costs(250_000, 60_000, 100_000_000, {1: 1.5, 2: 1.5}, {1: 0.25, 2: 0.5}, None, {})
    if arm:
        book = Costs(*list(vars(book).values())[:-1], counted(300))
        half = Costs(*list(vars(half).values())[:-1], counted(60))
    return [("book", metrics(0.79, 0.786), book), ("half", metrics(0.75, 0.7475), half)]


def test_table_columns_and_ratios() -> None:
    assert table(rows(arm=False)).splitlines() == [
        "| network | AP | AP50 | int8 AP | int8 AP50 | AP loss | parameters | multiply-adds | file | ms, 1 thread "
        "| ms, 2 threads | memory |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
        "| book | 0.790 | 1.000 | 0.786 | 0.990 | 0.0040 | 1,012,360 | 0.977 G | 1.23 MB | 6.00 (1.00×) | 3.00 (1.00×) "
        "| 70 MB |",
        "| half | 0.750 | 1.000 | 0.748 | 0.990 | 0.0025 | 60,000 | 0.100 G | 0.25 MB | 1.50 (0.25×) | 1.50 (0.50×) "
        "| unknown |",
    ]
    head, _, _, half = table(rows(arm=True)).splitlines()
    assert "| M instructions, A53 | M instructions, A72 | M instructions, A76 | memory |" in head
    assert half.endswith("| 60.0 (0.20×) | 60.0 (0.20×) | 60.0 (0.20×) | unknown |")


def test_frames_per_second_from_cycles_and_instructions() -> None:
    # 1.5 · 10⁹ cycles per second, two instructions each; 300 million for the network and 20 million for the rest.
    assert frames_per_second(Board("x", "cortex-a72", 1.5, 2.0), counted(300)) == pytest.approx(9.375)
    assert {board.cpu for board in BOARDS} == set(counted(1))
    head, _, book, half = estimates(rows(arm=True)).splitlines()
    assert head.startswith("| estimated frames per second, one core | Pi Zero 2 W (1 GHz, 0.8 per cycle) |")
    assert book == "| book | 2.5 | 3.0 | 7.0 | 15.0 |"
    assert half == "| half | 10.0 | 12.0 | 28.1 | 60.0 |"


def test_points_use_instructions_if_counted_else_time() -> None:
    timed = [Point("book", 6.0, 0.786), Point("half", 1.5, 0.7475)]
    assert points(rows(arm=False)) == (timed, "ms, one thread (the network alone)")
    shown, label = points(rows(arm=True))
    assert shown == [Point("book", 300.0, 0.786), Point("half", 60.0, 0.7475)]
    assert label == "millions of instructions on a Cortex-A72 (the network alone)"


def test_instruction_counts_are_cached_per_bundle(tmp_path: Path) -> None:
    bundle = tmp_path / "model.tflite"
    bundle.write_bytes(b"a model")
    cached = {"model": hashlib.sha256(b"a model").hexdigest(), "instructions": counted(5)}
    (tmp_path / "instructions.json").write_text(json.dumps(cached))
    assert cached_instructions(bundle) == counted(5)


def test_variants_are_valid_train_options() -> None:
    parser = cli.command_parser("train")
    described = [parser.parse_args(["--data", "d", "--out", "o", *options]) for options in VARIANTS.values()]
    networks = {tiny_ssd(["a"], **{**NETWORKS[each.network or "book"], **given_network(each)}) for each in described}
    assert len(networks) == len(VARIANTS)
    assert next(iter(VARIANTS.values())) == [], "the first variant is the book's network"
