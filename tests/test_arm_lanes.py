"""The runtime on ARM systems, emulated: installed from the wheel, tested, and compared with this machine.

What a lane is: tests/arm/lanes.py. ``make test-arm`` runs the lanes side by side.
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

# NumPy's side of the package, without TensorFlow. A test that starts `sys.executable` cannot run in a lane, since the
# kernel does not know how to start a foreign program: such tests stay in other files (test_imports, test_cli).
TESTS = (
    "anchors",
    "atomic_write",
    "boxes",
    "coding",
    "errors",
    "network",
    "nms",
    "reference_detection",
    "reference_targets",
)

# How far int8 heads may be from x86's, in steps. The same package computes the same bits on both. tflite-runtime has
# other kernels: against the same kernels on x86, whose integers round alike, one step is left for the versions between;
# against the default ones, which round each layer's sums once in float instead of twice in integers, a step a layer
# is possible and the layers add up.
SAME_KERNELS = 1
OTHER_KERNELS = 10
OTHER_KERNELS_MEAN = 2.0


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(tmp_path_factory.mktemp("wheel") / "build")


@pytest.fixture(scope="module", params=LANES.values(), ids=LANES.keys())
def lane(request: pytest.FixtureRequest, wheel: Path) -> Lane:
    """Fetched, with this project installed."""
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


def results(output: str, path: Path) -> Result:
    with np.load(path) as arrays:
        return json.loads(output.splitlines()[-1]), dict(arrays)


@pytest.fixture(scope="module")
def here(photo: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Result]:
    """What this machine gives, with the default kernels and with the reference ones."""
    found, path = {}, tmp_path_factory.mktemp("here") / "result.npz"
    for kernels in ("default", "reference"):
        done = subprocess.run(
            [sys.executable, "-W", "error", str(GUEST), str(photo), str(path), kernels],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        )
        assert done.returncode == 0, done.stderr
        found[kernels] = results(done.stdout, path)
    return found


@pytest.fixture(scope="module")
def there(lane: Lane, photo: Path, tmp_path_factory: pytest.TempPathFactory) -> Result:
    """What the lane gives, where a warning is an error too."""
    path = tmp_path_factory.mktemp(lane.name) / "result.npz"
    done = lane.run("-W", "error", GUEST, photo, path)
    assert done.returncode == 0, done.stderr
    return results(done.stdout, path)


def test_it_is_installed_as_a_user_would(lane: Lane, there: Result) -> None:
    about, _ = there
    assert about["machine"] == lane.machine
    assert about["backend"] == lane.backend
    assert Path(about["package"]).is_relative_to(lane.project)


def test_it_passes_its_selftest(there: Result) -> None:
    selftest = there[0]["selftest"]
    assert selftest["passed"], selftest["problem"]
    assert selftest["expected"] > 0


def test_it_finds_what_this_machine_finds(lane: Lane, there: Result, here: dict[str, Result]) -> None:
    found, expected = there[1], here["default"][1]
    assert (found["pixels"] == expected["pixels"]).all(), "the resized photo differs"
    heads = [name for name in expected if name.startswith("head_")]
    assert len(heads) == 10
    for name in heads:
        steps = np.abs(found[name].astype(int) - expected[name])
        if lane.backend == "ai-edge-litert":
            assert steps.max() == 0, name
            continue
        assert steps.max() <= OTHER_KERNELS, name
        assert steps.mean() <= OTHER_KERNELS_MEAN, name
        reference = here["reference"][1][name]
        assert np.abs(found[name].astype(int) - reference).max() <= SAME_KERNELS, name
    assert len(expected["xyxy"]) > 0
    assert found["class_id"].tolist() == expected["class_id"].tolist()
    # With the same heads, what is left is the last bit of NumPy's exponential.
    tolerance = (1e-3, 1e-6) if lane.backend == "ai-edge-litert" else (3.0, 0.05)
    np.testing.assert_allclose(found["xyxy"], expected["xyxy"], rtol=0, atol=tolerance[0])
    np.testing.assert_allclose(found["confidence"], expected["confidence"], rtol=0, atol=tolerance[1])
    assert (np.diagonal(box_iou(found["xyxy"], expected["xyxy"])) >= 0.9).all()


def test_its_command_detects(lane: Lane, photo: Path, there: Result) -> None:
    done = lane.run("-W", "error", "-m", "edge_ssd", "detect", "--source", photo, "--json")
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()
    found, expected = json.loads(line)["detections"], there[1]
    np.testing.assert_allclose([one["box"] for one in found], expected["xyxy"], atol=0.01)
    np.testing.assert_allclose([one["score"] for one in found], expected["confidence"], atol=1e-4)


def test_the_runtimes_tests_pass(lane: Lane) -> None:
    files = [f"tests/test_{name}.py" for name in TESTS]
    files += sorted(str(path.relative_to(REPOSITORY)) for path in (REPOSITORY / "tests").glob("test_runtime_*.py"))
    options = ["-q", "-p", "no:cacheprovider", "-p", "arm.emulated", "--timeout=600"]
    # A lane that skipped tests would prove less than it says.
    done = lane.run("-m", "pytest", *options, *files, timeout=840, environment={"CI": "true"})
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    assert " passed" in done.stdout.splitlines()[-1], done.stdout
