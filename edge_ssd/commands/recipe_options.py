"""The fields of a :class:`~edge_ssd.training.recipe.Recipe` as options of a command line."""

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
    "teacher-weight": {"type": float, "metavar": "FACTOR", "help": "of what --teacher teaches against the labels"},
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
    "ema-decay": {"type": float, "metavar": "DECAY", "help": "decay of the weights' moving average; 0 disables it"},
}

# Still accepted on the command line.
_EARLIER_SPELLINGS = {"ema-decay": ("--average-decay",)}


def add_recipe_options(group: argparse._ArgumentGroup, flags: Iterable[str] = tuple(_FLAGS)) -> None:
    """Declare ``flags``; the help of each says its default and the book's value."""
    default, book = Recipe(), book_recipe()
    for flag in flags:
        options, name = _FLAGS[flag], recipe_field(flag)
        values = f"(default {getattr(default, name)}; book {getattr(book, name)})"
        spellings = [f"--{flag}", *_EARLIER_SPELLINGS.get(flag, ())]
        group.add_argument(*spellings, **{**options, "help": f"{options.get('help', '')} {values}".strip()})


def given_recipe(args: argparse.Namespace) -> dict[str, Any]:
    """The fields that the command line gives, by name."""
    given = {(name := recipe_field(flag)): getattr(args, name, None) for flag in _FLAGS}
    return {name: value for name, value in given.items() if value is not None}


def option_names(fields: Iterable[str]) -> str:
    """Fields of a recipe as the command line calls them, for a message."""
    return ", ".join("--" + name.replace("_", "-") for name in fields)


def recipe_field(flag: str) -> str:
    """The recipe's field that an option of the command line sets."""
    return flag.replace("-", "_")
