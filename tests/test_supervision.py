"""``Detections.to_supervision`` with the real package, in a process of its own: it brings its own FFmpeg."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import numpy as np
import pytest
from conftest import REPOSITORY, skip_or_fail

from edge_ssd.errors import SettingError
from edge_ssd.runtime.detections import Detections

PROGRAM = """
import numpy as np
import supervision as sv
from edge_ssd import Detections

found = Detections(
    xyxy=np.array([[1, 2, 30, 40], [2, 2, 31, 41], [50, 60, 70, 80]], np.float32),
    confidence=np.array([0.9, 0.8, 0.5], np.float32),
    class_id=np.array([1, 1, 0]),
    names=["fork", "fork", "Gabel – groß"],
    image_size=(100, 100),
)
theirs = found.to_supervision()
assert type(theirs) is sv.Detections and len(theirs) == 3
assert theirs.xyxy.tolist() == found.xyxy.tolist() and theirs.xyxy.dtype == np.float32
assert theirs.confidence.tolist() == found.confidence.tolist()
assert theirs.class_id.tolist() == [1, 1, 0]
assert theirs["class_name"].tolist() == found.names
theirs.xyxy[0, 0] = 99
assert found.xyxy[0, 0] == 1, "not a copy"

# What people do with it: filter, suppress, draw.
assert theirs[theirs.class_id == 0]["class_name"].tolist() == ["Gabel – groß"]
assert len(found.to_supervision().with_nms(0.5)) == 2
frame = np.zeros((100, 100, 3), np.uint8)
drawn = sv.BoxAnnotator().annotate(frame.copy(), theirs)
drawn = sv.LabelAnnotator().annotate(drawn, theirs)
assert drawn.shape == frame.shape and drawn.any()

nothing = Detections(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64), [], (9, 9))
assert len(nothing.to_supervision()) == 0
assert len(sv.Detections.merge([nothing.to_supervision(), found.to_supervision()])) == 3
print("done", sv.__version__)
"""


def test_to_supervision_with_real_package() -> None:
    if importlib.util.find_spec("supervision") is None:
        skip_or_fail("the supervision package is not installed: pip install supervision")
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False, cwd=REPOSITORY)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("done")


def test_to_supervision_without_package_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "supervision", None)
    found = Detections(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64), [], (9, 9))
    with pytest.raises(SettingError, match="pip install supervision"):
        found.to_supervision()
