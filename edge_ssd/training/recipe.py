"""A training recipe: every choice that is not the network, in one frozen value that is saved with the run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from edge_ssd.errors import EdgeSSDError

__all__ = ["AUGMENTATION_FIELDS", "Recipe", "RecipeError", "book_recipe", "named_weights"]

AUGMENTATION_FIELDS = ("flip", "vertical_flip", "expand", "crop", "zoom", "color")
"""Fields of :class:`Recipe` that augment the input images, in the order in which they are applied."""


class RecipeError(EdgeSSDError, ValueError):
    """A training recipe that contradicts itself."""


Assignment = Literal["fixed", "dynamic"]
ClassLoss = Literal["cross_entropy", "hard_negative", "focal", "quality"]
BoxLoss = Literal["l1", "smooth_l1", "giou"]
Optimizer = Literal["sgd", "adamw"]
Precision = Literal["auto", "float32", "mixed_bfloat16"]

_CHOICES = {
    "assignment": ("fixed", "dynamic"),
    "class_loss": ("cross_entropy", "hard_negative", "focal", "quality"),
    "box_loss": ("l1", "smooth_l1", "giou"),
    "optimizer": ("sgd", "adamw"),
    "precision": ("auto", "float32", "mixed_bfloat16"),
}


@dataclass(frozen=True)
class Recipe:
    """How a network is trained; ``docs/training.md`` says what each choice brings.

    Attributes:
        learning_rate: its peak; 0 to it over ``warmup_epochs``, then down to 0 by a cosine if ``cosine``.
        assignment: "fixed" is the book's IoU rule, "dynamic" assigns by what the network predicts.
        class_loss: "cross_entropy" is the book's mean over all anchors; "quality" needs dynamic assignment.
        box_loss: "l1" is the book's; "giou" adds 1 − GIoU of the decoded box to smooth L1.
        box_weight: factor of the box loss against the class loss.
        sigma: of smooth L1.
        class_weights: "none", "balanced" (rare classes weigh more, see :mod:`edge_ssd.training.loss.class_weights`), or
            weights by name, "fork=2,knife=1"; a class that is not named weighs 1.
        flip, vertical_flip: mirror half of the pictures.
        expand: largest factor by which half of the pictures are shrunk onto grey (SSD's zoom-out); 1 is never.
        crop: look at a window that some object fills to a random share (SSD's IoU-bounded crop), six times of seven.
        zoom: largest factor by which a picture is enlarged or shrunk at random; 1 is never.
        color: strength of random brightness, contrast and saturation; 0 is none.
        precision: of the computation, weights are float32 in any case; "auto" measures what is faster here.
        average_decay: of the moving average of the weights that is evaluated and saved; 0 is no average.
        sync_norm: batch-normalisation statistics of all workers' shares of a batch together, not of each share; slower.
        teacher_weight: of what a teacher teaches, against the labels, where there is one.
        patience: stop after so many epochs without a better AP, and keep the best epoch's model; 0 is never.
    """

    epochs: int = 50
    batch_size: int = 16
    optimizer: Optimizer = "adamw"
    learning_rate: float = 3e-3
    weight_decay: float = 0.05
    warmup_epochs: float = 2.0
    cosine: bool = True
    assignment: Assignment = "dynamic"
    class_loss: ClassLoss = "quality"
    box_loss: BoxLoss = "giou"
    box_weight: float = 4.0
    sigma: float = 1.0
    class_weights: str = "none"
    flip: bool = True
    vertical_flip: bool = False
    expand: float = 1.0
    crop: bool = False
    zoom: float = 1.25
    color: float = 0.2
    average_decay: float = 0.998
    precision: Precision = "auto"
    sync_norm: bool = False
    patience: int = 0
    teacher_weight: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise RecipeError(f"{name} must be one of {', '.join(choices)}; got {getattr(self, name)!r}")
        for name in ("epochs", "batch_size"):
            if not isinstance(getattr(self, name), int) or getattr(self, name) < 1:
                raise RecipeError(f"{name} must be a whole number of at least 1, got {getattr(self, name)!r}")
        for name in ("learning_rate", "sigma", "box_weight", "teacher_weight"):
            if not 0 < getattr(self, name) < float("inf"):
                raise RecipeError(f"{name} must be a positive number, got {getattr(self, name)!r}")
        for name in ("weight_decay", "warmup_epochs"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise RecipeError(f"{name} must be a number of at least 0, got {getattr(self, name)!r}")
        if not isinstance(self.seed, int) or not 0 <= self.seed < 2**32:
            raise RecipeError(f"seed must be a whole number from 0 to 2**32 - 1, got {self.seed!r}")
        if not isinstance(self.patience, int) or self.patience < 0:
            raise RecipeError(f"patience must be a whole number of at least 0, got {self.patience!r}")
        named_weights(self.class_weights)
        if not 0 <= self.average_decay < 1:
            raise RecipeError(f"average_decay must be in 0–1, got {self.average_decay!r}")
        if not 1 <= self.zoom <= 4 or not 0 <= self.color <= 1:
            raise RecipeError(f"zoom must be in 1–4 and color in 0–1, got {self.zoom!r} and {self.color!r}")
        if not 1 <= self.expand <= 8:
            raise RecipeError(f"expand must be in 1–8, got {self.expand!r}")
        if self.class_loss == "quality" and self.assignment != "dynamic":
            raise RecipeError("class_loss 'quality' needs assignment 'dynamic': the fixed one gives no quality")

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Recipe:
        try:
            return cls(**data)
        except TypeError as error:
            raise RecipeError(f"not a training recipe: {error}") from None


def named_weights(class_weights: str) -> dict[str, float]:
    """The weights that :attr:`Recipe.class_weights` gives by name: none for "none" and "balanced"."""
    if class_weights in ("none", "balanced"):
        return {}
    weights: dict[str, float] = {}
    for part in class_weights.split(","):
        name, _, number = part.rpartition("=")
        try:
            weights[name.strip()] = weight = float(number)
        except ValueError:
            weight = 0.0
        if not name.strip() or not 0 < weight < float("inf"):
            raise RecipeError(
                "class_weights must be none, balanced, or positive weights by name such as fork=2,knife=0.5; "
                f"got {class_weights!r}"
            )
    return weights


def book_recipe() -> Recipe:
    """The book's recipe (d2l, "Single Shot Multibox Detection", Training); its network has ``input_scale=1``."""
    return Recipe(
        epochs=20,
        batch_size=32,
        optimizer="sgd",
        learning_rate=0.2,
        weight_decay=5e-4,
        warmup_epochs=0,
        cosine=False,
        assignment="fixed",
        class_loss="cross_entropy",
        box_loss="l1",
        box_weight=1.0,
        flip=False,
        zoom=1.0,
        color=0.0,
        average_decay=0,
        precision="float32",
    )
