"""An external delegate: a shared library that runs a model, or parts of it, on an accelerator.

It offers two functions in C, ``tflite_plugin_create_delegate`` and ``tflite_plugin_destroy_delegate``, which both
interpreters find by name. It is machine code, run with all rights of the program: load only what you trust.
Source: tensorflow/lite/delegates/external/external_delegate_interface.h.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Mapping
from dataclasses import dataclass

from edge_ssd.errors import BackendError, SettingError

__all__ = ["Delegate", "find_delegate"]

_FUNCTIONS = ("tflite_plugin_create_delegate", "tflite_plugin_destroy_delegate")


@dataclass(frozen=True)
class Delegate:
    """A library that can be loaded here and is a delegate, and options as its documentation has them."""

    library: str
    options: dict[str, str]


def find_delegate(
    library: str | os.PathLike[str] | None, options: Mapping[str, str | int | float] | None
) -> Delegate | None:
    """The delegate that is asked for, if one is.

    ``library`` is a path, or a name that the system's loader knows. Raises :class:`BackendError` when there is no such
    library here or it is no delegate, :class:`SettingError` for arguments that cannot be.
    """
    if library is None:
        if options:
            raise SettingError("delegate_options need a delegate; give the path of its library")
        return None
    if not isinstance(library, (str, os.PathLike)) or not os.fspath(library):
        raise SettingError(f"delegate must be the path of a shared library, got {library!r}")
    given = {} if options is None else options
    if not isinstance(given, Mapping) or not all(
        isinstance(name, str) and isinstance(value, (str, int, float)) for name, value in given.items()
    ):
        raise SettingError(f"delegate_options must be a mapping of names to texts or numbers, got {options!r}")
    path = os.fsdecode(library)
    if os.path.isfile(path):  # noqa: PTH113 (os: see runtime/bundle.py)
        path = os.path.abspath(path)  # noqa: PTH100 (the loader looks for a bare name in the system's folders only)
    elif os.sep in path:
        what = "is not a file" if os.path.exists(path) else "no such file; check the path"  # noqa: PTH110
        raise BackendError(f"delegate {path}: {what}")
    _check(path)
    return Delegate(path, {name: str(value) for name, value in given.items()})


def _check(path: str) -> None:
    # Here and not by the interpreters: of a library that does not load, their own class leaves half an object, whose
    # destruction prints a traceback.
    try:
        library = ctypes.PyDLL(path)
    except (OSError, ValueError) as error:  # ValueError: a NUL byte in the name
        raise BackendError(f"delegate {path}: cannot be loaded ({error}); check the path and its processor") from None
    missing = [name for name in _FUNCTIONS if not hasattr(library, name)]
    if missing:
        raise BackendError(f"delegate {path}: is a library but no TFLite delegate; it lacks {missing[0]}")
