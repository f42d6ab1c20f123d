"""The child process of a conversion: its input, and the errors that it reports."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

import numpy as np
import pytest

from converters.config import ConversionConfig
from converters.passes import ConversionState
from converters.subprocess_worker import apply_in_subprocess, main
from edge_ssd.errors import ModelError, SettingError

pytest.importorskip("tensorflow")

SOURCE = Path("my.keras")


@pytest.fixture
def state(squares_tiny_ssd) -> ConversionState:
    return ConversionState(ConversionConfig(scheme="float16"), squares_tiny_ssd)


@pytest.fixture
def in_process(monkeypatch):
    """Run the child's main function in this process."""

    steps: list[str] = []

    def run(folder, _):
        main(folder)
        steps.append((folder / "step.txt").read_text())
        return 0, ""

    monkeypatch.setattr("converters.subprocess_worker._run_worker", run)
    return steps


def test_worker_receives_model_config_and_images(in_process, squares_tiny_ssd, squares_images: np.ndarray, monkeypatch):
    model = squares_tiny_ssd
    received = []

    def convert(*arguments):
        received.extend(arguments)
        return b"converted"

    monkeypatch.setattr("converters.quantization.tflite_conversion.convert_to_tflite", convert)
    monkeypatch.setattr("converters.passes.with_metadata", lambda flatbuffer, _: flatbuffer + b" with metadata")
    monkeypatch.setattr("converters.quantization.gptq.apply_gptq", lambda model, *_: model)
    monkeypatch.setattr("converters.quantization.head_coding.subtract_background_logit", lambda model: model)
    state = ConversionState(ConversionConfig(scheme="int16x8"), model, squares_images)
    assert apply_in_subprocess(state, SOURCE) == b"converted with metadata"
    copy, scheme, images = received
    assert (copy.name, copy.network, scheme) == (model.name, model.network, "int16x8")
    assert all(np.array_equal(a, b) for a, b in zip(copy.get_weights(), model.get_weights(), strict=True))
    assert np.array_equal(images, squares_images)
    assert in_process == ["adding metadata (4 of 4)"]


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (RuntimeError("first line\nsecond line"), ModelError, "my.keras: cannot be converted to float16: first line"),
        (SettingError("a setting"), SettingError, "a setting"),
    ],
)
def test_worker_reports_errors_in_one_line(error, kind, message: str, in_process, state, monkeypatch):
    def fail(*_):
        raise error

    monkeypatch.setattr("converters.quantization.tflite_conversion.convert_to_tflite", fail)
    with pytest.raises(kind) as caught:
        apply_in_subprocess(state, SOURCE)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("status", "expected"), [(-9, "killed by signal 9"), (1, "the conversion failed: the last word")]
)
def test_worker_that_dies_is_a_model_error(status: int, expected: str, state, monkeypatch):
    output = (status, "much\nthe last word\n")
    monkeypatch.setattr("converters.subprocess_worker._run_worker", lambda *_: output)
    with pytest.raises(ModelError, match=f"my.keras: .*{expected}"):
        apply_in_subprocess(state, SOURCE)


def test_interrupted_worker_leaves_no_temporary_files(tmp_path: Path, state, monkeypatch):
    killed = []

    class Interrupted:
        def __init__(self, command, env, **_):
            Path(env["TMPDIR"], "of-tensorflow").write_text("")

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def communicate(self, timeout):
            raise KeyboardInterrupt

        def kill(self):
            killed.append(True)

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(subprocess, "Popen", Interrupted)
    with pytest.raises(KeyboardInterrupt):
        apply_in_subprocess(state, SOURCE)
    assert list(tmp_path.iterdir()) == []
    assert killed
