"""``edge-ssd train``: a folder of labelled pictures in, a Keras model out."""

from __future__ import annotations

import argparse
import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from edge_ssd.commands.data_options import add_data_options, data_source
from edge_ssd.commands.network_options import add_network_options, given_network, network_table
from edge_ssd.commands.recipe_options import add_recipe_options, given_recipe, option_names
from edge_ssd.errors import SettingError
from edge_ssd.network import NETWORKS, tiny_ssd
from edge_ssd.training.recipe import Recipe, book_recipe

if TYPE_CHECKING:
    from edge_ssd.data.dataset import Dataset
    from edge_ssd.data.load import DatasetFolder
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
  edge-ssd train --data pictures --classes fork,knife --anchors book --out runs/cutlery
  edge-ssd train --data pictures --out runs/tuned --from runs/first/model.keras --epochs 10
  edge-ssd train --data pictures --out runs/nano --network nano --teacher runs/first/model.keras
  edge-ssd train --data bananas --out runs/book --recipe book
"""

# Where a data set has no validation split of its own.
_HELD_OUT = 0.15


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description, parser.epilog = _DESCRIPTION, _EXAMPLES
    add_data_options(parser, help="dataset folder (with --resume: if it moved)", required=False)
    parser.add_argument("--out", type=Path, required=True, metavar="RUN", help="folder of this run")
    parser.add_argument("--resume", action="store_true", help="go on with the run in RUN, by its own recipe")
    parser.add_argument("--from", dest="start_from", type=Path, metavar="MODEL.keras", help="start from these weights")
    parser.add_argument(
        "--teacher",
        type=Path,
        metavar="MODEL.keras",
        help="learn from this trained model too, a larger network on the same data; its anchors are taken over (with "
        "--resume: if it moved)",
    )
    parser.add_argument(
        "--validation-split",
        type=float,
        metavar="SHARE",
        help="hold out this share of the training pictures, by --seed, and measure on it (default: the data set's "
        "own validation split, or 0.15 where it has none)",
    )

    network = parser.add_argument_group("network (with anchors that fit the data)", network_table())
    add_network_options(parser, network)
    network.add_argument(
        "--anchors",
        choices=("book", "fit"),
        help="sizes and ratios: the book's, or fitted to the training boxes as 'edge-ssd data anchors' shows "
        "(default fit; book with --recipe book)",
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
    add_recipe_options(recipe)


def run(args: argparse.Namespace) -> int:
    # TensorFlow's start-up chatter would bury the one line that a user needs.
    from edge_ssd.training.tensorflow_logs import quiet_tensorflow

    workers = quiet_tensorflow(lambda: _workers(args.strategy))
    assert workers is not None
    from edge_ssd.console.progress import format_seconds
    from edge_ssd.data.dataset import problem_lines
    from edge_ssd.data.load import open_dataset
    from edge_ssd.training.history import HistoryRow
    from edge_ssd.training.run import train
    from edge_ssd.training.run_folder import RunConfig, load_run

    changes, options = given_recipe(args), given_network(args)
    if args.resume:
        if changes or args.start_from:
            given = option_names(changes) or "--from"
            raise SettingError(f"a resumed run keeps its own recipe: leave out {given}, or start anew in another --out")
        if options or args.network:
            given = option_names([*(["network"] if args.network else []), *options])
            raise SettingError(f"a resumed run keeps its own network: leave out {given}, or start anew")
        if args.classes or args.format:
            raise SettingError("a resumed run keeps its own classes and format: leave out --classes and --format")
        config = load_run(args.out)
        if args.data is not None:
            config = replace(config, data=replace(config.data, folder=args.data))
        if args.teacher is not None:
            if config.teacher is None:
                raise SettingError(f"{args.out} is trained without a teacher: leave out --teacher, or start anew")
            config = replace(config, teacher=args.teacher)
        folder = open_dataset(config.data)
        training, validation = _datasets(folder, config.validation_split, config.recipe.seed, config.network.labels)
    else:
        if args.data is None:
            raise SettingError("--data is missing: name the folder of labelled pictures to train on")
        if args.teacher is not None and args.anchors:
            raise SettingError("the anchors are the teacher's: leave out --anchors, or --teacher")
        recipe = replace(book_recipe() if args.recipe == "book" else Recipe(), **changes)
        folder = open_dataset(data_source(args))
        share = _held_out_share(folder, args.validation_split)
        training, validation = _datasets(folder, share, recipe.seed)
        # The book's network sees pixels as they are.
        scale = args.input_scale
        if scale is None:
            scale = 1.0 if args.recipe == "book" else 1 / 255
        network = tiny_ssd(training.labels, input_scale=scale, **{**NETWORKS[args.network or "book"], **options})
        if args.teacher is not None:
            network = _with_anchors_of(args.teacher, network)
        elif (args.anchors or ("book" if args.recipe == "book" else "fit")) == "fit":
            network = _with_fitted_anchors(network, training, validation, recipe.seed)
        config = RunConfig(network, recipe, folder.source, share, args.teacher)
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
        config.data.folder,
        *config.data.options,
        "--out",
        f"{args.out.name}.tflite",
    ]
    print(f"model: {model}{_which_epoch(args.out, recipe)}\nnext:  {shlex.join(map(str, following))}")
    return 0


def _workers(strategy: str) -> Workers:
    """Who trains; waits for all of them."""
    from edge_ssd.training.workers import SINGLE_WORKER, connect_workers

    return connect_workers() if strategy == "multiworker" else SINGLE_WORKER


def _which_epoch(folder: Path, recipe: Recipe) -> str:
    """With early stopping, what else there is to say about the model of a finished run; else nothing."""
    from edge_ssd.training.history import best_row, read_history
    from edge_ssd.training.run_folder import HISTORY

    history = read_history(folder / HISTORY) if recipe.patience else []
    if not history:
        return ""
    best = best_row(history)
    return (
        f" (epoch {best.epoch} of {history[-1].epoch}; chosen by its AP of {best.ap:.3f} on the validation pictures, "
        "which therefore flatters it: report the AP on other pictures)"
    )


def _held_out_share(folder: DatasetFolder, asked: float | None) -> float | None:
    """What share of the training pictures to hold out; None where the data set has a split for it."""
    if asked is not None:
        if not 0 < asked < 1:
            raise SettingError(f"--validation-split must be between 0 and 1, got {asked}")
        return asked
    if "train" in folder.splits and folder.validation_split is not None:
        return None
    print(f"{folder.source.folder} has no validation split: {_HELD_OUT:.0%} of its training images are held out")
    return _HELD_OUT


def _datasets(
    folder: DatasetFolder, share: float | None, seed: int, labels: tuple[str, ...] | None = None
) -> tuple[Dataset, Dataset]:
    """The training and the validation pictures."""
    from edge_ssd.data.dataset import split_dataset
    from edge_ssd.evaluation.splits import load_training_split

    training = load_training_split(folder, labels)
    if share is None:
        return training, folder.load(folder.validation_split or "val", training.labels)
    return split_dataset(training, 1 - share, seed)


def _with_anchors_of(teacher: Path, network: Network) -> Network:
    """The network with its teacher's anchors, without which they could not speak of the same."""
    from edge_ssd.training.model.tiny_ssd import load_tiny_ssd

    levels = load_tiny_ssd(teacher).network.levels
    theirs, ours = ([(level.height, level.width) for level in each] for each in (levels, network.levels))
    if theirs != ours:
        raise SettingError(f"{teacher}: its feature maps are {theirs}, those of the network that is to learn {ours}")
    return replace(network, levels=levels)


def _with_fitted_anchors(network: Network, training: Dataset, validation: Dataset, seed: int) -> Network:
    """The network with anchors for the training boxes; what that brings is printed."""
    from edge_ssd.data.anchor_fitting.fit import fit_anchors
    from edge_ssd.data.anchor_fitting.match import match_anchors, network_boxes

    fitted = replace(network, levels=fit_anchors(network_boxes(training, network.input), network.levels, seed))
    boxes = network_boxes(validation, network.input)
    before, after = (match_anchors(boxes, levels) for levels in (network.levels, fitted.levels))
    print(
        f"anchors fitted: {before.matched:.1%} → {after.matched:.1%} of the validation boxes match one, "
        f"{before.seen:.1%} → {after.seen:.1%} are seen whole by its level"
    )
    return fitted
