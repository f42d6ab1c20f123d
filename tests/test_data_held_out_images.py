"""edge_ssd.data.held_out_images: the search for the images that the training of a model held out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge_ssd.data.dataset import Dataset, Sample
from edge_ssd.data.held_out import HeldOut
from edge_ssd.data.held_out_images import find_held_out, is_same_dataset, name_some, parse_held_out, where_listed


def found(paths: list[str], held_out: list[str], root: str = "set") -> list[str]:
    """Return the paths that are found, of a dataset with the images ``paths`` below ``root``."""
    samples = tuple(Sample(Path(root, path), np.zeros((0, 4)), np.zeros(0)) for path in paths)
    indices = find_held_out(Dataset(Path(root), ("cat",), samples, "voc"), HeldOut(tuple(held_out)))
    return [paths[index] for index in sorted(indices)]


def test_images_are_found_by_relative_path() -> None:
    paths = ["a/1.jpg", "a/2.jpg", "b/1.jpg", "b/2.jpg"]
    assert found(paths, ["a/2.jpg", "b/1.jpg"]) == ["a/2.jpg", "b/1.jpg"]
    # Most names are found, so no other file of the same name is taken for the missing one.
    assert found(["a/1.jpg", "b/2.jpg"], ["a/1.jpg", "a/2.jpg"]) == ["a/1.jpg"]


@pytest.mark.parametrize("prefix", ["", "set/", "data/set/"])
def test_images_are_found_where_the_root_was_another_folder(prefix: str) -> None:
    paths = ["images/a/1.jpg", "images/b/1.jpg", "images/b/2.jpg"]
    names = [f"{prefix}images/b/1.jpg", f"{prefix}images/b/2.jpg"]
    assert found(paths, names) == ["images/b/1.jpg", "images/b/2.jpg"]
    assert found([f"{prefix}{path}" for path in paths], ["images/b/1.jpg"]) == [f"{prefix}images/b/1.jpg"]


def test_images_are_found_by_file_name_where_it_is_unique() -> None:
    assert found(["all/1.jpg", "all/2.jpg"], ["images/2.jpg"]) == ["all/2.jpg"]
    assert found(["a/1.jpg", "b/1.jpg"], ["images/1.jpg"]) == []
    assert found(["all/1.jpg"], ["a/1.jpg", "b/1.jpg"]) == []
    assert found(["all/1.jpg"], ["images/11.jpg"]) == []


@pytest.mark.parametrize(
    ("count", "names", "total", "same"),
    [
        (6, 6, 40, True),
        (3, 6, 40, True),
        (2, 6, 40, False),
        (0, 6, 40, False),
        (0, 0, 40, False),
        (15, 120, 100, True),  # a part of the dataset
        (4, 120, 30, False),
        (6, 120, 1000, False),  # common names
    ],
)
def test_dataset_is_the_same_if_enough_images_are_found(count: int, names: int, total: int, same: bool) -> None:
    assert is_same_dataset(count, HeldOut(tuple(map(str, range(names)))), total) is same


@pytest.mark.parametrize(
    ("description", "names"),
    [
        ({"held_out": {"names": ["b", "a"]}}, ("a", "b")),
        ({"held_out": {"names": []}}, ()),
        ({}, None),
        ({"held_out": None}, None),
        ({"held_out": {"names": [1]}}, None),
        ({"held_out": "a"}, None),
    ],
)
def test_parse_held_out_of_older_and_damaged_descriptions_is_none(description: dict, names: tuple | None) -> None:
    held_out = parse_held_out(description)
    assert (None if held_out is None else held_out.names) == names


def test_names_are_listed_beside_a_model_or_in_it(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    assert where_listed(run) == f"config.json in {run / 'model.keras'}, which is a ZIP archive"
    (run / "held_out.json").touch()
    assert where_listed(run) == where_listed(run / "model.keras") == str(run / "held_out.json")
    assert where_listed(Path("my model.tflite")) == "the output of: edge-ssd inspect 'my model.tflite' --json"


def test_some_names_are_in_a_message() -> None:
    assert name_some(["a", "b", "c"]) == "a, b, c"
    assert name_some(["a", "b", "c", "d", "e"]) == "a, b, c and 2 more"
