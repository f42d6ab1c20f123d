"""``edge-ssd data``, and what only training can add to it: pictures as the network will see them."""

from __future__ import annotations

import argparse
from pathlib import Path

from edge_ssd.commands import data_sets as command
from edge_ssd.commands.input_options import add_input_options
from edge_ssd.commands.recipe_options import AUGMENTATION_FLAGS, add_recipe_options, given_recipe, option_names
from edge_ssd.training.recipe import Recipe

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the subcommands."""
    inspect = command.add_arguments(parser)
    inspect.epilog = f"{inspect.epilog}  edge-ssd data inspect data/cells --augmented sheet.png --crop --expand 2\n"
    group = inspect.add_argument_group("augmentation, for --augmented (the same options as in 'edge-ssd train')")
    group.add_argument(
        "--augmented",
        metavar="FILE.png",
        type=Path,
        help="write a contact sheet of pictures as training shows them: each change by itself, then all together",
    )
    add_input_options(group)
    add_recipe_options(group, ("seed", *AUGMENTATION_FLAGS))


def run(args: argparse.Namespace) -> int:
    """Run the subcommand that was asked for; returns 0."""
    if args.data_command != "inspect":
        return command.run(args)
    changes = given_recipe(args)
    if args.augmented is None:
        if changes:
            from edge_ssd.errors import SettingError

            raise SettingError(
                f"{option_names(changes)}: this is for the sheet that --augmented FILE.png writes; name the file"
            )
        return command.run(args)
    from edge_ssd.commands.data_inspect import check_picture_name

    check_picture_name(args.augmented)
    recipe = Recipe(**changes)
    status = command.run(args)
    _write_sheet(args, recipe)
    return status


def _write_sheet(args: argparse.Namespace, recipe: Recipe) -> None:
    from edge_ssd.training.tensorflow_logs import quiet_tensorflow

    quiet_tensorflow()
    from edge_ssd.data.load import Split, available_splits, load_dataset
    from edge_ssd.data.source import data_source
    from edge_ssd.files import atomic_path
    from edge_ssd.network import InputSpec
    from edge_ssd.training.input.augmented_sheet import augmented_sheet

    source = data_source(args, args.folder)
    split: Split | None = args.split or ("train" if "train" in available_splits(source) else None)
    height, width = args.input_size
    spec = InputSpec(height, width, resize=args.resize)
    sheet = augmented_sheet(load_dataset(source, split), spec, recipe)
    with atomic_path(args.augmented) as temporary:
        sheet.save(temporary)
    if not args.json:
        print(f"\n{args.augmented}: pictures of {args.folder} as training shows them")
