"""Options that the programs share, and the detector that they describe."""

from __future__ import annotations

import argparse
import math
import sys
from typing import TYPE_CHECKING

import numpy as np

from edge_ssd.errors import EdgeSSDError, SettingError

if TYPE_CHECKING:
    from edge_ssd.runtime.detector import Detector
    from edge_ssd.runtime.preprocess import ImageArray, Resize

__all__ = ["UnreadableCounter", "add_detector_arguments", "make_detector", "positive_float", "positive_int", "tell"]


def add_detector_arguments(parser: argparse.ArgumentParser) -> None:
    """--model and everything that a :class:`edge_ssd.Detector` takes."""
    from edge_ssd.runtime.models import shipped_models

    group = parser.add_argument_group("detector")
    names = ", ".join(shipped_models())
    group.add_argument(
        "--model", metavar="MODEL", help=f"a .tflite file, or a shipped model by name: {names} (default: banana)"
    )
    group.add_argument("--score-threshold", type=float, metavar="P", help="least score, 0-1 (default: the model's)")
    group.add_argument(
        "--iou-threshold", type=float, metavar="P", help="most overlap of two boxes of a class (default: the model's)"
    )
    group.add_argument("--max-detections", type=int, metavar="N", help="most boxes a picture (default: the model's)")
    group.add_argument("--classes", nargs="+", metavar="LABEL", help="look for these labels only (default: all)")
    group.add_argument("--threads", type=int, metavar="N", help="interpreter threads (default: one a core, up to 4)")
    group.add_argument(
        "--backend",
        choices=("auto", "ai-edge-litert", "tflite-runtime"),
        default="auto",
        help="the TFLite interpreter (default: the first that works)",
    )
    group.add_argument(
        "--resize",
        choices=("pillow", "opencv"),
        default="pillow",
        help="how pictures are brought to size: as in training, or by OpenCV, faster and with slightly other pixels",
    )
    group.add_argument(
        "--delegate",
        metavar="LIBRARY",
        help="run the model with this external delegate, a shared library (machine code)",
    )
    group.add_argument(
        "--delegate-option",
        action="append",
        metavar="KEY=VALUE",
        help="an option for the delegate; may be given several times",
    )


def make_detector(args: argparse.Namespace) -> Detector:
    """The detector that the options describe; raises its errors."""
    from edge_ssd.runtime.detector import Detector
    from edge_ssd.runtime.models import default_model

    return Detector(
        args.model or default_model(),
        score_threshold=args.score_threshold,
        iou_threshold=args.iou_threshold,
        max_detections=args.max_detections,
        classes=args.classes,
        num_threads=args.threads,
        backend=args.backend,
        delegate=args.delegate,
        delegate_options=_delegate_options(args.delegate, args.delegate_option),
        resize=_opencv_resize() if args.resize == "opencv" else None,
    )


def _opencv_resize() -> Resize:
    from device_apps.sources.opencv import load_opencv  # whoever loads OpenCV first fixes how it behaves

    try:
        cv2 = load_opencv()
    except EdgeSSDError as error:
        raise SettingError(f"--resize opencv needs OpenCV: {error}") from None

    def resize(image: ImageArray, size: tuple[int, int]) -> ImageArray:
        # Of OpenCV's bilinear filters the one that gives the same bits on every machine.
        return np.asarray(cv2.resize(image, size[::-1], interpolation=cv2.INTER_LINEAR_EXACT), np.uint8)

    return resize


def _delegate_options(delegate: str | None, given: list[str] | None) -> dict[str, str] | None:
    if given is None:
        return None
    if delegate is None:
        raise SettingError("--delegate-option needs --delegate; name the delegate's library")
    pairs = [text.partition("=") for text in given]
    for text, (name, equals, _) in zip(given, pairs, strict=True):
        if not name or not equals:
            raise SettingError(f"--delegate-option must be KEY=VALUE, got {text!r}")
    return {name: value for name, _, value in pairs}


def positive_int(name: str, value: int | None) -> int | None:
    """``value`` if it is None or at least 1; raises :class:`SettingError` naming the option."""
    if value is not None and value < 1:
        raise SettingError(f"{name} must be a whole number from 1, got {value}")
    return value


def positive_float(name: str, value: float | None) -> float | None:
    """``value`` if it is None or a finite number over 0; raises :class:`SettingError` naming the option."""
    if value is not None and not 0 < value < math.inf:
        raise SettingError(f"{name} must be a number over 0, got {value}")
    return value


class UnreadableCounter:
    """Names each picture that cannot be read on standard error, and counts them."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, line: str) -> None:
        self.count += 1
        tell(f"error: {line}")


def tell(line: str) -> None:
    """Say one line to the person at the terminal, apart from the results."""
    print(f"edge-ssd: {line}", file=sys.stderr, flush=True)
