"""Runtime on emulated ARM systems (lanes, see tests/arm/lanes.py): installed from the wheel, tested, compared with x86.

``make test-arm`` runs the lanes in parallel.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from arm.fetch import Unavailable, fetch, install_project
from arm.lanes import LANES, Lane
from arm.project_wheel import build_wheel
from conftest import REPOSITORY, skip_or_fail

from edge_ssd.boxes import box_iou

# Emulation takes minutes on a busy machine, the first time with the download.
pytestmark = pytest.mark.timeout(900)

GUEST = REPOSITORY / "tests" / "arm" / "guest_detect.py"

# Tests of arithmetic, of NumPy's and Pillow's code and of the interpreter. Those of plain Python logic are in other
# files or have the marker `machine_independent`. A test that starts `sys.executable` cannot run in a lane, since the
# kernel cannot execute a foreign program: such tests are in other files too (test_imports, test_cli).
TESTS = (
    "anchors",
    "boxes",
    "coding",
    "nms",
    "reference_*",
    "runtime_bundle",
    "runtime_detect*",
    "runtime_interpreter",
    "runtime_resize",
)
TESTS += ("runtime_postprocess", "runtime_preprocess")

# Maximum difference of int8 heads from x86, in quantization steps. ai-edge-litert is bit-exact. tflite-runtime has
# other kernels: compared with the same kernels on x86, one step is allowed for the different versions; compared with
# the default kernels, which round each layer's sums once in float instead of twice in integers, one step per layer is
# possible, and the layers add up.
SAME_KERNELS = 1
OTHER_KERNELS = 10
OTHER_KERNELS_MEAN = 2.0


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(tmp_path_factory.mktemp("wheel") / "build")


@pytest.fixture(scope="module", params=LANES.values(), ids=LANES.keys())
def lane(request: pytest.FixtureRequest, wheel: Path) -> Lane:
    """Return a lane, downloaded, with this project installed."""
    try:
        fetch(request.param)
    except Unavailable as error:
        skip_or_fail(f"{request.param.name}: {error}")
    install_project(request.param, wheel)
    return request.param


@pytest.fixture(scope="module")
def photo(shared_data: Path) -> Path:
    return shared_data / "photos" / "d2l_banana.jpg"


Result = tuple[dict[str, Any], Mapping[str, np.ndarray]]


def read_result(output: str, path: Path) -> Result:
    with np.load(path) as arrays:
        return json.loads(output.splitlines()[-1]), dict(arrays)


@pytest.fixture(scope="module")
def x86_results(photo: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Result]:
    """Return this machine's result with the default kernels and with the reference kernels."""
    results, path = {}, tmp_path_factory.mktemp("x86") / "result.npz"
    for kernels in ("default", "reference"):
        completed = subprocess.run(
            [sys.executable, "-W", "error", str(GUEST), str(photo), str(path), kernels],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        )
        assert completed.returncode == 0, completed.stderr
        results[kernels] = read_result(completed.stdout, path)
    return results


@pytest.fixture(scope="module")
def lane_result(lane: Lane, photo: Path, tmp_path_factory: pytest.TempPathFactory) -> Result:
    """Return the lane's result; warnings are errors."""
    path = tmp_path_factory.mktemp(lane.name) / "result.npz"
    completed = lane.run("-W", "error", GUEST, photo, path)
    assert completed.returncode == 0, completed.stderr
    return read_result(completed.stdout, path)


def test_lane_uses_installed_wheel_and_backend(lane: Lane, lane_result: Result) -> None:
    origin, _ = lane_result
    assert origin["machine"] == lane.machine
    assert origin["backend"] == lane.backend
    assert Path(origin["package"]).is_relative_to(lane.project)


def test_lane_passes_selftest(lane_result: Result) -> None:
    selftest = lane_result[0]["selftest"]
    assert selftest["passed"], selftest["problem"]
    assert selftest["expected"] > 0


def test_lane_outputs_match_x86(lane: Lane, lane_result: Result, x86_results: dict[str, Result]) -> None:
    actual, expected = lane_result[1], x86_results["default"][1]
    assert (actual["pixels"] == expected["pixels"]).all(), "the resized photo differs"
    heads = [name for name in expected if name.startswith("head_")]
    assert len(heads) == 10
    for name in heads:
        steps = np.abs(actual[name].astype(int) - expected[name])
        if lane.backend == "ai-edge-litert":
            assert steps.max() == 0, name
            continue
        assert steps.max() <= OTHER_KERNELS, name
        assert steps.mean() <= OTHER_KERNELS_MEAN, name
        reference = x86_results["reference"][1][name]
        assert np.abs(actual[name].astype(int) - reference).max() <= SAME_KERNELS, name
    assert len(expected["xyxy"]) > 0
    assert actual["class_id"].tolist() == expected["class_id"].tolist()
    # With equal heads only the last bit of NumPy's exponential may differ.
    tolerance = (1e-3, 1e-6) if lane.backend == "ai-edge-litert" else (3.0, 0.05)
    np.testing.assert_allclose(actual["xyxy"], expected["xyxy"], rtol=0, atol=tolerance[0])
    np.testing.assert_allclose(actual["confidence"], expected["confidence"], rtol=0, atol=tolerance[1])
    assert (np.diagonal(box_iou(actual["xyxy"], expected["xyxy"])) >= 0.9).all()


def test_lane_detect_command_finds_same_boxes(lane: Lane, photo: Path, lane_result: Result) -> None:
    words = ("-m", "edge_ssd", "detect", "--model", "banana-book", "--source", photo, "--json")
    completed = lane.run("-W", "error", *words)
    assert completed.returncode == 0, completed.stderr
    (line,) = completed.stdout.splitlines()
    actual, expected = json.loads(line)["detections"], lane_result[1]
    np.testing.assert_allclose([detection["box"] for detection in actual], expected["xyxy"], atol=0.01)
    np.testing.assert_allclose([detection["score"] for detection in actual], expected["confidence"], atol=1e-4)


def test_lane_passes_runtime_tests(lane: Lane) -> None:
    folder = REPOSITORY / "tests"
    groups = [sorted(folder.glob(f"test_{pattern}.py")) for pattern in TESTS]
    assert all(groups), "a pattern matches no file"
    files = [path.relative_to(REPOSITORY) for group in groups for path in group]
    options = ["-q", "-p", "no:cacheprovider", "-p", "arm.emulated", "--timeout=600"]
    # The smallest shipped model: emulated, the book's takes two seconds an image. `lane_result` is the book's.
    # CI: a missing part fails instead of skipping a test.
    model = lane.project / "edge_ssd" / "models" / "banana-nano.tflite"
    environment = {"CI": "true", "EDGE_SSD_TEST_MODEL": str(model)}
    if "EDGE_SSD_DATA" in os.environ:
        environment["EDGE_SSD_DATA"] = os.environ["EDGE_SSD_DATA"]
    completed = lane.run("-m", "pytest", *options, *files, timeout=840, environment=environment)
    assert completed.returncode == 0, completed.stdout[-8000:] + completed.stderr[-2000:]
    assert " passed" in completed.stdout.splitlines()[-1], completed.stdout
