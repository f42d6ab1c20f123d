"""Every command that reads labels: its dataset is parsed once, each image header is read once."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from small_training import FAST_OPTIONS

pytest.importorskip("tensorflow")
pytest.importorskip("ai_edge_litert")

from edge_ssd.cli import main
from edge_ssd.data import load
from edge_ssd.data.formats import d2l_csv


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Counter[Path]:
    """How often each dataset folder was parsed and each image header was read."""
    counts: Counter[Path] = Counter()
    parse, read_image_header = d2l_csv.parse, load.read_image_header

    def count_parse(tree):
        counts[tree.root] += 1
        return parse(tree)

    def count_header(path):
        counts[path] += 1
        return read_image_header(path)

    monkeypatch.setattr(d2l_csv, "parse", count_parse)
    monkeypatch.setattr(load, "read_image_header", count_header)
    return counts


@pytest.mark.parametrize(
    "command",
    [
        f"train --data={{data}} --out={{out}} --epochs=1 {' '.join(FAST_OPTIONS)}",
        "evaluate {bundle} --data={data} --limit=1",
        "convert {model} --data={data} --out={out}/a.tflite --no-accuracy",
        "verify {bundle} --against={model} --data={data} --limit=1",
        "compare {model} --data={data} --out={out} --schemes=int8 --limit=1",
        "data inspect {data} --augmented={out}/augmented.png --sheet={out}/boxes.png",
        "data anchors {data}",
    ],
)
@pytest.mark.usefixtures("fake_worker", "fake_verify_worker")
def test_command_parses_labels_once_and_reads_each_header_once(
    command: str, squares: Path, squares_model: Path, squares_conversion, tmp_path: Path, reads: Counter[Path]
) -> None:
    reads.clear()  # of the fixtures
    paths = {"data": squares, "out": tmp_path / "out", "model": squares_model, "bundle": squares_conversion.path}
    assert main([*(word.format(**paths) for word in command.split()), "--classes=square"]) == 0
    assert reads[squares] == 1
    assert set(reads.values()) == {1}
    # `data inspect` decodes every image, which gives the header too.
    assert sum(path.suffix == ".png" for path in reads) in ((0,) if "inspect" in command else (4, 16))
