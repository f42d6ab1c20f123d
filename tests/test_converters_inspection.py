"""What ``edge-ssd inspect`` says about files that state untrue things, or that take long to read."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from bundle_factory import metadata, write_bundle
from real_model import real_model

from converters.inspection import inspect_bundle, inspect_tflite
from converters.tflite.operators import read_graph
from converters.tflite.raw_tables import TableWriter
from edge_ssd.cli import main
from edge_ssd.errors import BundleError
from edge_ssd.runtime.bundle import read_bundle


def shared_inputs(count: int) -> bytes:
    """Return a model whose ``count`` operators share a vector of ``count`` inputs."""
    writer = TableWriter()
    inputs = writer.vector([0] * count, "Int32")
    operator = writer.table(opcode_index=(0, 0, "Uint32"), inputs=(1, inputs))
    tensor = writer.table(shape=(0, writer.vector([1], "Int32")), name=(3, writer.text("t")))
    graph = writer.table(tensors=(0, writer.vector([tensor])), operators=(3, writer.vector([operator] * count)))
    codes = writer.vector([writer.table(version=(2, 1, "Int32"))])
    return writer.finish(writer.table(codes=(1, codes), graphs=(2, writer.vector([graph]))), b"TFL3")


def test_read_graph_of_operators_that_share_inputs_is_linear() -> None:
    data = shared_inputs(60_000)
    assert len(data) < 500_000
    start = time.process_time()
    with pytest.raises(BundleError, match="share their parts too often"):
        read_graph(data)
    assert time.process_time() - start < 3


def test_inspect_shows_no_selftest_that_did_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    real = read_bundle(real_model())
    claims = {
        "selftest": {"passed": True, "problem": "", "expected": 9, "backend": "forged"},
        "file": "another.tflite",
        "bytes": 1,
        "problems": ["forged"],
    }
    details = {**metadata(real.network, real.flatbuffer), **claims}
    path = write_bundle(
        tmp_path / "forged.tflite", real.network, real.flatbuffer, {"edge_ssd.json": json.dumps(details).encode()}
    )
    facts = inspect_bundle(read_bundle(path))
    assert (facts["file"], facts["bytes"]) == (str(path), path.stat().st_size)
    assert "selftest" not in facts
    assert main(["inspect", str(path)]) == 0
    assert "passed" not in capsys.readouterr().out


STATED = {"per_100_images": 0.6, "score_threshold": 0.5, "recall": 0.99, "num_images": 1027}


@pytest.mark.parametrize(
    ("accuracy", "shown"),
    [
        ({"false_alarms": STATED}, "0.6 false alarms per 100 images with a score of 0.5, recall 0.99 (1027 images)"),
        ({"false_alarms": {**STATED, "recall": None}}, "with a score of 0.5 (1027 images)"),
        ({"float": {"ap": 1}, "quantized": {"ap": 10**400}, "data": "a"}, None),
        ({"false_alarms": {**STATED, "per_100_images": 10**400}}, None),
        ({"false_alarms": {**STATED, "num_images": "9" * 9}}, None),
        ({"false_alarms": {**STATED, "recall": [1]}}, None),
        ({"false_alarms": {}}, None),
        ({"false_alarms": 3}, None),
        ([], None),
    ],
)
def test_inspect_shows_stated_false_alarms_if_they_have_the_form(
    accuracy: object, shown: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    real = read_bundle(real_model())
    details = {**metadata(real.network, real.flatbuffer), "accuracy": accuracy}
    path = write_bundle(
        tmp_path / "stated.tflite", real.network, real.flatbuffer, {"edge_ssd.json": json.dumps(details).encode()}
    )
    assert main(["inspect", str(path)]) == 0
    printed = capsys.readouterr().out
    assert "not measured" in printed
    if shown is None:
        assert "false alarms" not in printed
    else:
        assert shown in printed


def test_file_whose_operators_cannot_be_read_is_named(tmp_path: Path) -> None:
    path = tmp_path / "damaged.tflite"
    path.write_bytes(b"\xff\xff\xff\x7fTFL3" + bytes(100))
    with pytest.raises(BundleError, match=r"damaged\.tflite: the operators of the model cannot be read"):
        inspect_tflite(path)
