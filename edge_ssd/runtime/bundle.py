"""Bundle: one ``.tflite`` file with everything that a detector needs.

It is a TFLite flatbuffer, valid for any TFLite runtime, with a ZIP archive appended, as in TFLite's own metadata
convention for associated files. The archive's entries are stored, not compressed:

    edge_ssd.json   the network's description, the heads' output names, thresholds, labels, digests, measured accuracy
    anchors.npy     the anchor table, float32 [A, 4]
    labels.txt      one label per line
    selftest.npz    an image and the detections in it on the converter's machine, see :mod:`edge_ssd.runtime.selftest`

The reader trusts nothing: sizes are bounded before reading, every field is checked, and the flatbuffer's SHA-256 is
verified before an interpreter gets it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, Union

import numpy as np

from edge_ssd.boxes import FloatArray
from edge_ssd.checks import shortened
from edge_ssd.console.text import shown_name
from edge_ssd.errors import BundleError, SettingError
from edge_ssd.network import Network
from edge_ssd.runtime.archive import read_archive, read_array
from edge_ssd.runtime.metadata import FORMAT_VERSION, Defaults, HeadSpec, Metadata, parse_metadata
from edge_ssd.runtime.selftest import SelfTest, read_selftest

if TYPE_CHECKING:
    from pathlib import Path

__all__ = [
    "ENTRY_ANCHORS",
    "ENTRY_LABELS",
    "ENTRY_METADATA",
    "ENTRY_SELFTEST",
    "FLATBUFFER_IDENTIFIER",
    "FORMAT_VERSION",
    "Bundle",
    "BundleSource",
    "Defaults",
    "HeadSpec",
    "Readable",
    "SelfTest",
    "read_bundle",
]

ENTRY_METADATA = "edge_ssd.json"
ENTRY_ANCHORS = "anchors.npy"
ENTRY_LABELS = "labels.txt"
ENTRY_SELFTEST = "selftest.npz"

FLATBUFFER_IDENTIFIER = b"TFL3"  # at bytes 4–8 of every TFLite file

_MAX_FILE = 256 * 2**20
_LIMITS = {ENTRY_METADATA: 2**20, ENTRY_ANCHORS: 32 * 2**20, ENTRY_LABELS: 2**20, ENTRY_SELFTEST: 16 * 2**20}
_ANCHOR_TOLERANCE = 1e-6


class Readable(Protocol):
    """File in memory or in an archive, such as a traversable of :mod:`importlib.resources`."""

    def read_bytes(self) -> bytes:
        """Return its content."""


BundleSource = Union[str, "os.PathLike[str]", bytes, bytearray, memoryview, Readable]


@dataclass(frozen=True, eq=False)
class Bundle:
    """Validated bundle: a TFLite model with its metadata, anchors and self-test.

    Attributes:
        source: what it was read from, for messages: a path, or "model data".
        flatbuffer: the TFLite model, whose digest has been verified.
        anchors: float32 [A, 4], xyxy in 0–1 of the input; equal to ``network.anchors()`` within 1e-6.
        details: the metadata, some of which is also available as properties.
        sha256: digest of the whole file in hexadecimal, as ``sha256sum`` prints it.
    """

    source: str
    flatbuffer: bytes = field(repr=False)
    anchors: FloatArray = field(repr=False)
    details: Metadata = field(repr=False)
    sha256: str = field(repr=False)
    _selftest: bytes = field(repr=False)
    _is_file: bool = field(default=True, repr=False)

    @property
    def path(self) -> Path:
        """Path of the file; BundleError if it was read from something else, see :attr:`source`."""
        from pathlib import Path  # here: its import takes a tenth of the time to the first detection

        if not self._is_file:
            raise BundleError(f"{shown_name(self.source)}: was not read from a file, so it has no path")
        return Path(self.source)

    @property
    def name(self) -> str:
        return self.details.name

    @property
    def network(self) -> Network:
        return self.details.network

    @property
    def labels(self) -> tuple[str, ...]:
        return self.network.labels

    @property
    def heads(self) -> tuple[HeadSpec, ...]:
        """Descriptions of all outputs, level by level, the class head before the box head."""
        pairs = zip(self.details.class_heads, self.details.box_heads, strict=True)
        return tuple(head for pair in pairs for head in pair)

    @property
    def defaults(self) -> Defaults:
        return self.details.defaults

    @property
    def metadata(self) -> Mapping[str, Any]:
        """Content of the bundle's ``edge_ssd.json``, plain JSON types."""
        return self.details.raw

    @property
    def selftest(self) -> SelfTest:
        """The embedded image and its detections, read at each access; raises BundleError if the entry is damaged."""
        try:
            return read_selftest(self._selftest, self.network)
        except BundleError as error:
            raise BundleError(f"{shown_name(self.source)}: {ENTRY_SELFTEST}: {error}") from None


def read_bundle(source: BundleSource) -> Bundle:
    """Read and validate a bundle.

    Args:
        source: path of the file, name of a shipped model, content of the file as bytes, or an object with
            ``read_bytes()`` such as a traversable of :mod:`importlib.resources`.

    Raises:
        BundleError: it is missing, damaged or not a bundle.
        SettingError: ``source`` is none of these.
    """
    is_file = isinstance(source, (str, os.PathLike))
    if is_file:
        name = os.fsdecode(source)  # type: ignore[arg-type]
        if not os.path.isfile(name):  # noqa: PTH113 (os: see Bundle.path)
            from edge_ssd.runtime.shipped_models import find_model

            name = str(find_model(name))
    else:
        name = "model data" if isinstance(source, (bytes, bytearray, memoryview)) else shown_name(str(source))
    try:
        return _parse(name, _read_file(name) if is_file else _content(source), is_file)
    except BundleError as error:
        raise BundleError(f"{shown_name(name)}: {error}") from None


def _content(source: Any) -> bytes:
    if isinstance(source, (bytes, bytearray, memoryview)):
        return _checked(bytes(source))
    if not hasattr(source, "read_bytes"):
        hint = "; pass its content: .read()" if hasattr(source, "read") else ""
        raise SettingError(
            "a model must be a path, the name of a shipped model, bytes, a bundle or an importlib.resources "
            f"traversable, got {type(source).__name__}: {shortened(source)}{hint}"
        )
    try:
        return _checked(source.read_bytes())
    except (OSError, ValueError, KeyError) as error:  # KeyError: of a ZIP file without this entry
        raise BundleError(f"cannot be read ({error})") from None


def _read_file(path: str) -> bytes:
    try:
        packaged = None if os.path.isfile(path) else _packaged(path)  # noqa: PTH113 (os: see Bundle.path)
        if packaged is not None:
            return _checked(packaged)
        with open(path, "rb") as file:  # noqa: PTH123
            # Python reserves the memory of the size that it is asked for.
            data = file.read(min(os.fstat(file.fileno()).st_size, _MAX_FILE) + 1)
    except OSError as error:
        raise BundleError(f"cannot be read ({error.strerror or error})") from None
    return _checked(data)


def _packaged(path: str) -> bytes | None:
    """Return the content of a shipped model inside a ZIP file that holds the program; None for any other path."""
    from edge_ssd.runtime.shipped_models import packaged_content

    return packaged_content(path)


def _checked(data: bytes) -> bytes:
    if len(data) > _MAX_FILE:
        raise BundleError(f"is larger than {_MAX_FILE // 2**20} MB, the limit of a bundle")
    if data[4:8] != FLATBUFFER_IDENTIFIER:
        raise BundleError("is not a .tflite file; expected a bundle made with: edge-ssd convert")
    return data


def _parse(source: str, data: bytes, is_file: bool) -> Bundle:
    foreign = "is a .tflite but not an Edge SSD bundle; make one with: edge-ssd convert"
    try:
        archive = read_archive(data, _LIMITS)
    except BundleError as error:
        if ENTRY_METADATA.encode() not in data:
            raise BundleError(foreign) from None
        raise BundleError(f"is damaged or cut short: {error}; copy or convert it again") from None
    if ENTRY_METADATA not in archive.entries:
        raise BundleError(foreign)
    for name in _LIMITS:
        if name not in archive.entries:
            raise BundleError(f"is damaged: it lacks its entry {name}; convert it again")
    details = parse_metadata(archive.entries[ENTRY_METADATA])
    import hashlib  # here, since it is slow to import

    flatbuffer = data[: archive.start]
    digest = hashlib.sha256(flatbuffer)
    anchors_digest = hashlib.sha256(archive.entries[ENTRY_ANCHORS])
    for name, actual in (("flatbuffer", digest), ("anchors", anchors_digest)):
        if actual.hexdigest() != details.sha256[name]:
            raise BundleError(f"is damaged: the SHA-256 of its {name} does not match; copy or convert it again")
    digest.update(data[archive.start :])
    anchors = read_array(archive.entries[ENTRY_ANCHORS], ENTRY_ANCHORS, "<f4", (details.network.num_anchors, 4))
    with np.errstate(invalid="ignore", over="ignore"):
        difference = np.abs(anchors - details.network.anchors())
    if not (difference <= _ANCHOR_TOLERANCE).all():  # in this form NaN is rejected
        raise BundleError(f"{ENTRY_ANCHORS} is not the anchor table of the network that {ENTRY_METADATA} describes")
    labels = archive.entries[ENTRY_LABELS].decode("utf-8", "replace").removesuffix("\n").split("\n")
    if labels != list(details.network.labels):
        raise BundleError(f"{ENTRY_LABELS} and {ENTRY_METADATA} name different labels")
    return Bundle(source, flatbuffer, anchors, details, digest.hexdigest(), archive.entries[ENTRY_SELFTEST], is_file)
