"""Type checkers accept a right program that uses the library, and find every fault of a wrong one."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import REPOSITORY, skip_or_fail

import edge_ssd

RIGHT = """
import importlib.resources
import io

import cv2
import numpy as np

import edge_ssd
from edge_ssd import (
    Backend,
    Bundle,
    Color,
    Detection,
    Detections,
    Detector,
    EdgeSSDError,
    ImageArray,
    ImageLike,
    ModelLike,
    SelfTestResult,
    nms,
    numpy_resize,
    read_bundle,
)


def run(model: ModelLike, images: list[ImageLike], backend: Backend = "auto", color: Color = "rgb") -> list[Detections]:
    thresholds = {"banana": 0.5}
    with Detector(model, thresholds, num_threads=1, backend=backend, resize=numpy_resize) as detector:
        detector.configure(iou_threshold=0.4)
        result: SelfTestResult = detector.selftest()
        print(result.passed, detector.num_threads, detector.timings["invoke"])
        return [detector.detect(image, color=color) for image in images]


frame: ImageArray = np.zeros((4, 4, 3), np.uint8)
grabbed, video_frame = cv2.VideoCapture(0).read()
photo = cv2.imread("a.jpg")
assert photo is not None
Detector("nano").detect(photo, color="bgr")
Detector("nano").detect(video_frame, color="bgr")
bundle: Bundle = read_bundle(b"data")
try:
    run(importlib.resources.files("app") / "model.tflite", [frame, "a.jpg", b"", bytearray(), io.BytesIO()])
    for found in run(bundle, [frame])[0]:
        row: Detection = found
        print(row.label, row.score, row.box)
except EdgeSSDError as error:
    print(error)
print(nms([[0, 0, 1, 1]], [0.5], max_detections=3).tolist(), edge_ssd.__version__)
"""

# The line of each fault ends with a comment.
WRONG = """
import edge_ssd
from edge_ssd import Detektor  # fault
from edge_ssd import Detector, nms

detector = Detector("nano", backend="litert")  # fault
Detector("nano", score_treshold=0.3)  # fault
Detector(3)  # fault
detector.score_treshold = 0.3  # fault
detector.num_threads = 3  # fault
detector.detect(3)  # fault
detector.detect("a.jpg", color="BGR")  # fault
detector.detect("a.jpg").boxes  # fault
detector.configure(classes=3)  # fault
nms([[0, 0, 1, 1]], [0.5], max_detections="3")  # fault
edge_ssd.nmss([[0, 0, 1, 1]], [0.5])  # fault
"""
FAULTS = {number for number, line in enumerate(WRONG.splitlines(), 1) if line.endswith("# fault")}

pytestmark = [pytest.mark.machine_independent, pytest.mark.timeout(600)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "right.py").write_text(RIGHT)
    (tmp_path / "wrong.py").write_text(WRONG)
    return tmp_path


def require(package: str) -> None:
    if importlib.util.find_spec(package) is None:
        skip_or_fail(f"{package} is not installed")


def run_checker(folder: Path, *command: str) -> str:
    done = subprocess.run([sys.executable, "-m", *command], capture_output=True, text=True, cwd=folder, check=False)
    assert done.returncode in (0, 1), done.stderr
    return done.stdout


def test_mypy_finds_faults_only_in_wrong_program(folder: Path) -> None:
    require("mypy")
    require("cv2")
    # A link to the package alone: mypy then takes it for an installed one, not for part of what is checked.
    (folder / "library").mkdir()
    (folder / "library" / "edge_ssd").symlink_to(REPOSITORY / "edge_ssd")
    (folder / "mypy.ini").write_text("[mypy]\nstrict = true\nmypy_path = library\nignore_missing_imports = true\n")
    output = run_checker(folder, "mypy", "--follow-imports=silent", "right.py", "wrong.py")
    found = [line.split(":") for line in output.splitlines() if ": error:" in line]
    assert not [line for line in found if line[0] != "wrong.py"], output
    assert {int(line[1]) for line in found} == FAULTS, output


def test_pyright_finds_faults_only_in_wrong_program(folder: Path) -> None:
    """basedpyright is pyright with a Node.js of its own: pyright's package would download one."""
    require("basedpyright")
    require("cv2")
    settings = {"typeCheckingMode": "strict", "extraPaths": [str(REPOSITORY)], "include": ["right.py", "wrong.py"]}
    (folder / "pyrightconfig.json").write_text(json.dumps(settings))
    output = run_checker(folder, "basedpyright", "--outputjson", "--pythonpath", sys.executable)
    errors = [row for row in json.loads(output)["generalDiagnostics"] if row["severity"] == "error"]
    rows = [(Path(row["file"]).name, row["range"]["start"]["line"] + 1, row["message"]) for row in errors]
    assert not [row for row in rows if row[0] != "wrong.py"]
    assert {line for _, line, _ in rows} == FAULTS, rows


def test_dir_lists_public_names_only() -> None:
    assert dir(edge_ssd) == sorted(edge_ssd.__all__)
    assert not {"TYPE_CHECKING", "annotations", "boxes"} & set(dir(edge_ssd))
