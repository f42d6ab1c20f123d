"""Model in memory: a bundle and the interpreter that runs it, which several detectors may share."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from edge_ssd.console.text import shown_name
from edge_ssd.errors import BackendError, BundleError
from edge_ssd.runtime.bundle import Bundle
from edge_ssd.runtime.detections import Detections
from edge_ssd.runtime.interpreter import Backend, Interpreter, open_interpreter
from edge_ssd.runtime.postprocess import Postprocess
from edge_ssd.runtime.preprocess import preprocess
from edge_ssd.runtime.resize import ImageArray, Resize
from edge_ssd.runtime.selftest_result import SelfTestResult, compare_detections
from edge_ssd.runtime.settings import Settings
from edge_ssd.runtime.tensor_check import check_tensors
from edge_ssd.runtime.workspace import Workspace

__all__ = ["InterpreterOptions", "LoadedModel", "closed_error", "load_model"]


def closed_error() -> BackendError:
    return BackendError("this detector is closed; make a new one")


class InterpreterOptions(NamedTuple):
    """How a model is loaded; see :class:`~edge_ssd.runtime.detector.Detector`."""

    num_threads: int | None = None
    backend: Backend = "auto"
    delegate: str | os.PathLike[str] | None = None
    delegate_options: Mapping[str, str | int | float] | None = None


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """Bundle with its interpreter; thread-safe, and the same for all detectors that share it.

    Attributes:
        options: what it was loaded with.
        backend, num_threads, delegate: what the interpreter uses.
        interpreter: None after it was closed.
        lock: of the interpreter, which runs one image at a time.
    """

    bundle: Bundle
    options: InterpreterOptions
    backend: str
    num_threads: int
    delegate: str | None
    interpreter: Interpreter | None
    postprocess: Postprocess
    lock: threading.Lock = field(default_factory=threading.Lock)
    buffers: Workspace = field(default_factory=Workspace)

    def detect(
        self,
        image: ImageArray,
        settings: Settings,
        resize: Resize | None = None,
        image_size: tuple[int, int] | None = None,
    ) -> tuple[Detections, dict[str, float]]:
        """Return the detections in an image, and the seconds of "preprocess", "invoke" and "postprocess".

        Arguments as for :func:`~edge_ssd.runtime.preprocess.preprocess`. Raises BackendError after it was closed.
        """
        if self.interpreter is None:
            raise closed_error()
        start = time.perf_counter()
        spec, details = self.bundle.network.input, self.bundle.details
        buffer = self.buffers.array("input", (*spec.size, 3))
        pixels, transform = preprocess(image, spec, resize, buffer, image_size)
        prepared = time.perf_counter()
        with self.lock:
            locked = time.perf_counter()  # excludes the wait for another thread
            heads = self.interpreter.invoke(pixels)
            invoked = time.perf_counter()
        detections = self.postprocess(
            [heads[head.output] for head in details.class_heads],
            [heads[head.output] for head in details.box_heads],
            transform,
            score_threshold=settings.score_thresholds,
            iou_threshold=settings.iou_threshold,
            max_detections=settings.max_detections,
            classes=settings.classes,
            class_agnostic=settings.class_agnostic,
        )
        return detections, {
            "preprocess": prepared - start,
            "invoke": invoked - locked,
            "postprocess": time.perf_counter() - invoked,
        }

    def selftest(self) -> SelfTestResult:
        """Detect in the embedded image and compare; see :meth:`edge_ssd.runtime.detector.Detector.selftest`."""
        selftest, details = self.bundle.selftest, self.bundle.details
        threshold = selftest.score_threshold
        settings = Settings.from_metadata(details).changed(details, score_threshold=threshold)
        actual, _ = self.detect(selftest.image, settings)
        return compare_detections(selftest.detections, actual, threshold, self.backend)

    def closed(self) -> LoadedModel:
        """Return the same without the interpreter, after the call that is running."""
        with self.lock:
            return replace(self, interpreter=None)


def load_model(bundle: Bundle, options: InterpreterOptions) -> LoadedModel:
    """Load a bundle into an interpreter.

    Raises BackendError if no interpreter runs it, BundleError if it is not the network that the bundle describes,
    SettingError for an invalid option.
    """
    try:
        interpreter = open_interpreter(bundle.flatbuffer, *options)
        check_tensors(interpreter, bundle)
    except (BackendError, BundleError) as error:
        raise type(error)(f"{shown_name(bundle.source)}: {error}") from None
    backend, num_threads, delegate = interpreter.backend, interpreter.num_threads, interpreter.delegate
    return LoadedModel(bundle, options, backend, num_threads, delegate, interpreter, Postprocess(bundle.network))
