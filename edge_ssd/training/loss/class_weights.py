"""Class weights of the loss."""

from __future__ import annotations

import numpy as np

from edge_ssd.boxes import FloatArray
from edge_ssd.data.dataset import Dataset
from edge_ssd.training.recipe import Recipe, RecipeError, named_weights

__all__ = ["class_weights"]


def class_weights(recipe: Recipe, dataset: Dataset) -> FloatArray | None:
    """Return the loss weight of an object of each class of ``dataset``, float32 [q]; None for equal weights.

    "balanced" gives a class the weight N / (k · n): N objects in all, n of this class, k classes that have objects.
    Each class then has the same total weight, and the mean weight of an object is 1, so that the loss keeps its
    scale. A class without objects gets 1.

    Raises:
        RecipeError: a weight is given for a class that does not exist.
    """
    if recipe.class_weights == "none":
        return None
    if recipe.class_weights == "balanced":
        ids = np.concatenate([sample.class_ids for sample in dataset.samples])
        counts = np.bincount(ids, minlength=len(dataset.labels))
        present = counts > 0
        balanced = len(ids) / (max(present.sum(), 1) * np.maximum(counts, 1))
        return np.where(present, balanced, 1.0).astype(np.float32)
    by_name = named_weights(recipe.class_weights)
    unknown = [name for name in by_name if name not in dataset.labels]
    if unknown:
        raise RecipeError(f"class_weights name {', '.join(unknown)}, but the classes are {', '.join(dataset.labels)}")
    return np.array([by_name.get(label, 1.0) for label in dataset.labels], np.float32)
