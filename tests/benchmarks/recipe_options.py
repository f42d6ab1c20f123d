"""Comparison of options of ``edge-ssd train`` on one dataset, with several seeds.

    python tests/benchmarks/recipe_options.py --data DIR --out DIR [--seeds 0 1 2] [--options="--network=small"]
        [--only NAME ...] [--set "NAME: OPTIONS" ...] [--background DIR] [--from MODEL.keras] [--split test]

Each set of options below, and each ``--set``, is trained once for each seed, with ``--options`` in all of them. The AP
is that of the last epoch on a fifth of the training images, which the seed draws and nothing is trained on, so that the
dataset's own validation and test splits stay unused. ``--split`` measures the model on such a split instead, which
``--keep-best`` and ``--patience`` need: they choose by the validation images. A difference is that to the first set
with the same seed, hence on the same images.

Finished runs are reused and an interrupted one is resumed: run again to continue. Tables are Markdown; one is printed
after each seed.
"""

from __future__ import annotations

import argparse
import json
import shlex
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from figures import edge_ssd

from edge_ssd.training.history import read_history, should_stop_early
from edge_ssd.training.run_folder import load_run

SETS = {
    "default": "",
    "no augmentation": "--zoom=1 --color=0 --no-flip",
    "gray over cut objects": "--hide-cut",
    "zoom 2": "--zoom=2",
    "zoom 2, gray over cut objects": "--zoom=2 --hide-cut",
    "large-scale jitter": "--zoom=2 --expand=4 --hide-cut",
    "mosaic": "--mosaic=0.5",
    "copy-paste": "--copy-paste=0.5",
    "mosaic, copy-paste": "--mosaic=0.5 --copy-paste=0.5",
    "mosaic, copy-paste, large-scale jitter": "--mosaic=0.5 --copy-paste=0.5 --zoom=2 --expand=4 --hide-cut",
    "color 0.4": "--color=0.4",
    "weight decay 0.2": "--weight-decay=0.2",
}
# Only with --background, and with --from.
BACKGROUND_SETS = {"background": "--background={background}"}
START_SETS = {"trunk rate 0.1": "--trunk-rate=0.1", "trunk rate 0.3": "--trunk-rate=0.3"}


class Measurement(NamedTuple):
    """Result of a run: average precision, and the minutes of its training steps."""

    ap: float
    ap50: float
    ap75: float
    minutes: float


def main() -> None:
    args = parse_arguments()
    sets = chosen_sets(args)
    results: dict[str, dict[int, Measurement]] = {name: {} for name in sets}
    for number, seed in enumerate(args.seeds):
        for name, options in sets.items():
            common = [f"--data={args.data}", f"--validation-split={args.share}", f"--seed={seed}"]
            common += [] if args.start_from is None else [f"--from={args.start_from}"]
            run = args.out / folder_name(name) / f"seed_{seed}"
            result = measure(run, [*common, *shlex.split(args.options), *shlex.split(options)], args.data, args.split)
            results[name][seed] = result
            print(f"{name}, seed {seed}: AP {result.ap:.3f}, AP50 {result.ap50:.3f}", file=sys.stderr, flush=True)
        print(f"{number + 1} of {len(args.seeds)} seeds\n\n{table(results)}\n", flush=True)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--options", default="", help="options of train in all runs, as one argument")
    parser.add_argument("--set", action="append", default=[], dest="sets", metavar="NAME: OPTIONS", help="another set")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these sets, the first to compare the others with")
    parser.add_argument("--share", type=float, default=0.2, help="of the training images that is held out")
    parser.add_argument("--background", type=Path, metavar="DIR", help="adds a set with this folder")
    parser.add_argument("--from", type=Path, dest="start_from", metavar="MODEL.keras", help="in all runs; adds sets")
    parser.add_argument("--split", help="measure on this split of the dataset, not on the images held out")
    return parser.parse_args()


def chosen_sets(args: argparse.Namespace) -> dict[str, str]:
    """Return name → options of the sets to train."""
    sets = dict(SETS)
    if args.background is not None:
        sets |= {name: text.format(background=args.background) for name, text in BACKGROUND_SETS.items()}
    if args.start_from is not None:
        sets |= START_SETS
    for text in args.sets:
        name, colon, options = text.partition(":")
        if not colon:
            sys.exit(f"--set {text!r}: write NAME: OPTIONS, such as 'zoom 3: --zoom=3'")
        sets[name.strip()] = options.strip()
    if unknown := [name for name in args.only or () if name not in sets]:
        sys.exit(f"--only: no set {', '.join(map(repr, unknown))}; the sets are {', '.join(map(repr, sets))}")
    return {name: sets[name] for name in args.only or sets}


def measure(run: Path, options: Sequence[str], data: Path, split: str | None) -> Measurement:
    """Train in a folder with ``options``, or continue; return the result."""
    used = run.parent / f"{run.name}.json"
    if used.is_file() and json.loads(used.read_text("utf-8")) != list(options):
        sys.exit(f"{run}: has the result of other options ({used}): remove it, or choose another --out")
    used.parent.mkdir(parents=True, exist_ok=True)
    used.write_text(json.dumps(list(options), indent=1), encoding="utf-8")
    if not is_finished(run):
        edge_ssd("train", f"--out={run}", *(["--resume"] if (run / "run.json").is_file() else options))
    history = read_history(run / "history.csv")
    minutes = sum(row.seconds for row in history) / 60
    if split is None:
        return Measurement(history[-1].ap, history[-1].ap50, history[-1].ap75, minutes)
    cached = run / f"{split}.json"
    if not cached.is_file():
        text = edge_ssd("evaluate", str(run / "model.keras"), f"--data={data}", f"--split={split}", "--json")
        cached.write_text(text, encoding="utf-8")
    metrics = json.loads(cached.read_text("utf-8"))
    return Measurement(metrics["ap"], metrics["ap50"], metrics["ap75"], minutes)


def is_finished(run: Path) -> bool:
    if not (run / "run.json").is_file():
        return False
    recipe, history = load_run(run).recipe, read_history(run / "history.csv")
    return len(history) >= recipe.epochs or should_stop_early(history, recipe.patience)


def table(results: Mapping[str, Mapping[int, Measurement]]) -> str:
    """Return a row for each set: mean ± standard deviation over the seeds; of differences ± the standard error."""
    lines = ["| options | AP | AP50 | AP75 | AP, difference | AP50, difference | minutes |", 7 * "|---" + "|"]
    first = next(iter(results.values()))
    for name, runs in results.items():
        seeds = [seed for seed in runs if seed in first]
        means = [mean_and_spread([getattr(run, field) for run in runs.values()]) for field in ("ap", "ap50", "ap75")]
        differences = ["", ""]
        if runs is not first:
            differences = [
                mean_and_spread([getattr(runs[seed], field) - getattr(first[seed], field) for seed in seeds], True)
                for field in ("ap", "ap50")
            ]
        minutes = statistics.mean(run.minutes for run in runs.values())
        lines.append(f"| {name} | {' | '.join([*means, *differences])} | {minutes:.0f} |")
    return "\n".join(lines)


def mean_and_spread(values: Sequence[float], is_difference: bool = False) -> str:
    """Return "0.412 ± 0.013": the mean and the standard deviation, of differences the standard error."""
    mean = f"{statistics.mean(values):{'+' if is_difference else ''}.3f}"
    if len(values) < 2:
        return mean
    spread = statistics.stdev(values) / (len(values) ** 0.5 if is_difference else 1)
    return f"{mean} ± {spread:.3f}"


def folder_name(name: str) -> str:
    return name.replace(",", "").replace(" ", "_")


if __name__ == "__main__":
    main()
