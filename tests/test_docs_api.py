"""The API reference in docs/api: it builds without a warning, and has every name that ``edge_ssd`` exports."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import REPOSITORY, skip_or_fail

import edge_ssd

pytestmark = pytest.mark.machine_independent


def test_reference_builds_strictly_and_is_complete(tmp_path: Path) -> None:
    if importlib.util.find_spec("sphinx") is None:
        skip_or_fail("sphinx is not installed")
    command = [sys.executable, "-m", "sphinx", "--fail-on-warning", "--keep-going", "-q", "-b", "html"]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(
        [*command, REPOSITORY / "docs" / "api", tmp_path], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    from sphinx.util.inventory import InventoryFile

    inventory = InventoryFile.loads((tmp_path / "objects.inv").read_bytes(), uri="").data
    described = {name for kind, names in inventory.items() if kind.startswith("py:") for name in names}
    exported = {f"edge_ssd.{name}" for name in edge_ssd.__all__ if not name.startswith("_")}
    in_errors = {f"edge_ssd.{name.rpartition('.')[2]}" for name in described if name.startswith("edge_ssd.errors.")}
    assert not exported - described - in_errors
