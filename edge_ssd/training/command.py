"""``edge-ssd train``: a folder of labelled pictures in, a Keras model out."""

from __future__ import annotations

import argparse
import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_ssd.data.anchors_command import input_size
from edge_ssd.data.source import DataSource, add_data_options, data_source
from edge_ssd.errors import SettingError
from edge_ssd.training.recipe import Recipe, book_recipe

if TYPE_CHECKING:
    from edge_ssd.data.dataset import Dataset
    from edge_ssd.network import Network
    from edge_ssd.training.workers import Workers

__all__ = ["add_arguments", "run"]

_DESCRIPTION = """\
Train a TinySSD on a folder of labelled pictures (the format is recognised).

RUN receives model.keras (to convert), history.csv and history.png (to look at), and checkpoint.npz, from which
--resume goes on after an interruption. Average precision on the validation split is measured every epoch."""

_EXAMPLES = """\
examples:
  edge-ssd train --data pictures --out runs/first
  edge-ssd train --data pictures --out runs/first --resume
  edge-ssd train --data pictures --classes fork,knife --anchors fit --out runs/cutlery
  edge-ssd train --data pictures --out runs/tuned --from runs/first/model.keras --epochs 10
  edge-ssd train --data bananas --out runs/book --recipe book
  edge-ssd train --data pictures --show-augmented sheet.png --crop --expand 2
"""


# Where a data set has no validation split of its own.
_HELD_OUT = 0.15


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description, parser.epilog = _DESCRIPTION, _EXAMPLES
    parser.add_argument("--data", type=Path, metavar="DIR", help="data-set folder (with --resume: if it moved)")
    add_data_options(parser)
    output = parser.add_mutually_exclusive_group(required=True)
    output.add_argument("--out", type=Path, metavar="RUN", help="folder of this run")
    output.add_argument(
        "--show-augmented",
        type=Path,
        metavar="FILE.png",
        help="train nothing: draw training pictures as this recipe would show them to the network, and their boxes",
    )
    parser.add_argument("--resume", action="store_true", help="go on with the run in RUN, by its own recipe")
    parser.add_argument("--from", dest="start_from", type=Path, metavar="MODEL.keras", help="start from these weights")
    parser.add_argument(
        "--validation-split",
        type=float,
        metavar="SHARE",
        help="hold out this share of the training pictures, by --seed, and measure on it (default: the data set's "
        "own validation split, or 0.15 where it has none)",
    )

    network = parser.add_argument_group("network (default: the book's)")
    network.add_argument("--input-size", type=input_size, default=(256, 256), metavar="HxW", help="default 256x256")
    network.add_argument("--width", type=float, default=1.0, help="channel multiplier, default 1")
    network.add_argument("--resize", choices=("stretch", "letterbox"), default="stretch", help="default stretch")
    network.add_argument(
        "--anchors",
        choices=("book", "fit"),
        default="book",
        help="sizes and ratios: the book's, or fitted to the training boxes as 'edge-ssd data anchors' shows",
    )
    network.add_argument(
        "--input-scale",
        type=float,
        metavar="FACTOR",
        help="of pixels, in the network; default 1/255, the book's 1",
    )

    machine = parser.add_argument_group("this machine (not part of the recipe: give it again with --resume)")
    machine.add_argument(
        "--cache",
        choices=("auto", "memory", "disk", "none"),
        default="auto",
        help="where decoded pictures are kept: auto takes memory up to half of what is available, then the disk of "
        "RUN, then none (each is decoded every epoch)",
    )
    machine.add_argument("--tensorboard", action="store_true", help="write the history to RUN/tensorboard too")
    machine.add_argument(
        "--strategy",
        choices=("single", "multiworker"),
        default="single",
        help="multiworker: this process is one of those in TF_CONFIG, see docs/distributed.md",
    )

    recipe = parser.add_argument_group("recipe")
    recipe.add_argument(
        "--recipe", choices=("default", "book"), default="default", help="where the values not given come from"
    )
    default, book = Recipe(), book_recipe()
    for flag, options in _RECIPE_FLAGS.items():
        name = flag.replace("-", "_")
        values = f"(default {getattr(default, name)}; book {getattr(book, name)})"
        recipe.add_argument(f"--{flag}", **{**options, "help": f"{options.get('help', '')} {values}".strip()})


_RECIPE_FLAGS: dict[str, dict[str, Any]] = {
    "epochs": {"type": int, "metavar": "N"},
    "batch-size": {"type": int, "metavar": "N"},
    "seed": {"type": int, "metavar": "N"},
    "precision": {"choices": ("auto", "float32", "mixed_bfloat16"), "help": "of the computation; auto measures"},
    "optimizer": {"choices": ("sgd", "adamw")},
    "learning-rate": {"type": float, "metavar": "RATE", "help": "its peak"},
    "weight-decay": {"type": float, "metavar": "DECAY"},
    "warmup-epochs": {"type": float, "metavar": "N"},
    "cosine": {"action": argparse.BooleanOptionalAction, "help": "let the learning rate fall to 0"},
    "assignment": {
        "choices": ("fixed", "dynamic"),
        "help": "of anchors to objects: the book's IoU rule, or by alignment",
    },
    "class-loss": {"choices": ("cross_entropy", "hard_negative", "focal", "quality")},
    "box-loss": {"choices": ("l1", "smooth_l1", "giou")},
    "box-weight": {"type": float, "metavar": "FACTOR", "help": "of the box loss against the class loss"},
    "sigma": {"type": float, "metavar": "SIGMA", "help": "of smooth L1"},
    "flip": {"action": argparse.BooleanOptionalAction, "help": "mirror pictures left to right"},
    "vertical-flip": {
        "action": argparse.BooleanOptionalAction,
        "help": "mirror pictures top to bottom: only where objects have no upright",
    },
    "expand": {
        "type": float,
        "metavar": "FACTOR",
        "help": "shrink half of the pictures by up to this and put them on grey (SSD's zoom-out); 1 is never",
    },
    "crop": {
        "action": argparse.BooleanOptionalAction,
        "help": "look at a window that some object fills to a random share (SSD's IoU-bounded crop)",
    },
    "zoom": {"type": float, "metavar": "FACTOR", "help": "enlarge or shrink pictures at random up to this; 1 is never"},
    "color": {"type": float, "metavar": "SHARE", "help": "change brightness, contrast, saturation by up to this"},
    "class-weights": {
        "metavar": "none|balanced|NAME=W,…",
        "help": "how much objects of each class count: balanced lets rare classes count as much as common ones",
    },
    "sync-norm": {
        "action": argparse.BooleanOptionalAction,
        "help": "of several workers: normalise over the whole batch, not over each worker's share",
    },
    "patience": {
        "type": int,
        "metavar": "N",
        "help": "stop after N epochs without a better AP and keep the best epoch's model; 0 trains all epochs",
    },
    "average-decay": {"type": float, "metavar": "DECAY", "help": "of the weights' moving average; 0 is none"},
}


def run(args: argparse.Namespace) -> int:
    # TensorFlow's start-up chatter would bury the one line that a user needs.
    from edge_ssd.training.quiet import quiet_tensorflow

    workers = quiet_tensorflow(lambda: _workers(args.strategy))
    assert workers is not None
    from edge_ssd.data.dataset import problem_lines
    from edge_ssd.network import tiny_ssd
    from edge_ssd.progress import format_seconds
    from edge_ssd.training.history import HistoryRow
    from edge_ssd.training.run import RunConfig, load_run, train

    changes = {flag.replace("-", "_"): getattr(args, flag.replace("-", "_")) for flag in _RECIPE_FLAGS}
    changes = {name: value for name, value in changes.items() if value is not None}
    if args.resume:
        if args.show_augmented:
            raise SettingError("--show-augmented draws what a new run would see: leave out --resume")
        if changes or args.start_from:
            given = ", ".join("--" + name.replace("_", "-") for name in changes) or "--from"
            raise SettingError(f"a resumed run keeps its own recipe: leave out {given}, or start anew in another --out")
        if args.classes or args.format:
            raise SettingError("a resumed run keeps its own classes and format: leave out --classes and --format")
        config = load_run(args.out)
        if args.data is not None:
            config = replace(config, data=replace(config.data, folder=args.data))
        training, validation = _datasets(
            config.data, config.validation_split, config.recipe.seed, config.network.labels
        )
    else:
        if args.data is None:
            raise SettingError("--data is missing: name the folder of labelled pictures to train on")
        recipe = replace(book_recipe() if args.recipe == "book" else Recipe(), **changes)
        source = data_source(args)
        share = _held_out_share(source, args.validation_split)
        training, validation = _datasets(source, share, recipe.seed)
        # The book's network sees pixels as they are.
        scale = args.input_scale
        if scale is None:
            scale = 1.0 if args.recipe == "book" else 1 / 255
        network = tiny_ssd(
            training.labels, input_size=args.input_size, width=args.width, resize=args.resize, input_scale=scale
        )
        if args.anchors == "fit":
            network = _with_fitted_anchors(network, training, validation, recipe.seed)
        config = RunConfig(network, recipe, source, share)
    network, recipe = config.network, config.recipe
    for notice in dict.fromkeys((*training.notices, *validation.notices)):
        print(f"note: {notice}")
    for line in problem_lines(tuple(dict.fromkeys((*training.problems, *validation.problems)))):
        print(f"warning: {line}")
    print(
        f"{len(training.samples)} training and {len(validation.samples)} validation pictures, "
        f"{network.num_classes} class{'' if network.num_classes == 1 else 'es'}, "
        f"{network.num_anchors} anchors, {recipe.epochs} epochs"
    )
    if args.show_augmented is not None:
        from edge_ssd.training.augmented_sheet import write_augmented_sheet

        shown = write_augmented_sheet(training, network.input, recipe, args.show_augmented)
        print(f"{args.show_augmented}: {shown} pictures, each as it is and as the first five epochs show it")
        return 0

    def report(row: HistoryRow) -> None:
        left = format_seconds((recipe.epochs - row.epoch) * row.seconds)
        print(
            f"epoch {row.epoch}/{recipe.epochs}: loss {row.loss:.3f}, class error {row.class_error:.2e}, "
            f"box MAE {row.box_mae:.2e}, AP {row.ap:.3f}, AP50 {row.ap50:.3f}, AP75 {row.ap75:.3f}, "
            f"{row.images_per_second:.0f} images/s, {left} left",
            flush=True,
        )

    model = train(
        config,
        training,
        validation,
        args.out,
        resume=args.resume,
        start_from=args.start_from,
        report=report,
        cache=args.cache,
        tensorboard=args.tensorboard,
        workers=workers,
    )
    if not workers.is_chief:
        return 0
    following = [
        "edge-ssd",
        "convert",
        model,
        "--data",
        config.data,
        *config.data.options,
        "--out",
        f"{args.out.name}.tflite",
    ]
    print(f"model: {model}{_which_epoch(args.out, recipe)}\nnext:  {shlex.join(map(str, following))}")
    return 0


def _workers(strategy: str) -> Workers:
    """Who trains; waits for all of them."""
    from edge_ssd.training.workers import ALONE, connect_workers

    return connect_workers(lambda line: print(line, flush=True)) if strategy == "multiworker" else ALONE


def _which_epoch(folder: Path, recipe: Recipe) -> str:
    """With early stopping, what else there is to say about the model of a finished run; else nothing."""
    from edge_ssd.training.history import best_row, read_history
    from edge_ssd.training.run import HISTORY

    history = read_history(folder / HISTORY) if recipe.patience else []
    if not history:
        return ""
    best = best_row(history)
    return (
        f" (epoch {best.epoch} of {history[-1].epoch}; chosen by its AP of {best.ap:.3f} on the validation pictures, "
        "which therefore flatters it: report the AP on other pictures)"
    )


def _held_out_share(folder: DataSource, asked: float | None) -> float | None:
    """What share of the training pictures to hold out; None where the data set has a split for it."""
    from edge_ssd.data.load import available_splits

    if asked is not None:
        if not 0 < asked < 1:
            raise SettingError(f"--validation-split must be between 0 and 1, got {asked}")
        return asked
    splits = available_splits(folder)
    if "train" in splits and ("val" in splits or "test" in splits):
        return None
    print(f"{folder} has no validation split: {_HELD_OUT:.0%} of its training pictures are held out for it")
    return _HELD_OUT


def _datasets(
    folder: DataSource, share: float | None, seed: int, labels: tuple[str, ...] | None = None
) -> tuple[Dataset, Dataset]:
    """The training and the validation pictures."""
    from edge_ssd.data.load import available_splits, load_dataset, split_dataset

    training = load_dataset(folder, "train" if "train" in available_splits(folder) else None, labels=labels)
    if share is None:
        return training, load_dataset(folder, "val", labels=training.labels)
    return split_dataset(training, 1 - share, seed)


def _with_fitted_anchors(network: Network, training: Dataset, validation: Dataset, seed: int) -> Network:
    """The network with anchors for the training boxes; what that brings is printed."""
    from edge_ssd.data.anchor_fit import fit_anchors
    from edge_ssd.data.anchor_match import match_anchors, network_boxes

    fitted = replace(network, levels=fit_anchors(network_boxes(training, network.input), network.levels, seed))
    boxes = network_boxes(validation, network.input)
    before, after = (match_anchors(boxes, levels) for levels in (network.levels, fitted.levels))
    print(
        f"anchors fitted: {before.matched:.1%} → {after.matched:.1%} of the validation boxes match one, "
        f"mean best IoU {before.mean_iou:.3f} → {after.mean_iou:.3f}"
    )
    return fitted
