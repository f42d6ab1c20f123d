"""Object detector: a bundle, an interpreter, preprocessing and postprocessing."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import NamedTuple, NoReturn

import numpy as np

from edge_ssd.boxes import box_iou
from edge_ssd.errors import BackendError, BundleError, SettingError
from edge_ssd.network import Network
from edge_ssd.runtime.bundle import Bundle, read_bundle
from edge_ssd.runtime.detections import Detections
from edge_ssd.runtime.interpreter import Backend, Interpreter, open_interpreter
from edge_ssd.runtime.postprocess import Postprocess
from edge_ssd.runtime.preprocess import ImageArray, ImageLike, Resize, as_rgb, preprocess, read_reduced
from edge_ssd.runtime.resize import HALVE_BILINEAR
from edge_ssd.runtime.settings import ClassesLike, CountLike, FlagLike, FractionLike, Settings, ThresholdLike
from edge_ssd.runtime.workspace import Workspace

__all__ = ["Detector", "SelfTestResult"]

# Tolerance between interpreters and machines, whose int8 outputs differ by a few steps.
_SELFTEST_IOU = 0.9
_SELFTEST_SCORE = 0.05


class SelfTestResult(NamedTuple):
    """Result of :meth:`Detector.selftest`; ``expected`` and ``found`` are numbers of detections."""

    passed: bool
    expected: int
    found: int
    problem: str
    """The differences in one line; empty when passed."""


class Detector:
    """Object detector that runs a bundle on images.

    Thread-safe: concurrent calls wait for each other, since an interpreter runs one image at a time. For parallel
    inference create one detector per thread, and after a fork one in the new process.

    Attributes:
        bundle: the model file, read and checked.
        backend, num_threads: the interpreter's package, and its number of threads.
        delegate: the library of the external delegate, or None.
        timings: seconds of the last call in "preprocess", "invoke" and "postprocess".
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | Bundle,
        score_threshold: float | Mapping[str, float] | None = None,
        iou_threshold: float | None = None,
        max_detections: int | None = None,
        classes: Iterable[str] | None = None,
        num_threads: int | None = None,
        backend: Backend = "auto",
        class_agnostic: bool = False,
        delegate: str | os.PathLike[str] | None = None,
        delegate_options: Mapping[str, str | int | float] | None = None,
        resize: Resize | None = None,
    ) -> None:
        """Load a model.

        Args:
            model: a bundle made with ``edge-ssd convert``: its path, the result of :func:`read_bundle`, or the name of
                a shipped one ("banana", "small", "nano").
            score_threshold: minimum score, 0–1, or a mapping of labels to minimum scores; missing labels have the
                bundle's. None: the bundle's.
            iou_threshold: a box is dropped if its IoU with a better one is greater, 0–1. None: the bundle's.
            max_detections: maximum number per image, the best are kept. None: the bundle's.
            classes: labels to detect. None: all.
            num_threads: of the interpreter. None: one per core, at most four.
            backend: "ai-edge-litert", "tflite-runtime", or "auto" for the first that works.
            class_agnostic: suppress across classes: one class per box.
            delegate: shared library of an external delegate, by path or by a name that the system's loader finds. It is
                machine code: load only libraries that you trust. Operators that it does not support run on the CPU; if
                it cannot be used at all, loading fails.
            delegate_options: options of the delegate, see its documentation.
            resize: called with a uint8 image [H, W, 3] and the target (height, width), returns the resized image.
                None: the method that the network was trained with, see :mod:`edge_ssd.runtime.resize`.

        Raises:
            BundleError: the file is missing, damaged, or not a bundle.
            BackendError: no interpreter on this machine can run it; the message names what to install.
            SettingError: an invalid argument.
        """
        self.bundle = model if isinstance(model, Bundle) else _read(model)
        if resize is not None and not callable(resize):
            raise SettingError(f"resize must be a function of an image and (height, width), got {resize!r}")
        self._resize = resize
        self._settings = Settings.from_metadata(self.bundle.details)
        self._settings_lock = threading.Lock()
        self.configure(score_threshold, iou_threshold, max_detections, classes, class_agnostic)
        self.timings: dict[str, float] = {}
        self._postprocess = Postprocess(self.network)
        self._buffers = Workspace()
        self._lock = threading.Lock()  # of the interpreter
        try:
            interpreter = open_interpreter(self.bundle.flatbuffer, num_threads, backend, delegate, delegate_options)
            _check(interpreter, self.bundle)
        except (BackendError, BundleError) as error:
            raise type(error)(f"{self.bundle.path}: {error}") from None
        self._interpreter: Interpreter | None = interpreter
        self.backend, self.delegate = interpreter.backend, interpreter.delegate
        self.num_threads = interpreter.num_threads

    @property
    def labels(self) -> tuple[str, ...]:
        """Class names; class id ``i`` is ``labels[i]``."""
        return self.bundle.labels

    @property
    def network(self) -> Network:
        return self.bundle.network

    @property
    def score_thresholds(self) -> dict[str, float]:
        """Label → minimum score of a detection of that class; a copy."""
        return dict(zip(self.labels, self._settings.score_thresholds, strict=True))

    @property
    def min_score_threshold(self) -> float:
        """Minimum of :attr:`score_thresholds`, equal to the threshold of every class if they share one."""
        return min(self._settings.score_thresholds)

    @property
    def iou_threshold(self) -> float:
        return self._settings.iou_threshold

    @property
    def max_detections(self) -> int:
        return self._settings.max_detections

    @property
    def classes(self) -> tuple[str, ...]:
        """Labels that are detected."""
        chosen = self._settings.classes
        return self.labels if chosen is None else tuple(self.labels[i] for i in chosen)

    @property
    def class_agnostic(self) -> bool:
        return self._settings.class_agnostic

    def configure(
        self,
        score_threshold: ThresholdLike = ...,
        iou_threshold: FractionLike = ...,
        max_detections: CountLike = ...,
        classes: ClassesLike = ...,
        class_agnostic: FlagLike = ...,
    ) -> None:
        """Change settings; arguments as for the constructor, where None restores the default.

        Arguments that are left out stay unchanged, as do the classes that a mapping of thresholds leaves out. The
        change is atomic: a :meth:`detect` in another thread finishes with the settings that it started with. An invalid
        value raises SettingError and changes nothing.
        """
        with self._settings_lock:
            self._settings = self._settings.changed(
                self.bundle.details, score_threshold, iou_threshold, max_detections, classes, class_agnostic
            )

    def detect(self, image: ImageLike, image_size: tuple[int, int] | None = None) -> Detections:
        """Detect objects in one image.

        Args:
            image: a uint8 RGB array [H, W, 3] of any size, a Pillow image, the path of an image file or its content.
            image_size: (height, width) of the image that an array was reduced from, as cameras and decoders do: boxes
                are in its pixels. None: the size of ``image``.

        Returns:
            Boxes in pixels of the image, clipped to it, best first. The EXIF orientation of a file or Pillow image is
            applied first. JPEG files are decoded at the size that the network needs.

        Raises:
            ImageError: not a valid image.
            BackendError: after :meth:`close`.
        """
        if isinstance(image, (str, os.PathLike, bytes)) and (self._resize is None or self._resize in HALVE_BILINEAR):
            image, image_size = read_reduced(image, self.network.input)
        return self._detect(as_rgb(image), self._settings, self._resize, image_size)

    def selftest(self) -> SelfTestResult:
        """Detect in the embedded image and compare with the embedded detections.

        Every box must be found with its class, IoU ≥ 0.9 and a score within 0.05, and no other; boxes that score at
        most 0.05 above the self-test's threshold are exempt. Settings are the bundle's, not those of :meth:`configure`.
        """
        selftest = self.bundle.selftest
        expected, threshold = selftest.detections, selftest.score_threshold
        settings = Settings.from_metadata(self.bundle.details).changed(self.bundle.details, score_threshold=threshold)
        actual = self._detect(selftest.image, settings)
        iou = box_iou(expected.xyxy, actual.xyxy)
        close = np.abs(expected.confidence[:, None] - actual.confidence[None, :]) <= _SELFTEST_SCORE
        same = (iou >= _SELFTEST_IOU) & close & (expected.class_id[:, None] == actual.class_id[None, :])
        missing = ~same.any(axis=1) & (expected.confidence > threshold + _SELFTEST_SCORE)
        unexpected = ~same.any(axis=0) & (actual.confidence > threshold + _SELFTEST_SCORE)
        problem = ""
        if missing.any() or unexpected.any():
            problem = (
                f"{int(missing.sum())} of {len(expected)} expected boxes missing, "
                f"{int(unexpected.sum())} unexpected, with {self.backend}"
            )
        return SelfTestResult(not problem, len(expected), len(actual), problem)

    def close(self) -> None:
        """Free the interpreter. Closing twice is allowed; detecting afterwards raises BackendError."""
        with self._lock:
            self._interpreter = None

    def __enter__(self) -> Detector:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Detector cannot be copied or pickled; make another from the same bundle where it is needed")

    def _detect(
        self,
        image: ImageArray,
        settings: Settings,
        resize: Resize | None = None,
        image_size: tuple[int, int] | None = None,
    ) -> Detections:
        start = time.perf_counter()
        spec = self.network.input
        buffer = self._buffers.array("input", (*spec.size, 3))
        pixels, transform = preprocess(image, spec, resize, buffer, image_size)
        prepared = time.perf_counter()
        with self._lock:
            if self._interpreter is None:
                raise BackendError("this detector is closed; make a new one")
            locked = time.perf_counter()  # excludes the wait for another thread
            heads = self._interpreter.invoke(pixels)
            invoked = time.perf_counter()
        details = self.bundle.details
        detections = self._postprocess(
            [heads[head.output] for head in details.class_heads],
            [heads[head.output] for head in details.box_heads],
            transform,
            score_threshold=settings.score_thresholds,
            iou_threshold=settings.iou_threshold,
            max_detections=settings.max_detections,
            classes=settings.classes,
            class_agnostic=settings.class_agnostic,
        )
        self.timings = {
            "preprocess": prepared - start,
            "invoke": invoked - locked,
            "postprocess": time.perf_counter() - invoked,
        }
        return detections


def _read(model: str | os.PathLike[str]) -> Bundle:
    """Read the bundle at a path, or the shipped one of that name."""
    if os.path.isfile(model):  # noqa: PTH113 (os: see Bundle.path)
        return read_bundle(model)
    from edge_ssd.runtime.shipped_models import find_model

    return read_bundle(find_model(model))


def _check(interpreter: Interpreter, bundle: Bundle) -> None:
    """Check that the flatbuffer has the inputs and outputs of the description."""
    height, width = bundle.network.input.size
    if interpreter.input_shape != (1, height, width, 3) or interpreter.input_name != bundle.details.input_name:
        raise BundleError(
            f"the model's input is {interpreter.input_name!r} {list(interpreter.input_shape)}, "
            f"expected {bundle.details.input_name!r} {[1, height, width, 3]}; convert it again"
        )
    for head in bundle.heads:
        numbers = bundle.network.num_classes + 1 if head.kind == "classes" else 4
        expected = (1, head.height, head.width, head.anchors_per_cell * numbers)
        actual = interpreter.output_shapes.get(head.output)
        if actual != expected:
            raise BundleError(
                f"the model's output {head.output!r} is {actual or 'missing'}, expected {expected}; convert it again"
            )
