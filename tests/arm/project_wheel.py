"""Build of this project's wheel outside the checkout."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from arm.lanes import REPOSITORY

__all__ = ["build_wheel"]


def build_wheel(folder: Path) -> Path:
    """Build the wheel of the working tree, offline, in the empty ``folder``; return its path."""
    source, out = folder / "source", folder / "wheel"
    source.mkdir(parents=True)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / name, source)
    for name in ("edge_ssd", "converters", "device_apps"):
        ignored = shutil.ignore_patterns("__pycache__", "*.keras")
        shutil.copytree(REPOSITORY / name, source / name, ignore=ignored)
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-qq", "wheel"]
    command += ["--no-deps", "--no-build-isolation", "--wheel-dir", str(out), str(source)]
    completed = subprocess.run(command, capture_output=True, text=True, check=False)
    if completed.returncode:
        raise RuntimeError(f"the wheel cannot be built: {completed.stderr}")
    (wheel,) = out.glob("*.whl")
    return wheel
