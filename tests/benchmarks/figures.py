"""What this detector reaches on real pictures, from scratch, within an hour on two processor cores: the whole table.

    python tests/benchmarks/figures.py --data FOLDER --out DIR [--only NAME ...]

FOLDER holds the data sets of tests/conftest.py. Each row is trained by ``edge-ssd train``, with the options that stand
below and nothing else, converted by ``edge-ssd convert`` and compared by ``edge-ssd verify`` on the set's own test
pictures (where there are none, its validation pictures). The options were chosen on pictures held out of the training
pictures (docs/training.md, which also says where that was not so), the epochs by the time they take, and the model is
the last epoch's. A finished step is kept: run again to go on. The table is Markdown.

fork_scissors has no split: 30 of its 40 pictures, drawn by a seed, are trained on from the banana model.
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


class Figure(NamedTuple):
    """One row: the data set and how it is trained."""

    data: str
    options: list[str]
    start_from: str | None = None


class Made(NamedTuple):
    """What became of a row: the bundle, the minutes of its training, and what ``edge-ssd verify`` found."""

    bundle: Path
    minutes: float
    facts: dict[str, Any]


# Bananas lie any way up; and drawn from a thousand pictures that are cut out in the same manner, they need no more.
_BANANAS = ["--vertical-flip", "--zoom=1", "--color=0"]

FIGURES = {
    "bananas": Figure("bananas", [*_BANANAS, "--epochs=76"]),
    "playing_cards": Figure("playing_cards", ["--epochs=80"]),
    "bccd": Figure("bccd", ["--epochs=50", "--vertical-flip"]),
    "raccoon": Figure("raccoon", ["--epochs=70"]),
    # 30 pictures: small batches, or there are hardly any steps.
    "fork_scissors": Figure(
        "fork_scissors", ["--epochs=150", "--batch-size=6", "--vertical-flip"], start_from="bananas"
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", choices=list(FIGURES), nargs="+", default=list(FIGURES), metavar="NAME")
    args = parser.parse_args()
    print("| set | pictures | minutes | AP | AP50 | AP75 | int8 AP | lost (95 %) |\n|---|---|---|---|---|---|---|---|")
    for name in args.only:
        figure = FIGURES[name]
        data = args.data / figure.data
        if figure.data == "fork_scissors":
            data = divided(data, args.out / "fork_scissors_split")
        print(row(name, figure, data, args.out), flush=True)


def row(name: str, figure: Figure, data: Path, out: Path) -> str:
    """Train, convert and verify, as far as that is not done yet."""
    made = make(name, figure, data, out)
    before, after = made.facts["float"], made.facts["quantized"]
    low, high = made.facts["loss_interval"] or (float("nan"), float("nan"))
    return (
        f"| {name} | {before['num_images']} | {made.minutes:.0f} | {before['ap']:.3f} | {before['ap50']:.3f} "
        f"| {before['ap75']:.3f} | {after['ap']:.3f} | {made.facts['loss']:.4f} "
        f"({low:.4f} to {high:.4f}) |"
    )


def make(name: str, figure: Figure, data: Path, out: Path) -> Made:
    """The model of a row, trained, converted and verified as far as that is not done yet."""
    run = folder_of(out, name)
    start = [f"--data={data}", *figure.options]
    if figure.start_from is not None:
        start.append(f"--from={folder_of(out, figure.start_from) / 'model.keras'}")
    history = train(run, start)
    bundle = run / "model.tflite"
    if not bundle.is_file():
        edge_ssd("convert", str(run / "model.keras"), f"--data={data}", f"--out={bundle}")
    return Made(bundle, sum(entry.seconds for entry in history) / 60, verification(run, bundle, data))


def train(run: Path, options: Sequence[str]) -> list[HistoryRow]:
    """Train in a folder with ``options``, of which one is ``--epochs=N``, as far as that is not done yet."""
    history = read_history(run / "history.csv")
    if len(history) < int(next(option for option in options if option.startswith("--epochs=")).partition("=")[2]):
        edge_ssd("train", f"--out={run}", *(["--resume"] if history else options))
        history = read_history(run / "history.csv")
    return history


def with_epochs(options: Sequence[str], epochs: int) -> list[str]:
    return [*(option for option in options if not option.startswith("--epochs=")), f"--epochs={epochs}"]


def folder_of(out: Path, name: str) -> Path:
    return out / name.replace(" ", "_")


def verification(run: Path, bundle: Path, data: Path) -> dict[str, Any]:
    """What ``edge-ssd verify`` finds on the test pictures, kept in the run's folder."""
    kept = run / "verify.json"
    if not kept.is_file():
        split = ["--split=test"] if "test" in open_dataset(data).splits else []
        text = edge_ssd("verify", str(bundle), f"--against={run / 'model.keras'}", f"--data={data}", "--json", *split)
        kept.write_text(text, encoding="utf-8")
    facts: dict[str, Any] = json.loads(kept.read_text(encoding="utf-8"))
    return facts


def divided(data: Path, folder: Path, train: int = 30, seed: int = 0) -> Path:
    """A copy of a set in the book's format, its pictures linked, divided at random; returns ``folder``."""
    import numpy as np

    with (data / "label.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    names = sorted({entry["img_name"] for entry in rows})
    chosen = {names[index] for index in np.random.default_rng(seed).permutation(len(names))[:train]}
    for part, wanted in (("train", chosen), ("val", set(names) - chosen)):
        images = folder / f"cutlery_{part}" / "images"
        images.mkdir(parents=True, exist_ok=True)
        with (images.parent / "label.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(entry for entry in rows if entry["img_name"] in wanted)
        for name in wanted:
            if not (images / name).exists():
                (images / name).symlink_to((data / "images" / name).resolve())
    return folder


def edge_ssd(*arguments: str) -> str:
    """Run one command; its progress goes to standard error, what it prints is returned."""
    command = [sys.executable, "-m", "edge_ssd", *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, encoding="utf-8").stdout


if __name__ == "__main__":
    main()
