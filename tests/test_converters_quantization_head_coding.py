"""Recoded heads give the same boxes and scores."""

from __future__ import annotations

import numpy as np
import pytest

from converters.quantization.head_coding import equalize_box_scales, subtract_background_logit, with_box_coding
from edge_ssd.coding import BoxCoding, offset_inverse
from edge_ssd.reference_detection import softmax

pytest.importorskip("tensorflow")


def test_subtract_background_logit_keeps_scores_and_argument(untrained_model, dim_images: np.ndarray):
    before = [weight.copy() for weight in untrained_model.get_weights()]
    classes, boxes = untrained_model.head_maps(dim_images)
    relative_classes, same_boxes = subtract_background_logit(untrained_model).head_maps(dim_images)
    for one, two in zip(classes, relative_classes, strict=True):
        logits, relative = one.numpy().reshape(-1, 3), two.numpy().reshape(-1, 3)
        assert (relative[:, 0] == 0).all()
        assert np.allclose(softmax(logits), softmax(relative), atol=1e-6)
    for one, two in zip(boxes, same_boxes, strict=True):
        assert np.array_equal(one, two)
    assert all(np.array_equal(a, b) for a, b in zip(before, untrained_model.get_weights(), strict=True))


def test_box_coding_changes_no_box(untrained_model, dim_images: np.ndarray):
    anchors = untrained_model.network.anchors()
    equal = equalize_box_scales(untrained_model)
    assert equal.network.coding == BoxCoding(10, 10)
    assert equalize_box_scales(equal) is equal
    models = (untrained_model, equal, with_box_coding(equal, BoxCoding(3, 7)))
    (logits, offsets), *recoded = (model(dim_images[:2].astype(np.float32)) for model in models)
    expected = offset_inverse(anchors, offsets.numpy()[1], untrained_model.network.coding)
    for model, (same_logits, new_offsets) in zip(models[1:], recoded, strict=True):
        np.testing.assert_array_equal(same_logits, logits)
        actual = offset_inverse(anchors, new_offsets.numpy()[1], model.network.coding)
        np.testing.assert_allclose(actual, expected, atol=1e-5)
    # The offsets of box centers are unchanged, those of box sizes are doubled.
    ratio = recoded[0][1].numpy() / offsets.numpy()
    np.testing.assert_allclose(np.nanmedian(ratio, axis=(0, 1)), [1, 1, 2, 2], rtol=1e-3)
