"""edge_ssd.commands.data: output, exit status and help of its subcommands."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from label_writers import write_d2l_split
from PIL import Image

from edge_ssd.cli import main
from edge_ssd.data.download import bananas
from edge_ssd.data.load import load_dataset


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three images: two forks, a knife, and a box without area."""
    rows = ["a.png,fork,10,10,30,20", "b.png,fork,0,0,30,30", "c.png,knife,20,20,50,30", "c.png,knife,5,5,5,9"]
    return write_d2l_split(tmp_path / "cutlery", rows, ("a.png", "b.png", "c.png"))


def test_data_inspect_prints_text_and_json_and_writes_a_sheet(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sheet = tmp_path / "out" / "sheet.png"
    assert main(["data", "inspect", str(folder), "--sheet", str(sheet), "--decode"]) == 0
    printed, logged = capsys.readouterr()
    assert f"{folder} all: 3 images, 3 boxes" in printed
    assert str(sheet) in printed
    assert f"{sheet.parent}: new folder, for sheet.png" in logged
    assert "not divided: 'edge-ssd train' holds out 15% at random for validation" in printed
    with Image.open(sheet) as image:
        assert image.format == "PNG"
    assert [path.name for path in sheet.parent.iterdir()] == ["sheet.png"]
    assert main(["data", "inspect", str(folder), "--json"]) == 0
    parsed = json.loads(capsys.readouterr().out)
    assert parsed["splits"]["all"]["boxes_by_label"] == {"fork": 2, "knife": 1}
    assert parsed["splits"]["all"]["problems"][0]["file"].endswith("label.csv")


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["{folder}", "--strict"], "no area"),
        (["{folder}", "--split", "val"], "not divided"),
        (["{folder}", "--sheet", "sheet.txt"], "an image is written here"),
        (["{folder}/nothing"], "no such folder"),
        (["{folder}/images"], "no labels in a known format"),
    ],
)
def test_data_inspect_invalid_input_is_one_line_and_exit_2(
    folder: Path, arguments: list[str], word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["data", "inspect", *(argument.format(folder=folder) for argument in arguments)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    # At most one line on what was found comes before the error.
    *found, error = captured.err.strip().splitlines()
    assert word in error
    assert found in ([], [f"edge-ssd: {folder}: the book's label.csv: label.csv, images in images"])


def test_data_make_draws_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    size = ["--train", "2", "--val", "1", "--seed", "7", "--size", "64"]
    arguments = ["data", "make", "--to", str(tmp_path / "set"), *size]
    assert main(arguments) == 0
    assert "2 + 1 images drawn" in capsys.readouterr().out
    assert len(load_dataset(tmp_path / "set")) == 3
    assert main(arguments) == 0
    assert "already there" in capsys.readouterr().out
    assert main([*arguments[:-1], "80"]) == 2
    assert "is not an empty folder" in capsys.readouterr().err


def test_data_fetch_reports_the_result(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter([True, False])
    monkeypatch.setattr(bananas, "fetch_bananas", lambda folder, progress: next(answers))
    for word in ("fetched and verified", "already there"):
        assert main(["data", "fetch", "bananas", "--to", str(tmp_path / "b")]) == 0
        assert word in capsys.readouterr().out


@pytest.mark.parametrize("command", [[], ["fetch"], ["make"], ["inspect"]])
def test_data_help_shows_examples(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", *command, "--help"]) == 0
    assert "example" in capsys.readouterr().out
