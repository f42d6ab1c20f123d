"""The one module that knows which TFLite interpreters exist: ai-edge-litert and tflite-runtime.

An import that succeeds proves nothing (tflite-runtime imports beside NumPy 2, and fails when it is used), so a
backend counts as working only once it has built an interpreter of the very model that it is to run.

ai-edge-litert verifies the flatbuffer's structure; tflite-runtime does not, and a wrong offset ends the process. A
bundle's digest guards against damage, not against somebody who forges both: open only models whose source you trust.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from edge_ssd.errors import BackendError, BundleError, SettingError
from edge_ssd.runtime.postprocess import Head

if TYPE_CHECKING:
    from edge_ssd.runtime.delegate import Delegate

__all__ = ["Backend", "Interpreter", "open_interpreter"]

Backend = Literal["auto", "ai-edge-litert", "tflite-runtime"]

# In order of preference: ai-edge-litert is the successor, and several times faster on int8.
_BACKENDS = ("ai-edge-litert", "tflite-runtime")
_SIGNATURE = "serving_default"
_MAX_THREADS = 64


class Interpreter:
    """A TFLite model, loaded: one uint8 image in, named heads out. Made by :func:`open_interpreter`.

    Not for two threads at once.

    Attributes:
        backend: the package that runs it.
        delegate: the library of the delegate that it was given, or None.
        input_shape: [1, H, W, 3] of the input.
        output_shapes: name → shape.
    """

    def __init__(self, native: Any, backend: str, num_threads: int, delegate: str | None = None) -> None:
        """Find the tensors of the signature by name. Raises :class:`BundleError` where it is not as expected."""
        self.backend = backend
        self.delegate = delegate
        self.num_threads = num_threads
        self._native = native
        if _SIGNATURE not in native.get_signature_list():
            raise BundleError(f"the model has no signature {_SIGNATURE!r}")
        # The runner is only asked for names: calling it would allocate all tensors anew for each image.
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
        """Run the model on one image, uint8 [H, W, 3] of its input size. The heads' arrays are the caller's own."""
        self._native.set_tensor(self._input, image[None])
        self._native.invoke()
        # get_tensor copies; a view that somebody keeps would make the next invoke fail.
        return {
            name: Head(self._native.get_tensor(index), scale, zero_point)
            for name, index, scale, zero_point in self._outputs
        }


def open_interpreter(
    flatbuffer: bytes,
    num_threads: int | None = None,
    backend: Backend = "auto",
    delegate: str | os.PathLike[str] | None = None,
    delegate_options: Mapping[str, str | int | float] | None = None,
) -> Interpreter:
    """Load a TFLite model.

    Args:
        flatbuffer: the model's bytes, already checked.
        num_threads: None for one a core, four at most.
        backend: a package, or "auto" for the first that works, ai-edge-litert before tflite-runtime.
        delegate: the library of an external delegate, which is then used or the model is not run at all.
        delegate_options: for the delegate, which gets them as text.

    Raises :class:`BackendError` saying for each backend why it does not work here and what to do, and
    :class:`BundleError` for a model without one uint8 input or the signature "serving_default".
    """
    if backend not in get_args(Backend):
        raise SettingError(f"backend must be one of {', '.join(get_args(Backend))}; got {backend!r}")
    threads = min(4, os.cpu_count() or 1) if num_threads is None else num_threads
    if isinstance(threads, bool) or not isinstance(threads, int) or not 1 <= threads <= _MAX_THREADS:
        raise SettingError(f"num_threads must be a whole number from 1 to {_MAX_THREADS}, got {num_threads!r}")
    wanted = None
    if delegate is not None or delegate_options is not None:
        from edge_ssd.runtime.delegate import find_delegate  # here: few programs have one

        wanted = find_delegate(delegate, delegate_options)
    reasons = []
    for name in _BACKENDS if backend == "auto" else (backend,):
        try:
            native = _build(_package(name), flatbuffer, threads, wanted)
        # A missing package, a library that does not fit, NumPy's ABI, an operator too new: each backend raises its own.
        except Exception as error:
            reasons.append(f"{name}: {_reason(error)}")
        else:
            return Interpreter(native, name, threads, None if wanted is None else wanted.library)
    named = "" if wanted is None else f" with the delegate {wanted.library}"
    remedy = _remedy(reasons, backend, with_delegate=wanted is not None)
    raise BackendError(f"no TFLite interpreter can run this model{named} ({'; '.join(reasons)}). {remedy}")


def _build(package: Any, flatbuffer: bytes, num_threads: int, delegate: Delegate | None) -> Any:
    more = {}
    if delegate is not None:
        more["experimental_delegates"] = [package.load_delegate(delegate.library, delegate.options)]
    native = package.Interpreter(model_content=flatbuffer, num_threads=num_threads, **more)
    native.allocate_tensors()
    return native


def _package(name: str) -> Any:
    """The module that holds a backend's ``Interpreter`` and ``load_delegate``."""
    if name == "ai-edge-litert":
        from ai_edge_litert import interpreter as litert

        return litert
    from tflite_runtime import interpreter as tflite

    return tflite


def _quantization(name: str, details: dict[str, Any]) -> tuple[float | None, int]:
    """Scale and zero point of a tensor; (None, 0) for a float one."""
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
    """What to do next on this machine."""
    tflite = next((reason for reason in reasons if reason.startswith("tflite-runtime")), "")
    if tflite and "not installed" not in tflite and int(np.__version__.split(".")[0]) >= 2:
        return 'tflite-runtime needs NumPy 1: pip install "numpy<2"'
    if all("not installed" in reason for reason in reasons):
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
        return "Check that its device is there and that it takes such models, or leave the delegate out"
    if any("not installed" in reason for reason in reasons):
        return 'The model may need a newer interpreter: pip install --upgrade "edge-ssd[device]"'
    return "The model may be damaged or need a newer interpreter: pip install --upgrade ai-edge-litert"
