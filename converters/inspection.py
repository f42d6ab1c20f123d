"""Facts about a ``.tflite`` file as plain JSON types. Works on the device, without TensorFlow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from converters.tflite.compatibility import graph_to_dict
from converters.tflite.operators import read_graph
from edge_ssd.errors import BundleError
from edge_ssd.runtime.bundle import ENTRY_METADATA, FLATBUFFER_IDENTIFIER, Bundle, read_bundle

__all__ = ["inspect_bundle", "inspect_graph", "inspect_tflite"]

_MAX_FILE_BYTES = 256 * 2**20

# Fields that the file adds of its own would stand beside what is found here, such as the result of a self-test.
_STATED = (
    *("format_version", "name", "network", "input", "heads", "background_index", "defaults", "labels", "sha256"),
    *("quantization", "kept_layers", "calibration", "tools", "accuracy", "held_out"),
)


def inspect_bundle(bundle: Bundle) -> dict[str, Any]:
    """Return a bundle's path, size, description and self-test (without arrays), its operators, and where they run.

    Of the description, only the fields that the converter writes are returned.
    """
    selftest = bundle.selftest
    return {
        "file": str(bundle.path),
        "bytes": bundle.path.stat().st_size,
        "file_sha256": bundle.sha256,
        **{name: bundle.metadata[name] for name in _STATED if name in bundle.metadata},
        "embedded_selftest": {
            "objects": len(selftest.detections),
            "score_threshold": selftest.score_threshold,
            "labels": list(selftest.detections.names),
        },
        **graph_to_dict(read_graph(bundle.flatbuffer)),
    }


def inspect_graph(path: Path) -> dict[str, Any]:
    """Return the operators of a file that has been checked, and where they run, as plain JSON types."""
    return graph_to_dict(read_graph(path.read_bytes()))


def inspect_tflite(path: Path) -> dict[str, Any] | None:
    """Return plain JSON types, the operators and the supporting runtimes, of a TFLite model that is not a bundle.

    Return None for a bundle and for a damaged file: :func:`edge_ssd.runtime.bundle.read_bundle` reads it or raises.
    """
    if not path.is_file() or path.stat().st_size > _MAX_FILE_BYTES:
        return None
    data = path.read_bytes()
    if data[4:8] != FLATBUFFER_IDENTIFIER or ENTRY_METADATA.encode() in data:
        return None
    try:
        read_bundle(path)
    except BundleError as error:
        try:
            graph = graph_to_dict(read_graph(data))
        except BundleError as fault:
            raise BundleError(f"{path}: {fault}") from None
        return {"file": str(path), "bytes": len(data), "bundle": str(error), **graph}
    return None
