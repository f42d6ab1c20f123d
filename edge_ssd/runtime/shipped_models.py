"""Models that are shipped with the package, by name."""

from __future__ import annotations

import os
from pathlib import Path

from edge_ssd.errors import BundleError

__all__ = ["default_model", "find_model", "shipped_models"]

_DEFAULT = "banana"


def default_model() -> Path:
    """Return the path of the shipped banana detector; raise BundleError if the installation lacks it."""
    path = _folder() / f"{_DEFAULT}.tflite"
    if not path.is_file():
        raise BundleError(f"{path}: the shipped model is missing; install edge-ssd again, or name a model")
    return path


def shipped_models() -> dict[str, Path]:
    """Return name → path of every shipped model."""
    paths = {path.stem: path for path in _folder().glob("*.tflite")}
    return dict(sorted(paths.items()))


def find_model(model: str | os.PathLike[str]) -> Path:
    """Return the path of ``model``: an existing file, else the shipped model of that name.

    The prefix "banana-" may be left out: "small" is "banana-small". Raises BundleError if neither exists.
    """
    path, name, shipped = Path(model), os.fsdecode(model), shipped_models()
    if os.path.isfile(path):  # noqa: PTH113 (where a NUL byte in the name is no error)
        return path
    for known in (name, f"{_DEFAULT}-{name}"):
        if known in shipped:
            return shipped[known]
    # Here: needed for this message only.
    from edge_ssd.console.suggestions import did_you_mean, missing_path_hint
    from edge_ssd.runtime.model_file import MODEL_NAME

    short = (known.removeprefix(f"{_DEFAULT}-") for known in shipped)
    what = "is not a file"
    if os.path.isfile(path / MODEL_NAME):  # noqa: PTH113
        what = "is a training run: convert its model with edge-ssd convert"
    elif not os.path.exists(path):  # noqa: PTH110
        names_of_all = [*shipped, *short]
        # With the suffix of a file: "nano.tflite".
        shipped_hint = f" (did you mean the shipped model {path.stem}?)" if path.stem in names_of_all else ""
        what = f"no such file{missing_path_hint(path) or shipped_hint or did_you_mean(name, names_of_all)}"
    names = ", ".join(shipped) or "none is installed"
    raise BundleError(f"{name}: {what}; check the path, or name a shipped model: {names}")


def _folder() -> Path:
    return Path(__file__).resolve().parent.parent / "models"
