"""The commands convert, compare, verify, evaluate and inspect on a small model."""

from __future__ import annotations

import itertools
import json
import re
import shutil
import zipfile
from collections import Counter
from pathlib import Path
from pkgutil import resolve_name

import numpy as np
import pytest
from doc_samples import agrees, shown
from PIL import Image
from small_model import write_background

from edge_ssd import cli
from edge_ssd.data.held_out import HeldOut
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
    reason = "default; 4 images are too few to choose one, 99 needed: add images without objects with --background"
    assert re.search(rf"  threshold   0\.5 \({reason}\): \d+\.\d false alarms per 100 images \(\d in 4 ", printed.out)
    documented = (
        shown("README.md", "convert").replace("banana.tflite", str(convert_words[5])).replace(", 1 REDUCE_MAX", "")
    )
    assert agrees(documented, printed.out.replace(f" ({reason})", ""), words_only=True), printed.out
    assert "calibrating on 4 images" in printed.err


def test_convert_prints_json(convert_words, tmp_path: Path, capsys):
    out = tmp_path / "out.tflite"
    assert command(*convert_words, "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["file"], facts["scheme"], facts["bytes"]) == (str(out), "int8", out.stat().st_size)
    stated = read_bundle(out).metadata["accuracy"]
    assert facts["accuracy"] == {name: stated[name] for name in ("float", "quantized")}
    assert stated.keys() == {*facts["accuracy"], "data", "false_alarms"}
    assert facts["threshold"]["false_alarms"] == stated["false_alarms"]
    assert (facts["threshold"]["score_threshold"], facts["threshold"]["source"]) == (0.5, "default")
    assert facts["operators"][0]["count"] == 22
    assert "only 4 calibration images" in facts["warnings"][0]


def test_convert_rejects_labels_that_the_model_lacks(convert_words, tmp_path: Path, squares: Path, capsys):
    other = shutil.copytree(squares, tmp_path / "other")
    (other / "classes.txt").write_text("circle\n")
    assert command(*convert_words, "--data", other) == 2
    assert "the model knows square, the images of" in capsys.readouterr().err
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
    assert capsys.readouterr().err.splitlines()[-1].startswith(f"edge-ssd: error: {foreign}:")


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
    assert printed[0] == "4 images, 4 objects; ai-edge-litert, 1 thread"
    assert printed[1].split() == ["scheme", "AP", "AP50", "AP75", "difference", "MB", "ms", "file"]
    precision = squares_conversion.float_precision
    assert printed[2].split() == ["Keras", *(f"{v:.3f}" for v in (precision.ap, precision.ap50, precision.ap75))]
    for line, scheme in zip(printed[3:5], ("float16", "none"), strict=True):
        path = tmp_path / f"squares-{scheme}.tflite"
        assert (line.split()[0], line.split()[-1]) == (scheme, str(path))
        assert read_bundle(path).details.quantization == scheme
    assert printed[5].startswith("all run on tflite-runtime 2.14, ")
    assert printed[6] == "score thresholds:"
    assert printed[7].startswith("  float16: 0.5 (default; 4 images are too few to choose one, 99 needed: ")
    documented = shown("docs/conversion.md", "compare").splitlines()
    for line in (documented[0], documented[1], documented[2], documented[9]):
        assert any(agrees(line, each, words_only=True) for each in printed), line


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
    number = r"[+-]\d\.\d{4}"
    assert re.search(rf"^AP difference: {number}, 95 % interval {number} to {number}$", printed, re.MULTILINE)
    assert re.search(r" ms \(([\d.]+ times (faster|slower)|not faster); ai-edge-litert, 1 thread", printed)
    assert len(re.findall(r"^  (?:classes|boxes)_\d +int8 ", printed, re.MULTILINE)) == 10
    words = [str(word) for word in verify_words]
    for page in ("README.md", "docs/conversion.md"):
        documented = shown(page, "verify").replace("AP lost", "AP …").replace("of bananas", f"of {words[5]}")
        documented = re.sub(r"\([\d.]+ times faster", "(…", documented)
        documented = documented.replace("banana.tflite against model.keras", f"{words[1]} against {words[3]}")
        assert agrees(documented, printed, words_only=True), printed
    assert "within the budget" in printed
    text = report.read_text("utf-8")
    assert text.count("data:image/jpeg;base64,") == 2 * 4  # both models, the four validation images
    assert "http" not in text
    request.getfixturevalue("fake_verify_worker")
    assert command(*verify_words, "--json") == 0
    result = json.loads(capsys.readouterr().out)
    assert result["float"] == squares_conversion.float_precision.to_dict()
    assert result["quantized"] == squares_conversion.quantized_precision.to_dict()
    assert (result["passed"], result["min_ap"]) == (True, 0.01)
    assert result["difference"] == -result["loss"]


def test_verify_report_does_not_overwrite_a_model(verify_words, squares_model: Path, capsys):
    before = squares_model.read_bytes()
    assert command(*verify_words, "--report", squares_model) == 2
    assert "ends in .html" in capsys.readouterr().err
    assert squares_model.read_bytes() == before
    assert command(*verify_words, "--report", squares_model / "report.html") == 2
    assert f"edge-ssd: error: {squares_model}: Not a directory" in capsys.readouterr().err


def test_verify_exits_1_if_the_budget_is_exceeded(verify_words, fake_verify_worker, model_reads, monkeypatch, capsys):
    monkeypatch.setattr("converters.verification.result.Verification.difference", -0.02)
    assert command(*verify_words, "--budget", 0.01) == 1
    assert model_reads == {"load_tiny_ssd": 1, "copy_model": 1}
    assert "EXCEEDS the budget: 0.0200 AP lost, 0.01 allowed" in capsys.readouterr().out


def test_verify_fails_for_a_model_that_finds_nothing(
    verify_words, fake_verify_worker, squares: Path, squares_model: Path, tmp_path: Path, capsys
):
    blank = write_blank_copy(squares, tmp_path / "blank", squares_model)
    words = (*verify_words, "--data", blank, "--budget", 0.005)
    assert command(*words, "--report", tmp_path / "report.html") == 1
    printed = capsys.readouterr()
    *_, floor = printed.out.splitlines()
    assert "the budget" not in printed.out
    assert floor.startswith("BELOW the minimum (--min-ap): no detection with a score of 0.5 in 4 images; the float mod")
    assert "The float model finds hardly anything in these images (AP 0.000)" in printed.out
    assert "4 of 4 evaluation images have a single color" in printed.err
    assert '<p class="fail">BELOW the minimum' in (tmp_path / "report.html").read_text("utf-8")
    assert command(*words, "--min-ap", 0, "--json") == 0
    assert json.loads(capsys.readouterr().out)["passed"] is True
    assert command(*words, "--min-ap", 1.5) == 2
    assert "--min-ap must be an AP from 0 to 1" in capsys.readouterr().err


def test_convert_warns_of_a_model_that_finds_nothing(
    convert_words, squares: Path, squares_model: Path, tmp_path: Path, capsys
):
    blank = write_blank_copy(squares, tmp_path / "blank", squares_model)
    assert command(*convert_words, "--data", blank, "--json") == 0
    printed = capsys.readouterr()
    warnings = json.loads(printed.out)["warnings"]
    assert "detects something in only 0 of 4 calibration images, of which 4 have labeled objects" in warnings[-2]
    assert "the float model finds hardly anything in 4 images (AP 0.000)" in warnings[-1]
    assert all(f"edge-ssd: warning: {warning}\n" in printed.err for warning in warnings)


def test_inspect_of_anything_but_a_tflite_names_the_command(squares: Path, squares_model: Path, capsys):
    for words, expected in (
        ([squares], f"for a dataset: edge-ssd data inspect {squares}"),
        (["--data", "my photos"], "for a dataset: edge-ssd data inspect 'my photos'"),
        ([squares_model], "a Keras model, and this command shows .tflite files: measure it with edge-ssd evaluate"),
        ([], "the model is missing"),
        (["nano.tflite"], "did you mean the shipped model nano?"),
    ):
        assert command("inspect", *words) == 2
        assert expected in capsys.readouterr().err


def test_evaluate_warns_of_a_model_that_finds_nothing(squares: Path, squares_model: Path, tmp_path: Path, capsys):
    blank = write_blank_copy(squares, tmp_path / "blank", squares_model)
    assert command("evaluate", squares_model, "--data", blank) == 0
    assert "warning: the model finds hardly anything in these images (AP 0.000)" in capsys.readouterr().err


def write_blank_copy(data: Path, copy: Path, model_path: Path) -> Path:
    """Copy a dataset; all its images become one color, and their objects smaller than any anchor.

    It is the color in which the model is surest that there is nothing: which one depends on the processor.
    """
    from edge_ssd.training.model.tiny_ssd import load_tiny_ssd

    colors = np.array(list(itertools.product(range(0, 256, 85), repeat=3)), np.uint8)
    logits = load_tiny_ssd(model_path)(np.broadcast_to(colors[:, None, None], (len(colors), 64, 64, 3)))[0].numpy()
    margins = (logits[..., 1:] - logits[..., :1]).max(axis=(1, 2))  # of the surest anchor
    color = tuple(colors[margins.argmin()].tolist())
    shutil.copytree(data, copy)
    for path in copy.glob("*/label.csv"):
        path.write_text(re.sub(r",0,.*", ",0,60,60,63,63", path.read_text()))
    for path in copy.glob("*/images/*"):
        Image.new("RGB", (64, 64), color).save(path)
    return copy


@pytest.mark.parametrize("name", ["convert", "compare", "verify", "evaluate"])
def test_images_without_objects_are_reported_before_the_work(
    name: str, squares_conversion, squares_model: Path, squares: Path, tmp_path: Path, capsys
):
    data = shutil.copytree(squares, tmp_path / "data")
    rows = ["img_name,label,xmin,ymin,xmax,ymax", *(f"{i}.png,,,,," for i in range(4))]
    (data / "squares_val" / "label.csv").write_text("\n".join(rows) + "\n")
    words = {
        "convert": (squares_model, "--out", tmp_path / "out.tflite"),
        "compare": (squares_model, "--out", tmp_path / "out"),
        "verify": (squares_conversion.path, "--against", squares_model),
        "evaluate": (squares_model,),
    }[name]
    assert command(name, *words, "--data", data) == 2
    *notices, error = capsys.readouterr().err.splitlines()
    assert "none of the 4 images to measure on (val) has an object" in error
    assert not [line for line in notices if "measuring" in line or "calibrating" in line]


@pytest.fixture
def held_out_model(squares_model: Path, tmp_path: Path) -> Path:
    """The model of the squares as if two images of an undivided dataset had been held out."""
    from edge_ssd.training.model.tiny_ssd import load_tiny_ssd, save_tiny_ssd

    model = load_tiny_ssd(squares_model)
    model.held_out = HeldOut(("images/3.png", "images/8.png"))
    save_tiny_ssd(model, tmp_path / "held_out.keras")
    return tmp_path / "held_out.keras"


@pytest.fixture
def undivided(squares: Path, tmp_path: Path) -> Path:
    """The training images of the squares, without a split."""
    folder = shutil.copytree(squares / "squares_train", tmp_path / "things")
    shutil.copy(squares / "classes.txt", folder)
    return folder


def test_undivided_dataset_is_measured_on_held_out_images_and_calibrated_on_others(
    fake_worker, fake_verify_worker, held_out_model: Path, undivided: Path, tmp_path: Path, capsys
):
    out = tmp_path / "out.tflite"
    assert command("convert", held_out_model, "--data", undivided, "--out", out) == 0
    names = f"(images/3.png, images/8.png); all are listed in config.json in {held_out_model}, which is a ZIP archive"
    assert f"measuring on the 2 of 12 images that training held out {names}" in capsys.readouterr().err
    bundle = read_bundle(out)
    assert bundle.metadata["held_out"] == {"names": ["images/3.png", "images/8.png"]}
    assert bundle.metadata["accuracy"]["data"] == "things, held-out"
    assert bundle.metadata["accuracy"]["float"]["num_images"] == 2
    calibrated_on = bundle.metadata["calibration"]["images"]
    assert len(calibrated_on) == 10
    assert not {"images/3.png", "images/8.png"} & set(calibrated_on)
    for model in (held_out_model, out):
        assert command("evaluate", model, "--data", undivided, "--json") == 0
        printed = capsys.readouterr()
        result = json.loads(printed.out)
        assert (result["num_images"], result["split"]) == (2, "held-out")
    assert f"all are listed in the output of: edge-ssd inspect {out} --json" in printed.err
    for model in (held_out_model, out):
        assert command("data", "inspect", undivided, "--anchors-of", model, "--no-near") == 0
        assert f"held out by the training of {model}: 2 images: images/3.png, images/8.png" in capsys.readouterr().out
    assert command("data", "inspect", undivided, "--anchors-of", out, "--no-near", "--json", "--split", "all") == 0
    assert json.loads(capsys.readouterr().out)["held_out"] == ["images/3.png", "images/8.png"]
    assert command("verify", out, "--against", held_out_model, "--data", undivided) == 0
    assert f"2 images of {undivided} (held-out), 2 objects" in capsys.readouterr().out
    assert command("inspect", out) == 0
    assert "held out    2 images of the training set" in capsys.readouterr().out


def test_undivided_dataset_is_measured_completely_for_a_model_of_an_earlier_version(
    squares_model: Path, undivided: Path, capsys
):
    assert command("evaluate", squares_model, "--data", undivided, "--json") == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)["num_images"] == 12
    assert "the score may include images that the model was trained on" in printed.err


def test_verify_rejects_another_model(verify_words, tmp_path: Path, capsys):
    from edge_ssd.training.model.tiny_ssd import TinySSD, save_tiny_ssd

    other = tmp_path / "other.keras"
    save_tiny_ssd(TinySSD(tiny_ssd(("square",), input_size=(64, 64), width=0.5)), other)
    assert command(*verify_words, "--against", other) == 2
    assert "the networks differ in base_channels, block_channels" in capsys.readouterr().err


def test_verify_warns_of_the_model_of_another_run(
    verify_words, fake_verify_worker, squares_model: Path, tmp_path: Path, capsys
):
    from converters.load_model import load_model
    from edge_ssd.training.model.tiny_ssd import save_tiny_ssd

    assert command(*verify_words, "--json") == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)["made_from_model"] is True
    assert "was not made from" not in printed.err
    model = load_model(squares_model)
    model.cls_predictors[0].bias.assign_add(np.full(model.cls_predictors[0].bias.shape, 1e-4, np.float32))
    other = tmp_path / "other" / "model.keras"
    save_tiny_ssd(model, other)
    assert command(*verify_words, "--against", other.parent, "--json") == 0  # the folder of a run
    printed = capsys.readouterr()
    assert json.loads(printed.out)["made_from_model"] is False
    assert f"was not made from {other}: its weights are those of another run" in printed.err


def test_models_of_run_folders_and_misspelled_paths_are_found(
    convert_words, squares_model: Path, squares: Path, tmp_path: Path, capsys
):
    run = tmp_path / "runs" / "first"
    run.mkdir(parents=True)
    words = ("--data", squares, "--out", tmp_path / "out.tflite")
    for command_name in ("convert", "evaluate"):
        options = words if command_name == "convert" else words[:2]
        assert command(command_name, run, *options) == 2
        error = capsys.readouterr().err
        assert "is a folder without model.keras" in error or f"{run}: is not a file" in error
    shutil.copy(squares_model, run / "model.keras")
    assert command(convert_words[0], run, *convert_words[2:], "--no-accuracy") == 0
    capsys.readouterr()
    assert command("evaluate", run, "--data", squares, "--json") == 0
    capsys.readouterr()
    for given in (tmp_path / "rusn" / "first" / "model.keras", run / "modle.keras"):
        for command_name in ("convert", "evaluate"):
            options = words if command_name == "convert" else words[:2]
            assert command(command_name, given, *options) == 2
            assert f"no such file (did you mean {run / 'model.keras'}?)" in capsys.readouterr().err
    assert command("convert", tmp_path / "out.tflite", *words) == 2
    assert "is a converted model: give the .keras model" in capsys.readouterr().err
    assert command("evaluate", tmp_path / "otu.tflite", "--data", squares) == 2
    assert f"no such file (did you mean {tmp_path / 'out.tflite'}?)" in capsys.readouterr().err


def test_output_path_is_checked_before_the_data_is_read(convert_words, squares: Path, tmp_path: Path, capsys):
    (tmp_path / "file").touch()
    absent = tmp_path / "absent"
    for words in (
        (*convert_words, "--out", tmp_path / "file" / "a.tflite"),
        ("compare", *convert_words[1:6], "--out", tmp_path / "file"),
        ("data", "inspect", absent, "--sheet", tmp_path / "file" / "sheet.png"),
    ):
        assert command(*words, *(() if words[0] == "data" else ("--data", absent))) == 2
        error = capsys.readouterr().err
        assert str(tmp_path / "file") in error
        assert "absent" not in error


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


def test_shipped_models_are_found_by_name(squares: Path, bananas: Path, tmp_path: Path, capsys):
    assert command("inspect", "banana-nano") == 0
    assert re.search(r"banana-nano\.tflite: .*\n  labels +banana\n", capsys.readouterr().out)
    assert command("evaluate", "banana-nano", "--data", bananas, "--limit", 1, "--json") == 0
    assert json.loads(capsys.readouterr().out)["model"] == "banana-nano"
    for words in (("convert", "--out", tmp_path / "out.tflite"), ("compare", "--out", tmp_path / "out")):
        assert command(words[0], "banana-nano", "--data", squares, *words[1:]) == 2
        assert "the model knows banana, the images of " in capsys.readouterr().err
    assert command("verify", "banana-nano", "--against", "banana-nano", "--data", squares) == 2
    assert "have square: no class in common" in capsys.readouterr().err
    for name in ("inspect", "evaluate", "convert"):
        options = {"inspect": (), "evaluate": ("--data", squares)}.get(
            name, ("--data", squares, "--out", tmp_path / "o.tflite")
        )
        assert command(name, "nanoo", *options) == 2
        assert (
            "nanoo: no such file (did you mean nano?); check the path, or name a shipped model: banana, "
            in capsys.readouterr().err
        )


def test_float_model_that_is_not_installed_is_reported_with_its_place(
    squares: Path, tmp_path: Path, monkeypatch, capsys
):
    monkeypatch.setattr("converters.load_model._SHIPPED", tmp_path)
    assert command("convert", "banana-nano", "--data", squares, "--out", tmp_path / "out.tflite") == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert "nano: the float model of this shipped model is not installed" in error
    assert "converters/models/banana-nano.keras" in error


def test_false_alarms_are_counted_in_images_without_objects(
    verify_words, fake_verify_worker, squares_conversion, squares_model: Path, squares: Path, tmp_path: Path, capsys
):
    background = write_background(tmp_path / "background", 6, squares=2)
    with Detector(squares_conversion.path) as detector:
        expected = sum(len(detector.detect(path)) for path in background.iterdir())
    assert expected >= 2
    options = ("--data", squares, "--background", background)
    for model in (squares_model, squares_conversion.path):
        assert command("evaluate", model, *options, "--json") == 0
        false_alarms = json.loads(capsys.readouterr().out)["false_alarms"]
        assert (false_alarms["num_images"], false_alarms["num_background"]) == (10, 6)
        assert (false_alarms["score_threshold"], false_alarms["count_in_background"] >= 2) == (0.5, True)
    assert false_alarms["count_in_background"] == expected
    assert command("evaluate", squares_model, *options, "--score-threshold", 1) == 0
    text = r"^score 1: 0\.0 false alarms per 100 images \(0 in 4 images with objects, 0 in 6 without; 95 % interval 0"
    assert re.search(text, capsys.readouterr().out, re.MULTILINE)
    assert command("evaluate", squares_model, "--data", squares, "--score-threshold", 2) == 2
    assert "--score-threshold must be from 0 to 1, got 2" in capsys.readouterr().err
    report = tmp_path / "report.html"
    assert command(*verify_words, "--background", background, "--report", report, "--json") == 0
    result = json.loads(capsys.readouterr().out)["false_alarms"]
    assert result["quantized"] == false_alarms
    assert result["float"]["num_background"] == 6
    assert "objects that are not there per 100 images" in report.read_text("utf-8")
    assert command(*verify_words, "--background", background, "--background", squares) == 2
    assert "have labeled objects in" in capsys.readouterr().err


def test_verify_and_inspect_print_false_alarms(verify_words, fake_verify_worker, squares_conversion, capsys):
    assert command(*verify_words) == 0
    number = r"\d+\.\d"
    text = rf"^false alarms with a score of 0\.5: {number} float, {number} converted per 100 images \(\d in 4 images"
    assert re.search(text, capsys.readouterr().out, re.MULTILINE)
    assert command("inspect", squares_conversion.path) == 0
    text = rf"^ +{number} false alarms per 100 images with a score of 0\.5, recall \d\.\d\d \(4 images\)$"
    assert re.search(text, capsys.readouterr().out, re.MULTILINE)


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
