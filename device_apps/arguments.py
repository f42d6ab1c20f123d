"""Detector options of the device commands, and the detector that they describe."""

from __future__ import annotations

import argparse
import math
import re
import sys
from typing import TYPE_CHECKING

from device_apps.machine import address_space_limit
from edge_ssd.checks import shortened
from edge_ssd.console.text import argument_text, printable
from edge_ssd.errors import EdgeSSDError, SettingError

if TYPE_CHECKING:
    from edge_ssd.runtime.detector import Detector
    from edge_ssd.runtime.preprocess import Resize
    from edge_ssd.runtime.tiles import Tiles

__all__ = [
    "MAX_TIMEOUT_S",
    "SECRET_FILES",
    "add_backend_argument",
    "add_detector_arguments",
    "add_resize_argument",
    "add_tiles_arguments",
    "camera_name",
    "check_int",
    "check_positive",
    "class_labels",
    "make_detector",
    "option_name",
    "page_url",
    "resize_function",
    "share_detector",
    "tiles_of",
]


SECRET_FILES = (
    *("mqtt_password_file", "mqtt_ca", "mqtt_cert", "mqtt_key", "web_token_file", "web_login_file"),
    *("webhook_secret_file", "webhook_header_file"),
)
"""Argparse destinations of options that name a file with a secret."""
MAX_TIMEOUT_S = 86_400.0
"""Maximum of a time limit of connections; libraries take at most about a month."""

_MAX_NUMBER = 1e9  # Seconds, pixels, megabytes: 31 years, a petabyte. What the system can wait and count ends above.
_MAX_NAME = 60  # Characters of the name of a camera.
_MIN_ADDRESS_SPACE = 1_000_000_000  # Bytes. Measured on x86-64 with two cores: 700 MB crash, 900 MB work.


def add_detector_arguments(parser: argparse.ArgumentParser) -> None:
    """Add --model and the options of :class:`edge_ssd.Detector`, such as --threads, to a parser."""
    from edge_ssd.runtime.shipped_models import shipped_models

    group = parser.add_argument_group("detector")
    names = ", ".join(shipped_models())
    group.add_argument(
        "--model", metavar="MODEL", help=f"a .tflite file, or a shipped model by name: {names} (default: fruit-small)"
    )
    group.add_argument("--score-threshold", type=float, metavar="P", help="minimum score, 0-1 (default: the model's)")
    group.add_argument("--iou-threshold", type=float, metavar="P", help="NMS IoU threshold, 0-1 (default: the model's)")
    group.add_argument("--max-detections", type=int, metavar="N", help="maximum boxes per image (default: the model's)")
    group.add_argument("--classes", nargs="+", metavar="LABEL", help="detect only these labels (default: all)")
    group.add_argument(
        "--threads", type=int, metavar="N", help="interpreter threads (default: one per core, at most 4)"
    )
    add_backend_argument(group)
    add_resize_argument(group)
    add_tiles_arguments(group)
    group.add_argument(
        "--delegate",
        metavar="LIBRARY",
        help="run the model with this external delegate, a shared library (machine code)",
    )
    group.add_argument(
        "--delegate-option", action="append", metavar="KEY=VALUE", help="option of the delegate; may be repeated"
    )


def add_backend_argument(group: argparse._ActionsContainer) -> None:
    """Add --backend, which selects the TFLite interpreter, to a parser or an argument group."""
    group.add_argument(
        "--backend",
        choices=("auto", "ai-edge-litert", "tflite-runtime"),
        default="auto",
        help="the TFLite interpreter (default: the first that works)",
    )


def add_resize_argument(group: argparse._ActionsContainer) -> None:
    """Add --resize, which selects what resizes images, to a parser or an argument group."""
    group.add_argument(
        "--resize",
        choices=("auto", "opencv", "numpy"),
        default="auto",
        help="what resizes images, to the same pixels (default: OpenCV if it is installed, else NumPy)",
    )


def add_tiles_arguments(group: argparse._ActionsContainer) -> None:
    """Add --tiles and --tile-overlap, which detect small objects in parts of the image, to a parser or a group."""
    group.add_argument(
        "--tiles",
        metavar="TILES",
        help="for small objects, detect in overlapping tiles of the image too: 3x2 is columns x rows, 640x480px the "
        "size of a tile; each tile costs a detection",
    )
    group.add_argument(
        "--tile-overlap",
        type=float,
        metavar="P",
        help="share of a tile that the next one covers too, 0-0.9 (default: 0.2)",
    )


def tiles_of(args: argparse.Namespace) -> Tiles | None:
    """Return the tiles of --tiles and --tile-overlap, or None."""
    from edge_ssd.runtime.tiles import Tiles

    if args.tiles is None:
        if args.tile_overlap is not None:
            raise SettingError("--tile-overlap needs --tiles, such as --tiles 2x2")
        return None
    return Tiles.parse(args.tiles) if args.tile_overlap is None else Tiles.parse(args.tiles, args.tile_overlap)


def make_detector(args: argparse.Namespace) -> Detector:
    """Return the detector for the parsed options. Raises the errors of :class:`edge_ssd.Detector`."""
    from edge_ssd.runtime.detector import Detector
    from edge_ssd.runtime.shipped_models import default_model

    _check_address_space()
    _check_thresholds(args)
    return Detector(
        args.model or default_model(),
        score_threshold=args.score_threshold,
        iou_threshold=args.iou_threshold,
        max_detections=args.max_detections,
        classes=class_labels(args),
        num_threads=args.threads,
        backend=args.backend,
        delegate=args.delegate,
        delegate_options=_delegate_options(args.delegate, args.delegate_option),
        resize=resize_function(args.resize),
        tiles=tiles_of(args),
    )


def share_detector(args: argparse.Namespace, detector: Detector) -> Detector:
    """Return a detector with the settings of the parsed options that shares the interpreter of ``detector``."""
    _check_thresholds(args)
    return detector.share(
        score_threshold=args.score_threshold,
        iou_threshold=args.iou_threshold,
        max_detections=args.max_detections,
        classes=class_labels(args),
        tiles=tiles_of(args),
    )


def _check_thresholds(args: argparse.Namespace) -> None:
    for dest in ("score_threshold", "iou_threshold"):
        value = getattr(args, dest)
        if value is not None and not 0 <= value <= 1:
            percent = f": {value:g} % is {value / 100:g}" if 5 <= value <= 100 else ""
            raise SettingError(f"{option_name(dest)} must be a number from 0 to 1, got {value:g}{percent}")


def _check_address_space() -> None:
    """Raise SettingError for a limit under which the libraries crash (SIGSEGV) instead of raising MemoryError."""
    limit = address_space_limit()
    if limit is not None and limit < _MIN_ADDRESS_SPACE and sys.maxsize > 2**32:
        raise SettingError(
            f"ulimit -v allows {limit / 1e6:.0f} MB of addresses, and the interpreter and OpenCV crash below "
            f"{_MIN_ADDRESS_SPACE / 1e6:.0f} MB, of which they use a part only; run: ulimit -v unlimited (a service "
            "limits memory with MemoryMax instead)"
        )


def camera_name(args: argparse.Namespace) -> str | None:
    """Return the name of the camera (--name), or None; raise SettingError for text that is empty, long or unprintable.

    A parser without this option names no camera.
    """
    text: str | None = getattr(args, "name", None)
    if text is None:
        return None
    name = argument_text(text).strip()
    if not 0 < len(name) <= _MAX_NAME or not name.isprintable():
        raise SettingError(f"--name must be one line of 1 to {_MAX_NAME} characters, got {printable(name[:80])!r}")
    return name


def page_url(args: argparse.Namespace) -> str | None:
    """Return the URL of the web page (--web-url) without its last "/", or None; raise SettingError if it is not one.

    A parser without this option states none.
    """
    text: str | None = getattr(args, "web_url", None)
    if text is None:
        return None
    from urllib.parse import urlsplit

    from edge_ssd.console.redact import redact_url

    expected = "expected the address of the page, such as https://camera.example/cam1/"
    try:
        parts = urlsplit(argument_text(text))
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
    if valid and (parts.username is not None or parts.password is not None):
        raise SettingError("--web-url: leave out user and password: the address is part of every event")
    if not valid or parts.query or parts.fragment or re.search(r"[\s<>\"]", text) or not text.isprintable():
        raise SettingError(f"--web-url {redact_url(text)}: {expected}")
    return text.rstrip("/")


def class_labels(args: argparse.Namespace) -> list[str] | None:
    """Return the labels of --classes as text, or None."""
    return None if args.classes is None else [argument_text(label) for label in args.classes]


def resize_function(name: str) -> Resize | None:
    """Return the function of a --resize value; None for "auto"."""
    from device_apps.sources.opencv import load_opencv, set_opencv_environment
    from edge_ssd.runtime.resize import numpy_resize, opencv_resize

    set_opencv_environment()  # before the resize imports OpenCV
    if name != "opencv":
        return numpy_resize if name == "numpy" else None
    try:
        load_opencv()
    except EdgeSSDError as error:
        raise SettingError(f"--resize opencv needs OpenCV: {error}") from None
    return opencv_resize


def _delegate_options(delegate: str | None, options: list[str] | None) -> dict[str, str] | None:
    if options is None:
        return None
    if delegate is None:
        raise SettingError("--delegate-option needs --delegate LIBRARY")
    pairs = [text.partition("=") for text in options]
    for text, (name, equals, _) in zip(options, pairs, strict=True):
        if not name or not equals:
            raise SettingError(f"--delegate-option must be KEY=VALUE, got {text!r}")
    return {name: value for name, _, value in pairs}


def option_name(dest: str) -> str:
    """Return the option of an argparse destination: "--save-video" for "save_video"."""
    return f"--{dest.replace('_', '-')}"


def check_int(args: argparse.Namespace, dest: str, minimum: int = 1) -> None:
    """Raise SettingError unless the option stored in ``args`` as ``dest`` is None, or from ``minimum`` to a billion."""
    value = getattr(args, dest)
    if value is not None and value < minimum:
        raise SettingError(f"{option_name(dest)} must be a whole number from {minimum}, got {value}")
    _check_maximum(dest, value, _MAX_NUMBER)


def check_positive(args: argparse.Namespace, dest: str, maximum: float = _MAX_NUMBER) -> None:
    """Raise SettingError unless the option stored in ``args`` as ``dest`` is None or over 0 and up to ``maximum``."""
    value = getattr(args, dest)
    if value is not None and not 0 < value < math.inf:
        raise SettingError(f"{option_name(dest)} must be a number over 0, got {value}")
    _check_maximum(dest, value, maximum)


def _check_maximum(dest: str, value: float | None, maximum: float) -> None:
    if value is not None and value > maximum:
        raise SettingError(f"{option_name(dest)} must be at most {maximum:.0f}, got {shortened(value)}")
