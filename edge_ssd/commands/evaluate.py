"""``edge-ssd evaluate``: average precision of a ``.keras`` or ``.tflite`` model.

It is a command and not in :mod:`edge_ssd.evaluation`, since loading Keras models belongs to training.
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from edge_ssd.commands.data_options import add_background_option, add_data_options, add_eval_split_option, data_source
from edge_ssd.console.counts import count
from edge_ssd.console.text import print_text
from edge_ssd.errors import ModelError, SettingError

__all__ = ["add_arguments", "run"]

_log = logging.getLogger(__name__)

_KERAS_THRESHOLD = 0.5  # A .keras model states none: that of a bundle unless its conversion chooses another.


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``edge-ssd evaluate``."""
    parser.description = (
        "Measure the COCO average precision of a model on labeled images, and how often it reports an object where "
        "there is none."
    )
    parser.epilog = (
        "examples:\n"
        "  edge-ssd evaluate run/model.keras --data bananas\n"
        "  edge-ssd evaluate banana.tflite --data bananas --split test --json\n"
        "  edge-ssd evaluate banana-nano --data bananas --background photos"
    )
    parser.add_argument(
        "model",
        metavar="MODEL",
        help="a .keras model, the folder of its run, a .tflite bundle, or a shipped bundle by name, such as nano",
    )
    add_data_options(parser)
    add_eval_split_option(parser)
    parser.add_argument("--limit", type=int, metavar="N", help="measure on N images, spread evenly (default: all)")
    add_background_option(parser)
    parser.add_argument(
        "--score-threshold",
        type=float,
        metavar="P",
        help="count false alarms with this score or more (default: the bundle's threshold; 0.5 for a .keras model)",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")


def run(args: argparse.Namespace) -> int:
    """Measure the model's average precision and false alarms and print them; return 0."""
    from edge_ssd.console.json_output import print_json
    from edge_ssd.console.progress import Progress
    from edge_ssd.console.table import format_table
    from edge_ssd.data.background_images import load_background
    from edge_ssd.data.dataset import problem_lines
    from edge_ssd.data.eval_split import load_eval_split
    from edge_ssd.data.held_out_images import parse_held_out, where_listed
    from edge_ssd.data.load import open_dataset
    from edge_ssd.evaluation.average_precision import MIN_USEFUL_AP
    from edge_ssd.evaluation.evaluate import Predictor, evaluate, predict
    from edge_ssd.evaluation.false_alarms import operating_point, score_detections
    from edge_ssd.runtime.model_file import MODEL_NAME, find_keras_file

    threshold = args.score_threshold
    if threshold is not None and not 0 <= threshold <= 1:
        raise SettingError(f"--score-threshold must be from 0 to 1, got {threshold:g}")
    predictor: Predictor
    path = Path(args.model)
    if path.suffix == ".keras" or (path / MODEL_NAME).is_file():
        path = find_keras_file(path)
        from edge_ssd.training.tensorflow_logs import quiet_tensorflow

        quiet_tensorflow()
        from edge_ssd.evaluation.keras_predictor import KERAS_BATCH_SIZE, KerasPredictor
        from edge_ssd.training.model.tiny_ssd import load_tiny_ssd

        model = load_tiny_ssd(path)
        predictor, network, batch_size = KerasPredictor(model), model.network, KERAS_BATCH_SIZE
        held_out, default_threshold = model.held_out, _KERAS_THRESHOLD
    elif path.is_file() and path.suffix != ".tflite":
        raise ModelError(f"{args.model}: expected a model that ends in .keras or .tflite")
    else:
        from edge_ssd.evaluation.tflite_predictor import TFLitePredictor
        from edge_ssd.runtime.bundle import read_bundle
        from edge_ssd.runtime.shipped_models import find_model

        path = find_model(args.model)
        bundle = read_bundle(path)
        predictor, network, batch_size = TFLitePredictor(bundle), bundle.network, 1
        held_out, default_threshold = parse_held_out(bundle.metadata), bundle.defaults.score_threshold
    dataset, split = load_eval_split(
        open_dataset(data_source(args)),
        network.labels,
        args.split,
        args.limit,
        held_out=held_out,
        listed_in=where_listed(path),
    )
    for line in problem_lines(dataset.problems):
        _log.warning("%s", line)
    background = load_background(args.background, dataset, args.strict)
    with Progress("evaluate", "images") as progress:
        result = evaluate(predictor, network, dataset, batch_size=batch_size, progress=progress)
    with Progress("without objects", "images") as progress:
        empty = predict(predictor, network, background, batch_size=batch_size, progress=progress)
    scores = score_detections(dataset, result.predictions, empty)
    false_alarms = operating_point(scores, default_threshold if threshold is None else threshold)
    precision = result.precision
    if precision.ap < MIN_USEFUL_AP:
        _log.warning(
            "the model finds hardly anything in these images (AP %.3f): train it longer, or measure on images like "
            "those it was trained on; 'edge-ssd data inspect' shows whether boxes and classes are right",
            precision.ap,
        )
    if args.json:
        print_json(
            {
                "model": args.model,
                "data": str(args.data),
                "split": split,
                **precision.to_dict(),
                "false_alarms": false_alarms.to_dict(),
            }
        )
        return 0
    objects = count(precision.num_objects, "object")
    print_text(f"{args.model} on {count(precision.num_images, 'image')} of {args.data} ({split}), {objects}")
    print_text(f"AP {precision.ap:.3f}   AP50 {precision.ap50:.3f}   AP75 {precision.ap75:.3f}")
    print_text(f"score {false_alarms.threshold:g}: {false_alarms.describe()}")
    if len(precision.per_class) > 1:
        rows = [(label, "no objects" if ap is None else f"{ap:.3f}") for label, ap in precision.per_class.items()]
        print_text(format_table(rows, left=2, indent="  "))
    return 0
