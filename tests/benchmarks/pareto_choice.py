"""Of what kind a faster network should be: candidates measured on pictures held out of the training pictures.

    python tests/benchmarks/pareto_choice.py --data bananas --out DIR [--epochs 25]

Trained briefly, all alike, with the options of tests/benchmarks/figures.py for bananas; the first is the teacher of the
distilled ones. None has seen the images that it is measured on, and the validation split is not used, so that it
can judge what is chosen (tests/benchmarks/pareto.py). Instructions are those of the converted network on a Cortex-A72,
counted under emulation (docs/arm.md). A finished step is kept: run again to go on.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from figures import FIGURES, edge_ssd, folder_of, train, with_epochs
from pareto_costs import count_kept

_STRIDE = ["--down-sampling=stride"]

# Options, and whether the first is its teacher.
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
    teacher = folder_of(args.out, next(iter(CANDIDATES))) / "model.keras"
    recipe = [*with_epochs(FIGURES["bananas"].options, args.epochs), "--validation-split=0.15"]
    print("| network | AP | AP50 | AP75 | M instructions, A72 |\n|---|---:|---:|---:|---:|", flush=True)
    for name, (options, distilled) in CANDIDATES.items():
        run = folder_of(args.out, name)
        teacher_option = [f"--teacher={teacher}"] if distilled else []
        last = train(run, [f"--data={args.data}", *recipe, *options, *teacher_option])[-1]
        bundle = run / "model.tflite"
        if not bundle.is_file():
            edge_ssd("convert", str(run / "model.keras"), f"--data={args.data}", f"--out={bundle}")
        count = count_kept(bundle)["cortex-a72"]["invoke"] / 1e6
        print(f"| {name} | {last.ap:.3f} | {last.ap50:.3f} | {last.ap75:.3f} | {count:.1f} |", flush=True)


if __name__ == "__main__":
    main()
