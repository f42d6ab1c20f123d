"""Processors that a process may use: fewer than the machine's with an affinity or a quota."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from edge_ssd.runtime import processors as module
from edge_ssd.runtime.processors import usable_processors

pytestmark = pytest.mark.machine_independent

NO_GROUPS = "/nowhere"


@pytest.fixture(autouse=True)
def eight_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.os, "cpu_count", lambda: 16)
    monkeypatch.setattr(module.os, "sched_getaffinity", lambda process: set(range(8)), raising=False)


def test_affinity_limits_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    assert usable_processors(NO_GROUPS, NO_GROUPS) == 8
    monkeypatch.setattr(module.os, "sched_getaffinity", lambda process: {5})
    assert usable_processors(NO_GROUPS, NO_GROUPS) == 1


@pytest.mark.parametrize(("cores", "expected"), [(3, 3), (None, 1)])
def test_systems_without_affinity(monkeypatch: pytest.MonkeyPatch, cores: int | None, expected: int) -> None:
    monkeypatch.delattr(module.os, "sched_getaffinity")
    monkeypatch.setattr(module.os, "cpu_count", lambda: cores)
    assert usable_processors(NO_GROUPS, NO_GROUPS) == expected


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({}, 8),
        ({"": "max 100000"}, 8),
        ({"": "250000 100000"}, 2),
        ({"": "50000 100000"}, 1),  # Half a processor.
        ({"": "900000 100000"}, 8),
        ({"system.slice": "300000 100000", "system.slice/camera.service": "max 100000"}, 3),
        ({"system.slice/camera.service": "200000 100000", "system.slice": "300000 100000"}, 2),
        ({"other.slice": "100000 100000"}, 8),
        ({"": "damaged"}, 8),
        ({"": "100000 0"}, 8),
    ],
)
def test_quota_of_group_and_those_above_limits_processors(
    tmp_path: Path, limits: dict[str, str], expected: int
) -> None:
    own = tmp_path / "cgroup"
    own.write_text("1:cpu:/legacy\n0::/system.slice/camera.service\n")
    groups = tmp_path / "groups"
    for name, limit in {"system.slice/camera.service": "max 100000", **limits}.items():
        (groups / name).mkdir(parents=True, exist_ok=True)
        (groups / name / "cpu.max").write_text(f"{limit}\n")
    assert usable_processors(str(groups), str(own)) == expected


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity on this system")
def test_default_threads_of_detector_on_one_processor() -> None:
    script = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); "
    script += "from edge_ssd import Detector; print(Detector('nano').num_threads)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout == "1\n"
