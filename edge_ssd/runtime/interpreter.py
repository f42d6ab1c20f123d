"""TFLite interpreters: ai-edge-litert and tflite-runtime behind one interface.

tflite-runtime can be imported beside NumPy 2 but fails when it is used. So a backend counts as working only after it
has built an interpreter of the given model.

A wrong offset in a flatbuffer crashes the process, and a bundle's digest detects damage, not forgery: the structure is
checked before an interpreter gets it, see :mod:`edge_ssd.runtime.flatbuffer_check`.
"""

from __future__ import annotations

import functools
import logging
import os
import sys
import weakref
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from edge_ssd.checks import as_integer, shortened
from edge_ssd.errors import BackendError, BundleError, SettingError
from edge_ssd.runtime.flatbuffer_check import check_flatbuffer
from edge_ssd.runtime.native_messages import hide_native_messages
from edge_ssd.runtime.postprocess import Head
from edge_ssd.runtime.processors import usable_processors

if TYPE_CHECKING:
    from edge_ssd.runtime.delegate import Delegate

__all__ = ["Backend", "Interpreter", "open_interpreter"]

_log = logging.getLogger(__name__)

Backend = Literal["auto", "ai-edge-litert", "tflite-runtime"]

# In order of preference: ai-edge-litert is the successor, and several times faster on int8.
_BACKENDS = ("ai-edge-litert", "tflite-runtime")
_SIGNATURE = "serving_default"
_MAX_THREADS = 64
_MAX_DEFAULT_THREADS = 4


class Interpreter:
    """Loaded TFLite model with one uint8 image as input and named heads as outputs. Not thread-safe.

    Attributes:
        backend: name of the interpreter's package.
        delegate: library of the delegate, or None.
        input_shape: [1, H, W, 3] of the input.
        output_shapes: output name → shape.
    """

    def __init__(self, native: Any, backend: str, num_threads: int, delegate: str | None = None) -> None:
        """Wrap a package's interpreter; raise BundleError if its signature "serving_default" lacks one uint8 input."""
        self.backend = backend
        self.delegate = delegate
        self.num_threads = num_threads
        self._native = native
        _survive_fork(native)
        if _SIGNATURE not in native.get_signature_list():
            raise BundleError(f"the model has no signature {_SIGNATURE!r}")
        # Used for the names only: calling the runner allocates all tensors again for each image.
        runner = native.get_signature_runner(_SIGNATURE)
        inputs, outputs = runner.get_input_details(), runner.get_output_details()
        if len(inputs) != 1:
            raise BundleError(f"the model needs one input, has {len(inputs)}")
        ((self.input_name, details),) = inputs.items()
        if details["dtype"] is not np.uint8:
            raise BundleError(f"the model's input must be uint8, is {np.dtype(details['dtype']).name}")
        self.input_shape: tuple[int, ...] = tuple(int(size) for size in details["shape"])
        self.output_shapes: dict[str, tuple[int, ...]] = {
            name: tuple(int(size) for size in output["shape"]) for name, output in outputs.items()
        }
        self._input = details["index"]
        self._outputs = [(name, output["index"], *_quantization(name, output)) for name, output in outputs.items()]

    def invoke(self, image: npt.NDArray[np.uint8]) -> dict[str, Head]:
        """Run the model on one image, uint8 [H, W, 3] of its input size; return copies of its outputs by name."""
        self._native.set_tensor(self._input, image[None])
        self._native.invoke()
        # get_tensor copies: a view that is still referenced would make the next invoke fail.
        return {
            name: Head(self._native.get_tensor(index), scale, zero_point)
            for name, index, scale, zero_point in self._outputs
        }


_natives: weakref.WeakSet[Any] = weakref.WeakSet()


def _survive_fork(native: Any) -> None:
    """Keep a package's interpreter from being freed in processes that are forked from this one.

    Its threads do not exist there: freeing it, at the latest when such a process ends, waits for them or aborts.
    """
    _natives.add(native)
    _register_fork()


@functools.cache
def _register_fork() -> None:
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_leak_interpreters)


def _leak_interpreters() -> None:
    import ctypes

    for native in list(_natives):
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(native))
    _natives.clear()


def open_interpreter(
    flatbuffer: bytes,
    num_threads: int | None = None,
    backend: Backend = "auto",
    delegate: str | os.PathLike[str] | None = None,
    delegate_options: Mapping[str, str | int | float] | None = None,
) -> Interpreter:
    """Load a TFLite model.

    Args:
        flatbuffer: the model's bytes.
        num_threads, backend, delegate, delegate_options: see :class:`~edge_ssd.runtime.detector.Detector`.

    Raises:
        BackendError: no backend works; the message gives the reason for each, and a remedy.
        BundleError: the model is malformed, does not have one uint8 input, or lacks the signature "serving_default".
        SettingError: an invalid argument.
    """
    if backend not in get_args(Backend):
        raise SettingError(f"backend must be one of {', '.join(get_args(Backend))}; got {shortened(backend)}")
    if num_threads is None:
        threads = min(_MAX_DEFAULT_THREADS, usable_processors())
    else:
        threads = as_integer("num_threads", num_threads, 1, _MAX_THREADS)
    check_flatbuffer(flatbuffer)
    external = None
    if delegate is not None or delegate_options is not None:
        from edge_ssd.runtime.delegate import find_delegate  # here, since few programs use one

        external = find_delegate(delegate, delegate_options)
    reasons = []
    for name in _BACKENDS if backend == "auto" else (backend,):
        try:
            with hide_native_messages():
                native = _build(_package(name), flatbuffer, threads, external)
        # Missing package, incompatible library, NumPy's ABI, unsupported operator: each raises its own exception.
        except Exception as error:
            reasons.append(f"{name}: {_reason(error)}")
            _log.debug("interpreter %s", reasons[-1])
        else:
            _log.debug("interpreter %s with %d threads%s", name, threads, f", {external.library}" if external else "")
            return Interpreter(native, name, threads, None if external is None else external.library)
    suffix = "" if external is None else f" with the delegate {external.library}"
    remedy = _remedy(reasons, backend, with_delegate=external is not None)
    raise BackendError(f"no TFLite interpreter can run this model{suffix} ({'; '.join(reasons)}). {remedy}")


def _build(package: Any, flatbuffer: bytes, num_threads: int, delegate: Delegate | None) -> Any:
    more = {}
    if delegate is not None:
        more["experimental_delegates"] = [package.load_delegate(delegate.library, delegate.options)]
    native = package.Interpreter(model_content=flatbuffer, num_threads=num_threads, **more)
    native.allocate_tensors()
    return native


def _package(name: str) -> Any:
    """Import the module with a backend's ``Interpreter`` and ``load_delegate``."""
    if name == "ai-edge-litert":
        from ai_edge_litert import interpreter as litert

        return litert
    from tflite_runtime import interpreter as tflite

    return tflite


def _quantization(name: str, details: dict[str, Any]) -> tuple[float | None, int]:
    """Return scale and zero point of a tensor; (None, 0) for a float one."""
    if np.dtype(details["dtype"]).kind == "f":
        return None, 0
    parameters = details["quantization_parameters"]
    if len(parameters["scales"]) != 1 or not parameters["scales"][0] > 0:
        raise BundleError(f"the model's output {name!r} must be float or have one quantization scale")
    return float(parameters["scales"][0]), int(parameters["zero_points"][0])


def _reason(error: Exception) -> str:
    if isinstance(error, ModuleNotFoundError) and (error.name or "").startswith(("ai_edge_litert", "tflite_runtime")):
        return "not installed"
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:200]}" if text else type(error).__name__


def _remedy(reasons: list[str], backend: str, *, with_delegate: bool) -> str:
    tflite = next((reason for reason in reasons if reason.startswith("tflite-runtime")), "")
    if tflite and "not installed" not in tflite and int(np.__version__.split(".")[0]) >= 2:
        return 'tflite-runtime needs NumPy 1: pip install "numpy<2"'
    if all("not installed" in reason for reason in reasons):
        if getattr(sys, "frozen", False):
            return "This frozen program lacks it: build it again with: pyinstaller --collect-all ai_edge_litert"
        if sys.maxsize < 2**32 and sys.version_info >= (3, 12):
            version = f"{sys.version_info[0]}.{sys.version_info[1]}"
            return (
                f"No interpreter has a wheel for 32-bit Python {version}: use a 64-bit system, "
                "or 32-bit Bookworm with its Python 3.11 and tflite-runtime"
            )
        if backend == "auto":
            return 'Install one with: pip install "edge-ssd[device]"'
        return f"Install it with: pip install {backend}, or use backend='auto'"
    if with_delegate:
        return "Check that its device is present and supports this model, or omit the delegate"
    if any("not installed" in reason for reason in reasons):
        return 'The model may need a newer interpreter: pip install --upgrade "edge-ssd[device]"'
    return "The model may be damaged or need a newer interpreter: pip install --upgrade ai-edge-litert"
