"""Accuracy on real datasets, trained from scratch within an hour on two CPU cores.

    python tests/benchmarks/figures.py --data FOLDER --out DIR [--only NAME ...]

FOLDER has the datasets of tests/conftest.py. Each row is trained by ``edge-ssd train`` with the options below,
converted by ``edge-ssd convert``, and compared by ``edge-ssd verify`` on the test split (the validation split if there
is none). The options were chosen on images held out of the training split (docs/training.md, with the exceptions); the
number of epochs is limited by time, and the model is that of the last epoch. Finished steps are reused: run again to
continue. The table is Markdown.

fork_scissors has no split: fine-tuning of the banana model uses 30 of its 40 images, drawn at random.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from edge_ssd.data.load import open_dataset
from edge_ssd.training.history import HistoryRow, read_history


class Experiment(NamedTuple):
    """A row: dataset, options of ``edge-ssd train``, and the experiment whose model it starts from, if any."""

    data: str
    options: list[str]
    start_from: str | None = None


class Result(NamedTuple):
    """Result of an experiment: bundle, training time in minutes, and the JSON of ``edge-ssd verify``."""

    bundle: Path
    minutes: float
    metrics: dict[str, Any]


# Bananas have any orientation. A thousand images that are all made in the same way need no other augmentation.
_BANANAS = ["--vertical-flip", "--zoom=1", "--color=0"]

EXPERIMENTS = {
    "bananas": Experiment("bananas", [*_BANANAS, "--epochs=76"]),
    "playing_cards": Experiment("playing_cards", ["--epochs=80"]),
    "bccd": Experiment("bccd", ["--epochs=50", "--vertical-flip"]),
    "raccoon": Experiment("raccoon", ["--epochs=70"]),
    # 30 images: larger batches would leave few steps per epoch.
    "fork_scissors": Experiment(
        "fork_scissors", ["--epochs=150", "--batch-size=6", "--vertical-flip"], start_from="bananas"
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", choices=list(EXPERIMENTS), nargs="+", default=list(EXPERIMENTS), metavar="NAME")
    args = parser.parse_args()
    print("| dataset | images | minutes | AP | AP50 | AP75 | int8 AP | loss (95 %) |\n" + 8 * "|---" + "|")
    for name in args.only:
        experiment = EXPERIMENTS[name]
        data = args.data / experiment.data
        if experiment.data == "fork_scissors":
            data = split_at_random(data, args.out / "fork_scissors_split")
        print(row(name, experiment, data, args.out), flush=True)


def row(name: str, experiment: Experiment, data: Path, out: Path) -> str:
    """Run an experiment and return its row of the table."""
    result = run_experiment(name, experiment, data, out)
    before, after = result.metrics["float"], result.metrics["quantized"]
    low, high = result.metrics["loss_interval"] or (float("nan"), float("nan"))
    return (
        f"| {name} | {before['num_images']} | {result.minutes:.0f} | {before['ap']:.3f} | {before['ap50']:.3f} "
        f"| {before['ap75']:.3f} | {after['ap']:.3f} | {result.metrics['loss']:.4f} "
        f"({low:.4f} to {high:.4f}) |"
    )


def run_experiment(name: str, experiment: Experiment, data: Path, out: Path) -> Result:
    """Train, convert and verify a model, without the steps that are finished."""
    run = run_folder(out, name)
    options = [f"--data={data}", *experiment.options]
    if experiment.start_from is not None:
        options.append(f"--from={run_folder(out, experiment.start_from) / 'model.keras'}")
    history = train(run, options)
    bundle = convert(run, data)
    return Result(bundle, sum(entry.seconds for entry in history) / 60, verify(run, bundle, data))


def train(run: Path, options: Sequence[str]) -> list[HistoryRow]:
    """Train in a folder with ``options``, one of them ``--epochs=N``, or resume; return the history."""
    history = read_history(run / "history.csv")
    if len(history) < int(next(option for option in options if option.startswith("--epochs=")).partition("=")[2]):
        edge_ssd("train", f"--out={run}", *(["--resume"] if history else options))
        history = read_history(run / "history.csv")
    return history


def convert(run: Path, data: Path) -> Path:
    """Convert the model of a run, unless that is finished; return the bundle."""
    bundle = run / "model.tflite"
    if not bundle.is_file():
        edge_ssd("convert", str(run / "model.keras"), f"--data={data}", f"--out={bundle}")
    return bundle


def with_epochs(options: Sequence[str], epochs: int) -> list[str]:
    return [*(option for option in options if not option.startswith("--epochs=")), f"--epochs={epochs}"]


def run_folder(out: Path, name: str) -> Path:
    return out / name.replace(" ", "_")


def verify(run: Path, bundle: Path, data: Path) -> dict[str, Any]:
    """Verify a bundle on the test split, unless the run's folder has the result already; return the JSON."""
    cached = run / "verify.json"
    if not cached.is_file():
        split = ["--split=test"] if "test" in open_dataset(data).splits else []
        text = edge_ssd("verify", str(bundle), f"--against={run / 'model.keras'}", f"--data={data}", "--json", *split)
        cached.write_text(text, encoding="utf-8")
    metrics: dict[str, Any] = json.loads(cached.read_text(encoding="utf-8"))
    return metrics


def split_at_random(data: Path, folder: Path, train: int = 30, seed: int = 0) -> Path:
    """Write a dataset in the book's format with a random split, its images as links; return ``folder``."""
    import numpy as np

    with (data / "label.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    names = sorted({entry["img_name"] for entry in rows})
    chosen = {names[index] for index in np.random.default_rng(seed).permutation(len(names))[:train]}
    for split, split_names in (("train", chosen), ("val", set(names) - chosen)):
        images = folder / f"cutlery_{split}" / "images"
        images.mkdir(parents=True, exist_ok=True)
        with (images.parent / "label.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(entry for entry in rows if entry["img_name"] in split_names)
        for name in split_names:
            if not (images / name).exists():
                (images / name).symlink_to((data / "images" / name).resolve())
    return folder


def edge_ssd(*arguments: str) -> str:
    """Run a command and return its standard output."""
    command = [sys.executable, "-m", "edge_ssd", *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, encoding="utf-8").stdout


if __name__ == "__main__":
    main()
