from __future__ import annotations

import os
import sys
import types
from typing import Any

import numpy as np
import pytest
from real_model import real_model

from edge_ssd.errors import BackendError, BundleError, SettingError
from edge_ssd.runtime import interpreter as module
from edge_ssd.runtime.bundle import read_bundle
from edge_ssd.runtime.interpreter import open_interpreter
from edge_ssd.runtime.native_messages import hidden_in_this_process, hide_native_messages

MODEL = read_bundle(real_model()).flatbuffer
BACKENDS = {"ai-edge-litert": "ai_edge_litert", "tflite-runtime": "tflite_runtime"}


def tensor(index: int, shape: tuple[int, ...], dtype: type, scale: float | None = None, zero_point: int = 0) -> dict:
    scales = [] if scale is None else [scale]
    return {
        "index": index,
        "shape": np.array(shape, np.int32),
        "dtype": dtype,
        "quantization_parameters": {"scales": np.array(scales, np.float32), "zero_points": np.array([zero_point])},
    }


class FakeNative:
    """Interpreter with the methods of both packages that are used."""

    signature = "serving_default"
    inputs: dict = {"image": tensor(4, (1, 2, 3, 3), np.uint8)}  # noqa: RUF012
    outputs: dict = {  # noqa: RUF012
        "boxes_0": tensor(9, (1, 1, 1, 4), np.float32),
        "classes_0": tensor(7, (1, 1, 1, 2), np.int8, 0.5, -3),
    }

    def __init__(self, model_content: bytes, num_threads: int) -> None:
        self.model_content, self.num_threads, self.calls = model_content, num_threads, list[Any]()
        self.tensors = {9: np.ones((1, 1, 1, 4), np.float32), 7: np.full((1, 1, 1, 2), 5, np.int8)}

    def allocate_tensors(self) -> None:
        self.calls.append("allocate")

    def get_signature_list(self) -> dict:
        return {self.signature: {"inputs": list(self.inputs), "outputs": list(self.outputs)}}

    def get_signature_runner(self, key: str) -> Any:
        assert key == self.signature
        return types.SimpleNamespace(get_input_details=lambda: self.inputs, get_output_details=lambda: self.outputs)

    def set_tensor(self, index: int, value: np.ndarray) -> None:
        self.calls.append((index, value.shape, value.dtype))

    def invoke(self) -> None:
        self.calls.append("invoke")

    def get_tensor(self, index: int) -> np.ndarray:
        return self.tensors[index].copy()


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> dict[str, type]:
    """Return a mapping of package → class: packages assigned to it are importable, all others are missing."""

    class Finder:
        @staticmethod
        def find_spec(name: str, path: object = None, target: object = None) -> None:
            if name.split(".")[0] in BACKENDS.values():
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    def install(name: str, native: type) -> None:
        fake = types.ModuleType(f"{BACKENDS[name]}.interpreter")
        fake.Interpreter = native  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, BACKENDS[name], types.ModuleType(BACKENDS[name]))
        monkeypatch.setitem(sys.modules, fake.__name__, fake)

    class Packages(dict):
        def __setitem__(self, name: str, native: type) -> None:
            install(name, native)

    for name in list(sys.modules):
        if name.split(".")[0] in BACKENDS.values():
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [Finder, *sys.meta_path])
    return Packages()


def failing(error: Exception) -> type:
    class Failing(FakeNative):
        def __init__(self, **options: object) -> None:
            raise error

    return Failing


def test_interpreter_finds_tensors_by_name(installed: dict[str, type]) -> None:
    installed["ai-edge-litert"] = FakeNative
    interpreter = open_interpreter(MODEL, num_threads=3)
    assert interpreter.backend == "ai-edge-litert"
    assert interpreter.num_threads == 3
    assert (interpreter.input_name, interpreter.input_shape) == ("image", (1, 2, 3, 3))
    assert interpreter.output_shapes == {"boxes_0": (1, 1, 1, 4), "classes_0": (1, 1, 1, 2)}
    heads = interpreter.invoke(np.zeros((2, 3, 3), np.uint8))
    assert heads["boxes_0"].scale is None
    assert heads["boxes_0"].values.tolist() == [[[[1, 1, 1, 1]]]]
    assert (heads["classes_0"].scale, heads["classes_0"].zero_point) == (0.5, -3)
    assert heads["classes_0"].values.tolist() == [[[[5, 5]]]]
    assert interpreter._native.calls == ["allocate", (4, (1, 2, 3, 3), np.uint8), "invoke"]
    assert interpreter._native.model_content == MODEL


@pytest.mark.machine_independent
def test_auto_backend_prefers_ai_edge_litert(installed: dict[str, type]) -> None:
    installed["ai-edge-litert"] = installed["tflite-runtime"] = FakeNative
    assert open_interpreter(MODEL).backend == "ai-edge-litert"
    assert open_interpreter(MODEL, backend="tflite-runtime").backend == "tflite-runtime"


@pytest.mark.machine_independent
@pytest.mark.parametrize("error", [ImportError("wrong ELF class"), RuntimeError("no op"), AttributeError("_ARRAY_API")])
def test_auto_backend_skips_broken_ones(installed: dict[str, type], error: Exception) -> None:
    installed["ai-edge-litert"], installed["tflite-runtime"] = failing(error), FakeNative
    assert open_interpreter(MODEL).backend == "tflite-runtime"
    with pytest.raises(BackendError, match=f"ai-edge-litert: {type(error).__name__}: {error}"):
        open_interpreter(MODEL, backend="ai-edge-litert")


def refusal(backend: Any = "auto") -> str:
    with pytest.raises(BackendError) as caught:
        open_interpreter(MODEL, backend=backend)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.machine_independent
@pytest.mark.usefixtures("installed")
def test_remedy_where_no_interpreter_is_installed() -> None:
    line = refusal()
    assert "ai-edge-litert: not installed; tflite-runtime: not installed" in line
    assert 'pip install "edge-ssd[device]"' in line
    assert "pip install tflite-runtime" in refusal("tflite-runtime")


@pytest.mark.machine_independent
@pytest.mark.usefixtures("installed")
def test_remedy_for_32_bit_python_3_12(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.sys, "maxsize", 2**31 - 1)
    monkeypatch.setattr(module.sys, "version_info", (3, 13, 5, "final", 0))
    assert "No interpreter has a wheel for 32-bit Python 3.13: use a 64-bit system" in refusal()
    monkeypatch.setattr(module.sys, "version_info", (3, 11, 2, "final", 0))
    assert 'pip install "edge-ssd[device]"' in refusal()


@pytest.mark.machine_independent
@pytest.mark.parametrize(("version", "numpy_1"), [("2.4.0", True), ("1.26.4", False)])
def test_remedy_for_tflite_runtime_with_numpy_2(
    installed: dict[str, type], monkeypatch: pytest.MonkeyPatch, version: str, numpy_1: bool
) -> None:
    installed["tflite-runtime"] = failing(AttributeError("_ARRAY_API not found\nsecond line"))
    monkeypatch.setattr(module.np, "__version__", version)
    line = refusal()
    assert "_ARRAY_API not found" in line
    assert ('pip install "numpy<2"' in line) is numpy_1


@pytest.mark.machine_independent
def test_open_interpreter_names_reason_of_each_backend(installed: dict[str, type]) -> None:
    installed["ai-edge-litert"] = installed["tflite-runtime"] = failing(RuntimeError("op too new"))
    assert refusal().count("RuntimeError: op too new") == 2
    assert "upgrade" in refusal("ai-edge-litert")


@pytest.mark.machine_independent
@pytest.mark.parametrize("backend", ["tflite", "", None, "AUTO"])
def test_open_interpreter_rejects_unknown_backend(backend: Any) -> None:
    with pytest.raises(SettingError, match="auto, ai-edge-litert, tflite-runtime"):
        open_interpreter(MODEL, backend=backend)


@pytest.mark.machine_independent
@pytest.mark.parametrize("threads", [0, -1, 1.5, "2", True, 1000, np.float32(2), np.True_])
def test_open_interpreter_rejects_invalid_num_threads(threads: Any) -> None:
    with pytest.raises(SettingError, match="num_threads"):
        open_interpreter(MODEL, threads)


@pytest.mark.machine_independent
def test_num_threads_accepts_numpy_integers(installed: dict[str, type]) -> None:
    installed["ai-edge-litert"] = FakeNative
    for threads in (np.int64(3), np.uint8(3)):
        assert open_interpreter(MODEL, threads).num_threads == 3
        assert type(open_interpreter(MODEL, threads).num_threads) is int


@pytest.mark.machine_independent
@pytest.mark.parametrize(("processors", "threads"), [(1, 1), (2, 2), (4, 4), (64, 4)])
def test_num_threads_default_is_usable_processors_up_to_four(
    installed: dict[str, type], monkeypatch: pytest.MonkeyPatch, processors: int, threads: int
) -> None:
    installed["ai-edge-litert"] = FakeNative
    monkeypatch.setattr(module, "usable_processors", lambda: processors)
    assert open_interpreter(MODEL).num_threads == threads


@pytest.mark.machine_independent
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"signature": "other"}, "serving_default"),
        ({"inputs": {}}, "one input"),
        ({"inputs": {"a": tensor(0, (1,), np.uint8), "b": tensor(1, (1,), np.uint8)}}, "one input"),
        ({"inputs": {"image": tensor(0, (1, 2, 3, 3), np.float32)}}, "uint8, is float32"),
        ({"outputs": {"boxes_0": tensor(0, (1,), np.int8)}}, "'boxes_0'.*one quantization scale"),
        ({"outputs": {"boxes_0": tensor(0, (1,), np.int8, 0.0)}}, "one quantization scale"),
    ],
)
def test_interpreter_rejects_other_models(installed: dict[str, type], change: dict[str, Any], message: str) -> None:
    installed["ai-edge-litert"] = type("Other", (FakeNative,), change)
    with pytest.raises(BundleError, match=message):
        open_interpreter(MODEL)


# With a real interpreter


def test_interpreter_runs_real_model() -> None:
    bundle = read_bundle(real_model())
    interpreter = open_interpreter(bundle.flatbuffer)
    height, width = bundle.network.input.size
    assert interpreter.input_shape == (1, height, width, 3)
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    first = interpreter.invoke(image)
    assert set(first) >= {head.output for head in bundle.heads}
    kept = {name: head.values.copy() for name, head in first.items()}
    interpreter.invoke(255 - image)
    for name, head in interpreter.invoke(image).items():
        assert head.values.shape == interpreter.output_shapes[name]
        assert (head.values == kept[name]).all()
        assert (first[name].values == kept[name]).all(), "an earlier result must not change"


@pytest.mark.parametrize("content", [b"", b"\x1c\0\0\0TFL3" + bytes(100), b"no model at all"])
def test_open_interpreter_rejects_other_bytes(content: bytes) -> None:
    with pytest.raises(BundleError, match="the model is damaged or forged"):
        open_interpreter(content)


class TestNativeMessages:
    """What C++ writes to file descriptor 2."""

    def test_command_hides_information_and_keeps_the_rest(self, capfd: pytest.CaptureFixture[str]) -> None:
        with hidden_in_this_process(), hide_native_messages():
            os.write(2, b"INFO: Created a delegate.\nERROR: no memory\n")
        assert capfd.readouterr().err == "ERROR: no memory\n"

    def test_program_keeps_its_standard_error(self, capfd: pytest.CaptureFixture[str]) -> None:
        with hide_native_messages():
            os.write(2, b"INFO: Created a delegate.\n")
        assert capfd.readouterr().err == "INFO: Created a delegate.\n"

    def test_opening_a_model_in_a_command_writes_nothing(self, capfd: pytest.CaptureFixture[str]) -> None:
        with hidden_in_this_process():
            open_interpreter(MODEL)
        assert capfd.readouterr().err == ""

    def test_closed_standard_error_is_no_error(self, capfd: pytest.CaptureFixture[str]) -> None:
        saved = os.dup(2)
        try:
            os.close(2)
            with hidden_in_this_process(), hide_native_messages():
                pass
        finally:
            os.dup2(saved, 2)
            os.close(saved)
