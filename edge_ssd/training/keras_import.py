"""Import of Keras that leaves no files.

Keras writes ``~/.keras/keras.json`` when it is imported, and so does its old copy in TensorFlow. Keras also imports
matplotlib, if that is installed, which makes folders in the home folder and a cache of fonts. TensorFlow imports both.
An import should leave no files.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.abc
import importlib.machinery
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

__all__ = ["import_keras_without_files"]

_NO_FOLDER = str(Path(os.devnull) / "keras")  # Can neither exist nor be made, which Keras passes over.


def import_keras_without_files() -> None:
    """Arrange that the first import of Keras, by this project or by TensorFlow, writes nothing; it imports nothing."""
    if "keras" not in sys.modules and not any(isinstance(finder, _KerasFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _KerasFinder())


class _KerasFinder(importlib.abc.MetaPathFinder):
    """Finder of the modules that write files, until they are imported."""

    def __init__(self) -> None:
        # Not once for each: TensorFlow looks for Keras several times before it imports it.
        self._names = {"keras", "tensorflow.python.keras.backend"}

    def imported(self, name: str) -> None:
        """Forget a module that is being imported, and end with the last one."""
        self._names.discard(name)
        if not self._names and self in sys.meta_path:
            sys.meta_path.remove(self)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname not in self._names:
            return None
        for finder in sys.meta_path:
            spec = None if finder is self else finder.find_spec(fullname, path, target)
            if spec is not None:
                spec.loader = _Loader(spec.loader, self)
                return spec
        return None


class _Loader(importlib.abc.Loader):
    """Loader that runs another one while nothing is written."""

    def __init__(self, loader: Any, finder: _KerasFinder) -> None:
        self._loader = loader
        self._finder = finder

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        module: ModuleType | None = self._loader.create_module(spec)
        return module

    def exec_module(self, module: ModuleType) -> None:
        self._finder.imported(module.__name__)
        with _no_settings_file(), _no_matplotlib():
            self._loader.exec_module(module)

    def __getattr__(self, name: str) -> Any:  # Such as get_filename and get_source, for tracebacks.
        return getattr(self._loader, name)


@contextlib.contextmanager
def _no_settings_file() -> Iterator[None]:
    """Let Keras find its folder missing, unless it has one already, whose settings then count."""
    home = Path(os.path.expanduser("~")) / ".keras"  # noqa: PTH111  # As Keras does it, also without a home folder.
    if "KERAS_HOME" in os.environ or (home / "keras.json").exists():
        yield
        return
    os.environ["KERAS_HOME"] = _NO_FOLDER
    try:
        yield
    finally:
        del os.environ["KERAS_HOME"]
        config = sys.modules.get("keras.src.backend.config")
        if getattr(config, "_KERAS_DIR", None) == _NO_FOLDER:
            config._KERAS_DIR = str(home)  # type: ignore[union-attr]  # For downloads, which are asked for.


@contextlib.contextmanager
def _no_matplotlib() -> Iterator[None]:
    """Hide matplotlib from the galleries of Keras, which then import it when they draw."""
    if "matplotlib" in sys.modules:
        yield
        return
    sys.modules["matplotlib"] = None  # type: ignore[assignment]  # An import raises ModuleNotFoundError.
    try:
        yield
    finally:
        del sys.modules["matplotlib"]
        for name, module in list(sys.modules.items()):
            if name.startswith("keras.src.visualization.") and getattr(module, "plt", module) is None:
                module.plt = _Pyplot()  # type: ignore[attr-defined]


class _Pyplot:
    """``matplotlib.pyplot``, imported at its first use."""

    def __getattr__(self, name: str) -> Any:
        return getattr(importlib.import_module("matplotlib.pyplot"), name)
