"""Training recipe: all hyperparameters except the network, in one frozen value that is saved with the run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from edge_ssd.errors import EdgeSSDError

__all__ = ["AUGMENTATION_FIELDS", "Recipe", "RecipeError", "book_recipe", "named_weights"]

AUGMENTATION_FIELDS = (
    "mosaic",
    "flip",
    "vertical_flip",
    "expand",
    "crop",
    "zoom",
    "hide_cut",
    "copy_paste",
    "color",
)
"""Fields of :class:`Recipe` that augment the input images, in the order in which they are applied."""


class RecipeError(EdgeSSDError, ValueError):
    """Invalid or contradictory values of a training recipe."""


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
    """Hyperparameters of a training run; ``docs/training.md`` describes the effect of each.

    Attributes:
        epochs: passes over the training images. ``edge-ssd train`` chooses them by the number of images, see
            :mod:`edge_ssd.training.default_epochs`.
        learning_rate: peak learning rate, reached after ``warmup_epochs``; with ``cosine`` it then decays to 0.
        trunk_rate: factor of the learning rate and of the weight decay for the layers before the heads, 0 to 1, for a
            trunk that is trained already; 0 keeps its weights (but not its batch-norm statistics).
        assignment: assignment of anchors to objects: "fixed" is the book's IoU rule, "dynamic" depends on the
            predictions.
        class_loss: "cross_entropy" is the book's mean over all anchors; "quality" needs dynamic assignment.
        box_loss: "l1" is the book's; "giou" adds 1 − GIoU of the decoded box to smooth L1.
        box_weight: weight of the box loss relative to the class loss.
        sigma: parameter of smooth L1.
        class_weights: "none", "balanced" (rare classes have a higher weight, see
            :mod:`edge_ssd.training.loss.class_weights`), or weights by name, "fork=2,knife=1"; other classes have 1.
        flip, vertical_flip: mirror half of the images.
        expand: maximum factor by which half of the images are shrunk onto gray (SSD's zoom-out); 1 disables it.
        crop: SSD's IoU-bounded crop, for six of seven images.
        zoom: maximum factor by which images are enlarged or shrunk; 1 disables it.
        hide_cut: paint what remains of an object gray if ``crop`` or ``zoom`` cuts it so far that its label is dropped.
        mosaic: share of the epochs, from the first one, whose images are made of four training images each; 0 disables
            it. See :mod:`edge_ssd.training.input.mosaic`.
        copy_paste: probability that objects of another training image are copied into an image; 0 disables it. See
            :mod:`edge_ssd.training.input.copy_paste`.
        background_share: share of each batch that are background images, if the run has a folder of them.
        color: maximum relative change of brightness, contrast and saturation, such as 0.2; 0 disables it.
        ema_decay: decay of the exponential moving average of the weights, which is evaluated and saved; 0 disables it.
        precision: computation dtype; weights are always float32. "auto" measures which is faster.
        sync_norm: compute batch-norm statistics over the global batch of all workers, not each share; slower.
        patience: early stopping after this many epochs without a higher AP, keeping the best epoch's model; 0
            disables it.
        keep_best: keep the best epoch's model instead of the last one's, without stopping early.
        teacher_weight: weight of the distillation loss relative to the loss from the labels.
    """

    epochs: int = 50
    batch_size: int = 16
    optimizer: Optimizer = "adamw"
    learning_rate: float = 3e-3
    trunk_rate: float = 1.0
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
    hide_cut: bool = False
    mosaic: float = 0.0
    copy_paste: float = 0.0
    background_share: float = 0.25
    color: float = 0.2
    ema_decay: float = 0.998
    precision: Precision = "auto"
    sync_norm: bool = False
    patience: int = 0
    keep_best: bool = False
    teacher_weight: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise RecipeError(f"{name} must be one of {', '.join(choices)}; got {getattr(self, name)!r}")
        for name, minimum in (("epochs", 1), ("batch_size", 1), ("patience", 0)):
            if not isinstance(getattr(self, name), int) or getattr(self, name) < minimum:
                raise RecipeError(f"{name} must be an integer of at least {minimum}, got {getattr(self, name)!r}")
        for name in ("learning_rate", "sigma", "box_weight", "teacher_weight"):
            if not 0 < getattr(self, name) < float("inf"):
                raise RecipeError(f"{name} must be a positive number, got {getattr(self, name)!r}")
        for name in ("weight_decay", "warmup_epochs"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise RecipeError(f"{name} must be a number of at least 0, got {getattr(self, name)!r}")
        for name in ("trunk_rate", "mosaic", "copy_paste"):
            if not 0 <= getattr(self, name) <= 1:
                raise RecipeError(f"{name} must be in 0–1, got {getattr(self, name)!r}")
        if not 0 < self.background_share < 1:
            raise RecipeError(f"background_share must be above 0 and below 1, got {self.background_share!r}")
        if not isinstance(self.seed, int) or not 0 <= self.seed < 2**32:
            raise RecipeError(f"seed must be an integer from 0 to 2**32 - 1, got {self.seed!r}")
        named_weights(self.class_weights)
        if not 0 <= self.ema_decay < 1:
            raise RecipeError(f"ema_decay must be in 0–1, got {self.ema_decay!r}")
        if not 1 <= self.zoom <= 4 or not 0 <= self.color <= 1:
            raise RecipeError(f"zoom must be in 1–4 and color in 0–1, got {self.zoom!r} and {self.color!r}")
        if not 1 <= self.expand <= 8:
            raise RecipeError(f"expand must be in 1–8, got {self.expand!r}")
        if self.class_loss == "quality" and self.assignment != "dynamic":
            raise RecipeError("class_loss 'quality' needs assignment 'dynamic': the fixed assignment has no quality")

    @property
    def keeps_best_epoch(self) -> bool:
        """Whether the model of the epoch with the highest AP is kept, not the last one."""
        return self.keep_best or self.patience > 0

    @property
    def background_per_batch(self) -> int:
        """Number of background images in a batch, at least one, if the run has some; 0 for batches of one image."""
        return min(max(1, round(self.background_share * self.batch_size)), self.batch_size - 1)

    def is_mosaic_epoch(self, epoch: int) -> bool:
        """Return whether the images of ``epoch``, from 0, are mosaics."""
        return epoch < round(self.mosaic * self.epochs)

    def to_dict(self) -> dict[str, Any]:
        """Return the hyperparameters as a dictionary of plain JSON types, for :meth:`from_dict`."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Recipe:
        """Return the recipe that :meth:`to_dict` wrote, in earlier versions too."""
        try:
            return cls(**{"ema_decay" if name == "average_decay" else name: value for name, value in data.items()})
        except TypeError as error:
            raise RecipeError(f"not a training recipe: {error}") from None


def named_weights(class_weights: str) -> dict[str, float]:
    """Return class name → weight of a text like :attr:`Recipe.class_weights`; empty for "none" and "balanced"."""
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
    """Return the book's recipe (d2l, "Single Shot Multibox Detection", Training); its network has ``input_scale=1``."""
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
        ema_decay=0,
        precision="float32",
    )
