"""Command-line options for the fields of a :class:`~edge_ssd.training.recipe.Recipe`."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from typing import Any

from edge_ssd.training.default_epochs import DEFAULT_EPOCHS_RULE
from edge_ssd.training.recipe import Recipe, book_recipe

__all__ = ["AUGMENTATION", "LOSS", "TRAINING", "add_recipe_options", "given_recipe", "option_names"]


TRAINING = (
    *("batch_size", "seed", "precision", "optimizer", "learning_rate", "trunk_rate", "weight_decay", "warmup_epochs"),
    *("cosine", "ema_decay", "patience", "keep_best", "teacher_weight", "sync_norm"),
)
LOSS = ("assignment", "class_loss", "box_loss", "box_weight", "sigma", "class_weights")
AUGMENTATION = (
    *("flip", "vertical_flip", "zoom", "color", "expand", "crop", "hide_cut", "mosaic", "copy_paste"),
    "background_share",
)
"""The fields of a recipe besides ``epochs``, by the groups of the help."""


def _number(kind: type[int] | type[float], metavar: str, help: str = "") -> dict[str, Any]:
    return {"type": kind, "metavar": metavar, "help": help}


def _choice(*choices: str, help: str = "") -> dict[str, Any]:
    return {"choices": choices, "help": help}


def _switch(help: str) -> dict[str, Any]:
    return {"action": argparse.BooleanOptionalAction, "help": help}


# Field of the recipe → arguments of add_argument.
_OPTIONS: dict[str, dict[str, Any]] = {
    "epochs": _number(int, "N", "passes over the training images"),
    "batch_size": _number(int, "N", "images in a step"),
    "teacher_weight": _number(float, "FACTOR", "weight of the distillation loss relative to the labels"),
    "seed": _number(int, "N", "of every random choice"),
    "precision": _choice("auto", "float32", "mixed_bfloat16", help="computation dtype; auto measures which is faster"),
    "optimizer": _choice("sgd", "adamw", help="SGD with momentum, or AdamW"),
    "learning_rate": _number(float, "RATE", "peak learning rate"),
    "trunk_rate": _number(
        float, "FACTOR", "factor of the learning rate for the layers before the heads, if these start from a model"
    ),
    "weight_decay": _number(float, "DECAY", "of the optimizer"),
    "warmup_epochs": _number(float, "N", "epochs until the learning rate reaches its peak"),
    "cosine": _switch("decay the learning rate to 0 by a cosine"),
    "assignment": _choice(
        "fixed", "dynamic", help="assignment of anchors to objects: the book's IoU rule, or by task alignment"
    ),
    "class_loss": _choice("cross_entropy", "hard_negative", "focal", "quality", help="loss of the class scores"),
    "box_loss": _choice("l1", "smooth_l1", "giou", help="loss of the boxes"),
    "box_weight": _number(float, "FACTOR", "weight of the box loss relative to the class loss"),
    "sigma": _number(float, "SIGMA", "parameter of smooth L1"),
    "flip": _switch("mirror images left to right"),
    "vertical_flip": _switch("mirror images top to bottom: for objects without an upright orientation"),
    "expand": _number(
        float, "FACTOR", "shrink half of the images by up to this factor onto gray (SSD's zoom-out); 1 disables it"
    ),
    "crop": _switch("crop to a window with a random minimum IoU with some object (SSD's crop)"),
    "zoom": _number(float, "FACTOR", "enlarge or shrink images by up to this factor; 1 disables it"),
    "hide_cut": _switch("paint gray what a zoom or crop leaves of an object that loses its label"),
    "mosaic": _number(
        float, "SHARE", "make mosaics of four images in this share of the epochs, from the first one; 0 disables it"
    ),
    "copy_paste": _number(
        float, "SHARE", "copy objects of another training image into this share of the images; 0 disables it"
    ),
    "color": _number(float, "SHARE", "maximum relative change of brightness, contrast and saturation"),
    "background_share": _number(float, "SHARE", "share of a batch that are images of --background"),
    "class_weights": {
        "metavar": "none|balanced|NAME=W,…",
        "help": "loss weight of each class; balanced gives every class the same total weight",
    },
    "sync_norm": _switch("compute batch norm over the global batch of all workers, not over each worker's share"),
    "patience": _number(
        int, "N", "stop after N epochs without a higher AP and keep the best epoch's model; 0 trains all epochs"
    ),
    "keep_best": _switch("keep the model of the epoch with the highest AP without stopping early"),
    "ema_decay": _number(float, "DECAY", "decay of the weights' moving average; 0 disables it"),
}

# Fields whose default is a rule.
_RULES = {"epochs": DEFAULT_EPOCHS_RULE}

# Still accepted on the command line.
_EARLIER_SPELLINGS = {"ema_decay": ("--average-decay",)}


def add_recipe_options(group: argparse._ActionsContainer, fields: Iterable[str] = tuple(_OPTIONS)) -> None:
    """Declare the options of a recipe's ``fields``; the help of each contains its default and the book's value."""
    default, book = Recipe(), book_recipe()
    for field in fields:
        values = f"(default {_RULES.get(field, getattr(default, field))}; book {getattr(book, field)})"
        options = {**_OPTIONS[field], "help": f"{_OPTIONS[field]['help']} {values}".strip()}
        group.add_argument(option_names([field]), *_EARLIER_SPELLINGS.get(field, ()), **options)


def given_recipe(args: argparse.Namespace) -> dict[str, Any]:
    """Return the recipe's fields that are set on the command line, by name."""
    given = {field: getattr(args, field, None) for field in _OPTIONS}
    return {field: value for field, value in given.items() if value is not None}


def option_names(fields: Iterable[str]) -> str:
    """Return the options of fields as text: ``["seed", "ema_decay"]`` gives "--seed, --ema-decay"."""
    return ", ".join("--" + field.replace("_", "-") for field in fields)
