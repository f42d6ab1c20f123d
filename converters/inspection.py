"""What a ``.tflite`` says of itself, for a person and as JSON. Works on the device: no TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from converters.tflite.compatibility import graph_to_dict
from converters.tflite.operators import read_graph
from edge_ssd.errors import BundleError
from edge_ssd.runtime.bundle import ENTRY_METADATA, FLATBUFFER_IDENTIFIER, Bundle, read_bundle

__all__ = ["bundle_facts", "bundle_text", "foreign_facts", "foreign_text"]

_MAX_FILE = 256 * 2**20


def bundle_facts(bundle: Bundle) -> dict[str, Any]:
    """Everything in the bundle but its arrays, as plain JSON types."""
    selftest = bundle.selftest
    return {
        "file": str(bundle.path),
        "bytes": bundle.path.stat().st_size,
        **bundle.metadata,
        "embedded_selftest": {
            "objects": len(selftest.detections),
            "score_threshold": selftest.score_threshold,
            "labels": selftest.detections.names,
        },
        **graph_to_dict(read_graph(bundle.flatbuffer)),
    }


def foreign_facts(path: Path) -> dict[str, Any] | None:
    """The same of a TFLite model that is no bundle: its operators and where they run.

    None for everything else: a bundle, a damaged one, no TFLite model; :func:`edge_ssd.runtime.bundle.read_bundle`
    opens it or says what is wrong.
    """
    if not path.is_file() or path.stat().st_size > _MAX_FILE:
        return None
    data = path.read_bytes()
    if data[4:8] != FLATBUFFER_IDENTIFIER or ENTRY_METADATA.encode() in data:
        return None
    try:
        read_bundle(path)
    except BundleError as error:
        return {"file": str(path), "bytes": len(data), "bundle": str(error), **graph_to_dict(read_graph(data))}
    return None


def bundle_text(bundle: Bundle, facts: Mapping[str, Any]) -> str:
    """:func:`bundle_facts` for a person, with the result of a self-test if ``facts`` hold one."""
    spec, defaults = bundle.network.input, bundle.defaults
    maps = ", ".join(f"{level.height}×{level.width}" for level in bundle.network.levels)
    embedded = facts["embedded_selftest"]
    scaling = f"pixel · {spec.scale:.6g}{f' + {spec.offset:g}' if spec.offset else ''} inside the network"
    lines = [
        f"{bundle.path}: {bundle.name}, {facts['bytes'] / 1e6:.2f} MB "
        f"(network {len(bundle.flatbuffer) / 1e6:.2f}), format {facts['format_version']}",
        f"  labels      {', '.join(bundle.labels)}",
        f"  input       {spec.height}×{spec.width} RGB, uint8, {spec.resize}; {scaling}",
        f"  network     {bundle.details.quantization}, maps {maps}, {bundle.network.num_anchors} anchors",
        *_kept(facts.get("kept_layers")),
        f"  thresholds  score {defaults.score_threshold:g}, IoU {defaults.iou_threshold:g}, "
        f"at most {defaults.max_detections} detections",
        *_accuracy(facts.get("accuracy")),
        *_calibration(facts.get("calibration"), bundle.details.sha256.get("calibration")),
        f"  picture     embedded for the self-test, {embedded['objects']} objects with a score of "
        f"{embedded['score_threshold']:.2g}",
        *_graph_lines(facts),
        f"  sha256      {bundle.details.sha256['flatbuffer']}",
    ]
    tools = facts.get("tools")
    if isinstance(tools, dict):
        lines.append(f"  made with   {', '.join(f'{name} {version}' for name, version in tools.items())}")
    if "selftest" in facts:
        result = facts["selftest"]
        verdict = "passed" if result["passed"] else f"FAILED: {result['problem']}"
        lines.append(f"  self-test   {verdict} ({result['expected']} objects expected, {result['backend']})")
    return "\n".join(lines)


def foreign_text(facts: Mapping[str, Any]) -> str:
    """:func:`foreign_facts` for a person."""
    title = f"{facts['file']}: {facts['bytes'] / 1e6:.2f} MB, a TFLite model but no Edge SSD bundle"
    return "\n".join([title, *_graph_lines(facts)])


def _graph_lines(facts: Mapping[str, Any]) -> list[str]:
    lines = [
        f"  {'operators' if i == 0 else '':10}  {use['count']:2} {use['name']} v{use['version']} ({use['types']})"
        for i, use in enumerate(facts["operators"])
    ]
    for i, target in enumerate(facts["targets"]):
        verdict = "yes" if target["runs"] else f"NO, it lacks {', '.join(target['missing'])}"
        lines.append(f"  {'runs on' if i == 0 else '':10}  {target['runtime']}: {verdict}")
    return [*lines, *(f"  PROBLEM     {problem}" for problem in facts["problems"])]


# The reader does not check the parts below, so they are shown only where they have the form that is written.


def _accuracy(accuracy: Any) -> list[str]:
    try:
        before, after = accuracy["float"]["ap"], accuracy["quantized"]["ap"]
        return [f"  AP          {before:.3f} float, {after:.3f} converted ({accuracy['data']})"]
    except (KeyError, TypeError, ValueError):
        return ["  AP          not measured"]


def _kept(layers: Any) -> list[str]:
    if not isinstance(layers, dict) or not layers:
        return []
    return [f"  kept        {', '.join(f'{name} {kind}' for name, kind in layers.items())}"]


def _calibration(calibration: Any, sha256: str | None) -> list[str]:
    if not isinstance(calibration, dict) or not isinstance(calibration.get("images"), list):
        return []
    count, seed = len(calibration["images"]), calibration.get("seed")
    return [f"  calibrated  on {count} pictures, seed {seed}, sha256 {(sha256 or 'unknown')[:12]}…"]
