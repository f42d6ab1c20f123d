"""External delegate: a shared library that runs a model, or parts of it, on an accelerator.

It exports the C functions ``tflite_plugin_create_delegate`` and ``tflite_plugin_destroy_delegate``, which both
interpreters look up by name. It is machine code with all rights of the program: load only libraries that you trust.
Source: tensorflow/lite/delegates/external/external_delegate_interface.h.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Mapping
from dataclasses import dataclass

from edge_ssd.checks import shortened
from edge_ssd.errors import BackendError, SettingError

__all__ = ["Delegate", "find_delegate"]

_FUNCTIONS = ("tflite_plugin_create_delegate", "tflite_plugin_destroy_delegate")


@dataclass(frozen=True)
class Delegate:
    """External TFLite delegate: its library, a path or a name that the system's loader finds, and its options."""

    library: str
    options: dict[str, str]


def find_delegate(
    library: str | os.PathLike[str] | None, options: Mapping[str, str | int | float] | None
) -> Delegate | None:
    """Find and check the library of an external delegate; return None if ``library`` is None.

    Args:
        library: path of the library, or a name that the system's loader finds.
        options: for the delegate; values are passed as text.

    Raises:
        BackendError: the library is missing, cannot be loaded, or is not a delegate.
        SettingError: invalid arguments.
    """
    if library is None:
        if options:
            raise SettingError("delegate_options need a delegate; give the path of its library")
        return None
    if not isinstance(library, (str, os.PathLike)) or not os.fspath(library):
        raise SettingError(f"delegate must be the path of a shared library, got {shortened(library)}")
    given = {} if options is None else options
    if not isinstance(given, Mapping) or not all(
        isinstance(name, str) and isinstance(value, (str, int, float)) for name, value in given.items()
    ):
        raise SettingError(f"delegate_options must be a mapping of names to texts or numbers, got {shortened(options)}")
    path = os.fsdecode(library)
    if os.path.isfile(path):  # noqa: PTH113 (os: see runtime/bundle.py)
        path = os.path.abspath(path)  # noqa: PTH100 (the loader looks for a bare name in the system's folders only)
    elif os.sep in path:
        what = "is not a file" if os.path.exists(path) else "no such file; check the path"  # noqa: PTH110
        raise BackendError(f"delegate {path}: {what}")
    _check(path)
    return Delegate(path, {name: str(value) for name, value in given.items()})


def _check(path: str) -> None:
    # Before the interpreters try: their own class raises in __init__, and its __del__ then prints a traceback.
    try:
        library = ctypes.PyDLL(path)
    except (OSError, ValueError) as error:  # ValueError: a NUL byte in the name
        raise BackendError(f"delegate {path}: cannot be loaded ({error}); check the path and its processor") from None
    missing = [name for name in _FUNCTIONS if not hasattr(library, name)]
    if missing:
        raise BackendError(f"delegate {path}: is not a TFLite delegate; it lacks {missing[0]}")
