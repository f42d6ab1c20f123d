"""Command-line options for the fields of a :class:`~edge_ssd.training.recipe.Recipe`."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from typing import Any

from edge_ssd.training.recipe import AUGMENTATION_FIELDS, Recipe, book_recipe

__all__ = ["AUGMENTATION_FLAGS", "add_recipe_options", "given_recipe", "option_names", "recipe_field"]

AUGMENTATION_FLAGS = tuple(name.replace("_", "-") for name in AUGMENTATION_FIELDS)

_FLAGS: dict[str, dict[str, Any]] = {
    "epochs": {"type": int, "metavar": "N"},
    "batch-size": {"type": int, "metavar": "N"},
    "teacher-weight": {
        "type": float,
        "metavar": "FACTOR",
        "help": "weight of the distillation loss relative to the labels",
    },
    "seed": {"type": int, "metavar": "N"},
    "precision": {
        "choices": ("auto", "float32", "mixed_bfloat16"),
        "help": "computation dtype; auto measures which is faster",
    },
    "optimizer": {"choices": ("sgd", "adamw")},
    "learning-rate": {"type": float, "metavar": "RATE", "help": "peak learning rate"},
    "weight-decay": {"type": float, "metavar": "DECAY"},
    "warmup-epochs": {"type": float, "metavar": "N"},
    "cosine": {"action": argparse.BooleanOptionalAction, "help": "decay the learning rate to 0 by a cosine"},
    "assignment": {
        "choices": ("fixed", "dynamic"),
        "help": "assignment of anchors to objects: the book's IoU rule, or by task alignment",
    },
    "class-loss": {"choices": ("cross_entropy", "hard_negative", "focal", "quality")},
    "box-loss": {"choices": ("l1", "smooth_l1", "giou")},
    "box-weight": {"type": float, "metavar": "FACTOR", "help": "weight of the box loss relative to the class loss"},
    "sigma": {"type": float, "metavar": "SIGMA", "help": "parameter of smooth L1"},
    "flip": {"action": argparse.BooleanOptionalAction, "help": "mirror images left to right"},
    "vertical-flip": {
        "action": argparse.BooleanOptionalAction,
        "help": "mirror images top to bottom: for objects without an upright orientation",
    },
    "expand": {
        "type": float,
        "metavar": "FACTOR",
        "help": "shrink half of the images by up to this factor onto gray (SSD's zoom-out); 1 disables it",
    },
    "crop": {
        "action": argparse.BooleanOptionalAction,
        "help": "crop to a window with a random minimum IoU with some object (SSD's crop)",
    },
    "zoom": {
        "type": float,
        "metavar": "FACTOR",
        "help": "enlarge or shrink images by up to this factor; 1 disables it",
    },
    "color": {
        "type": float,
        "metavar": "SHARE",
        "help": "maximum relative change of brightness, contrast and saturation",
    },
    "class-weights": {
        "metavar": "none|balanced|NAME=W,…",
        "help": "loss weight of each class; balanced gives every class the same total weight",
    },
    "sync-norm": {
        "action": argparse.BooleanOptionalAction,
        "help": "compute batch norm over the global batch of all workers, not over each worker's share",
    },
    "patience": {
        "type": int,
        "metavar": "N",
        "help": "stop after N epochs without a higher AP and keep the best epoch's model; 0 trains all epochs",
    },
    "ema-decay": {"type": float, "metavar": "DECAY", "help": "decay of the weights' moving average; 0 disables it"},
}

# Still accepted on the command line.
_EARLIER_SPELLINGS = {"ema-decay": ("--average-decay",)}


def add_recipe_options(group: argparse._ArgumentGroup, flags: Iterable[str] = tuple(_FLAGS)) -> None:
    """Declare ``flags``; the help of each contains its default and the book's value."""
    default, book = Recipe(), book_recipe()
    for flag in flags:
        options, name = _FLAGS[flag], recipe_field(flag)
        values = f"(default {getattr(default, name)}; book {getattr(book, name)})"
        spellings = [f"--{flag}", *_EARLIER_SPELLINGS.get(flag, ())]
        group.add_argument(*spellings, **{**options, "help": f"{options.get('help', '')} {values}".strip()})


def given_recipe(args: argparse.Namespace) -> dict[str, Any]:
    """Return the recipe's fields that are set on the command line, by name."""
    given = {(name := recipe_field(flag)): getattr(args, name, None) for flag in _FLAGS}
    return {name: value for name, value in given.items() if value is not None}


def option_names(fields: Iterable[str]) -> str:
    """Return the options of ``fields`` for a message."""
    return ", ".join("--" + name.replace("_", "-") for name in fields)


def recipe_field(flag: str) -> str:
    """Return the recipe's field that an option sets."""
    return flag.replace("-", "_")
