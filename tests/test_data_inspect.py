"""edge_ssd.data.inspection.summary and edge_ssd.commands.data:

counts, problems, contact sheet, the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edge_ssd.cli import main
from edge_ssd.data.download import bananas
from edge_ssd.data.download.bananas import DownloadResult
from edge_ssd.data.inspection.contact_sheet import contact_sheet
from edge_ssd.data.inspection.report_text import format_summary
from edge_ssd.data.inspection.summary import find_undecodable, summarize
from edge_ssd.data.load import load_dataset
from edge_ssd.drawing import class_color
from edge_ssd.errors import DataError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three pictures of 100×50: two forks, a knife, and a box of no area."""
    root = tmp_path / "cutlery"
    (root / "images").mkdir(parents=True)
    for name in ("a.png", "b.png", "c.png"):
        Image.new("RGB", (100, 50), (40, 80, 120)).save(root / "images" / name)
    rows = ["a.png,fork,10,10,30,20", "b.png,fork,0,0,50,50", "c.png,knife,20,20,90,30", "c.png,knife,5,5,5,9"]
    header = "img_name,label,xmin,ymin,xmax,ymax"
    (root / "label.csv").write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return root


def test_counts(folder: Path) -> None:
    summary = summarize(load_dataset(folder))
    assert (summary.images, summary.boxes, summary.backgrounds) == (3, 3, 0)
    assert summary.boxes_by_label == {"fork": 2, "knife": 1}
    assert summary.image_sizes == {(100, 50): 3}
    # Longer sides 20, 50 and 70 of 100.
    assert summary.side_quantiles[0] == pytest.approx(0.2)
    assert summary.side_quantiles[50] == pytest.approx(0.5)
    assert summary.side_quantiles[100] == pytest.approx(0.7)
    assert len(summary.problems) == 1
    text = format_summary(summary, "cutlery")
    assert text.startswith("cutlery: 3 images, 3 boxes (d2l_csv)")
    assert "20% to 70%" in text
    assert "1 problem:" in text
    assert "line 5, c.png: box (5, 5, 5, 9) has no area; dropped" in text
    json.dumps(summary.to_dict())


def test_a_box_is_measured_against_its_picture_s_longer_side(folder: Path) -> None:
    Image.new("RGB", (50, 200)).save(folder / "images" / "c.png")
    (folder / "label.csv").write_text("img_name,label,xmin,ymin,xmax,ymax\nc.png,0,10,20,30,120\n", encoding="utf-8")
    assert set(summarize(load_dataset(folder)).side_quantiles.values()) == {0.5}


def test_pictures_that_break_off_are_found_by_decoding(folder: Path) -> None:
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (50, 100, 3), np.uint8)).save(folder / "images" / "b.png")
    whole = (folder / "images" / "b.png").read_bytes()
    (folder / "images" / "b.png").write_bytes(whole[: len(whole) // 2])
    dataset = load_dataset(folder)
    assert len(dataset) == 3, "the header is fine"
    assert [problem.path.name for problem in find_undecodable(dataset)] == ["b.png"]


def test_a_sheet_shows_pictures_with_their_boxes(folder: Path) -> None:
    sheet = contact_sheet(load_dataset(folder), columns=2, rows=2, cell=100)
    assert sheet.size == (2 * 104 + 4, 16 + 2 * (104 + 16) + 4)
    # Cell 0 shows a.png (100×50) centred: its box's top left corner is drawn at (10, 10) of the picture.
    left, top = 4, 16 + 4 + 25
    assert sheet.getpixel((left + 10, top + 10)) == class_color(0)
    assert sheet.getpixel((left + 5, top + 5)) == (40, 80, 120)
    assert sheet.getpixel((1, 1)) == (32, 32, 32)
    with pytest.raises(DataError, match="at least one row"):
        contact_sheet(load_dataset(folder), columns=0)


def test_inspect_prints_text_and_json_and_writes_a_sheet(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sheet = tmp_path / "out" / "sheet.png"
    assert main(["data", "inspect", str(folder), "--sheet", str(sheet), "--decode"]) == 0
    printed = capsys.readouterr().out
    assert f"{folder} all: 3 images, 3 boxes" in printed
    assert str(sheet) in printed
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
def test_bad_input_is_one_line_and_exit_2(
    folder: Path, arguments: list[str], word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["data", "inspect", *(argument.format(folder=folder) for argument in arguments)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert word in captured.err
    assert len(captured.err.strip().splitlines()) == 1


def test_make_draws_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [
        "data",
        "make",
        "--to",
        str(tmp_path / "set"),
        "--train",
        "2",
        "--val",
        "1",
        "--seed",
        "7",
        "--size",
        "64",
    ]
    assert main(arguments) == 0
    assert "2 + 1 images drawn" in capsys.readouterr().out
    assert len(load_dataset(tmp_path / "set")) == 3
    assert main(arguments) == 0
    assert "already there" in capsys.readouterr().out
    assert main([*arguments[:-1], "80"]) == 2
    assert "is not an empty folder" in capsys.readouterr().err


def test_fetch_says_what_it_did(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter([True, False])
    monkeypatch.setattr(bananas, "fetch_bananas", lambda folder, progress: DownloadResult(folder, next(answers)))
    for word in ("fetched and verified", "already there"):
        assert main(["data", "fetch", "bananas", "--to", str(tmp_path / "b")]) == 0
        assert word in capsys.readouterr().out


@pytest.mark.parametrize("command", [[], ["fetch"], ["make"], ["inspect"]])
def test_help_shows_examples(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    try:
        status = main(["data", *command, "--help"])
    except SystemExit as exit_:
        status = exit_.code
    assert status == 0
    assert "example" in capsys.readouterr().out
