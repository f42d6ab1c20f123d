"""Counts with their nouns, and similar names for what does not exist."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_ssd.console.counts import count
from edge_ssd.console.suggestions import did_you_mean, missing_path_hint, similar_path


@pytest.mark.parametrize(
    ("number", "noun", "text"),
    [
        (0, "image", "0 images"),
        (1, "image", "1 image"),
        (2, "image", "2 images"),
        (1, "labeled box", "1 labeled box"),
        (3, "labeled box", "3 labeled boxes"),
        (2, "class", "2 classes"),
        (2, "entry", "2 entries"),
    ],
)
def test_count_has_the_form_of_its_number(number: int, noun: str, text: str) -> None:
    assert count(number, noun) == text


def test_did_you_mean_names_the_most_similar() -> None:
    assert did_you_mean("nani", ["banana", "nano", "small"]) == " (did you mean nano?)"
    assert did_you_mean("NANO", ["nano"]) == " (did you mean nano?)"
    assert did_you_mean("zebra", ["banana", "nano"]) == ""
    assert did_you_mean("zebra", []) == ""


def test_similar_path_differs_in_one_name_and_exists(tmp_path: Path) -> None:
    (tmp_path / "runs" / "first").mkdir(parents=True)
    (tmp_path / "runs" / "first" / "model.keras").touch()
    (tmp_path / "runs" / "first" / "model.json").touch()
    (tmp_path / "runs" / ".frist").mkdir()
    assert similar_path(tmp_path / "runs" / "frist") == tmp_path / "runs" / "first"
    assert similar_path(tmp_path / "rusn" / "first" / "model.keras") == tmp_path / "runs" / "first" / "model.keras"
    assert similar_path(tmp_path / "runs" / "first" / "modle.keras") == tmp_path / "runs" / "first" / "model.keras"
    assert similar_path(tmp_path / "runs" / "first" / "model.kera") == tmp_path / "runs" / "first" / "model.keras"
    assert similar_path(tmp_path / "RUNS") == tmp_path / "runs"
    assert similar_path(tmp_path / "rusn" / "frist" / "model.keras") is None  # two names are wrong
    assert similar_path(tmp_path / "runs" / "first" / "model.tflite") is None  # another kind of file
    assert similar_path(tmp_path / "zebra") is None
    assert similar_path(Path("a\0b")) is None


def test_missing_path_hint_is_the_end_of_a_message(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    assert missing_path_hint(tmp_path / "potos") == f" (did you mean {tmp_path / 'photos'}?)"
    assert missing_path_hint(tmp_path / "zebra") == ""
