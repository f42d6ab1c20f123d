"""docs/fifteen-minutes.md: its commands, one after the other, with a smaller network on small images."""

from __future__ import annotations

import csv
import json
import shlex
from pathlib import Path

import pytest
from conftest import REPOSITORY
from doc_samples import agrees, samples_of
from label_writers import write_voc_xml
from small_model import write_squares
from small_training import FAST_LOSS
from test_docs import command_lines

pytest.importorskip("tensorflow")
pytest.importorskip("ai_edge_litert")

from edge_ssd import cli

PAGE = REPOSITORY / "docs" / "fifteen-minutes.md"

# In place of the page's network: the small one that other tests train too, and two epochs more.
NETWORK = ["--width=0.25", "--input-size=64x64", "--batch-size=4", "--precision=float32", "--learning-rate=0.0001"]
LOSS = [f"--{name.replace('_', '-')}={value}" for name, value in FAST_LOSS.items()]


def write_photos(folder: Path) -> None:
    """Write squares as LabelImg does: an XML file for each image, and no splits."""
    split = write_squares(folder / "squares", train=20, val=0) / "squares_train"
    with (split / "label.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            box = tuple(int(row[side]) for side in ("xmin", "ymin", "xmax", "ymax"))
            path = folder / "photos" / "annotations" / f"{Path(row['img_name']).stem}.xml"
            write_voc_xml(path, row["img_name"], [("square", box)])
    (split / "images").rename(folder / "photos" / "images")


def test_page_leads_from_photographs_to_detections(
    fake_worker,
    fake_verify_worker,
    squares_model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The conversions are those that other tests make too, of the model from which this training starts."""
    monkeypatch.chdir(tmp_path)
    write_photos(tmp_path)
    shown = {shlex.join(sample.arguments): sample for sample in samples_of(PAGE)}
    commands = [line.arguments for line in command_lines(PAGE.read_text(encoding="utf-8")) if line.in_block]
    assert [words[0] for words in commands] == ["data", "train", "convert", "verify", "doctor", "camera"]
    for words in commands:
        if words[0] == "doctor":  # see test_device_doctor.py
            continue
        capsys.readouterr()
        assert cli.main(shortened(words, squares_model)) == 0
        printed = capsys.readouterr()
        if sample := shown.get(shlex.join(words)):
            assert agrees(sample.output.replace("raccoon", "square"), printed.out, words_only=True), (
                f"line {sample.line}: {printed.out}"
            )
    lines = [json.loads(line) for line in printed.out.splitlines()]
    assert len(lines) == 20
    assert sum(any(found["label"] == "square" for found in line["detections"]) for line in lines) >= 15


def shortened(words: list[str], pretrained: Path) -> list[str]:
    """Return the arguments with a small network, and for the camera with the photographs as its frames."""
    if words[0] == "camera":
        assert words[-4:] == ["--source", "picamera", "--web", "8080"]
        return [*words[:-4], "--source", "photos/images", "--headless", "--jsonl", "-"]
    if words[0] == "train":
        assert words[-4:] == ["--network", "small", "--epochs", "60"]
        return [*words[:-4], f"--from={pretrained}", "--anchors=book", "--epochs=2", *NETWORK, *LOSS]
    return words
