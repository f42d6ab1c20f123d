"""Candidates for a faster network, measured on images held out of the training split.

    python tests/benchmarks/pareto_choice.py --data bananas --out DIR [--epochs 25]

All are trained briefly with the options of tests/benchmarks/figures.py for bananas; the first is the teacher of the
distilled ones. None is trained on the images that it is measured on. The validation split is not used, so that it can
evaluate the choice (tests/benchmarks/pareto.py). Instructions are those of the converted network on a Cortex-A72,
counted under emulation (docs/arm.md). Finished steps are reused: run again to continue.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from figures import EXPERIMENTS, convert, run_folder, train, with_epochs
from pareto_costs import cached_instructions

_STRIDE = ["--down-sampling=stride"]

# Options, and whether the network is distilled from the first.
CANDIDATES: dict[str, tuple[list[str], bool]] = {
    "stride": (_STRIDE, False),
    "stride, width 0.75": ([*_STRIDE, "--width=0.75"], False),
    "stride, width 0.5, distilled": ([*_STRIDE, "--width=0.5"], True),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=25)
    args = parser.parse_args()
    teacher = run_folder(args.out, next(iter(CANDIDATES))) / "model.keras"
    recipe = [*with_epochs(EXPERIMENTS["bananas"].options, args.epochs), "--validation-split=0.15"]
    print("| network | AP | AP50 | AP75 | M instructions, A72 |\n|---|---:|---:|---:|---:|", flush=True)
    for name, (options, distilled) in CANDIDATES.items():
        run = run_folder(args.out, name)
        teacher_option = [f"--teacher={teacher}"] if distilled else []
        last = train(run, [f"--data={args.data}", *recipe, *options, *teacher_option])[-1]
        count = cached_instructions(convert(run, args.data))["cortex-a72"]["invoke"] / 1e6
        print(f"| {name} | {last.ap:.3f} | {last.ap50:.3f} | {last.ap75:.3f} | {count:.1f} |", flush=True)


if __name__ == "__main__":
    main()
