"""Models that are shipped with the package, by name: objects and network, as "fruit-small".

They are files beside this package, in a frozen program too (see :mod:`edge_ssd.frozen`). In a ZIP file that holds the
program (zipapp), their paths lead into it, and :func:`~edge_ssd.runtime.bundle.read_bundle` reads them from there.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from edge_ssd.checks import shortened
from edge_ssd.errors import BundleError, SettingError

__all__ = ["default_model", "find_model", "named_model", "packaged_content", "shipped_models"]

_DEFAULT = "fruit-small"
_OBJECTS = ("fruit", "banana")
"""What the models find; a name without it is that of the first one of which there is such a network."""
_OTHER_NAMES = {"banana-book": "banana"}


def default_model() -> Path:
    """Return the path of the shipped fruit detector; raise BundleError if the installation lacks it."""
    path = shipped_models().get(_DEFAULT)
    if path is None:
        raise BundleError(f"{_folder() / _DEFAULT}.tflite: the shipped model is missing; {_remedy()}")
    return path


def shipped_models() -> dict[str, Path]:
    """Return name → path of every shipped model."""
    folder = _folder()
    names = [path.name for path in folder.glob("*.tflite")] if folder.is_dir() else _packaged_names()
    return {name.removesuffix(".tflite"): folder / name for name in sorted(names, key=lambda name: Path(name).stem)}


def named_model(name: str) -> Path | None:
    """Return the path of the shipped model of that name, full or short; None if there is none."""
    shipped = shipped_models()
    names = (name, _OTHER_NAMES.get(name, ""), *(f"{objects}-{name}" for objects in _OBJECTS))
    return next((shipped[name] for name in names if name in shipped), None)


def packaged_content(path: str | os.PathLike[str]) -> bytes | None:
    """Return the content of a shipped model whose path leads into the ZIP file of the program; else None."""
    place = Path(path)
    if place.parent != _folder() or place.name not in _packaged_names():
        return None
    import importlib.resources

    return (importlib.resources.files("edge_ssd.models") / place.name).read_bytes()


def _packaged_names() -> list[str]:
    """Return the file names of the shipped models where they are not files; empty if they are missing."""
    import importlib.resources

    try:
        entries = importlib.resources.files("edge_ssd.models").iterdir()
        return [entry.name for entry in entries if entry.name.endswith(".tflite") and not isinstance(entry, Path)]
    except (OSError, ImportError):
        return []


def find_model(model: str | os.PathLike[str]) -> Path:
    """Return the path of ``model``: an existing file, else the shipped model of that name.

    The network alone names the fruit detector, if there is one: "small" is "fruit-small".
    Raises BundleError if neither exists, SettingError if ``model`` is neither a path nor a name.
    """
    if not isinstance(model, (str, os.PathLike)):
        raise SettingError(f"a model must be a path or the name of a shipped model, got {shortened(model)}")
    path, name, shipped = Path(model), os.fsdecode(model), shipped_models()
    if os.path.isfile(path):  # noqa: PTH113 (where a NUL byte in the name is no error)
        return path
    if path in shipped.values():  # in a ZIP file
        return path
    known = named_model(name)
    if known is not None:
        return known
    # Here: needed for this message only.
    from edge_ssd.console.suggestions import did_you_mean, missing_path_hint
    from edge_ssd.console.text import shown_name
    from edge_ssd.runtime.model_file import MODEL_NAME

    short = {known.rpartition("-")[2] for known in shipped}
    what = "is not a file"
    if not name:
        what = "the name is empty"
    elif "://" in name:
        what = "is an address, not a file: download it"
    elif os.path.isfile(path / MODEL_NAME):  # noqa: PTH113
        what = "is a training run: convert its model with edge-ssd convert"
    elif not os.path.exists(path):  # noqa: PTH110
        names_of_all = [*shipped, *short]
        # With the suffix of a file: "nano.tflite".
        shipped_hint = f" (did you mean the shipped model {path.stem}?)" if path.stem in names_of_all else ""
        what = f"no such file{missing_path_hint(path) or shipped_hint or did_you_mean(name, names_of_all)}"
    names = ", ".join(shipped)
    remedy = f"or name a shipped model: {names}" if names else f"no models are shipped with this program: {_remedy()}"
    raise BundleError(f"{shown_name(name)}: {what}; check the path, {remedy}")


def _remedy() -> str:
    """Return what to do where the shipped models are missing."""
    if getattr(sys, "frozen", False):
        return "it was frozen without them; build it again with: pyinstaller --collect-data edge_ssd.models"
    return "install edge-ssd again, or name a model"


def _folder() -> Path:
    return Path(__file__).resolve().parent.parent / "models"
