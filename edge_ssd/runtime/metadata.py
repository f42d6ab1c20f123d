"""Metadata of a bundle: the entry ``edge_ssd.json``, validated field by field."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from edge_ssd.checks import as_fraction, as_integer
from edge_ssd.errors import BundleError, NetworkError
from edge_ssd.network import Network

__all__ = ["FORMAT_VERSION", "Defaults", "HeadSpec", "Metadata", "parse_metadata"]

FORMAT_VERSION = 2
"""Version 1 does not name the resampling: it is "pillow-bilinear"."""

_MAX_TEXT = 256
_SHA256 = re.compile(r"[0-9a-f]{64}")


class HeadSpec(NamedTuple):
    """Output for the level of index ``level``: its kind ("classes" or "boxes"), name, and feature map in cells."""

    level: int
    kind: str
    output: str
    height: int
    width: int
    anchors_per_cell: int


@dataclass(frozen=True)
class Defaults:
    """Default settings of a detector: arguments of :class:`~edge_ssd.runtime.detector.Detector`."""

    score_threshold: float
    iou_threshold: float
    max_detections: int

    def __post_init__(self) -> None:
        as_fraction("score_threshold", self.score_threshold)
        as_fraction("iou_threshold", self.iou_threshold)
        as_integer("max_detections", self.max_detections, 1)


class Metadata(NamedTuple):
    """Validated content of ``edge_ssd.json``.

    Attributes:
        input_name, quantization: name of the model's input, and of its quantization scheme.
        class_heads, box_heads: one per level, in the network's order.
        sha256: hex digests of "flatbuffer" and "anchors" (the bytes of the entry), and perhaps of "calibration" (the
            images) and "weights" (those of the float model).
        raw: the complete JSON value, with informative fields (tools, accuracy).
    """

    name: str
    network: Network
    input_name: str
    class_heads: tuple[HeadSpec, ...]
    box_heads: tuple[HeadSpec, ...]
    defaults: Defaults
    quantization: str
    sha256: Mapping[str, str | None]
    raw: Mapping[str, Any]


def parse_metadata(content: bytes) -> Metadata:
    """Parse and validate the content of ``edge_ssd.json``; raise BundleError, which names the first invalid field."""
    import json

    def reject(constant: str) -> None:
        raise ValueError(f"{constant} is not JSON")

    try:
        data = json.loads(content.decode("utf-8"), parse_constant=reject)
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError and JSONDecodeError are ValueErrors
        raise BundleError(f"edge_ssd.json cannot be read ({error})") from None
    if not isinstance(data, dict):
        raise BundleError("edge_ssd.json must hold an object")
    version = _get(data, "format_version", int)
    if version > FORMAT_VERSION:
        raise BundleError(
            f"it has bundle format {version} and this edge-ssd reads up to {FORMAT_VERSION}; "
            "upgrade with: pip install --upgrade edge-ssd"
        )
    _require(version >= 1, "format_version", version, f"1 to {FORMAT_VERSION}")
    try:
        network = Network.from_dict(_get(data, "network", dict))
    except NetworkError as error:
        raise BundleError(f"edge_ssd.json: network: {error}") from None
    labels = _get(data, "labels", list)
    _require(labels == list(network.labels), "labels", labels, list(network.labels))
    dtype = _get(data, "input.dtype", str)
    _require(dtype == "uint8", "input.dtype", dtype, "uint8")
    background = _get(data, "background_index", int)
    _require(background == 0, "background_index", background, 0)
    sha256 = _get(data, "sha256", dict)
    for name in ("flatbuffer", "anchors"):
        _require(_is_digest(sha256.get(name)), f"sha256.{name}", sha256.get(name), "64 hexadecimal digits")
    _require(
        all(digest is None or _is_digest(digest) for digest in sha256.values()), "sha256", sha256, "hexadecimal digests"
    )
    for field in ("name", "quantization", "input.name"):
        text = _get(data, field, str)
        _require(len(text) <= _MAX_TEXT, field, text, f"at most {_MAX_TEXT} characters")
    class_heads, box_heads = _heads(_get(data, "heads", list), network)
    return Metadata(
        name=_get(data, "name", str),
        network=network,
        input_name=_get(data, "input.name", str),
        class_heads=class_heads,
        box_heads=box_heads,
        defaults=_defaults(data),
        quantization=_get(data, "quantization", str),
        sha256=sha256,
        raw=data,
    )


def _defaults(data: Mapping[str, Any]) -> Defaults:
    score = _get(data, "defaults.score_threshold", float)
    iou = _get(data, "defaults.iou_threshold", float)
    max_detections = _get(data, "defaults.max_detections", int)
    _require(0 <= score <= 1, "defaults.score_threshold", score, "0 to 1")
    _require(0 <= iou <= 1, "defaults.iou_threshold", iou, "0 to 1")
    _require(max_detections >= 1, "defaults.max_detections", max_detections, "1 or more")
    return Defaults(score, iou, max_detections)


def _heads(rows: list[Any], network: Network) -> tuple[tuple[HeadSpec, ...], tuple[HeadSpec, ...]]:
    """Return the class heads and the box heads, one of each per level, after a check of their shapes."""
    heads: dict[tuple[str, int], HeadSpec] = {}
    for i, row in enumerate(rows[: 2 * len(network.levels) + 1]):
        where = f"heads[{i}]"
        if not isinstance(row, dict):
            raise BundleError(f"edge_ssd.json: {where} must be an object, got {_short(row)}")
        level, kind = _get(row, "level", int, where), _get(row, "kind", str, where)
        _require(kind in ("classes", "boxes"), f"{where}.kind", kind, "classes or boxes")
        _require(0 <= level < len(network.levels), f"{where}.level", level, f"0 to {len(network.levels) - 1}")
        sizes = (_get(row, name, int, where) for name in ("height", "width", "anchors_per_cell"))
        head = HeadSpec(level, kind, _get(row, "output", str, where), *sizes)
        own = network.levels[level]
        shape = (head.height, head.width, head.anchors_per_cell)
        expected = (own.height, own.width, own.anchors_per_cell)
        _require(shape == expected, f"{where} height, width, anchors_per_cell", shape, expected)
        heads[kind, level] = head
    complete = len(rows) == len(heads) == 2 * len(network.levels)
    if not complete or len({head.output for head in heads.values()}) != len(heads):
        raise BundleError(
            f"edge_ssd.json: heads must name one output for the classes and one for the boxes of each of "
            f"{len(network.levels)} levels"
        )
    levels = range(len(network.levels))
    return tuple(heads["classes", i] for i in levels), tuple(heads["boxes", i] for i in levels)


def _get(data: Mapping[str, Any], path: str, kind: type, where: str = "") -> Any:
    """Return the value at a dotted path, checked to be of type ``kind``; an integer is a valid float."""
    value: Any = data
    name = f"{where}.{path}" if where else path
    for key in path.split("."):
        if not isinstance(value, dict) or key not in value:
            raise BundleError(f"edge_ssd.json: {name} is missing")
        value = value[key]
    if kind is float and isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**53:
        return float(value)
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise BundleError(f"edge_ssd.json: {name} must be {_KINDS[kind]}, got {_short(value)}")
    return value


_KINDS = {int: "a whole number", float: "a number", str: "text", dict: "an object", list: "a list"}


def _require(condition: bool, name: str, actual: object, expected: object) -> None:
    if not condition:
        raise BundleError(f"edge_ssd.json: {name} is {_short(actual)}, expected {_short(expected)}")


def _is_digest(value: object) -> bool:
    return isinstance(value, str) and _SHA256.fullmatch(value) is not None


def _short(value: object) -> str:
    """Return a value as one line of at most 80 characters, for messages."""
    text = value if isinstance(value, str) and value.isprintable() else repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
