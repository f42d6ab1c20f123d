"""Network description, shared by training, conversion and the device.

It defines the input (:class:`InputSpec`), the anchors of each feature level (:class:`Level`), the box coding
(:class:`~edge_ssd.coding.BoxCoding`), the labels, and the channels of the layers, and is their only source.
"""

from __future__ import annotations

import itertools
import numbers
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, cast, get_args

import numpy as np

from edge_ssd.anchors import multibox_prior
from edge_ssd.boxes import FloatArray
from edge_ssd.checks import shortened
from edge_ssd.coding import BoxCoding
from edge_ssd.errors import NetworkError

__all__ = [
    "BOOK_RATIOS",
    "BOOK_SIZES",
    "MAX_LABELS",
    "MAX_LABEL_LENGTH",
    "NETWORKS",
    "DownSampling",
    "InputSpec",
    "Level",
    "Network",
    "Resampling",
    "ResizeMode",
    "tiny_ssd",
]

ResizeMode = Literal["stretch", "letterbox"]
Resampling = Literal["halve-bilinear", "pillow-bilinear"]
DownSampling = Literal["pool", "stride"]

# d2l, "Single Shot Multibox Detection": one row per level.
BOOK_SIZES = ((0.2, 0.272), (0.37, 0.447), (0.54, 0.619), (0.71, 0.79), (0.88, 0.961))
BOOK_RATIOS = (1.0, 2.0, 0.5)
_BOOK_BASE, _BOOK_BLOCK = (16, 32, 64), 128

NETWORKS: Mapping[str, Mapping[str, Any]] = {
    "book": {},
    "small": {"down_sampling": "stride", "width": 0.75},
    "nano": {"down_sampling": "stride", "width": 0.5},
}
"""Named networks as options of :func:`tiny_ssd`, the slowest first."""

_DOWN_SAMPLING = ("pool", "stride")  # the first is the book's
_EARLIER_INPUT = {"resampling": "pillow-bilinear"}  # of descriptions that lack the field
# Fields of earlier descriptions, with the only values that are still supported: the book's.
_REMOVED_FIELDS = {"convolution": "plain", "head": "plain", "block_convolutions": 2}

_MAX_SIDE = 4096
_MAX_FACTOR = 2.0**53  # an integer of a file may have thousands of digits, too many for a float
_MAX_ANCHORS = 1_000_000
MAX_LABELS = 10_000
"""The most classes of a network."""
MAX_LABEL_LENGTH = 256
"""The most characters of a label: labels are drawn, logged and parts of MQTT topics."""
_MAX_OUTPUTS = 2**27  # class logits and box offsets of an image; 512 MB


@dataclass(frozen=True)
class InputSpec:
    """Input of the network: an RGB image of ``height`` × ``width`` pixels, scaled to ``pixel * scale + offset``.

    ``resize`` is "stretch", or "letterbox", which keeps an image's aspect ratio and fills the rest with gray.
    ``resampling`` is the method that computes the pixels, see :mod:`edge_ssd.runtime.resize`.
    """

    height: int = 256
    width: int = 256
    scale: float = 1 / 255
    offset: float = 0.0
    resize: ResizeMode = "stretch"
    resampling: Resampling = "halve-bilinear"

    def __post_init__(self) -> None:
        for name, value in (("height", self.height), ("width", self.width)):
            if not _is_int(value) or not 32 <= value <= _MAX_SIDE:
                raise NetworkError(f"input {name} must be a whole number from 32 to {_MAX_SIDE}, got {value!r}")
        are_numbers = _is_number(self.scale) and _is_number(self.offset)
        if not are_numbers or not 0 < self.scale < _MAX_FACTOR or not abs(self.offset) < _MAX_FACTOR:
            raise NetworkError(
                "input scale and offset must be finite, scale positive; got "
                f"{shortened(self.scale)}, {shortened(self.offset)}"
            )
        if self.resize not in ("stretch", "letterbox"):
            raise NetworkError(f"resize mode must be 'stretch' or 'letterbox', got {self.resize!r}")
        if self.resampling not in get_args(Resampling):
            known = ", ".join(get_args(Resampling))
            raise NetworkError(f"resampling must be one of {known}; got {self.resampling!r}: upgrade edge-ssd")

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return self.height, self.width


@dataclass(frozen=True)
class Level:
    """Feature map of ``height`` × ``width`` cells; anchor ``sizes`` and ``ratios`` as for :func:`multibox_prior`."""

    height: int
    width: int
    sizes: tuple[float, ...]
    ratios: tuple[float, ...] = BOOK_RATIOS

    def __post_init__(self) -> None:
        for name, value in (("height", self.height), ("width", self.width)):
            if not _is_int(value) or not 1 <= value <= _MAX_SIDE:
                raise NetworkError(f"level {name} must be a whole number from 1 to {_MAX_SIDE}, got {value!r}")
        for name, values in (("sizes", self.sizes), ("ratios", self.ratios)):
            listed = isinstance(values, (tuple, list)) and 1 <= len(values) <= 64
            if not listed or not all(_is_number(value) and 0 < value < 100 for value in values):
                raise NetworkError(f"anchor {name} must be 1 to 64 numbers between 0 and 100, got {shortened(values)}")

    @property
    def anchors_per_cell(self) -> int:
        return len(self.sizes) + len(self.ratios) - 1

    @property
    def num_anchors(self) -> int:
        return self.height * self.width * self.anchors_per_cell

    def anchors(self) -> FloatArray:
        """Return the anchors, float32 [num_anchors, 4], xyxy in 0–1 of the input."""
        return multibox_prior(self.height, self.width, self.sizes, self.ratios)


@dataclass(frozen=True)
class Network:
    """Complete description of a TinySSD, built with :func:`tiny_ssd`.

    Attributes:
        labels: class names; class id ``i`` is ``labels[i]``. Background has no id.
        base_channels: channels of the base net's down-sampling blocks, the stem first; the last gives the first level.
        block_channels: channels of each down-sampling block after the base net, one per further level.
        down_sampling: a block halves its map at its end by max pooling ("pool", the book's), or at its beginning by
            the "stride" of its first convolution, which makes its other layers four times cheaper.
        top_down: the heads of each level but the last two read the sum of its map and the up-sampled map of the next
            coarser level, see ``TinySSD.add_coarser``.
    """

    labels: tuple[str, ...]
    levels: tuple[Level, ...]
    input: InputSpec = field(default_factory=InputSpec)
    coding: BoxCoding = field(default_factory=BoxCoding)
    base_channels: tuple[int, ...] = _BOOK_BASE
    block_channels: tuple[int, ...] = (_BOOK_BLOCK,) * 3
    down_sampling: DownSampling = "pool"
    top_down: bool = False

    def __post_init__(self) -> None:
        for name in ("labels", "levels", "base_channels", "block_channels"):
            if not isinstance(getattr(self, name), tuple):
                raise NetworkError(f"{name} of a network must be a tuple, got {shortened(getattr(self, name))}")
        kinds = [("each level", Level, level) for level in self.levels]
        for name, kind, value in (*kinds, ("input", InputSpec, self.input), ("coding", BoxCoding, self.coding)):
            if not isinstance(value, kind):
                raise NetworkError(f"{name} of a network must be of type {kind.__name__}, got {shortened(value)}")
        if not 1 <= len(self.labels) <= MAX_LABELS:
            raise NetworkError(f"a network needs 1 to {MAX_LABELS} labels, got {len(self.labels)}")
        if not all(isinstance(label, str) and label.strip() and "\n" not in label for label in self.labels):
            raise NetworkError(f"every label must be one line of text, got {shortened(list(self.labels))}")
        if any(max(label) >= "\ud800" and _has_surrogates(label) for label in self.labels):
            raise NetworkError("a label is not valid Unicode (lone surrogates); rename the class")
        if (longest := max(map(len, self.labels))) > MAX_LABEL_LENGTH:
            raise NetworkError(
                f"a label has {longest} characters, at most {MAX_LABEL_LENGTH} are possible; rename the class"
            )
        if len(set(self.labels)) != len(self.labels):
            raise NetworkError(f"every label must occur once, got {shortened(list(self.labels))}")
        for name, channels in (("base_channels", self.base_channels), ("block_channels", self.block_channels)):
            if not channels or not all(_is_int(value) and 1 <= value <= 4096 for value in channels):
                raise NetworkError(f"{name} must be whole numbers from 1 to 4096, got {channels!r}")
        if self.down_sampling not in _DOWN_SAMPLING:
            raise NetworkError(f"down_sampling must be one of {', '.join(_DOWN_SAMPLING)}; got {self.down_sampling!r}")
        if not isinstance(self.top_down, bool):
            raise NetworkError(f"top_down must be true or false, got {shortened(self.top_down)}")
        if sum(level.num_anchors for level in self.levels) > _MAX_ANCHORS:
            raise NetworkError(f"more than {_MAX_ANCHORS} anchors")
        if self.num_anchors * (len(self.labels) + 5) > _MAX_OUTPUTS:
            raise NetworkError(f"{self.num_anchors} anchors of {len(self.labels)} labels are too many")
        expected = _map_sizes(self.input.size, len(self.base_channels), len(self.block_channels), self.down_sampling)
        actual = [(level.height, level.width) for level in self.levels]
        if actual != expected:
            raise NetworkError(
                f"an input of {self.input.height}x{self.input.width} gives feature maps {expected}, not {actual}"
            )

    @property
    def num_classes(self) -> int:
        return len(self.labels)

    @property
    def num_anchors(self) -> int:
        return sum(level.num_anchors for level in self.levels)

    def anchors(self) -> FloatArray:
        """Return the anchors of all levels, float32 [num_anchors, 4], xyxy in 0–1 of the input, not clipped."""
        return np.concatenate([level.anchors() for level in self.levels])

    def to_dict(self) -> dict[str, Any]:
        """Return the description as plain JSON types, for :meth:`from_dict`."""
        description = asdict(self)
        if not self.top_down:  # as in descriptions of earlier versions
            del description["top_down"]
        return description

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Network:
        """Build a network from a result of :meth:`to_dict`, also of earlier versions; raise NetworkError if invalid."""
        try:
            network = cls(
                labels=_listed(data["labels"]),
                levels=tuple(
                    Level(row["height"], row["width"], _floats(row["sizes"]), _floats(row["ratios"]))
                    for row in data["levels"]
                ),
                input=InputSpec(**{**_EARLIER_INPUT, **data["input"]}),
                coding=BoxCoding(**data["coding"]),
                base_channels=_listed(data["base_channels"]),
                block_channels=_listed(data["block_channels"]),
                # Earlier descriptions lack these.
                down_sampling=data.get("down_sampling", _DOWN_SAMPLING[0]),
                top_down=data.get("top_down", False),
            )
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            if isinstance(error, NetworkError):
                raise
            reason = " ".join(str(error).split())  # may quote a key with line breaks
            raise NetworkError(f"not a network description: {type(error).__name__}: {reason}") from None
        for name, value in _REMOVED_FIELDS.items():
            if data.get(name, value) != value:
                raise NetworkError(
                    f"{name} is {data[name]!r}: separable convolutions are no longer supported, nor other than 2 "
                    "convolutions in a block; train the network again"
                )
        return network


def tiny_ssd(
    labels: Sequence[str],
    *,
    input_size: tuple[int, int] = (256, 256),
    width: float = 1.0,
    base_channels: Sequence[int] = _BOOK_BASE,
    block_channels: Sequence[int] | None = None,
    sizes: Sequence[Sequence[float]] | None = None,
    ratios: Sequence[float] | Sequence[Sequence[float]] = BOOK_RATIOS,
    input_scale: float = 1 / 255,
    resize: ResizeMode = "stretch",
    down_sampling: DownSampling = "pool",
    top_down: bool = False,
) -> Network:
    """Describe a TinySSD; the defaults are the book's network (with its input scaled to 0–1).

    Args:
        labels: class names, in the order of the class ids.
        input_size: (height, width) in pixels.
        width: channel multiplier; 0.5 halves every layer (rounded to multiples of 8).
        base_channels, block_channels: channels of each block before and after the first level, before ``width`` is
            applied. Each further block adds a level. None: blocks of 128 channels, as many as ``sizes`` needs.
        sizes: anchor sizes (0.2 is a fifth of the input), a row per level. None: the book's, extended to all levels.
        ratios: width / height of the anchors, one row for all levels or one row per level.
        input_scale: factor of the pixels inside the network; 1 is the book's.
        resize, down_sampling, top_down: see :class:`InputSpec` and :class:`Network`.
    """
    if not _is_number(width) or not 0 < width < _MAX_FACTOR:
        raise NetworkError(f"width must be a positive number, got {shortened(width)}")
    if isinstance(labels, str):
        raise NetworkError(f"labels must be a list of texts, got {shortened(labels)}: [{shortened(labels)}]")
    labels, base_channels, ratios = _row("labels", labels), _row("base_channels", base_channels), _row("ratios", ratios)
    input_size = _size("input_size", input_size)
    if block_channels is not None:
        block_channels = _row("block_channels", block_channels)
    if sizes is not None:
        sizes = _row("sizes", sizes)

    def scaled(channels: int) -> int:
        if not _is_int(channels):
            raise NetworkError(f"channels must be whole numbers, got {shortened(channels)}")
        return max(8, round(channels * width / 8) * 8) if width != 1 else channels

    if not base_channels:
        raise NetworkError("base_channels must have at least one block")
    if not ratios:
        raise NetworkError("ratios must have at least one number")
    if block_channels is None:
        block_channels = [_BOOK_BLOCK] * (3 if sizes is None else len(sizes) - 2)
    if sizes is None:
        sizes = _book_sizes(len(block_channels) + 2)
    maps = _map_sizes(input_size, len(base_channels), len(block_channels), down_sampling)
    rows = [ratios] * len(maps) if _is_number(ratios[0]) else ratios
    if not len(maps) == len(sizes) == len(rows) >= 3:
        raise NetworkError(
            f"need at least 3 levels, and a row of sizes and of ratios for each: got {len(block_channels)} blocks for "
            f"{len(block_channels) + 2} levels, {len(sizes)} rows of sizes, {len(rows)} of ratios"
        )
    return Network(
        labels=tuple(labels),
        levels=tuple(
            Level(height, cells, _floats(size), _floats(cast(Sequence[float], ratio)))
            for (height, cells), size, ratio in zip(maps, sizes, rows, strict=True)
        ),
        input=InputSpec(*input_size, scale=input_scale, resize=resize),
        base_channels=tuple(scaled(channels) for channels in base_channels),
        block_channels=tuple(scaled(channels) for channels in block_channels),
        down_sampling=down_sampling,
        top_down=top_down,
    )


def _map_sizes(
    input_size: tuple[int, int], num_base: int, num_blocks: int, down_sampling: DownSampling
) -> list[tuple[int, int]]:
    """Return (height, width) of every level: each block halves the map, the last level is one cell."""
    height, width = input_size
    if min(height, width) >> num_base + num_blocks < 1:
        raise NetworkError(f"an input of {height}x{width} is too small for {num_base + num_blocks} halvings")
    rounding = int(down_sampling == "stride")  # pooling rounds down, a stride rounds up
    maps = []
    for halvings in range(1, num_base + num_blocks + 1):
        height, width = (height + rounding) // 2, (width + rounding) // 2
        if halvings >= num_base:
            maps.append((height, width))
    return [*maps, (1, 1)]


def _book_sizes(num_levels: int) -> Sequence[Sequence[float]]:
    """Return the book's anchor sizes: from 0.2 to 0.88 in equal steps, each with the geometric mean to the next."""
    if num_levels == len(BOOK_SIZES) or num_levels < 3:
        return BOOK_SIZES
    step = (0.88 - 0.2) / (num_levels - 1)
    sizes = [0.2 + step * level for level in range(num_levels + 1)]
    return [(round(size, 3), round((size * following) ** 0.5, 3)) for size, following in itertools.pairwise(sizes)]


def _floats(values: Sequence[float]) -> tuple[float, ...]:
    try:
        return tuple(float(value) for value in values)
    except (TypeError, ValueError, OverflowError):
        raise NetworkError(f"anchor sizes and ratios must be lists of numbers, got {shortened(values)}") from None


def _row(name: str, values: Any) -> tuple[Any, ...]:
    """Return a sequence as a tuple, with Python's numbers for NumPy's; raise NetworkError if it is none."""
    if isinstance(values, (str, bytes, Mapping)) or not isinstance(values, Iterable):
        raise NetworkError(f"{name} must be a list, got {shortened(values)}")
    return tuple(value.item() if isinstance(value, np.generic) else value for value in values)


def _size(name: str, values: Any) -> tuple[int, int]:
    row = _row(name, values)
    if len(row) != 2 or not all(_is_int(value) for value in row):
        raise NetworkError(f"{name} must be (height, width) in whole pixels, got {shortened(values)}")
    return row[0], row[1]


def _listed(value: object) -> tuple[Any, ...]:
    # Strings and dicts are iterable too, and would silently become labels.
    if not isinstance(value, (list, tuple)):
        raise TypeError(f"expected a list, got {value!r}")
    return tuple(value)


def _has_surrogates(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool)
