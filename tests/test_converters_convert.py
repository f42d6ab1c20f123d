"""The conversion with a small model that has learned something: every scheme, the bundle, and the four commands."""

from __future__ import annotations

import json
import re
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_model import SIDE, train_small_model

from converters.convert import convert_model
from converters.quantization import quantize as quantize_module
from converters.quantization.layers import DEFAULT_KEEP, choose_layers
from converters.quantization.output_ranges import candidate_anchors, min_logit
from converters.quantization.quantize import SCHEMES, needs_calibration, quantize
from converters.quantization.subprocess_worker import convert, main
from converters.tflite.metadata import METADATA_NAME
from edge_ssd import cli
from edge_ssd.data.load import load_dataset, open_dataset
from edge_ssd.errors import BundleError, DataError, ImageError, ModelError, SettingError
from edge_ssd.network import tiny_ssd
from edge_ssd.runtime.bundle import read_bundle
from edge_ssd.runtime.detector import Detector
from edge_ssd.runtime.interpreter import open_interpreter
from edge_ssd.runtime.preprocess import read_image

pytest.importorskip("tensorflow")
pytest.importorskip("ai_edge_litert")
# Keras's own when it saves a variable under NumPy 2, and TensorFlow's own when it converts.
pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Statistics for quantized inputs were expected:UserWarning"),
    pytest.mark.filterwarnings("ignore:(?s).*tf.lite.Interpreter is deprecated:UserWarning"),
]


@pytest.fixture(scope="module")
def model(squares_model: Path):
    from edge_ssd.training.model.tiny_ssd import load_tiny_ssd

    return load_tiny_ssd(squares_model)


@pytest.fixture(scope="module")
def images(squares: Path) -> np.ndarray:
    return np.stack([read_image(sample.path) for sample in load_dataset(squares, "train").samples])


@pytest.fixture(scope="module")
def conversion(tmp_path_factory, squares_model: Path, squares: Path):
    """The int8 bundle, made as a user makes it."""
    out = tmp_path_factory.mktemp("out") / "squares.tflite"
    return convert_model(squares_model, open_dataset(squares), out, calibration_images=8)


# The schemes.


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_scheme_gives_the_heads_of_the_model(scheme, model, images):
    keep = choose_layers(model.network, DEFAULT_KEEP)
    flatbuffer = convert(model, scheme, images if needs_calibration(scheme) else None, keep=keep)
    interpreter = open_interpreter(flatbuffer)
    assert interpreter.input_shape == (1, SIDE, SIDE, 3)
    # Relative RMSE of each head: rounding of int8 weights, and for int8 also of every layer's output.
    allowed = {"int8": 0.08, "mixed": 0.08, "int16x8": 0.04, "dynamic": 0.05, "float16": 0.003, "none": 1e-4}[scheme]
    dtype = {"int8": np.int8, "int16x8": np.int16}.get(scheme, np.float32)
    heads = interpreter.invoke(images[0])
    assert all(head.values.dtype == dtype for head in heads.values())
    assert set(heads) == {f"{kind}_{i}" for kind in ("classes", "boxes") for i in range(len(model.network.levels))}
    assert_heads_close(model, images[:1], heads, classes=allowed, boxes=allowed)


@pytest.mark.parametrize("scheme", ["int8", "mixed"])
def test_convert_strided_network_keeps_its_heads(scheme, squares: Path, images, tmp_path):
    from edge_ssd.training.model.tiny_ssd import load_tiny_ssd

    train_small_model(squares, tmp_path / "strided.keras", down_sampling="stride")
    model = load_tiny_ssd(tmp_path / "strided.keras")
    flatbuffer = convert(model, scheme, images, keep=choose_layers(model.network, DEFAULT_KEEP))
    assert_heads_close(model, images[:1], open_interpreter(flatbuffer).invoke(images[0]), classes=0.03, boxes=0.05)


def assert_heads_close(model, image, heads, **max_error: float) -> None:
    """Relative RMSE of each converted head; a head is clipped where no detection can come from."""
    for i, maps in enumerate(zip(*model.head_maps(image), strict=True)):
        expected = as_decoded(model.network, *(values.numpy() for values in maps))
        actual = as_decoded(model.network, real(heads[f"classes_{i}"]), real(heads[f"boxes_{i}"]))
        candidates = candidate_anchors(expected[0].max(axis=1))
        for kind, one, other in zip(("classes", "boxes"), actual, expected, strict=True):
            error = np.sqrt(np.mean((one - other)[candidates] ** 2) / np.mean(other[candidates] ** 2))
            assert error < max_error[kind], (kind, i)


def as_decoded(network, logits: np.ndarray, offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Logits [A, classes] relative to background, no lower than where a score is nothing, and offsets [A, 4]."""
    rows = logits.reshape(-1, network.num_classes + 1)
    return np.maximum(rows[:, 1:] - rows[:, :1], min_logit(network)), offsets.reshape(-1, 4)


def real(head) -> np.ndarray:
    return head.values if head.scale is None else (head.values.astype(np.float32) - head.zero_point) * head.scale


def test_a_bundle_writes_w_and_h_in_the_unit_of_x_and_y(conversion, model):
    network = read_bundle(conversion.path).network
    assert (model.network.coding.xy_scale, model.network.coding.wh_scale) == (10, 5)
    assert (network.coding.xy_scale, network.coding.wh_scale) == (10, 10)
    assert replace(network, coding=model.network.coding) == model.network


def test_int8_takes_pixels_as_they_are_and_each_box_head_has_its_own_scale(conversion):
    bundle = read_bundle(conversion.path)
    from ai_edge_litert.interpreter import Interpreter

    native = Interpreter(model_content=bundle.flatbuffer)
    (pixels,) = native.get_input_details()
    assert pixels["dtype"] is np.uint8
    assert pixels["quantization"] == (1.0, 0)
    heads = native.get_signature_runner().get_output_details()
    scales = {kind: {heads[f"{kind}_{i}"]["quantization"][0] for i in range(5)} for kind in ("classes", "boxes")}
    assert (len(heads), len(scales["classes"]), len(scales["boxes"])) == (10, 1, 5)


def test_int8_keeps_nothing_but_the_layers(conversion):
    # Two convolutions in each of six blocks and two heads at each of five levels; batch normalisation and ReLU are in
    # the convolutions. The one QUANTIZE makes the uint8 pixels int8. (The last level's pool is over one cell here.)
    counted = {operator.name: count for operator, count in conversion.graph.operator_counts().items()}
    assert counted == {"CONV_2D": 22, "MAX_POOL_2D": 6, "QUANTIZE": 1}


def test_pictures_that_do_not_span_the_range_are_helped(model, images):
    grey = np.clip(images, 60, 200)
    interpreter = open_interpreter(convert(model, "int8", grey))
    (details,) = interpreter._native.get_input_details()
    assert details["quantization"] == (1.0, 0)
    assert grey.min() == 60  # the argument is as it was


def test_metadata_is_in_the_file_and_every_buffer_is_aligned(conversion):
    from tensorflow.lite.python import schema_py_generated as schema

    data = np.frombuffer(read_bundle(conversion.path).flatbuffer, np.uint8)
    model = schema.Model.GetRootAs(data.tobytes())
    names = [model.Metadata(i).Name().decode() for i in range(model.MetadataLength())]
    assert names.count(METADATA_NAME) == 1
    content = model.Buffers(model.Metadata(names.index(METADATA_NAME)).Buffer()).DataAsNumpy().tobytes()
    assert content[4:8] == b"M001"
    assert b"labels.txt" in content
    # TFLite's kernels rely on 16 bytes (force_align in its schema).
    whole = model.Buffers(1)._tab.Bytes
    for i in range(model.BuffersLength()):
        buffer = model.Buffers(i)
        if not buffer.DataIsNone():
            field = buffer._tab.Offset(4)
            assert buffer._tab.Vector(field) % 16 == 0
    assert len(whole) == len(data)


def test_calibration_needs_pictures(squares_model: Path, images):
    with pytest.raises(ValueError, match="int8 needs pictures"):
        quantize(squares_model, "int8", images[:0])


# The worker.


def job(folder: Path, model: Path, scheme: str = "none") -> dict:
    (folder / "job.json").write_text(
        json.dumps(
            {
                "model": str(model),
                "shown": "my.keras",
                "scheme": scheme,
                "keep": [],
                "keep_type": "float",
                "coding": None,
            }
        )
    )
    status = main(folder)
    assert status == 1
    assert not (folder / "result.tflite").exists()
    return json.loads((folder / "error.json").read_text())


def test_the_worker_reports_in_one_line_and_under_the_users_name_for_the_file(tmp_path: Path):
    report = job(tmp_path, tmp_path / "absent.keras")
    assert report["kind"] == "ModelError"
    assert report["message"].startswith("my.keras: ")
    assert "\n" not in report["message"]


def test_what_tensorflow_raises_is_a_model_error(tmp_path: Path, squares_model: Path, monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("first line\nsecond line")

    monkeypatch.setattr("converters.quantization.subprocess_worker.convert", fail)
    report = job(tmp_path, squares_model, "float16")
    assert report == {"kind": "ModelError", "message": "my.keras: cannot be converted to float16: first line"}


@pytest.mark.parametrize(
    ("status", "expected"), [(-9, "killed by signal 9"), (1, "the conversion failed: the last word")]
)
def test_a_worker_that_dies_is_reported(status: int, expected: str, monkeypatch):
    process = quantize_module.subprocess.CompletedProcess([], status, "much\nthe last word\n")
    monkeypatch.setattr(quantize_module.subprocess, "run", lambda *_, **__: process)
    with pytest.raises(ModelError, match=expected):
        quantize("my.keras", "none")


def test_an_interrupted_conversion_leaves_no_temporary_files(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(quantize_module.tempfile, "tempdir", str(tmp_path))

    def interrupted(command, env, **_):
        Path(env["TMPDIR"], "of-tensorflow").write_text("")
        raise KeyboardInterrupt

    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(quantize_module.subprocess, "run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        quantize("my.keras", "none")
    assert list(tmp_path.iterdir()) == []


# The bundle.


def test_the_bundle_is_measured_and_finds_its_own_objects(conversion):
    assert conversion.calibrated_on == 8
    assert conversion.float_precision.ap > 0.8
    assert conversion.quantized_precision.ap > conversion.float_precision.ap - 0.1
    assert conversion.selftest_detections >= 1
    assert conversion.size == conversion.path.stat().st_size
    bundle = read_bundle(conversion.path)
    assert bundle.metadata["accuracy"] == {
        "float": conversion.float_precision.to_dict(),
        "quantized": conversion.quantized_precision.to_dict(),
        "data": "squares, val",
    }
    with Detector(conversion.path) as detector:
        assert detector.selftest().passed


def test_the_same_input_gives_the_same_bytes(conversion, tmp_path: Path, squares_model: Path, squares: Path):
    again = convert_model(squares_model, open_dataset(squares), tmp_path / "squares.tflite", calibration_images=8)
    assert again.path.read_bytes() == conversion.path.read_bytes()


@pytest.fixture
def no_worker(monkeypatch, conversion):
    """The flatbuffer is there already: these tests are about what comes after."""
    flatbuffer = read_bundle(conversion.path).flatbuffer
    monkeypatch.setattr("converters.convert.quantize", lambda *_, **__: flatbuffer)


def test_a_picture_of_the_users_own_becomes_the_selftest(no_worker, tmp_path: Path, squares_model: Path, squares: Path):
    picture = squares / "squares_train" / "images" / "7.png"
    out = tmp_path / "own.tflite"
    options = {"measure": False, "selftest_image": picture, "name": "own name"}
    result = convert_model(squares_model, open_dataset(squares), out, **options)
    bundle = read_bundle(out)
    assert np.array_equal(bundle.selftest.image, read_image(picture))
    assert bundle.name == "own name"
    assert bundle.metadata["accuracy"] is None
    assert result.float_precision is None


def test_a_bundle_that_fails_its_selftest_is_not_written(
    no_worker, tmp_path: Path, squares_model: Path, squares: Path, monkeypatch
):
    out = tmp_path / "out.tflite"
    out.write_bytes(b"the file before")
    from edge_ssd.runtime.detector import SelfTestResult

    monkeypatch.setattr(Detector, "selftest", lambda _: SelfTestResult(False, 1, 0, "1 of 1 not found"))
    with pytest.raises(BundleError, match=r"not written.*1 of 1 not found"):
        convert_model(squares_model, open_dataset(squares), out, measure=False)
    assert out.read_bytes() == b"the file before"
    assert list(tmp_path.iterdir()) == [out]


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"out": "model.bin"}, SettingError, "must end in .tflite"),
        ({"data": "absent"}, DataError, "absent: no such folder"),
        ({"model": "absent.keras"}, ModelError, "absent.keras: no such file"),
        ({"calibration_images": 0}, SettingError, "from 1 to 200"),
        ({"limit": 0}, SettingError, "at least 1"),
        ({"seed": -1}, SettingError, "the seed must be a whole number from 0"),
        ({"selftest_image": "absent.png"}, ImageError, "absent.png: no such image"),
        ({"out": "/dev/null/out.tflite"}, NotADirectoryError, "/dev/null"),
    ],
)
def test_bad_input_is_refused_before_any_work(
    change: dict, error, message: str, no_worker, tmp_path: Path, squares_model: Path, squares: Path
):
    arguments = {"model": squares_model, "data": squares, "out": tmp_path / "out.tflite", **change}
    model, data, out = (tmp_path / arguments.pop(name) for name in ("model", "data", "out"))
    with pytest.raises(error, match=re.escape(message)):
        convert_model(model, open_dataset(data), out, **arguments)
    assert list(tmp_path.iterdir()) == []


# The commands, through the dispatcher.


def command(*words: object) -> int:
    return cli.main([str(word) for word in words])


def test_convert_prints_what_it_made(no_worker, tmp_path: Path, squares_model: Path, squares: Path, capsys):
    out = tmp_path / "squares.tflite"
    assert command("convert", squares_model, "--data", squares, "--out", out, "--calibration-images", 4) == 0
    printed = capsys.readouterr()
    assert re.search(r"squares\.tflite: 0\.\d\d MB \(int8 network", printed.out)
    assert "22 CONV_2D" in printed.out
    assert re.search(r"AP +\d\.\d{3} float → \d\.\d{3} converted", printed.out)
    assert "calibrating on 4 pictures" in printed.err


def test_convert_says_the_same_as_json(no_worker, tmp_path: Path, squares_model: Path, squares: Path, capsys):
    out = tmp_path / "squares.tflite"
    assert command("convert", squares_model, "--data", squares, "--out", out, "--calibration-images", 4, "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["file"], facts["scheme"], facts["bytes"]) == (str(out), "int8", out.stat().st_size)
    assert facts["accuracy"] == {k: v for k, v in read_bundle(out).metadata["accuracy"].items() if k != "data"}
    assert facts["operators"][0]["count"] == 22
    assert "only 4 calibration pictures" in facts["warnings"][0]


def test_convert_refuses_labels_that_the_model_does_not_have(
    no_worker, tmp_path: Path, squares_model: Path, squares: Path, capsys
):
    other = shutil.copytree(squares, tmp_path / "other")
    (other / "classes.txt").write_text("circle\n")
    assert command("convert", squares_model, "--data", other, "--out", tmp_path / "out.tflite") == 2
    assert "unknown class 'circle'" in capsys.readouterr().err
    assert not (tmp_path / "out.tflite").exists()


def test_convert_to_a_place_that_cannot_be_is_one_line(
    no_worker, tmp_path: Path, squares_model: Path, squares: Path, capsys
):
    (tmp_path / "file").write_text("")
    out = tmp_path / "file" / "out.tflite"
    assert command("convert", squares_model, "--data", squares, "--out", out, "--no-accuracy") == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("edge-ssd: error:")
    assert "file" in last


def test_convert_refuses_a_foreign_keras_file(no_worker, tmp_path: Path, squares: Path, capsys):
    foreign = tmp_path / "foreign.keras"
    with zipfile.ZipFile(foreign, "w") as archive:
        archive.writestr("metadata.json", "{}")
    assert command("convert", foreign, "--data", squares, "--out", tmp_path / "out.tflite") == 2
    error = capsys.readouterr().err
    assert error.startswith(f"edge-ssd: error: {foreign}:")
    assert error.count("\n") == 1


def test_convert_refuses_weights_that_are_not_finite(squares_model: Path, squares: Path, tmp_path: Path, capsys):
    from edge_ssd.training.model.tiny_ssd import load_tiny_ssd, save_tiny_ssd

    model = load_tiny_ssd(squares_model)
    model.weights[0].assign(model.weights[0] * np.nan)
    save_tiny_ssd(model, tmp_path / "nan.keras")
    assert command("convert", tmp_path / "nan.keras", "--data", squares, "--out", tmp_path / "out.tflite") == 2
    assert "not finite" in capsys.readouterr().err
    assert not (tmp_path / "out.tflite").exists()


def test_verify_compares_and_keeps_to_the_budget(
    conversion, squares_model: Path, squares: Path, tmp_path: Path, capsys
):
    report = tmp_path / "report.html"
    words = ("verify", conversion.path, "--against", squares_model, "--data", squares)
    assert command(*words, "--budget", 0.5, "--report", report) == 0
    printed = capsys.readouterr().out
    assert re.search(r"^AP +\d\.\d{3} +\d\.\d{3} +\d\.\d{3} +[+-]\d\.\d{4}$", printed, re.MULTILINE)
    assert re.search(r"^AP lost: -?\d\.\d{4}, 95 % interval -?\d\.\d{4} to -?\d\.\d{4}$", printed, re.MULTILINE)
    assert "times faster; ai-edge-litert, 1 thread" in printed
    assert len(re.findall(r"^  (?:classes|boxes)_\d +int8 ", printed, re.MULTILINE)) == 10
    assert "within the budget" in printed
    text = report.read_text("utf-8")
    assert text.count("data:image/jpeg;base64,") == 2 * 4  # both models, the four validation pictures
    assert "http" not in text
    assert command(*words, "--json") == 0
    result = json.loads(capsys.readouterr().out)
    assert result["float"] == conversion.float_precision.to_dict()
    assert result["quantized"] == conversion.quantized_precision.to_dict()
    assert result["passed"] is True


def test_a_report_never_replaces_a_model(conversion, squares_model: Path, squares: Path, capsys):
    before = squares_model.read_bytes()
    arguments = ("verify", conversion.path, "--against", squares_model, "--data", squares, "--report")
    assert command(*arguments, squares_model) == 2
    assert "ends in .html" in capsys.readouterr().err
    assert squares_model.read_bytes() == before
    assert command(*arguments, squares_model / "report.html") == 2
    assert f"edge-ssd: error: {squares_model}: Not a directory" in capsys.readouterr().err


def test_a_set_of_training_pictures_only_converts_unmeasured(
    no_worker, tmp_path: Path, squares_model: Path, squares: Path, capsys
):
    shutil.copytree(squares / "squares_train", tmp_path / "only" / "squares_train")
    shutil.copy(squares / "classes.txt", tmp_path / "only")
    out = tmp_path / "out.tflite"
    arguments = ("convert", squares_model, "--data", tmp_path / "only", "--out", out, "--calibration-images", 4)
    assert command(*arguments) == 2
    assert "--no-accuracy" in capsys.readouterr().err
    assert command(*arguments, "--no-accuracy") == 0
    assert read_bundle(out).metadata["accuracy"] is None


def test_verify_exits_1_past_the_budget(conversion, squares_model: Path, squares: Path, monkeypatch, capsys):
    monkeypatch.setattr("converters.verification.result.Verification.loss", 0.02)
    words = ("verify", conversion.path, "--against", squares_model, "--data", squares, "--budget", 0.01)
    assert command(*words) == 1
    assert "EXCEEDS the budget: 0.0200 AP lost, 0.01 allowed" in capsys.readouterr().out


def test_verify_refuses_another_model(conversion, squares: Path, tmp_path: Path, capsys):
    from edge_ssd.training.model.tiny_ssd import TinySSD, save_tiny_ssd

    other = tmp_path / "other.keras"
    save_tiny_ssd(TinySSD(tiny_ssd(("square",), input_size=(64, 64), width=0.5)), other)
    assert command("verify", conversion.path, "--against", other, "--data", squares) == 2
    assert "the networks differ in base_channels, block_channels" in capsys.readouterr().err


def test_evaluate_gives_the_same_as_the_conversion(conversion, squares_model: Path, squares: Path, capsys):
    for path, expected in (
        (squares_model, conversion.float_precision),
        (conversion.path, conversion.quantized_precision),
    ):
        assert command("evaluate", path, "--data", squares, "--json") == 0
        result = json.loads(capsys.readouterr().out)
        assert {name: result[name] for name in expected.to_dict()} == expected.to_dict()
        assert result["split"] == "val"
    assert command("evaluate", squares_model, "--data", squares, "--split", "train", "--limit", 3) == 0
    assert re.search(r"on 3 pictures .* \(train\), 3 objects\nAP \d\.\d{3}", capsys.readouterr().out)


def test_evaluate_refuses_other_files(tmp_path: Path, squares: Path, capsys):
    for name, reason in (("model.h5", "ends in .keras or .tflite"), ("model.tflite", "is not a .tflite file")):
        (tmp_path / name).write_bytes(bytes(100))
        assert command("evaluate", tmp_path / name, "--data", squares) == 2
        assert reason in capsys.readouterr().err


def test_inspect_shows_the_file_and_runs_its_selftest(conversion, capsys):
    assert command("inspect", conversion.path, "--selftest") == 0
    printed = capsys.readouterr().out
    for part in ("labels      square", "64×64 RGB", "22 CONV_2D v", "self-test   passed"):
        assert part in printed
    assert re.search(r"^  AP {10}[01]\.\d{3} ", printed, re.MULTILINE), printed
    assert command("inspect", conversion.path, "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["bytes"] == conversion.size
    assert facts["operators"][0]["count"] == 22


def test_inspect_exits_1_where_the_selftest_fails(conversion, monkeypatch, capsys):
    from edge_ssd.runtime.detector import SelfTestResult

    monkeypatch.setattr(Detector, "selftest", lambda _: SelfTestResult(False, 1, 0, "1 of 1 not found"))
    assert command("inspect", conversion.path, "--selftest") == 1
    assert "FAILED: 1 of 1 not found" in capsys.readouterr().out


def test_inspect_refuses_a_tflite_without_the_appendix(conversion, tmp_path: Path, capsys):
    bare = tmp_path / "bare.tflite"
    bare.write_bytes(read_bundle(conversion.path).flatbuffer)
    assert command("inspect", bare) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"edge-ssd: error: {bare}: is damaged or cut short")
    assert error.count("\n") == 1
