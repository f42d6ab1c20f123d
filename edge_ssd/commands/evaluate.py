"""``edge-ssd evaluate``: average precision of a ``.keras`` or ``.tflite`` model.

Here and not in :mod:`edge_ssd.evaluation`, since it loads Keras models, which are training's.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from edge_ssd.commands.data_options import add_data_options, data_source
from edge_ssd.errors import ModelError

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = "Measure COCO average precision of a model on labelled pictures."
    parser.epilog = (
        "examples:\n"
        "  edge-ssd evaluate run/model.keras --data bananas\n"
        "  edge-ssd evaluate banana.tflite --data bananas --split test --json"
    )
    parser.add_argument("model", type=Path, metavar="MODEL", help="a .keras model or a .tflite bundle")
    add_data_options(parser)
    parser.add_argument(
        "--split",
        choices=("train", "val", "test"),
        help="which part (default: val, or test where there is no val; all of a set that is not divided)",
    )
    parser.add_argument("--limit", type=int, metavar="N", help="measure on N pictures, spread evenly (default: all)")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")


def run(args: argparse.Namespace) -> int:
    from edge_ssd.console.progress import Progress
    from edge_ssd.data.dataset import problem_lines
    from edge_ssd.data.load import open_dataset
    from edge_ssd.evaluation.evaluate import Predictor, evaluate
    from edge_ssd.evaluation.splits import load_eval_split

    predictor: Predictor
    if args.model.suffix == ".keras":
        from edge_ssd.training.tensorflow_logs import quiet_tensorflow

        quiet_tensorflow()
        from edge_ssd.evaluation.keras_predictor import KERAS_BATCH_SIZE, KerasPredictor
        from edge_ssd.training.model.tiny_ssd import load_tiny_ssd

        model = load_tiny_ssd(args.model)
        predictor, network, batch_size = KerasPredictor(model), model.network, KERAS_BATCH_SIZE
    elif args.model.suffix == ".tflite":
        from edge_ssd.evaluation.tflite_predictor import TFLitePredictor
        from edge_ssd.runtime.bundle import read_bundle

        bundle = read_bundle(args.model)
        predictor, network, batch_size = TFLitePredictor(bundle), bundle.network, 1
    else:
        raise ModelError(f"{args.model}: expected a model that ends in .keras or .tflite")
    dataset, part = load_eval_split(open_dataset(data_source(args)), network.labels, args.split, args.limit)
    for line in problem_lines(dataset.problems):
        print(f"note: {line}", file=sys.stderr)
    with Progress("evaluate", "pictures") as progress:
        result = evaluate(predictor, network, dataset, batch_size=batch_size, progress=progress)
    precision = result.precision
    if args.json:
        print(json.dumps({"model": str(args.model), "data": str(args.data), "split": part, **precision.to_dict()}))
        return 0
    print(f"{args.model} on {precision.num_images} pictures of {args.data} ({part}), {precision.num_objects} objects")
    print(f"AP {precision.ap:.3f}   AP50 {precision.ap50:.3f}   AP75 {precision.ap75:.3f}")
    if len(precision.per_class) > 1:
        width = max(map(len, precision.per_class))
        for label, ap in precision.per_class.items():
            print(f"  {label:{width}}  {'no objects' if ap is None else f'{ap:.3f}'}")
    return 0
