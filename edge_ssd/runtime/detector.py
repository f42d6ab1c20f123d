"""The detector: a bundle, an interpreter, and the way from a picture to boxes in its pixels."""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import NamedTuple

import numpy as np

from edge_ssd.boxes import box_iou
from edge_ssd.errors import BackendError, BundleError, SettingError
from edge_ssd.network import Network
from edge_ssd.runtime.bundle import Bundle, read_bundle
from edge_ssd.runtime.detections import Detections
from edge_ssd.runtime.interpreter import Backend, Interpreter, open_interpreter
from edge_ssd.runtime.postprocess import Postprocess
from edge_ssd.runtime.preprocess import ImageArray, ImageLike, as_rgb, preprocess

__all__ = ["Detector", "SelfTestResult"]

# What the same model may differ by between interpreters and machines: int8 outputs by a few steps.
_SELFTEST_IOU = 0.9
_SELFTEST_SCORE = 0.05


class SelfTestResult(NamedTuple):
    """How a machine's detections of the embedded picture compare with those on the converter's machine."""

    passed: bool
    expected: int
    found: int
    problem: str
    """What differs, one line; empty when passed."""


class Detector:
    """Finds objects in pictures.

    May be called from several threads; their calls wait for each other, since an interpreter runs one picture at a
    time. For pictures in parallel make a detector for each thread.

    Attributes:
        bundle: the model file, read and checked.
        score_thresholds: label → what a detection of that class must score at least.
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
    ) -> None:
        """Load a model.

        Args:
            model: a bundle made with ``edge-ssd convert``: its path, or the bundle as :func:`read_bundle` gives it.
            score_threshold: keep detections at least this probable, 0–1. A mapping of labels to numbers gives
                classes thresholds of their own; those that it leaves out have the bundle's. None: the bundle's.
            iou_threshold: of two boxes of a class that overlap more than this, the better one stays. None: the
                bundle's.
            max_detections: the best so many in a picture. None: the bundle's.
            classes: labels to look for. None: all.
            num_threads: of the interpreter. None: one a core, four at most.
            backend: "ai-edge-litert", "tflite-runtime", or "auto" for the first that works.
            class_agnostic: let boxes suppress those of other classes too: one box, one class.

        Raises:
            BundleError: the file is missing, damaged, or not a bundle.
            BackendError: no interpreter on this machine can run it; the message says what to install.
            SettingError: an argument out of its range.
        """
        self.bundle = model if isinstance(model, Bundle) else read_bundle(model)
        defaults = self.bundle.defaults
        self.score_thresholds = _thresholds(score_threshold, defaults.score_threshold, self.labels)
        self.iou_threshold = _share("iou_threshold", iou_threshold, defaults.iou_threshold)
        self.max_detections = _count("max_detections", max_detections, defaults.max_detections)
        self.class_agnostic = _flag("class_agnostic", class_agnostic)
        self._classes = None if classes is None else _class_ids(classes, self.labels)
        self.timings: dict[str, float] = {}
        self._postprocess = Postprocess(self.network)
        self._lock = threading.Lock()
        try:
            interpreter = open_interpreter(self.bundle.flatbuffer, num_threads, backend)
            _check(interpreter, self.bundle)
        except (BackendError, BundleError) as error:
            raise type(error)(f"{self.bundle.path}: {error}") from None
        self._interpreter: Interpreter | None = interpreter
        self.backend = interpreter.backend
        self.num_threads = interpreter.num_threads

    @property
    def labels(self) -> tuple[str, ...]:
        """Class names; class id ``i`` is ``labels[i]``."""
        return self.bundle.labels

    @property
    def score_threshold(self) -> float:
        """What a detection must score at least; where classes differ, the lowest of :attr:`score_thresholds`."""
        return min(self.score_thresholds.values())

    @property
    def network(self) -> Network:
        return self.bundle.network

    def detect(self, image: ImageLike) -> Detections:
        """Find objects in one picture.

        Args:
            image: a uint8 RGB array [H, W, 3] of any size, a Pillow image, or the path of a picture.

        Returns:
            Boxes in pixels of the picture as it is seen (a file or Pillow image is turned upright first, as its
            EXIF orientation says), clipped to it, best first.

        Raises :class:`ImageError` for anything that is no picture, :class:`BackendError` after :meth:`close`.
        """
        return self._detect(
            as_rgb(image),
            tuple(self.score_thresholds.values()),
            self.iou_threshold,
            self.max_detections,
            self._classes,
            self.class_agnostic,
        )

    def selftest(self) -> SelfTestResult:
        """Detect in the picture that the bundle carries, and compare with what was found when it was made.

        Every box must be found again with IoU ≥ 0.9 and a score within 0.05, and no other; a box whose score is
        within 0.05 of the threshold may be on either side of it. The bundle's own thresholds are used.
        """
        expected, defaults = self.bundle.selftest, self.bundle.defaults
        threshold = expected.score_threshold
        found = self._detect(expected.image, threshold, defaults.iou_threshold, defaults.max_detections)
        iou = box_iou(expected.xyxy, found.xyxy)
        close = np.abs(expected.confidence[:, None] - found.confidence[None, :]) <= _SELFTEST_SCORE
        same = (iou >= _SELFTEST_IOU) & close & (expected.class_id[:, None] == found.class_id[None, :])
        lost = ~same.any(axis=1) & (expected.confidence > threshold + _SELFTEST_SCORE)
        extra = ~same.any(axis=0) & (found.confidence > threshold + _SELFTEST_SCORE)
        problem = ""
        if lost.any() or extra.any():
            problem = (
                f"{int(lost.sum())} of {len(expected.xyxy)} expected boxes not found again, "
                f"{int(extra.sum())} unexpected, with {self.backend}"
            )
        return SelfTestResult(not problem, len(expected.xyxy), len(found), problem)

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

    def _detect(
        self,
        image: ImageArray,
        score_threshold: float | tuple[float, ...],
        iou_threshold: float,
        max_detections: int,
        classes: list[int] | None = None,
        class_agnostic: bool = False,
    ) -> Detections:
        start = time.perf_counter()
        pixels, placement = preprocess(image, self.network.input)
        prepared = time.perf_counter()
        with self._lock:
            if self._interpreter is None:
                raise BackendError("this detector is closed; make a new one")
            locked = time.perf_counter()  # waiting for another thread is not the model's time
            heads = self._interpreter.invoke(pixels)
            invoked = time.perf_counter()
        details = self.bundle.details
        decoded = self._postprocess(
            [heads[head.output] for head in details.class_heads],
            [heads[head.output] for head in details.box_heads],
            score_threshold=score_threshold,
            iou_threshold=iou_threshold,
            max_detections=max_detections,
            classes=classes,
            class_agnostic=class_agnostic,
        )
        xyxy = placement.to_pixels(decoded.boxes)
        # A box that lies wholly beside the picture has nothing left after clipping.
        inside = (xyxy[:, 2:] > xyxy[:, :2]).all(axis=1)
        class_ids = decoded.class_ids[inside]
        detections = Detections(
            xyxy[inside],
            decoded.scores[inside],
            class_ids,
            [self.labels[i] for i in class_ids.tolist()],
            placement.image_size,
        )
        self.timings = {
            "preprocess": prepared - start,
            "invoke": invoked - locked,
            "postprocess": time.perf_counter() - invoked,
        }
        return detections


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


def _share(name: str, value: float | None, default: float) -> float:
    if value is None:
        return default
    if isinstance(value, (bool, str)) or not _is_number(value) or not 0 <= value <= 1:
        raise SettingError(f"{name} must be a number from 0 to 1, got {value!r}")
    return float(value)


def _thresholds(given: float | Mapping[str, float] | None, default: float, labels: tuple[str, ...]) -> dict[str, float]:
    """A threshold for every label, in order."""
    if not isinstance(given, Mapping):
        return dict.fromkeys(labels, _share("score_threshold", given, default))
    unknown = [name for name in given if name not in labels]
    if unknown:
        raise SettingError(
            f"score_threshold: the model has no class {', '.join(map(repr, unknown))}; "
            f"its labels are {', '.join(labels)}"
        )
    return {label: _share(f"score_threshold of {label!r}", given.get(label), default) for label in labels}


def _flag(name: str, value: bool) -> bool:
    if not isinstance(value, (bool, np.bool_)):
        raise SettingError(f"{name} must be True or False, got {value!r}")
    return bool(value)


def _count(name: str, value: int | None, default: int) -> int:
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise SettingError(f"{name} must be a whole number from 1, got {value!r}")
    return int(value)


def _is_number(value: object) -> bool:
    try:
        return math.isfinite(value)  # type: ignore[arg-type]  # anything with __float__ will do
    except (TypeError, OverflowError):
        return False


def _class_ids(classes: Iterable[str], labels: tuple[str, ...]) -> list[int]:
    names = [classes] if isinstance(classes, str) else list(classes)
    unknown = [name for name in names if name not in labels]
    if unknown or not names:
        what = f"has no class {', '.join(map(repr, unknown))}" if unknown else "needs at least one class to look for"
        raise SettingError(f"the model {what}; its labels are {', '.join(labels)}")
    return [labels.index(name) for name in names]
