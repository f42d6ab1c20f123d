"""edge_ssd.training.check_datasets: what would make a training useless is reported before its first step."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from edge_ssd.data.dataset import Dataset, Sample
from edge_ssd.data.held_out import HeldOut
from edge_ssd.data.training_images import TrainingImages
from edge_ssd.errors import DataError
from edge_ssd.training.check_datasets import check_datasets


def make_images(
    training: Sequence[Sequence[int]], validation: Sequence[Sequence[int]], fraction: float | None = None
) -> TrainingImages:
    """Return datasets of the classes bolt, nut and screw, with the class ids of the boxes of each image."""

    def dataset(images: Sequence[Sequence[int]]) -> Dataset:
        samples = [
            Sample(Path(f"set/{i}.png"), np.tile([0, 0, 4, 4], (len(ids), 1)), np.array(ids, np.int64))
            for i, ids in enumerate(images)
        ]
        return Dataset(Path("set"), ("bolt", "nut", "screw"), tuple(samples), "voc")

    name = "split val" if fraction is None else "held-out images"
    return TrainingImages(dataset(training), dataset(validation), name, fraction, HeldOut())


def test_classes_that_cannot_be_learned_or_measured_are_named(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        check_datasets(make_images([[0, 1, 2]], [[2], [0, 1], []]))
    assert not caplog.records
    with caplog.at_level("INFO"):
        check_datasets(make_images([[0], []], [[1]]))
    lines = [(record.levelname, record.getMessage()) for record in caplog.records]
    assert [level for level, _ in lines] == ["WARNING", "WARNING", "INFO"]
    assert "no training box of 'nut'" in lines[0][1]
    assert "no box of 'screw' in training or validation" in lines[1][1]
    assert all("--classes" in line for _, line in lines[:2])
    assert "no validation box of 'bolt'" in lines[2][1]


@pytest.mark.parametrize(
    ("training", "validation", "fraction", "expected"),
    [
        (
            [[0]],
            [[], []],
            None,
            ["2 validation images (split val) has an object", "--validation-split 0.15"],
        ),
        (
            [[0]],
            [[]],
            0.15,
            ["1 validation image (held-out images)", "larger share with --validation-split"],
        ),
        ([[]], [[0]], None, ["none of the 1 training image has an object", "--classes"]),
        ([[]], [[]], None, ["none of the 1 training image", "none of the 1 validation image"]),
    ],
)
def test_datasets_without_objects_are_refused(
    training: list[list[int]], validation: list[list[int]], fraction: float | None, expected: list[str]
) -> None:
    with pytest.raises(DataError) as caught:
        check_datasets(make_images(training, validation, fraction))
    assert all(text in str(caught.value) for text in expected)
