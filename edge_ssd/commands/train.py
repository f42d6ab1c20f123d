"""``edge-ssd train``: train a Keras model on a folder of labeled images."""

from __future__ import annotations

import argparse
import logging
import shlex
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from edge_ssd.commands.data_options import add_background_option, add_data_options, data_source
from edge_ssd.commands.network_options import add_network_options, given_network, network_table
from edge_ssd.commands.recipe_options import (
    AUGMENTATION,
    LOSS,
    TRAINING,
    add_recipe_options,
    given_recipe,
    option_names,
)
from edge_ssd.console.counts import count
from edge_ssd.console.text import print_text
from edge_ssd.data.training_images import DEFAULT_TRAIN_ON
from edge_ssd.errors import SettingError
from edge_ssd.network import NETWORKS
from edge_ssd.training.recipe import Recipe, book_recipe

if TYPE_CHECKING:
    from edge_ssd.training.history import HistoryRow
    from edge_ssd.training.run_setup import RunSetup
    from edge_ssd.training.workers import Workers

__all__ = ["add_arguments", "run"]

_DESCRIPTION = """\
Train a TinySSD on a folder of labeled images (the format is detected).

RUN receives model.keras (to convert), history.csv and history.png (the metrics
of every epoch), and checkpoint.npz, from which --resume continues. The average
precision is measured on the validation images. Options of the further groups
have defaults that suit most datasets."""

_EXAMPLES = """\
examples:
  edge-ssd train --data images --out runs/first
  edge-ssd train --data images --out runs/first --resume
  edge-ssd train --data images --classes fork,knife --anchors book --out runs/cutlery
  edge-ssd train --data images --out runs/tuned --from runs/first/model.keras --epochs 10
  edge-ssd train --data images --out runs/nano --network nano --teacher runs/first/model.keras
  edge-ssd train --data images --out runs/scratch --from none
  edge-ssd train --data bananas --out runs/book --recipe book
"""

_log = logging.getLogger(__name__)

# An AP below this is hardly more than that of an untrained network.
_USEFUL_AP = 0.02
# A loss that falls to this share of its value in two epochs.
_FALLING = 0.95


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``edge-ssd train``."""
    parser.usage = "%(prog)s --data DIR --out RUN [options]"
    parser.description, parser.epilog = _DESCRIPTION, _EXAMPLES
    # The first group of the help is what a first training needs, and fits on a screen.
    add_data_options(parser, help="folder of labeled images (with --resume: if it moved)", required=False)
    parser.add_argument("--out", type=Path, required=True, metavar="RUN", help="folder of this run")
    add_recipe_options(parser, ["epochs"])
    parser.add_argument("--resume", action="store_true", help="continue the run in RUN with its own recipe")
    parser.add_argument(
        "--from",
        dest="start_from",
        metavar="MODEL.keras",
        help="initialize the weights from this model, or with 'none' at random (default: the pre-trained weights that "
        "are shipped; none with --recipe book)",
    )
    images = parser.add_argument_group("images")
    images.add_argument(
        "--train-on",
        metavar="SPLIT,…",
        help="train on these splits, such as val or train,val, or on all of them, instead of train; they are then not "
        "used for validation",
    )
    images.add_argument(
        "--validation-split",
        type=float,
        metavar="SHARE",
        help="hold out this fraction of the training images, drawn by --seed, for validation (default: the dataset's "
        "validation split, or 0.15 if it has none)",
    )
    add_background_option(
        images, "to mix into the batches; may be repeated (with --resume: all of them, at their new locations)"
    )

    network = parser.add_argument_group("network", network_table())
    add_network_options(parser, network)
    network.add_argument(
        "--anchors",
        choices=("book", "fit"),
        help="anchor sizes and ratios: the book's, or fitted to the training boxes as 'edge-ssd data anchors' prints "
        "(default fit; book with --recipe book)",
    )
    network.add_argument(
        "--input-scale",
        type=float,
        metavar="FACTOR",
        help="factor of the input pixels (default 1/255; 1 with --recipe book)",
    )
    network.add_argument(
        "--teacher",
        type=Path,
        metavar="MODEL.keras",
        help="distill this trained model, a larger network on the same data; its anchors are used (with --resume: its "
        "new location)",
    )

    recipe = parser.add_argument_group("recipe")
    recipe.add_argument("--recipe", choices=("default", "book"), help="default values of the options below")
    add_recipe_options(recipe, TRAINING)
    add_recipe_options(parser.add_argument_group("recipe: loss"), LOSS)
    add_recipe_options(parser.add_argument_group("recipe: augmentation"), AUGMENTATION)

    machine = parser.add_argument_group("this machine (not saved in RUN: repeat these options with --resume)")
    machine.add_argument(
        "--cache",
        choices=("auto", "memory", "disk", "none"),
        default="auto",
        help="where decoded images are kept: auto uses up to half of the available memory, then the disk of RUN, then "
        "none (images are decoded every epoch)",
    )
    machine.add_argument("--tensorboard", action="store_true", help="also write the history to RUN/tensorboard")
    machine.add_argument(
        "--strategy",
        choices=("single", "multiworker"),
        default="single",
        help="multiworker: this process is one of the workers in TF_CONFIG, see docs/distributed.md",
    )


def run(args: argparse.Namespace) -> int:
    """Train as the options select; return 0."""
    start_from = _start_from(args)  # before TensorFlow and the images are loaded
    from edge_ssd.training.tensorflow_logs import quiet_tensorflow

    workers = quiet_tensorflow(lambda: _connect(args.strategy))
    assert workers is not None
    from edge_ssd.console.durations import format_seconds
    from edge_ssd.data.held_out_images import name_some
    from edge_ssd.training.history import read_history
    from edge_ssd.training.run import train
    from edge_ssd.training.run_folder import HELD_OUT, HISTORY

    setup = _setup(args, start_from, workers)
    config, recipe = setup.config, setup.config.recipe
    facts = (
        f"{len(setup.training)} training and {count(len(setup.validation), 'validation image')}",
        count(config.network.num_classes, "class"),
        count(config.network.num_anchors, "anchor"),
        count(recipe.epochs, "epoch"),
    )
    _log.info("%s", ", ".join(facts))
    if config.validation_split is not None and config.held_out is not None:
        names = name_some(config.held_out.names)
        _log.info("held out for validation: %s; all are listed in %s", names, args.out / HELD_OUT)
    reports: list[tuple[int, float]] = []

    def report(row: HistoryRow) -> None:
        # The first epoch compiles the network, so that it says nothing about the others.
        reports.append((row.epoch, time.monotonic()))
        remaining = ""
        if len(reports) > 1 and row.epoch < recipe.epochs:
            (first, start), (last, end) = reports[0], reports[-1]
            remaining = f", {format_seconds((recipe.epochs - last) * (end - start) / (last - first))} left"
        print_text(
            f"epoch {row.epoch}/{recipe.epochs}: loss {row.loss:.3f}, class error {row.class_error:.2e}, "
            f"box MAE {row.box_mae:.2e}, AP {row.ap:.3f}, AP50 {row.ap50:.3f}, AP75 {row.ap75:.3f}, "
            f"{row.images_per_second:.0f} images/s{remaining}",
            flush=True,
        )

    model = train(
        config,
        setup.training,
        setup.validation,
        args.out,
        resume=args.resume,
        start_from=start_from,
        report=report,
        cache=args.cache,
        tensorboard=args.tensorboard,
        workers=workers,
        background=setup.background,
    )
    if workers.is_chief:
        _warn_if_useless(read_history(args.out / HISTORY), config.data.folder)
        data = ["--data", str(config.data.folder), *config.data.options]
        convert = ["edge-ssd", "convert", str(model), *data, "--out", f"{args.out.name}.tflite"]
        print_text(f"model: {model}{_best_epoch(args.out, recipe)}\nnext:  {shlex.join(convert)}")
    return 0


def _connect(strategy: str) -> Workers:
    from edge_ssd.training.workers import SINGLE_WORKER, connect_workers

    return connect_workers() if strategy == "multiworker" else SINGLE_WORKER


def _setup(args: argparse.Namespace, start_from: Path | Literal["pretrained"] | None, workers: Workers) -> RunSetup:
    """Return the setup of the run that the options describe; raise SettingError for contradictory options."""
    from edge_ssd.runtime.model_file import find_keras_file
    from edge_ssd.training.run_folder import check_new_run
    from edge_ssd.training.run_setup import new_run, resumed_run

    changes, options = given_recipe(args), given_network(args)
    if args.resume:
        if changes or args.start_from:
            given = option_names(changes) or "--from"
            raise SettingError(
                f"a resumed run keeps its recipe: leave out {given}, or start a new run in another --out"
            )
        if options or args.network:
            given = option_names([*(["network"] if args.network else []), *options])
            raise SettingError(f"a resumed run keeps its network: leave out {given}, or start a new run")
        reading = [name for name in ("classes", "format", "boxes", "box_units") if getattr(args, name)]
        if reading:
            raise SettingError(f"a resumed run reads its data as before: leave out {option_names(reading)}")
        kept = ("train_on", "validation_split", "anchors", "input_scale", "recipe")
        if given := option_names(name for name in kept if getattr(args, name) is not None):
            raise SettingError(f"a resumed run keeps its images, network and recipe: leave out {given}")
        teacher = None if args.teacher is None else find_keras_file(args.teacher)
        return resumed_run(args.out, args.data, teacher, args.strict, args.background)
    if args.data is None:
        raise SettingError("--data is missing: name the folder of labeled images to train on")
    if args.teacher is not None and args.anchors:
        raise SettingError("the anchors are the teacher's: leave out --anchors, or --teacher")
    if "background_share" in changes and not args.background:
        raise SettingError("--background-share is for images of --background DIR: add it, or leave out the share")
    if workers.is_chief:
        check_new_run(args.out)
    is_book = args.recipe == "book"
    return new_run(
        data_source(args),
        replace(book_recipe() if is_book else Recipe(), **changes),
        _network_options(args, args.network or "book"),
        train_on=args.train_on or DEFAULT_TRAIN_ON,
        validation_split=args.validation_split,
        fitted_anchors=(args.anchors or ("book" if is_book else "fit")) == "fit",
        teacher=None if args.teacher is None else find_keras_file(args.teacher),
        start_from=start_from if isinstance(start_from, Path) else None,
        choose_epochs=not is_book and "epochs" not in changes,
        background=args.background,
    )


def _network_options(args: argparse.Namespace, name: str) -> dict[str, Any]:
    """Return the options of the network called ``name`` with those that the user gave."""
    scale = 1.0 if args.recipe == "book" else 1 / 255
    scale = scale if args.input_scale is None else args.input_scale
    return {"input_scale": scale, **NETWORKS[name], **given_network(args)}


def _start_from(args: argparse.Namespace) -> Path | Literal["pretrained"] | None:
    """Return what initializes the weights of a new run; raise ModelError if a model does not fit the network."""
    if args.resume or args.start_from == "none" or (args.start_from is None and args.recipe == "book"):
        return None
    if args.start_from is None:
        return "pretrained"
    from edge_ssd.network import tiny_ssd
    from edge_ssd.runtime.model_file import find_keras_file
    from edge_ssd.runtime.network_file import read_network
    from edge_ssd.training.trunk import check_trunk

    if args.start_from in NETWORKS and not Path(args.start_from).exists():
        raise SettingError(
            f"--from {args.start_from}: its pre-trained weights are the default start of --network {args.start_from}: "
            "leave out --from"
        )
    path = find_keras_file(args.start_from)
    named = {name: tiny_ssd(("object",), **_network_options(args, name)) for name in NETWORKS}
    check_trunk(path, read_network(path), named[args.network or "book"], named)
    return path


def _warn_if_useless(history: Sequence[HistoryRow], data: Path) -> None:
    """Warn if the model of a finished training finds hardly anything, and log what to check."""
    from edge_ssd.training.history import best_row

    if not history or (best := best_row(history).ap) >= _USEFUL_AP:
        return
    losses = [row.loss for row in history]
    is_falling = len(losses) > 2 and losses[-1] < _FALLING * losses[-3]
    longer = "train longer (--epochs)"
    longer += ": the loss is still falling" if is_falling else ", or with another --learning-rate"
    _log.warning(
        "the model finds hardly anything: the best AP of %s is %.3f. Check boxes and class names in "
        "'edge-ssd data inspect %s --sheet sheet.png'; if they are right, %s",
        count(len(history), "epoch"),
        best,
        shlex.quote(str(data)),
        longer,
    )


def _best_epoch(folder: Path, recipe: Recipe) -> str:
    """Return which epoch's model was kept as the best one; "" if it is the last epoch's in any case."""
    from edge_ssd.training.history import best_row, read_history
    from edge_ssd.training.run_folder import HISTORY

    history = read_history(folder / HISTORY) if recipe.keeps_best_epoch else []
    if not history:
        return ""
    best = best_row(history)
    return (
        f" (epoch {best.epoch} of {history[-1].epoch}, selected by its AP of {best.ap:.3f} on the validation images, "
        "which is biased upwards: report the AP on other images)"
    )
