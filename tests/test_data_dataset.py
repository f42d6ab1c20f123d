"""edge_ssd.data.dataset: validation of samples and datasets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge_ssd.data.dataset import Dataset, Problem, Sample, problem_lines
from edge_ssd.errors import DataError

IMAGE_PATH = Path("a.jpg")


def test_sample_copies_and_freezes_its_arrays() -> None:
    boxes = np.array([[1, 2, 3, 4]], np.float64)
    sample = Sample(IMAGE_PATH, boxes, np.array([0]))
    boxes[0, 0] = 99
    assert sample.boxes_xyxy.dtype == np.float32
    assert sample.class_ids.dtype == np.int64
    assert sample.boxes_xyxy.tolist() == [[1, 2, 3, 4]]
    with pytest.raises(ValueError, match="read-only"):
        sample.boxes_xyxy[0, 0] = 5


def test_sample_without_boxes_has_shape_0_4() -> None:
    sample = Sample(IMAGE_PATH, np.array([]), np.array([]))
    assert sample.boxes_xyxy.shape == (0, 4)
    assert sample.class_ids.shape == (0,)


@pytest.mark.parametrize(
    ("boxes", "class_ids", "match"),
    [
        ([[1, 2, 3]], [0], "must be"),
        ([[1, 2, 3, 4]], [0, 1], "must be"),
        ([[1, 2, 1, 4]], [0], "xmin < xmax"),
        ([[1, 4, 3, 2]], [0], "ymin < ymax"),
        ([[1, 2, np.nan, 4]], [0], "finite"),
        ([[1, 2, 3, 4]], [-1], "at least 0"),
    ],
)
def test_sample_rejects_invalid_arrays(boxes: list[list[float]], class_ids: list[int], match: str) -> None:
    with pytest.raises(DataError, match=match) as caught:
        Sample(IMAGE_PATH, np.array(boxes), np.array(class_ids))
    assert "a.jpg" in str(caught.value)


def test_dataset_counts_and_checks_class_ids() -> None:
    sample = Sample(IMAGE_PATH, np.array([[1, 2, 3, 4], [0, 0, 9, 9]]), np.array([0, 1]))
    background = Sample(Path("b.jpg"), np.zeros((0, 4)), np.zeros(0))
    dataset = Dataset(Path("set"), ("fork", "knife"), (sample, background), "voc")
    assert len(dataset) == 2
    assert dataset.num_boxes == 2
    assert len(dataset.with_samples((background,))) == 1
    assert len(dataset) == 2
    with pytest.raises(DataError, match=r"a\.jpg: class id 1 with only 1 label$"):
        Dataset(Path("set"), ("fork",), (sample,), "voc")
    with pytest.raises(DataError, match="no usable image"):
        Dataset(Path("set"), ("fork",), (), "voc")
    for labels in ((), ("fork", "fork")):
        with pytest.raises(DataError, match="different names"):
            Dataset(Path("set"), labels, (background,), "voc")
    with pytest.raises(DataError, match=r"class name '\\ud800' is not valid text"):
        Dataset(Path("set"), ("fork", "\ud800"), (background,), "voc")


def test_problem_text_is_path_and_message() -> None:
    assert str(Problem(Path("x/label.csv"), "line 3: dropped")) == f"{Path('x/label.csv')}: line 3: dropped"


def test_problem_lines_are_limited() -> None:
    problems = [Problem(Path(f"{number}.png"), "odd") for number in range(5)]
    assert problem_lines(problems, "look there", limit=5) == [f"{number}.png: odd" for number in range(5)]
    assert problem_lines(problems, "look there", limit=2) == ["0.png: odd", "1.png: odd", "and 3 more (look there)"]
    assert problem_lines(()) == []


def test_many_problems_of_a_kind_are_counted() -> None:
    other = Problem(Path("x.csv"), "odd")
    reversed_boxes = [Problem(Path(f"{number}.png"), "reversed", "reversed boxes") for number in range(1000)]
    few = [Problem(Path(f"{number}.png"), "outside", "boxes outside their image") for number in range(5)]
    assert problem_lines([*reversed_boxes, other, *few], "look there") == [
        "0.png: reversed",
        "1.png: reversed",
        "x.csv: odd",
        *(f"{number}.png: outside" for number in range(5)),
        "and 998 more reversed boxes (look there)",
    ]
