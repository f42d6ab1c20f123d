"""edge_ssd.training.input.batch_images and pipeline: which images are in a batch, and that all is reproducible."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

from edge_ssd.data.dataset import Dataset, Sample  # noqa: E402 (after the check that TensorFlow is installed)
from edge_ssd.training.input.batch_images import choose_batch_images  # noqa: E402
from edge_ssd.training.input.images import ImageDataset  # noqa: E402
from edge_ssd.training.input.pipeline import training_batches  # noqa: E402
from edge_ssd.training.recipe import Recipe  # noqa: E402

RECIPE = Recipe(epochs=4, batch_size=4, flip=False, zoom=1.0, color=0.0)


def image_dataset(num_images: int = 10, num_background: int = 0, size: int = 16) -> ImageDataset:
    """Return images of one value each: 1 and above, every third without an object; background images from 200."""
    images = np.tile(np.arange(1, num_images + 1, dtype=np.uint8)[:, None, None, None], (1, size, size, 3))
    labels = np.full((num_images, 2, 5), -1, np.float32)
    labels[np.arange(num_images) % 3 > 0, 0] = [0, 0.25, 0.25, 0.75, 0.75]
    background = np.tile(np.arange(200, 200 + num_background, dtype=np.uint8)[:, None, None, None], (1, size, size, 3))
    samples = tuple(Sample(Path(f"{i}.png"), np.empty((0, 4)), np.empty(0)) for i in range(num_images))
    dataset = Dataset(Path(), ("object",), samples, "voc")
    return ImageDataset(images, labels, (), dataset, background if num_background else None)


def test_each_batch_has_its_share_of_background_and_an_epoch_every_labeled_image() -> None:
    recipe = replace(RECIPE, background_share=0.4)  # 2 of 4
    chosen = choose_batch_images(image_dataset(10, 7), recipe, epoch=0)
    assert chosen.images.shape == (5, 4)
    assert (chosen.images >= 10).sum(axis=1).tolist() == [2] * 5
    assert sorted(chosen.images[chosen.images < 10]) == list(range(10))
    # Ten of seven background images: each of them once before any is repeated.
    counts = np.bincount(chosen.images[chosen.images >= 10] - 10, minlength=7)
    assert set(counts.tolist()) == {1, 2}
    assert chosen.partners.shape == (5, 4, 0)
    again, other = (choose_batch_images(image_dataset(10, 7), recipe, epoch) for epoch in (0, 1))
    np.testing.assert_array_equal(again.images, chosen.images)
    assert (other.images != chosen.images).any()


def test_background_images_have_no_labels() -> None:
    recipe = replace(RECIPE, background_share=0.25)
    for images, labels in training_batches(image_dataset(9, 3), recipe, range(1)):
        values = images.numpy()[:, 0, 0, 0]
        assert (values >= 200).sum() == 1
        expected = (values < 200) & ((values - 1) % 3 > 0)
        np.testing.assert_array_equal(labels.numpy()[:, 0, 0] >= 0, expected)


def test_workers_see_the_images_and_partners_of_one() -> None:
    recipe = replace(RECIPE, mosaic=1.0, copy_paste=0.5)
    alone = choose_batch_images(image_dataset(10, 3), recipe, 2)
    shares = [
        choose_batch_images(image_dataset(10, 3), recipe, 2, SimpleNamespace(count=2, index=i))  # type: ignore[arg-type]
        for i in range(2)
    ]
    np.testing.assert_array_equal(np.concatenate([share.images for share in shares], axis=1), alone.images)
    np.testing.assert_array_equal(np.concatenate([share.partners for share in shares], axis=1), alone.partners)


def test_partners_are_three_tiles_in_the_first_epochs_and_a_donor_with_an_object() -> None:
    recipe = replace(RECIPE, mosaic=0.5, copy_paste=0.5)
    for epoch, count in ((0, 4), (1, 4), (2, 1), (3, 1)):
        partners = choose_batch_images(image_dataset(), recipe, epoch).partners
        assert partners.shape == (2, 4, count)
        assert (partners[..., -1] % 3 > 0).all()
        assert partners.max() < 10


@pytest.mark.parametrize("change", [{"mosaic": 0.5}, {"copy_paste": 1.0}, {"mosaic": 0.5, "copy_paste": 1.0}])
def test_batches_have_one_shape_in_all_epochs_and_depend_on_the_epoch_only(change: dict[str, float]) -> None:
    recipe, dataset = replace(RECIPE, **change), image_dataset(8, 2)
    shapes = set()
    for epoch in (0, 3):
        first, again = (list(training_batches(dataset, recipe, range(epoch, epoch + 1))) for _ in range(2))
        for (images, labels), (same_images, same_labels) in zip(first, again, strict=True):
            np.testing.assert_array_equal(images, same_images)
            np.testing.assert_array_equal(labels, same_labels)
            shapes.add((*images.shape, *labels.shape))
            values = {len(np.unique(image)) for image in images.numpy()}
            if "copy_paste" not in change:  # images of one value, or of four
                assert (max(values) > 1) == (epoch == 0)
    assert len(shapes) == 1


def test_batches_of_several_epochs_are_those_of_each() -> None:
    recipe, dataset = replace(RECIPE, mosaic=0.5, copy_paste=0.5, background_share=0.25), image_dataset(8, 2)
    together = list(training_batches(dataset, recipe, range(1, 4)))
    alone = [batch for epoch in (1, 2, 3) for batch in training_batches(dataset, recipe, range(epoch, epoch + 1))]
    for (images, labels), (same_images, same_labels) in zip(together, alone, strict=True):
        np.testing.assert_array_equal(images, same_images)
        np.testing.assert_array_equal(labels, same_labels)
