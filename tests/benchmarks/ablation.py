"""Ablation of the training recipe: average precision after each change to the book's recipe.

    python tests/benchmarks/ablation.py --data DIR --out DIR [--epochs 10]

Each row adds one change to the row above. A row is trained by ``edge-ssd train`` and measured on images held out of the
training split, which no row is trained on. The validation split is not used, so that it can evaluate the recipe that
this table chooses. Finished rows are reused: run again to continue. The table is Markdown.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from figures import train

ROWS = {
    "the book's recipe": ["--recipe=book"],
    "+ bfloat16": ["--precision=mixed_bfloat16"],
    "+ pixels scaled to 0–1": ["--input-scale=0.00392156862745098"],
    "+ AdamW, warm-up, cosine, batch 16": [
        *("--optimizer=adamw", "--learning-rate=0.002", "--weight-decay=0.05", "--warmup-epochs=2", "--cosine"),
        "--batch-size=16",
    ],
    "+ horizontal flip": ["--flip"],
    "+ hard negatives 3:1, smooth L1": ["--class-loss=hard_negative", "--box-loss=smooth_l1"],
    "+ moving average of the weights": ["--ema-decay=0.998"],
    "+ dynamic assignment, quality loss": ["--assignment=dynamic", "--class-loss=quality"],
    "+ GIoU": ["--box-loss=giou", "--box-weight=4"],
    "+ anchors within the receptive field": ["--anchors=fit"],
    "+ learning rate 0.003": ["--learning-rate=0.003"],
    "+ zoom and color": ["--zoom=1.25", "--color=0.2"],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=10)
    args = parser.parse_args()
    print("| recipe | class error | box MAE | AP | AP50 | AP75 | minutes |\n|---|---|---|---|---|---|---|", flush=True)
    flags: list[str] = []
    for number, (name, options) in enumerate(ROWS.items()):
        flags += options
        folder = args.out / f"row{number}"
        history = train(folder, [f"--data={args.data}", "--validation-split=0.15", *flags, f"--epochs={args.epochs}"])
        last, minutes = history[-1], sum(row.seconds for row in history) / 60
        print(
            f"| {name} | {last.class_error:.2e} | {last.box_mae:.2e} | {last.ap:.3f} | {last.ap50:.3f} "
            f"| {last.ap75:.3f} | {minutes:.1f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
