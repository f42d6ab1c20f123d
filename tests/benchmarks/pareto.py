"""Accuracy and cost of the networks of one family, trained alike, as tables and a plot.

    python tests/benchmarks/pareto.py --data FOLDER --out DIR [--set bananas] [--teacher MODEL.keras] [--epochs N]
        [--again N] [--only NAME ...] [--arm]

FOLDER has the datasets of tests/conftest.py. Every variant is trained by ``edge-ssd train`` with the options of
tests/benchmarks/figures.py for the dataset and those of its network, converted, and verified on images that it was not
trained on. All but the first can be distilled from a teacher (``--teacher``) and then trained again from the result on
the labels alone (``--again``). Finished steps are reused: run again to continue. ``--arm`` counts instructions under
emulation (docs/arm.md); the counts are cached beside each bundle. Times and memory are measured in each run,
interleaved, so that the ratios to the first variant are comparable between runs. Writes pareto.json and pareto.png to
DIR/SET.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from figures import EXPERIMENTS, Experiment, Result, run_experiment, with_epochs
from pareto_boards import BOARDS, frames_per_second
from pareto_costs import THREADS, Costs, measure_costs

from device_apps.bench.pareto_plot import Point, plot_pareto_front
from edge_ssd.charts import save_figure

# The others are compared with the first.
VARIANTS = {"book": [], "small": ["--network=small"], "nano": ["--network=nano"]}

# Experiments that train from scratch.
_SETS = [name for name, experiment in EXPERIMENTS.items() if experiment.start_from is None]

Row = tuple[str, Mapping[str, Any], Costs]  # variant, JSON of `edge-ssd verify`, costs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--set", choices=_SETS, default="bananas", help="default: bananas")
    parser.add_argument(
        "--teacher", type=Path, metavar="MODEL.keras", help="teacher of all but the first (default: none)"
    )
    parser.add_argument("--epochs", type=int, help="epochs (default: those of tests/benchmarks/figures.py)")
    parser.add_argument("--again", type=int, metavar="N", help="epochs of a second schedule of all but the first")
    parser.add_argument("--only", choices=list(VARIANTS), nargs="+", default=list(VARIANTS), metavar="NAME")
    parser.add_argument("--arm", action="store_true", help="count instructions on emulated processors")
    args = parser.parse_args()
    out = args.out / args.set
    names = [name for name in VARIANTS if name in args.only]
    results = [run_variant(name, EXPERIMENTS[args.set], args.data / args.set, out, args) for name in names]
    costs = measure_costs([result.bundle for result in results], args.arm)
    rows = [(name, result.metrics, cost) for name, result, cost in zip(names, results, costs, strict=True)]
    print(table(rows))
    if args.arm:
        print(f"\n{estimates(rows)}")
    report = {name: {"verify": metrics, "costs": asdict(cost)} for name, metrics, cost in rows}
    (out / "pareto.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    plotted, cost_label = points(rows)
    save_figure(plot_pareto_front(plotted, args.set, cost_label, "int8 average precision"), out / "pareto.png")


def run_variant(name: str, experiment: Experiment, data: Path, out: Path, args: argparse.Namespace) -> Result:
    """Run an experiment with the network of a variant, and a second schedule if there is one."""
    network = VARIANTS[name]
    result = run_experiment(name, _with_options(experiment, args.epochs, network, args.teacher), data, out)
    if args.again is None or not network:
        return result
    again = _with_options(experiment, args.again, network, None)
    return run_experiment(f"{name} again", again._replace(start_from=name), data, out)


def _with_options(
    experiment: Experiment, epochs: int | None, network: Sequence[str], teacher: Path | None
) -> Experiment:
    options = experiment.options if epochs is None else with_epochs(experiment.options, epochs)
    teacher_option = [] if teacher is None or not network else [f"--teacher={teacher}"]
    return experiment._replace(options=[*options, *teacher_option, *network])


def table(rows: Sequence[Row]) -> str:
    """Return a table of accuracy and cost; ratios to the first row are in brackets."""
    cpus = list(rows[0][2].instructions)
    header = ["network", "AP", "AP50", "int8 AP", "int8 AP50", "AP loss", "parameters", "multiply-adds", "file"]
    header += [f"ms, {number} thread{'s' if number > 1 else ''}" for number in THREADS]
    header += [f"M instructions, {cpu.replace('cortex-a', 'A')}" for cpu in cpus] + ["memory"]
    first = rows[0][2]
    lines = [header, ["---", *["---:"] * (len(header) - 1)]]
    for name, metrics, cost in rows:
        before, after = metrics["float"], metrics["quantized"]
        line = [name, *(f"{value:.3f}" for value in (before["ap"], before["ap50"], after["ap"], after["ap50"]))]
        line += [f"{metrics['loss']:.4f}", f"{cost.parameters:,}", f"{cost.multiply_adds / 1e9:.3f} G"]
        line += [f"{cost.bytes / 1e6:.2f} MB"]
        line += [f"{cost.milliseconds[number]:.2f} ({cost.ratios[number]:.2f}×)" for number in THREADS]
        for cpu in cpus:
            count, book = cost.instructions[cpu]["invoke"], first.instructions[cpu]["invoke"]
            line.append(f"{count / 1e6:.1f} ({count / book:.2f}×)")
        lines.append([*line, "unknown" if cost.peak_bytes is None else f"{cost.peak_bytes / 1e6:.0f} MB"])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def estimates(rows: Sequence[Row]) -> str:
    """Return a table of estimated frames per second, see :mod:`pareto_boards`; all rows must have instructions."""
    lines = [["estimated frames per second, one core", *(board.heading for board in BOARDS)]]
    lines.append(["---", *["---:"] * len(BOARDS)])
    for name, _, cost in rows:
        lines.append([name, *(f"{frames_per_second(board, cost.instructions):.1f}" for board in BOARDS)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def points(rows: Sequence[Row]) -> tuple[list[Point], str]:
    """Return the points of the plot and the name of the cost: A72 instructions, or time if they were not counted."""
    counted = all("cortex-a72" in cost.instructions for _, _, cost in rows)
    plotted = [
        Point(
            name,
            cost.instructions["cortex-a72"]["invoke"] / 1e6 if counted else cost.milliseconds[1],
            metrics["quantized"]["ap"],
        )
        for name, metrics, cost in rows
    ]
    return plotted, f"{'millions of instructions on a Cortex-A72' if counted else 'ms, one thread'} (the network alone)"


if __name__ == "__main__":
    main()
