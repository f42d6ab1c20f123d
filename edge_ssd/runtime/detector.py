"""The detector: a bundle, an interpreter, and the way from an image to boxes in its pixels."""

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
from edge_ssd.runtime.preprocess import ImageArray, ImageLike, Resize, as_rgb, pillow_resize, preprocess
from edge_ssd.runtime.settings import ClassesLike, CountLike, FlagLike, Settings, ShareLike, ThresholdLike

__all__ = ["Detector", "SelfTestResult"]

# What the same model may differ by between interpreters and machines: int8 outputs by a few steps.
_SELFTEST_IOU = 0.9
_SELFTEST_SCORE = 0.05


class SelfTestResult(NamedTuple):
    """How a machine's detections of the embedded image compare with those on the converter's machine."""

    passed: bool
    expected: int
    found: int
    problem: str
    """What differs, one line; empty when passed."""


class Detector:
    """Finds objects in images.

    May be called from several threads; their calls wait for each other, since an interpreter runs one image at a
    time. For images in parallel make a detector for each thread; after a fork, in the new process.

    Attributes:
        bundle: the model file, read and checked.
        backend, num_threads: the package that runs it, and with how many threads.
        delegate: the library of the external delegate, or None.
        timings: seconds that the last call spent in "preprocess", "invoke" and "postprocess".
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
            model: a bundle made with ``edge-ssd convert``: its path, or the bundle as :func:`read_bundle` gives it.
                Where there is no such file, the name of a shipped one: "banana", "small", "nano".
            score_threshold: keep detections at least this probable, 0–1. A mapping of labels to numbers gives
                classes thresholds of their own; those that it leaves out have the bundle's. None: the bundle's.
            iou_threshold: of two boxes of a class that overlap more than this, the better one stays. None: the
                bundle's.
            max_detections: the best so many in an image. None: the bundle's.
            classes: labels to look for. None: all.
            num_threads: of the interpreter. None: one a core, four at most.
            backend: "ai-edge-litert", "tflite-runtime", or "auto" for the first that works.
            class_agnostic: let boxes suppress those of other classes too: one box, one class.
            delegate: the shared library of an external delegate (an accelerator's), by its path or by a name that
                the system's loader knows. It is machine code: load only what you trust. The model is run with it or
                not at all; what it does not take over runs on the processor.
            delegate_options: what the delegate's documentation says it takes.
            resize: a function of a uint8 image [H, W, 3] and a (height, width) that gives it in that size, in place
                of Pillow's antialiased bilinear filter: faster ones exist, but the network was trained with that.

        Raises:
            BundleError: the file is missing, damaged, or not a bundle.
            BackendError: no interpreter on this machine can run it; the message says what to install.
            SettingError: an argument out of its range.
        """
        self.bundle = model if isinstance(model, Bundle) else _read(model)
        if resize is not None and not callable(resize):
            raise SettingError(f"resize must be a function of an image and (height, width), got {resize!r}")
        self._resize = pillow_resize if resize is None else resize
        self._settings = Settings.of(self.bundle.details)
        self._settings_lock = threading.Lock()
        self.configure(score_threshold, iou_threshold, max_detections, classes, class_agnostic)
        self.timings: dict[str, float] = {}
        self._postprocess = Postprocess(self.network)
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
        """Minimum of :attr:`score_thresholds`: the threshold of all classes where they share one."""
        return min(self._settings.score_thresholds)

    @property
    def iou_threshold(self) -> float:
        return self._settings.iou_threshold

    @property
    def max_detections(self) -> int:
        return self._settings.max_detections

    @property
    def classes(self) -> tuple[str, ...]:
        """The labels that are looked for."""
        chosen = self._settings.classes
        return self.labels if chosen is None else tuple(self.labels[i] for i in chosen)

    @property
    def class_agnostic(self) -> bool:
        return self._settings.class_agnostic

    def configure(
        self,
        score_threshold: ThresholdLike = ...,
        iou_threshold: ShareLike = ...,
        max_detections: CountLike = ...,
        classes: ClassesLike = ...,
        class_agnostic: FlagLike = ...,
    ) -> None:
        """Change settings while it runs; they mean what they mean to the constructor, None included.

        Only what is given changes: of a mapping of labels to thresholds, only the classes that it names. All at once:
        a :meth:`detect` that is running in another thread ends with the settings it began with. When one is bad,
        :class:`SettingError` is raised and nothing changes.
        """
        with self._settings_lock:
            self._settings = self._settings.changed(
                self.bundle.details, score_threshold, iou_threshold, max_detections, classes, class_agnostic
            )

    def detect(self, image: ImageLike) -> Detections:
        """Find objects in one image.

        Args:
            image: a uint8 RGB array [H, W, 3] of any size, a Pillow image, or the path of an image.

        Returns:
            Boxes in pixels of the image as it is seen (a file or Pillow image is turned upright first, as its
            EXIF orientation says), clipped to it, best first.

        Raises :class:`ImageError` for anything that is no image, :class:`BackendError` after :meth:`close`.
        """
        return self._detect(as_rgb(image), self._settings, self._resize)

    def selftest(self) -> SelfTestResult:
        """Detect in the image that the bundle carries, and compare with what was found when it was made.

        Every box must be found again with IoU ≥ 0.9 and a score within 0.05, and no other; a box whose score is
        within 0.05 of the threshold may be on either side of it. The bundle's own thresholds are used.
        """
        selftest = self.bundle.selftest
        expected, threshold = selftest.detections, selftest.score_threshold
        own = Settings.of(self.bundle.details).changed(self.bundle.details, score_threshold=threshold)
        found = self._detect(selftest.image, own)
        iou = box_iou(expected.xyxy, found.xyxy)
        close = np.abs(expected.confidence[:, None] - found.confidence[None, :]) <= _SELFTEST_SCORE
        same = (iou >= _SELFTEST_IOU) & close & (expected.class_id[:, None] == found.class_id[None, :])
        lost = ~same.any(axis=1) & (expected.confidence > threshold + _SELFTEST_SCORE)
        extra = ~same.any(axis=0) & (found.confidence > threshold + _SELFTEST_SCORE)
        problem = ""
        if lost.any() or extra.any():
            problem = (
                f"{int(lost.sum())} of {len(expected)} expected boxes not found again, "
                f"{int(extra.sum())} unexpected, with {self.backend}"
            )
        return SelfTestResult(not problem, len(expected), len(found), problem)

    def close(self) -> None:
        """Free the interpreter. Closing twice is no error; detecting afterwards is."""
        with self._lock:
            self._interpreter = None

    def __enter__(self) -> Detector:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Detector cannot be copied or pickled; make another from the same bundle, where it is to run")

    def _detect(self, image: ImageArray, settings: Settings, resize: Resize = pillow_resize) -> Detections:
        start = time.perf_counter()
        pixels, transform = preprocess(image, self.network.input, resize)
        prepared = time.perf_counter()
        with self._lock:
            if self._interpreter is None:
                raise BackendError("this detector is closed; make a new one")
            locked = time.perf_counter()  # waiting for another thread is not the model's time
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
    """The bundle at a path, or the shipped one of that name."""
    if os.path.isfile(model):  # noqa: PTH113 (os: see Bundle.path)
        return read_bundle(model)
    from edge_ssd.runtime.models import find_model

    return read_bundle(find_model(model))


def _check(interpreter: Interpreter, bundle: Bundle) -> None:
    """The flatbuffer's input and outputs are those that the description promises."""
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
