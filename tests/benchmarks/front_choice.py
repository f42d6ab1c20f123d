"""Of what kind a faster network should be: candidates measured on pictures held out of the training pictures.

    python tests/benchmarks/front_choice.py --data bananas --out DIR [--epochs 25]

Trained briefly, all alike, with the options of tests/benchmarks/figures.py for bananas; the first teaches those that
are taught. None has seen the pictures that it is measured on, nor has the validation split been looked at, so that it
can judge what is chosen (tests/benchmarks/front.py). Instructions are those of the converted network on a Cortex-A72,
counted under emulation (docs/arm.md). A finished step is kept: run again to go on.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from figures import FIGURES, edge_ssd, folder_of
from front_costs import count_kept

from edge_ssd.training.history import read_history

_STRIDE = ["--down-sampling=stride"]
_SEPARABLE = [*_STRIDE, "--convolution=separable"]

# Options, and whether the first teaches it.
CANDIDATES: dict[str, tuple[list[str], bool]] = {
    "stride": (_STRIDE, False),
    "stride, separable heads": ([*_STRIDE, "--head=separable"], False),
    "stride, width 0.75": ([*_STRIDE, "--width=0.75"], False),
    "stride, width 0.5, taught": ([*_STRIDE, "--width=0.5"], True),
    "separable": (_SEPARABLE, False),
    "separable, taught": (_SEPARABLE, True),
    "separable, 3 convolutions a block, taught": ([*_SEPARABLE, "--block-convolutions=3"], True),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=25)
    args = parser.parse_args()
    teacher = folder_of(args.out, next(iter(CANDIDATES))) / "model.keras"
    print("| network | AP | AP50 | AP75 | M instructions, A72 |\n|---|---:|---:|---:|---:|", flush=True)
    for name, (options, taught) in CANDIDATES.items():
        run = folder_of(args.out, name)
        history = read_history(run / "history.csv")
        if len(history) < args.epochs:
            start = [
                f"--data={args.data}",
                *_recipe(args.epochs),
                *options,
                *([f"--teacher={teacher}"] if taught else []),
            ]
            edge_ssd("train", f"--out={run}", *(["--resume"] if history else start))
            history = read_history(run / "history.csv")
        bundle = run / "model.tflite"
        if not bundle.is_file():
            edge_ssd("convert", str(run / "model.keras"), f"--data={args.data}", f"--out={bundle}")
        count = count_kept(bundle)["cortex-a72"]["invoke"] / 1e6
        last = history[-1]
        print(f"| {name} | {last.ap:.3f} | {last.ap50:.3f} | {last.ap75:.3f} | {count:.1f} |", flush=True)


def _recipe(epochs: int) -> list[str]:
    """That of the bananas, but for what is measured on and how long."""
    kept = [option for option in FIGURES["bananas"].options if not option.startswith("--epochs=")]
    return [*kept, f"--epochs={epochs}", "--validation-split=0.15"]


if __name__ == "__main__":
    main()
