"""Modules that a fresh interpreter has loaded after an import or a command's help.

The import rules of pyproject.toml check the source; these tests check the modules that are loaded at run time.
"""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import edge_ssd
from edge_ssd.cli import COMMANDS
from edge_ssd.errors import __all__ as error_names

REPOSITORY = Path(edge_ssd.__file__).parent.parent
HEAVY = {
    "ai_edge_litert",
    "cv2",
    "faster_coco_eval",
    "gpiozero",
    "keras",
    "matplotlib",
    "paho",
    "starlette",
    "tensorflow",
    "tflite_runtime",
    "uvicorn",
}
TENSORFLOW = {"keras", "tensorflow"}


def loaded_after(code: str) -> set[str]:
    """Return the top-level modules, without the standard library, that ``code`` loads in a fresh interpreter."""
    script = f"""
import sys
before = set(sys.modules)
sys.stdout = open({str(Path("/dev/null"))!r}, "w")
{code}
sys.stdout.close()
sys.stdout = sys.__stdout__
import json
print(json.dumps(sorted(set(sys.modules) - before)))
"""
    completed = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, check=False, cwd=REPOSITORY
    )
    assert (completed.stderr, completed.returncode) == ("", 0)
    return {name.partition(".")[0] for name in json.loads(completed.stdout)} - set(sys.stdlib_module_names)


def modules_of(package: str) -> list[str]:
    folder = Path(importlib.import_module(package).__path__[0])
    return sorted(info.name for info in pkgutil.walk_packages([str(folder)], f"{package}."))


def import_all(names: list[str]) -> str:
    assert names
    return "\n".join(f"import {name}" for name in names)


@pytest.mark.parametrize(
    "statement",
    ["import edge_ssd", "from edge_ssd import *", "from edge_ssd import Detector", "import edge_ssd.runtime.detector"],
)
def test_package_and_detector_load_numpy_only(statement: str) -> None:
    assert loaded_after(statement) == {"edge_ssd", "numpy"}


def test_runtime_loads_numpy_only() -> None:
    assert loaded_after(import_all(modules_of("edge_ssd.runtime"))) == {"edge_ssd", "numpy"}


def test_data_loads_numpy_and_pillow_only() -> None:
    assert loaded_after(import_all(modules_of("edge_ssd.data"))) <= {"edge_ssd", "numpy", "PIL"}


def test_device_apps_load_no_tensorflow() -> None:
    names = modules_of("device_apps")
    assert not loaded_after(import_all([name for name in names if not name.endswith("__main__")])) & TENSORFLOW


def test_help_loads_no_command() -> None:
    script = "from edge_ssd import cli; cli.main(['--help']); "
    script += "assert not {c.module for c in cli.COMMANDS.values()} & set(sys.modules)"
    assert loaded_after(script) == {"edge_ssd", "numpy"}


@pytest.mark.parametrize("name", COMMANDS)
def test_command_help_loads_no_heavy_package(name: str) -> None:
    script = f"from edge_ssd import cli; assert cli.main([{name!r}, '--help']) == 0; "
    script += "loaded = {n for n, c in cli.COMMANDS.items() if c.module in sys.modules}; "
    # `service` takes the options of `camera`.
    script += f"assert loaded == { ({name, 'camera'} if name == 'service' else {name})!r}, loaded"
    assert not loaded_after(script) & HEAVY


def test_importing_prints_nothing_and_changes_no_environment() -> None:
    script = "import os; before = dict(os.environ); "
    script += "import edge_ssd, edge_ssd.cli, device_apps.detect_command, device_apps.camera_command; "
    script += "assert dict(os.environ) == before; import threading; assert threading.active_count() == 1"
    completed = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, check=False, cwd=REPOSITORY
    )
    assert (completed.stdout, completed.stderr, completed.returncode) == ("", "", 0)


def test_package_exports_all_errors() -> None:
    assert set(error_names) <= set(edge_ssd.__all__)


def files_left_by(tmp_path: Path, *arguments: str) -> list[str]:
    """Return what a Python process leaves in its home, working and temporary folders, which are empty before."""
    folders = [tmp_path / name for name in ("home", "work", "tmp")]
    for folder in folders:
        folder.mkdir()
    home, work, temporary = map(str, folders)
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "MPL", "KERAS", "TF_"))
    }
    environment |= {"HOME": home, "TMPDIR": temporary, "PYTHONPATH": str(REPOSITORY), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, check=False, cwd=work, env=environment
    )
    assert done.returncode in (0, 1), done.stderr
    assert "Traceback" not in done.stderr
    return [str(path.relative_to(tmp_path)) for folder in folders for path in folder.rglob("*")]


def test_import_of_any_module_leaves_no_files(tmp_path: Path) -> None:
    names = [name for package in ("edge_ssd", "converters", "device_apps") for name in modules_of(package)]
    # Keras with its galleries, as a program that uses this library may import it afterwards.
    code = import_all([name for name in names if not name.endswith("__main__")]) + "\nimport keras.visualization"
    assert files_left_by(tmp_path, "-c", code) == []


def test_keras_imports_matplotlib_when_it_draws(tmp_path: Path) -> None:
    code = """
import sys
import edge_ssd.training.run
from keras.src.visualization import plot_image_gallery
assert "matplotlib" not in sys.modules
assert callable(plot_image_gallery.plt.figure)
assert "matplotlib" in sys.modules
import keras
assert keras.src.backend.config.keras_home().endswith(".keras")
"""
    assert any("matplotlib" in name for name in files_left_by(tmp_path, "-c", code))


@pytest.mark.parametrize(
    "options",
    [("--help",), ("doctor",), ("doctor", "--json"), ("train", "--help"), ("inspect", "banana")],
    ids=" ".join,
)
def test_command_leaves_no_files(tmp_path: Path, options: tuple[str, ...]) -> None:
    assert files_left_by(tmp_path, "-m", "edge_ssd", *options) == []
