"""The commands convert, compare, verify, evaluate and inspect on a small model."""

from __future__ import annotations

import json
import re
import shutil
import zipfile
from collections import Counter
from pathlib import Path
from pkgutil import resolve_name

import numpy as np
import pytest

from edge_ssd import cli
from edge_ssd.network import tiny_ssd
from edge_ssd.runtime.bundle import read_bundle
from edge_ssd.runtime.detector import Detector, SelfTestResult

pytest.importorskip("tensorflow")
pytest.importorskip("ai_edge_litert")


def command(*words: object) -> int:
    return cli.main([str(word) for word in words])


@pytest.fixture
def convert_words(fake_worker, squares_model: Path, squares: Path, tmp_path: Path) -> tuple[object, ...]:
    """A command line that writes ``out.tflite``."""
    out = tmp_path / "out.tflite"
    return ("convert", squares_model, "--data", squares, "--out", out, "--calibration-images", 4)


@pytest.fixture
def verify_words(squares_conversion, squares_model: Path, squares: Path) -> tuple[object, ...]:
    return ("verify", squares_conversion.path, "--against", squares_model, "--data", squares)


@pytest.fixture
def model_reads(monkeypatch) -> Counter[str]:
    """How often a model was loaded, and copied to recode its heads."""
    counts: Counter[str] = Counter()

    def count(path: str) -> None:
        function, name = resolve_name(path), path.rpartition(".")[2]

        def counted(*arguments):
            counts[name] += 1
            return function(*arguments)

        monkeypatch.setattr(path, counted)

    count("edge_ssd.training.model.tiny_ssd.load_tiny_ssd")
    count("converters.quantization.head_coding.copy_model")
    return counts


def test_convert_prints_summary(convert_words, model_reads, capsys):
    assert command(*convert_words) == 0
    assert model_reads == {"load_tiny_ssd": 1, "copy_model": 1}
    printed = capsys.readouterr()
    assert re.search(r"out\.tflite: 0\.\d\d MB \(int8 network", printed.out)
    assert "22 CONV_2D" in printed.out
    assert re.search(r"AP +\d\.\d{3} float → \d\.\d{3} converted", printed.out)
    assert "calibrating on 4 images" in printed.err


def test_convert_prints_json(convert_words, tmp_path: Path, capsys):
    out = tmp_path / "out.tflite"
    assert command(*convert_words, "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["file"], facts["scheme"], facts["bytes"]) == (str(out), "int8", out.stat().st_size)
    assert facts["accuracy"] == {k: v for k, v in read_bundle(out).metadata["accuracy"].items() if k != "data"}
    assert facts["operators"][0]["count"] == 22
    assert "only 4 calibration images" in facts["warnings"][0]


def test_convert_rejects_labels_that_the_model_lacks(convert_words, tmp_path: Path, squares: Path, capsys):
    other = shutil.copytree(squares, tmp_path / "other")
    (other / "classes.txt").write_text("circle\n")
    assert command(*convert_words, "--data", other) == 2
    assert "unknown class 'circle'" in capsys.readouterr().err
    assert not (tmp_path / "out.tflite").exists()


def test_convert_reports_invalid_output_path_in_one_line(convert_words, tmp_path: Path, capsys):
    (tmp_path / "file").write_text("")
    assert command(*convert_words, "--out", tmp_path / "file" / "out.tflite", "--no-accuracy") == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("edge-ssd: error:")
    assert "file" in last


def test_convert_rejects_foreign_keras_file(tmp_path: Path, squares: Path, capsys):
    foreign = tmp_path / "foreign.keras"
    with zipfile.ZipFile(foreign, "w") as archive:
        archive.writestr("metadata.json", "{}")
    assert command("convert", foreign, "--data", squares, "--out", tmp_path / "out.tflite") == 2
    error = capsys.readouterr().err
    assert error.startswith(f"edge-ssd: error: {foreign}:")
    assert error.count("\n") == 1


def test_convert_rejects_weights_that_are_not_finite(squares_model: Path, squares: Path, tmp_path: Path, capsys):
    from edge_ssd.training.model.tiny_ssd import load_tiny_ssd, save_tiny_ssd

    model = load_tiny_ssd(squares_model)
    model.weights[0].assign(model.weights[0] * np.nan)
    save_tiny_ssd(model, tmp_path / "nan.keras")
    assert command("convert", tmp_path / "nan.keras", "--data", squares, "--out", tmp_path / "out.tflite") == 2
    assert "not finite" in capsys.readouterr().err
    assert not (tmp_path / "out.tflite").exists()


def test_convert_rejects_keep_without_mixed(convert_words, capsys):
    assert command(*convert_words, "--keep", "classes_0") == 2
    assert "--keep and --keep-type choose layers for --quantize mixed" in capsys.readouterr().err


def test_convert_of_training_images_only_requires_no_accuracy(convert_words, tmp_path: Path, squares: Path, capsys):
    shutil.copytree(squares / "squares_train", tmp_path / "only" / "squares_train")
    shutil.copy(squares / "classes.txt", tmp_path / "only")
    assert command(*convert_words, "--data", tmp_path / "only") == 2
    assert "--no-accuracy" in capsys.readouterr().err
    assert command(*convert_words, "--data", tmp_path / "only", "--no-accuracy") == 0
    assert read_bundle(tmp_path / "out.tflite").metadata["accuracy"] is None


def test_compare_prints_a_row_for_each_scheme(
    fake_worker, model_reads, squares_conversion, squares_model: Path, squares: Path, tmp_path: Path, capsys
):
    words = ("compare", squares_model, "--data", squares, "--out", tmp_path, "--schemes", "none,float16")
    assert command(*words) == 0
    assert model_reads == {"load_tiny_ssd": 1, "copy_model": 1}
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "4 images, 4 objects; ai-edge-litert, 1 thread(s)"
    assert printed[1].split() == ["scheme", "AP", "AP50", "AP75", "AP", "lost", "MB", "ms", "file"]
    precision = squares_conversion.float_precision
    assert printed[2].split() == ["Keras", *(f"{v:.3f}" for v in (precision.ap, precision.ap50, precision.ap75))]
    for line, scheme in zip(printed[3:5], ("float16", "none"), strict=True):
        path = tmp_path / f"squares-{scheme}.tflite"
        assert (line.split()[0], line.split()[-1]) == (scheme, str(path))
        assert read_bundle(path).details.quantization == scheme
    assert printed[5].startswith("all run on tflite-runtime 2.14, ")


def test_compare_rejects_unknown_schemes(squares_model: Path, squares: Path, tmp_path: Path, capsys):
    words = ("compare", squares_model, "--data", squares, "--out", tmp_path, "--schemes")
    assert command(*words, "int8,int9") == 2
    assert "no scheme is called 'int9'; choose from int8, mixed" in capsys.readouterr().err
    assert command(*words, " ,") == 2
    assert "no scheme is named" in capsys.readouterr().err


def test_verify_compares_models_and_checks_the_budget(
    verify_words, squares_conversion, tmp_path: Path, request, capsys
):
    report = tmp_path / "report.html"
    assert command(*verify_words, "--budget", 0.5, "--report", report) == 0
    printed = capsys.readouterr().out
    assert re.search(r"^AP +\d\.\d{3} +\d\.\d{3} +\d\.\d{3} +[+-]\d\.\d{4}$", printed, re.MULTILINE)
    assert re.search(r"^AP lost: -?\d\.\d{4}, 95 % interval -?\d\.\d{4} to -?\d\.\d{4}$", printed, re.MULTILINE)
    assert "times faster; ai-edge-litert, 1 thread" in printed
    assert len(re.findall(r"^  (?:classes|boxes)_\d +int8 ", printed, re.MULTILINE)) == 10
    assert "within the budget" in printed
    text = report.read_text("utf-8")
    assert text.count("data:image/jpeg;base64,") == 2 * 4  # both models, the four validation images
    assert "http" not in text
    request.getfixturevalue("fake_verify_worker")
    assert command(*verify_words, "--json") == 0
    result = json.loads(capsys.readouterr().out)
    assert result["float"] == squares_conversion.float_precision.to_dict()
    assert result["quantized"] == squares_conversion.quantized_precision.to_dict()
    assert result["passed"] is True


def test_verify_report_does_not_overwrite_a_model(verify_words, squares_model: Path, capsys):
    before = squares_model.read_bytes()
    assert command(*verify_words, "--report", squares_model) == 2
    assert "ends in .html" in capsys.readouterr().err
    assert squares_model.read_bytes() == before
    assert command(*verify_words, "--report", squares_model / "report.html") == 2
    assert f"edge-ssd: error: {squares_model}: Not a directory" in capsys.readouterr().err


def test_verify_exits_1_if_the_budget_is_exceeded(verify_words, fake_verify_worker, model_reads, monkeypatch, capsys):
    monkeypatch.setattr("converters.verification.result.Verification.loss", 0.02)
    assert command(*verify_words, "--budget", 0.01) == 1
    assert model_reads == {"load_tiny_ssd": 1, "copy_model": 1}
    assert "EXCEEDS the budget: 0.0200 AP lost, 0.01 allowed" in capsys.readouterr().out


def test_verify_rejects_another_model(verify_words, tmp_path: Path, capsys):
    from edge_ssd.training.model.tiny_ssd import TinySSD, save_tiny_ssd

    other = tmp_path / "other.keras"
    save_tiny_ssd(TinySSD(tiny_ssd(("square",), input_size=(64, 64), width=0.5)), other)
    assert command(*verify_words, "--against", other) == 2
    assert "the networks differ in base_channels, block_channels" in capsys.readouterr().err


def test_evaluate_gives_the_precision_of_the_conversion(squares_conversion, squares_model: Path, squares: Path, capsys):
    for path, expected in (
        (squares_model, squares_conversion.float_precision),
        (squares_conversion.path, squares_conversion.quantized_precision),
    ):
        assert command("evaluate", path, "--data", squares, "--json") == 0
        result = json.loads(capsys.readouterr().out)
        assert {name: result[name] for name in expected.to_dict()} == expected.to_dict()
        assert result["split"] == "val"
    assert command("evaluate", squares_model, "--data", squares, "--split", "train", "--limit", 3) == 0
    assert re.search(r"on 3 images .* \(train\), 3 objects\nAP \d\.\d{3}", capsys.readouterr().out)


def test_evaluate_rejects_other_files(tmp_path: Path, squares: Path, capsys):
    for name, reason in (("model.h5", "ends in .keras or .tflite"), ("model.tflite", "is not a .tflite file")):
        (tmp_path / name).write_bytes(bytes(100))
        assert command("evaluate", tmp_path / name, "--data", squares) == 2
        assert reason in capsys.readouterr().err


def test_inspect_prints_facts_and_runs_the_selftest(squares_conversion, capsys):
    assert command("inspect", squares_conversion.path, "--selftest") == 0
    printed = capsys.readouterr().out
    for part in ("labels      square", "64×64 RGB", "22 CONV_2D v", "self-test   passed"):
        assert part in printed
    assert re.search(r"^  AP {10}[01]\.\d{3} ", printed, re.MULTILINE), printed
    assert command("inspect", squares_conversion.path, "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["bytes"] == squares_conversion.size
    assert facts["operators"][0]["count"] == 22


def test_inspect_exits_1_if_the_selftest_fails(squares_conversion, monkeypatch, capsys):
    monkeypatch.setattr(Detector, "selftest", lambda _: SelfTestResult(False, 1, 0, "1 of 1 not found"))
    assert command("inspect", squares_conversion.path, "--selftest") == 1
    assert "FAILED: 1 of 1 not found" in capsys.readouterr().out


def test_inspect_rejects_tflite_file_without_bundle(squares_conversion, tmp_path: Path, capsys):
    bare = tmp_path / "bare.tflite"
    bare.write_bytes(read_bundle(squares_conversion.path).flatbuffer)
    assert command("inspect", bare) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"edge-ssd: error: {bare}: is damaged or cut short")
    assert error.count("\n") == 1
