"""Builds bundles for the reader's tests, independently of the converter: every part can be replaced by a bad one."""

from __future__ import annotations

import hashlib
import io
import json
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edge_ssd.network import Network

# What the reader takes for a flatbuffer. Interpreters refuse its empty root table; one of random bytes would crash
# tflite-runtime, which does not verify what it is given.
FLATBUFFER = struct.pack("<L", 28) + b"TFL3" + bytes(100) + bytes(range(100))


def npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def metadata(network: Network, flatbuffer: bytes = FLATBUFFER) -> dict[str, Any]:
    return {
        "format_version": 2,
        "name": "test",
        "network": json.loads(json.dumps(network.to_dict())),
        "input": {"name": "image", "dtype": "uint8"},
        "heads": [
            {
                "level": i,
                "kind": kind,
                "output": f"{kind}_{i}",
                "height": level.height,
                "width": level.width,
                "anchors_per_cell": level.anchors_per_cell,
            }
            for i, level in enumerate(network.levels)
            for kind in ("classes", "boxes")
        ],
        "background_index": 0,
        "defaults": {"score_threshold": 0.5, "iou_threshold": 0.5, "max_detections": 100},
        "labels": list(network.labels),
        "sha256": {
            "flatbuffer": hashlib.sha256(flatbuffer).hexdigest(),
            "anchors": hashlib.sha256(npy(network.anchors())).hexdigest(),
            "calibration": None,
        },
        "quantization": "int8",
        "tools": {"numpy": np.__version__},
        "accuracy": None,
    }


def selftest_arrays(network: Network) -> dict[str, np.ndarray]:
    return {
        "image": np.zeros((*network.input.size, 3), np.uint8),
        "xyxy": np.array([[10, 20, 30, 40]], np.float32),
        "confidence": np.array([0.75], np.float32),
        "class_id": np.array([0], np.int64),
        "score_threshold": np.array(0.5, np.float64),
    }


def selftest(network: Network, **replace: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **{**selftest_arrays(network), **replace})
    return buffer.getvalue()


def entries(network: Network, flatbuffer: bytes = FLATBUFFER) -> dict[str, bytes]:
    return {
        "edge_ssd.json": json.dumps(metadata(network, flatbuffer)).encode(),
        "anchors.npy": npy(network.anchors()),
        "labels.txt": ("\n".join(network.labels) + "\n").encode(),
        "selftest.npz": selftest(network),
    }


def write_bundle(
    path: Path,
    network: Network,
    flatbuffer: bytes = FLATBUFFER,
    replace: Mapping[str, bytes | None] | None = None,
    compression: int = zipfile.ZIP_STORED,
) -> Path:
    """Write a bundle; ``replace`` puts other bytes in an entry's place, or adds one, or (None) leaves it out."""
    path.write_bytes(flatbuffer)
    with zipfile.ZipFile(path, "a", compression) as archive:
        for name, content in {**entries(network, flatbuffer), **(replace or {})}.items():
            if content is not None:
                archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), content, compression)
    return path
