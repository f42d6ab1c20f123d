"""External delegates: a real one, compiled from ``delegate.c``, with each installed interpreter."""

from __future__ import annotations

import ctypes
import importlib.util
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import skip_or_fail
from real_model import real_model

from edge_ssd.errors import BackendError, SettingError
from edge_ssd.runtime.delegate import Delegate, find_delegate
from edge_ssd.runtime.detector import Detector

BACKENDS = [
    name
    for name, package in (("ai-edge-litert", "ai_edge_litert"), ("tflite-runtime", "tflite_runtime"))
    if importlib.util.find_spec(package)
]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("gcc")
    if compiler is None:
        skip_or_fail("needs gcc, to build a delegate")
    library = tmp_path_factory.mktemp("delegate") / "libdelegate.so"
    source = Path(__file__).with_name("delegate.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-Wall", "-Wextra", "-Werror", "-o", library, source], check=True)
    return library


@pytest.fixture
def library(built: Path, tmp_path: Path) -> Path:
    """Return a copy of the delegate, whose counters start at 0: a process loads each library once."""
    return Path(shutil.copy(built, tmp_path / "libdelegate.so"))


def counters(library: Path) -> dict[str, int]:
    loaded = ctypes.CDLL(str(library))
    return {name: ctypes.c_int.in_dll(loaded, name).value for name in ("created", "prepared", "operators", "destroyed")}


@pytest.mark.parametrize("backend", BACKENDS)
def test_detector_runs_with_delegate(backend: Any, library: Path) -> None:
    image = np.random.default_rng(1).integers(0, 256, (256, 256, 3), np.uint8)
    with Detector(real_model(), 0.0, backend=backend) as plain:
        expected = plain.detect(image)
        assert plain.delegate is None
    options = {"verbose": 1}
    with Detector(real_model(), 0.0, backend=backend, delegate=library, delegate_options=options) as detector:
        assert (detector.backend, detector.delegate) == (backend, str(library))
        counts = counters(library)
        assert counts == {"created": 1, "prepared": 1, "operators": counts["operators"], "destroyed": 0}
        assert counts["operators"] >= 20, "the delegate must see the complete model"
        assert detector.detect(image).to_dict() == expected.to_dict()
        assert detector.selftest().passed
    assert counters(library)["destroyed"] == 1, "closing frees it"


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "none"}, "no such device on this bus"),
        ({"mode": "refuse"}, "RuntimeError"),
        ({"speed": 3}, "unknown option speed"),
    ],
)
def test_delegate_that_fails_raises_backend_error(
    backend: Any, library: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(BackendError, match=message) as caught:
        Detector(real_model(), backend=backend, delegate=library, delegate_options=options)
    line = str(caught.value)
    assert "\n" not in line
    assert line.startswith(f"{real_model()}: no TFLite interpreter can run this model with the delegate {library} (")
    assert line.endswith("Check that its device is present and supports this model, or omit the delegate")
    counts = counters(library)
    assert counts["created"] == counts["destroyed"]
    # The same model and library still work.
    with Detector(real_model(), backend=backend, delegate=library) as detector:
        assert detector.selftest().passed


def test_model_is_not_run_without_its_delegate(library: Path) -> None:
    with pytest.raises(BackendError, match="no TFLite interpreter"):
        Detector(real_model(), backend="auto", delegate=library, delegate_options={"mode": "refuse"})


def test_find_delegate_returns_absolute_path(library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(library.parent)
    for given in ("libdelegate.so", "./libdelegate.so", Path("libdelegate.so")):
        assert find_delegate(given, None) == Delegate(str(library), {})
    assert find_delegate(library, {"device": "usb", "n": 2}) == Delegate(str(library), {"device": "usb", "n": "2"})
    assert find_delegate(None, None) is None
    assert find_delegate(None, {}) is None


def refusal(**settings: Any) -> str:
    with pytest.raises(BackendError) as caught:
        Detector(real_model(), **settings)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_find_delegate_rejects_other_files(tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("not a library\n" * 100)
    absent = tmp_path / "absent.so"
    assert f"delegate {absent}: no such file; check the path" in refusal(delegate=absent)
    assert f"delegate {tmp_path}: is not a file" in refusal(delegate=tmp_path)
    assert f"delegate {text}: cannot be loaded ({text}: invalid ELF header)" in refusal(delegate=text)
    # The system's loader looks up a bare name that is not a file.
    assert "(libabsent.so.7: cannot open shared object file" in refusal(delegate="libabsent.so.7")
    assert "libm.so.6: is not a TFLite delegate; it lacks tflite_plugin_c" in refusal(delegate="libm.so.6")
    assert "cannot be loaded (embedded null" in refusal(delegate="a\0b")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"delegate": ""}, "delegate must be the path of a shared library, got ''"),
        ({"delegate": 5}, "delegate must be the path"),
        ({"delegate_options": {"a": "b"}}, "delegate_options need a delegate"),
        ({"delegate": "x.so", "delegate_options": "a=b"}, "delegate_options must be a mapping"),
        ({"delegate": "x.so", "delegate_options": {"a": None}}, "delegate_options must be a mapping"),
        ({"delegate": "x.so", "delegate_options": {1: "a"}}, "delegate_options must be a mapping"),
    ],
)
def test_detector_rejects_invalid_settings(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        Detector(real_model(), **settings)
