"""Write a bundle: the TFLite model, followed by a ZIP archive with the data needed to use it.

The same content gives the same bytes: nothing depends on the time or the machine.
:mod:`edge_ssd.runtime.bundle` describes the format and reads it.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from converters.bundle.stored_zip import stored_zip
from converters.quantization.calibration import Calibration
from converters.quantization.inference_model import INPUT_NAME, describe_heads
from edge_ssd.console.counts import count
from edge_ssd.data.held_out import HeldOut
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
from edge_ssd.runtime.selftest import delta_encode

__all__ = ["BundleContent", "bundle_bytes", "embeddable_held_out"]

_log = logging.getLogger(__name__)

# A device reads the description at every start, and refuses one of more than 1 MiB.
_MAX_HELD_OUT_BYTES = 256 * 2**10


@dataclass(frozen=True, eq=False)
class BundleContent:
    """Content of a bundle with the display name ``name`` and the scheme ``quantization``, such as "int8".

    Attributes:
        flatbuffer: the TFLite model with its metadata.
        calibration: the calibration images; None for a scheme that needs none.
        kept_layers: name of a layer → "float" or "int16", for the layers that are not int8.
        tools: name of a software package → the version that made the bundle.
        accuracy: average precision {"float": …, "quantized": …, "data": name of the dataset}; None if not measured.
        held_out: the images that training did not train on; None if unknown.
        weights_sha256: digest of the float model's weights, see :mod:`converters.bundle.weights_digest`; None if
            unknown.
    """

    name: str
    network: Network
    flatbuffer: bytes
    quantization: str
    defaults: Defaults
    selftest: SelfTest
    calibration: Calibration | None
    kept_layers: Mapping[str, str]
    tools: Mapping[str, str]
    accuracy: Mapping[str, Any] | None
    held_out: HeldOut | None = None
    weights_sha256: str | None = None


def embeddable_held_out(held_out: HeldOut | None) -> HeldOut | None:
    """Return ``held_out``, or None (which is logged) if its names are too long for a bundle."""
    if held_out is None:
        return None
    size = len(json.dumps(held_out.to_dict(), ensure_ascii=False).encode())
    if size <= _MAX_HELD_OUT_BYTES:
        return held_out
    _log.warning(
        "the names of the %s take %.1f MB: not in the file; 'edge-ssd verify' reads them from the .keras model",
        count(len(held_out.names), "held-out image"),
        size / 1e6,
    )
    return None


def bundle_bytes(content: BundleContent) -> bytes:
    """Return the bytes of the bundle's file: the flatbuffer, followed by a ZIP archive of the other content."""
    anchors = _npy(content.network.anchors().astype("<f4"))
    entries = {
        ENTRY_METADATA: _metadata(content, anchors),
        ENTRY_ANCHORS: anchors,
        ENTRY_LABELS: "".join(f"{label}\n" for label in content.network.labels).encode(),
        ENTRY_SELFTEST: _selftest(content.selftest),
    }
    return content.flatbuffer + stored_zip(entries, start=len(content.flatbuffer))


def _metadata(content: BundleContent, anchors: bytes) -> bytes:
    calibration = content.calibration
    data = {
        "format_version": FORMAT_VERSION,
        "name": content.name,
        "network": content.network.to_dict(),
        "input": {"name": INPUT_NAME, "dtype": "uint8"},
        "heads": describe_heads(content.network),
        "background_index": 0,
        "defaults": asdict(content.defaults),
        "labels": list(content.network.labels),
        "sha256": {
            "flatbuffer": hashlib.sha256(content.flatbuffer).hexdigest(),
            "anchors": hashlib.sha256(anchors).hexdigest(),
            "calibration": None if calibration is None else calibration.sha256,
            "weights": content.weights_sha256,
        },
        "quantization": content.quantization,
        "kept_layers": dict(content.kept_layers),
        "calibration": None if calibration is None else {"seed": calibration.seed, "images": list(calibration.names)},
        "tools": dict(content.tools),
        "accuracy": None if content.accuracy is None else dict(content.accuracy),
        **({} if content.held_out is None else {"held_out": content.held_out.to_dict()}),
    }
    return (json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def _selftest(selftest: SelfTest) -> bytes:
    detections = selftest.detections
    arrays = {
        "image_differences": delta_encode(selftest.image.astype("|u1")),
        "xyxy": detections.xyxy.astype("<f4"),
        "confidence": detections.confidence.astype("<f4"),
        "class_id": detections.class_id.astype("<i8"),
        "score_threshold": np.array(selftest.score_threshold, "<f8"),
    }
    return stored_zip({f"{name}.npy": _npy(array) for name, array in arrays.items()}, deflated=True)


def _npy(array: npt.NDArray[Any]) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array(file, np.ascontiguousarray(array) if array.ndim else array, (1, 0), allow_pickle=False)
    return file.getvalue()
