"""JSON label files with any one value replaced: the dataset loads, or a DataError says why it does not."""

from __future__ import annotations

import copy
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from label_writers import WRITERS, LabeledImage

from edge_ssd.data.load import load_dataset
from edge_ssd.errors import DataError

FORMATS = ("coco", "createml", "datumaro", "label_studio", "labelme", "via")
VALUES = (None, "x", [], {}, [None], 10**400, {"x": [1]}, -5, True, [[1, 2]], "")
# Values that state the labels of an image as a whole: without them, it has none.
LISTS = ("annotations", "shapes", "regions", "result")


def paths_in(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in children:
        yield (*path, key)
        yield from paths_in(value, (*path, key))


def replaced(data: Any, path: tuple[Any, ...], value: Any) -> Any:
    data = copy.deepcopy(data)
    parent = data
    for key in path[:-1]:
        parent = parent[key]
    parent[path[-1]] = copy.deepcopy(value)
    return data


@pytest.mark.parametrize("format_name", FORMATS)
def test_any_value_may_be_damaged(tmp_path: Path, format_name: str) -> None:
    objects = [("fork", (1.0, 2.0, 30.0, 20.0)), ("knife", (3.0, 4.0, 30.0, 20.0))]
    images = [LabeledImage(name, "train", objects=objects) for name in ("a.png", "b.png")]
    WRITERS[format_name](tmp_path, images, ("fork", "knife"))
    label_file = sorted(tmp_path.rglob("*.json"))[0]
    data = json.loads(label_file.read_text(encoding="utf-8"))
    values = itertools.cycle(VALUES)
    paths = list(paths_in(data))
    assert len(paths) > 15
    for path in paths:
        for value in (next(values), next(values)):
            label_file.write_text(json.dumps(replaced(data, path, value)), encoding="utf-8")
            try:
                dataset = load_dataset(tmp_path)
            except DataError:
                continue
            told = any((dataset.problems, dataset.notices, *(key in path[-2:] for key in LISTS)))
            assert told or all(len(sample.class_ids) > 0 for sample in dataset.samples), (path, value)
