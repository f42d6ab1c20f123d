"""Networks of one family, each trained alike: accuracy against what they cost, as two tables and a picture.

    python tests/benchmarks/pareto.py --data FOLDER --out DIR [--set bananas] [--teacher MODEL.keras] [--epochs N]
        [--again N] [--only NAME ...] [--arm]

FOLDER holds the data sets of tests/conftest.py. Every variant is trained by ``edge-ssd train`` with the options of
tests/benchmarks/figures.py for this set and its own network's, converted, and verified on pictures that it was not
trained on. All but the first can be distilled from a teacher (``--teacher``), and then trained once more from where
that ended, by the labels alone (``--again``). A finished step is kept: run again to go on. ``--arm`` counts
instructions under emulation (docs/arm.md), kept beside each bundle too. Times and memory are taken anew each time, all
variants in turn in one run, so that the ratios to the first hold where the times themselves do not. DIR/SET receives
pareto.json and pareto.png.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from figures import FIGURES, Figure, Made, make, with_epochs
from pareto_boards import BOARDS, frames_per_second
from pareto_costs import THREADS, Costs, costs

from device_apps.bench.pareto_plot import Point, plot_pareto_front
from edge_ssd.charts import save_figure

# The first is what the others are compared with.
VARIANTS = {"book": [], "small": ["--network=small"], "nano": ["--network=nano"]}

# Of the figures, those that are a set's own and start from nothing.
_SETS = [name for name, figure in FIGURES.items() if name == figure.data and figure.start_from is None]

Row = tuple[str, Mapping[str, Any], Costs]  # the variant, what `edge-ssd verify` found, what it costs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--set", choices=_SETS, default="bananas", help="default: bananas")
    parser.add_argument("--teacher", type=Path, metavar="MODEL.keras", help="of all but the first (default: none)")
    parser.add_argument("--epochs", type=int, help="of every variant (default: those of tests/benchmarks/figures.py)")
    parser.add_argument("--again", type=int, metavar="N", help="epochs of a second schedule of all but the first")
    parser.add_argument("--only", choices=list(VARIANTS), nargs="+", default=list(VARIANTS), metavar="NAME")
    parser.add_argument("--arm", action="store_true", help="count instructions on emulated processors")
    args = parser.parse_args()
    out = args.out / args.set
    names = [name for name in VARIANTS if name in args.only]
    made = [trained(name, FIGURES[args.set], args.data / args.set, out, args) for name in names]
    paid = costs([each.bundle for each in made], args.arm)
    rows = [(name, each.facts, cost) for name, each, cost in zip(names, made, paid, strict=True)]
    print(table(rows))
    if args.arm:
        print(f"\n{estimates(rows)}")
    kept = {name: {"verify": facts, "costs": asdict(cost)} for name, facts, cost in rows}
    (out / "pareto.json").write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")
    plotted, cost_label = points(rows)
    figure = plot_pareto_front(plotted, args.set, cost_label, "int8 average precision")
    save_figure(figure, out / "pareto.png")


def trained(name: str, figure: Figure, data: Path, out: Path, args: argparse.Namespace) -> Made:
    """A variant, made like the set's figure as far as that is not done yet."""
    own = VARIANTS[name]
    made = make(name, _with_options(figure, args.epochs, own, args.teacher), data, out)
    if args.again is None or not own:
        return made
    again = _with_options(figure, args.again, own, None)
    return make(f"{name} again", again._replace(start_from=name), data, out)


def _with_options(figure: Figure, epochs: int | None, own: Sequence[str], teacher: Path | None) -> Figure:
    options = figure.options if epochs is None else with_epochs(figure.options, epochs)
    teacher_option = [] if teacher is None or not own else [f"--teacher={teacher}"]
    return figure._replace(options=[*options, *teacher_option, *own])


def table(rows: Sequence[Row]) -> str:
    """Accuracy and cost; everything in brackets is a ratio to the first row."""
    cpus = list(rows[0][2].instructions)
    heads = ["network", "AP", "AP50", "int8 AP", "int8 AP50", "lost", "parameters", "multiply-adds", "file"]
    heads += [f"ms, {number} thread{'s' if number > 1 else ''}" for number in THREADS]
    heads += [f"M instructions, {cpu.replace('cortex-a', 'A')}" for cpu in cpus] + ["memory"]
    first = rows[0][2]
    lines = [heads, ["---", *["---:"] * (len(heads) - 1)]]
    for name, facts, cost in rows:
        before, after = facts["float"], facts["quantized"]
        line = [name, *(f"{value:.3f}" for value in (before["ap"], before["ap50"], after["ap"], after["ap50"]))]
        line += [f"{facts['loss']:.4f}", f"{cost.parameters:,}", f"{cost.multiply_adds / 1e9:.3f} G"]
        line += [f"{cost.bytes / 1e6:.2f} MB"]
        line += [f"{cost.milliseconds[number]:.2f} ({cost.ratios[number]:.2f}×)" for number in THREADS]
        for cpu in cpus:
            count, book = cost.instructions[cpu]["invoke"], first.instructions[cpu]["invoke"]
            line.append(f"{count / 1e6:.1f} ({count / book:.2f}×)")
        lines.append([*line, "unknown" if cost.peak_bytes is None else f"{cost.peak_bytes / 1e6:.0f} MB"])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def estimates(rows: Sequence[Row]) -> str:
    """Frames a second that boards may reach, see :mod:`pareto_boards`; all rows must have instructions."""
    lines = [["estimated frames a second, one core", *(board.heading for board in BOARDS)]]
    lines.append(["---", *["---:"] * len(BOARDS)])
    for name, _, cost in rows:
        lines.append([name, *(f"{frames_per_second(board, cost.instructions):.1f}" for board in BOARDS)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def points(rows: Sequence[Row]) -> tuple[list[Point], str]:
    """Return the points of the plot and the name of the cost: A72 instructions, or time if they were not counted."""
    counted = all("cortex-a72" in cost.instructions for _, _, cost in rows)
    found = [
        Point(
            name,
            cost.instructions["cortex-a72"]["invoke"] / 1e6 if counted else cost.milliseconds[1],
            facts["quantized"]["ap"],
        )
        for name, facts, cost in rows
    ]
    return found, f"{'millions of instructions on a Cortex-A72' if counted else 'ms, one thread'} (the network alone)"


if __name__ == "__main__":
    main()
