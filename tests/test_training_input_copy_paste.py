"""edge_ssd.training.input.copy_paste: pasted boxes are exact, and other objects stay visible."""

from __future__ import annotations

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

from test_training_input_augment import SIZE, bright_box, rectangles  # noqa: E402 (after the check for TensorFlow)

from edge_ssd.training.input.copy_paste import paste_objects  # noqa: E402

COUNT = 64
NO_LABELS = np.full((COUNT, 3, 5), -1, np.float32)


def black_images() -> np.ndarray:
    return np.zeros((COUNT, SIZE, SIZE, 3), np.float32)


def paste(
    images: np.ndarray, labels: np.ndarray, donors: np.ndarray, donor_labels: np.ndarray, probability: float = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    seed = tf.constant([2, 7])
    pasted, rows = paste_objects(images, labels, donors, donor_labels, seed, probability=probability)
    return pasted.numpy(), rows.numpy()


def area(boxes: np.ndarray) -> np.ndarray:
    sides = np.maximum(boxes[..., 2:] - boxes[..., :2], 0)
    return np.asarray(sides[..., 0] * sides[..., 1])


def test_boxes_follow_their_pixels() -> None:
    donors, donor_labels = rectangles(COUNT)
    images, labels = paste(black_images(), NO_LABELS, donors.astype(np.float32), donor_labels)
    assert labels.shape == (COUNT, 3 + 2, 5)
    sizes = []
    for image, rows in zip(images, labels, strict=True):
        (box,) = rows[rows[:, 0] >= 0]
        assert box[0] == 2
        np.testing.assert_allclose(bright_box(image), box[1:], atol=0.6 / SIZE)
        sizes.append(box[3] - box[1])
    assert min(sizes) >= 4 / SIZE
    assert max(sizes) > 2 * min(sizes)


def test_existing_objects_keep_their_labels_and_stay_visible() -> None:
    images, (_, labels) = black_images(), rectangles(COUNT)
    for image, rows in zip(images, labels, strict=True):
        xmin, ymin, xmax, ymax = np.rint(rows[0, 1:] * SIZE).astype(int)
        image[ymin:ymax, xmin:xmax, 1] = 200
    donors, donor_labels = rectangles(COUNT)
    donors = donors[::-1].astype(np.float32)  # the object of another image
    result, rows = paste(images, labels, donors, donor_labels[::-1])
    np.testing.assert_array_equal(rows[:, :2], labels)
    pasted = rows[:, 2:]
    valid = pasted[..., 0] >= 0
    box, existing = pasted[valid][:, 1:], np.broadcast_to(labels[:, :1, 1:], (COUNT, 2, 4))[valid]
    corners = np.maximum(box[:, :2], existing[:, :2]), np.minimum(box[:, 2:], existing[:, 2:])
    overlap = area(np.concatenate(corners, axis=1)) / np.minimum(area(box), area(existing))
    assert 0.5 < valid.any(axis=1).mean() <= 1
    assert (overlap <= 0.2 + 1e-5).all()
    assert (overlap > 0).any()
    np.testing.assert_array_equal(result[~valid.any(axis=1)], images[~valid.any(axis=1)])


def test_objects_that_overlap_in_the_donor_are_not_copied() -> None:
    donors, donor_labels = rectangles(COUNT)
    donor_labels[:, 1] = donor_labels[:, 0] + [0, 0.05, 0.05, 0.05, 0.05]
    images, labels = paste(black_images(), NO_LABELS, donors.astype(np.float32), donor_labels)
    assert (images == 0).all()
    assert (labels == -1).all()


def test_crowded_image_is_unchanged() -> None:
    labels = NO_LABELS.copy()
    labels[:, 0] = [1, 0, 0, 1, 1]
    donors, donor_labels = rectangles(COUNT)
    images, rows = paste(black_images(), labels, donors.astype(np.float32), donor_labels)
    assert (images == 0).all()
    np.testing.assert_array_equal(rows[:, :3], labels)
    assert (rows[:, 3:] == -1).all()


def test_probability_selects_images() -> None:
    donors, donor_labels = rectangles(COUNT)
    images, labels = paste(black_images(), NO_LABELS, donors.astype(np.float32), donor_labels, probability=0.5)
    changed = (images > 0).any(axis=(1, 2, 3))
    assert 0.2 < changed.mean() < 0.8
    np.testing.assert_array_equal(changed, (labels[..., 0] >= 0).any(axis=1))


def test_only_some_objects_are_copied_and_never_the_gray_around_a_donor() -> None:
    donors = np.full((COUNT, SIZE, SIZE, 3), 255, np.float32)
    donor_labels = np.full((COUNT, 4, 5), -1, np.float32)
    for i in range(4):  # at the edges of the donor, so that the border would show what is outside
        donor_labels[:, i] = [i, i / 4, 0, (i + 1) / 4, 0.4]
    images, labels = paste(black_images(), NO_LABELS, donors, donor_labels)
    numbers = (labels[..., 0] >= 0).sum(axis=1)
    assert numbers.min() >= 1
    assert numbers.min() < numbers.max()
    # A blend of white and black is gray in equal parts, one with 114 on black is not above it: both are ≤ 255 and the
    # donor's own pixels are all white, so that a pixel in a box is white.
    for image, rows in zip(images, labels, strict=True):
        for _, xmin, ymin, xmax, ymax in rows[rows[:, 0] >= 0] * SIZE:
            inner = image[int(np.ceil(ymin)) + 1 : int(ymax) - 1, int(np.ceil(xmin)) + 1 : int(xmax) - 1]
            assert (inner > 254).all()
