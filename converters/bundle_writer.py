"""Write a bundle: the flatbuffer, then a ZIP with what is needed to use it.

The same content gives the same bytes: entries are stored, not packed (some readers of TFLite's metadata refuse
packed ones), dated 1980-01-01 (ZIP's zero), and nothing about the time or the machine goes in. What is packed is
inside one of them: the self-test's arrays.
:mod:`edge_ssd.runtime.bundle` describes the format and reads it.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from converters.export import INPUT_NAME, heads_of
from edge_ssd.network import Network
from edge_ssd.runtime.bundle import (
    ENTRY_ANCHORS,
    ENTRY_LABELS,
    ENTRY_METADATA,
    ENTRY_SELFTEST,
    FORMAT_VERSION,
    Defaults,
    SelfTest,
)
from edge_ssd.runtime.selftest import image_differences

__all__ = ["BundleContent", "bundle_bytes"]

_ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)
_LEVEL = 9  # stated, so that the bytes are not the library's choice
_UNIX = 3  # ZipInfo would note the system it runs on
_READABLE = 0o100644 << 16


@dataclass(frozen=True, eq=False)
class BundleContent:
    """What goes into a bundle.

    Attributes:
        name: of the model, for people.
        flatbuffer: the TFLite model with its metadata.
        quantization: the scheme it was converted with.
        calibration_sha256: digest of the list of calibration pictures; None where none were needed.
        tools: name and version of what made it.
        accuracy: {"float": …, "quantized": …, "data": …}, or None where it was not measured.
    """

    name: str
    network: Network
    flatbuffer: bytes
    quantization: str
    defaults: Defaults
    selftest: SelfTest
    calibration_sha256: str | None
    tools: Mapping[str, str]
    accuracy: Mapping[str, Any] | None


def bundle_bytes(content: BundleContent) -> bytes:
    """The whole file."""
    anchors = _npy(content.network.anchors().astype("<f4"))
    entries = {
        ENTRY_METADATA: _metadata(content, anchors),
        ENTRY_ANCHORS: anchors,
        ENTRY_LABELS: "".join(f"{label}\n" for label in content.network.labels).encode(),
        ENTRY_SELFTEST: _selftest(content.selftest),
    }
    return content.flatbuffer + _zip(entries, start=len(content.flatbuffer))


def _metadata(content: BundleContent, anchors: bytes) -> bytes:
    data = {
        "format_version": FORMAT_VERSION,
        "name": content.name,
        "network": content.network.to_dict(),
        "input": {"name": INPUT_NAME, "dtype": "uint8"},
        "heads": heads_of(content.network),
        "background_index": 0,
        "defaults": asdict(content.defaults),
        "labels": list(content.network.labels),
        "sha256": {
            "flatbuffer": hashlib.sha256(content.flatbuffer).hexdigest(),
            "anchors": hashlib.sha256(anchors).hexdigest(),
            "calibration": content.calibration_sha256,
        },
        "quantization": content.quantization,
        "tools": dict(content.tools),
        "accuracy": None if content.accuracy is None else dict(content.accuracy),
    }
    return (json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def _selftest(selftest: SelfTest) -> bytes:
    arrays = {
        "image_differences": image_differences(selftest.image.astype("|u1")),
        "xyxy": selftest.xyxy.astype("<f4"),
        "confidence": selftest.confidence.astype("<f4"),
        "class_id": selftest.class_id.astype("<i8"),
        "score_threshold": np.array(selftest.score_threshold, "<f8"),
    }
    return _zip({f"{name}.npy": _npy(array) for name, array in arrays.items()}, packed=True)


def _npy(array: npt.NDArray[Any]) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array(file, np.ascontiguousarray(array) if array.ndim else array, (1, 0), allow_pickle=False)
    return file.getvalue()


def _zip(entries: Mapping[str, bytes], start: int = 0, packed: bool = False) -> bytes:
    """A ZIP archive to be put at byte ``start`` of a file: its directory counts from the file's beginning."""
    file = io.BytesIO(bytes(start))
    method = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
    with zipfile.ZipFile(file, "a") as archive:
        for name, data in entries.items():
            info = zipfile.ZipInfo(name, _ZIP_EPOCH)
            info.create_system, info.external_attr = _UNIX, _READABLE
            archive.writestr(info, data, method, _LEVEL if packed else None)
    return file.getvalue()[start:]
