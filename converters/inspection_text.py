"""Text of an inspected ``.tflite`` file for the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edge_ssd.console.table import format_table
from edge_ssd.runtime.bundle import Bundle

__all__ = ["format_bundle", "format_tflite"]

Rows = list[tuple[str, str]]


def format_bundle(bundle: Bundle, facts: Mapping[str, Any]) -> str:
    """Return the text of :func:`converters.inspection.inspect_bundle`, with the self-test's result if it is present."""
    spec, defaults, network = bundle.network.input, bundle.defaults, bundle.network
    maps = ", ".join(f"{level.height}×{level.width}" for level in network.levels)
    embedded = facts["embedded_selftest"]
    scaling = f"pixel · {spec.scale:.6g}{f' + {spec.offset:g}' if spec.offset else ''} inside the network"
    rows = [
        ("labels", ", ".join(bundle.labels)),
        ("input", f"{spec.height}×{spec.width} RGB, uint8, {spec.resize}; {scaling}"),
        ("network", f"{bundle.details.quantization}, maps {maps}, {network.num_anchors} anchors"),
        *_kept_layers(facts.get("kept_layers")),
        (
            "thresholds",
            f"score {defaults.score_threshold:g}, IoU {defaults.iou_threshold:g}, "
            f"at most {defaults.max_detections} detections",
        ),
        ("AP", _accuracy(facts.get("accuracy"))),
        *_calibration(facts.get("calibration"), bundle.details.sha256.get("calibration")),
        (
            "image",
            f"embedded for the self-test, {embedded['objects']} objects with a score of "
            f"{embedded['score_threshold']:.2g}",
        ),
        *_graph(facts),
        ("sha256", str(bundle.details.sha256["flatbuffer"])),
    ]
    tools = facts.get("tools")
    if isinstance(tools, dict):
        rows.append(("made with", ", ".join(f"{name} {version}" for name, version in tools.items())))
    if "selftest" in facts:
        result = facts["selftest"]
        outcome = "passed" if result["passed"] else f"FAILED: {result['problem']}"
        rows.append(("self-test", f"{outcome} ({result['expected']} objects expected, {result['backend']})"))
    title = (
        f"{bundle.path}: {bundle.name}, {facts['bytes'] / 1e6:.2f} MB "
        f"(network {len(bundle.flatbuffer) / 1e6:.2f}), format {facts['format_version']}"
    )
    return f"{title}\n{format_table(rows, left=2, indent='  ')}"


def format_tflite(facts: Mapping[str, Any]) -> str:
    """Return the text of :func:`converters.inspection.inspect_tflite`."""
    title = f"{facts['file']}: {facts['bytes'] / 1e6:.2f} MB, a TFLite model but no Edge SSD bundle"
    return f"{title}\n{format_table(_graph(facts), left=2, indent='  ')}"


def _graph(facts: Mapping[str, Any]) -> Rows:
    operators = [f"{use['count']:2} {use['name']} v{use['version']} ({use['types']})" for use in facts["operators"]]
    targets = [
        f"{target['runtime']}: {'yes' if target['runs'] else 'NO, it lacks ' + ', '.join(target['missing'])}"
        for target in facts["targets"]
    ]
    groups = (("operators", operators), ("runs on", targets))
    rows = [("" if i else label, line) for label, lines in groups for i, line in enumerate(lines)]
    return [*rows, *(("PROBLEM", problem) for problem in facts["problems"])]


# The reader does not validate the parts below, so they are shown only if they have the form that the writer gives them.


def _accuracy(accuracy: Any) -> str:
    try:
        before, after = accuracy["float"]["ap"], accuracy["quantized"]["ap"]
        return f"{before:.3f} float, {after:.3f} converted ({accuracy['data']})"
    except (KeyError, TypeError, ValueError):
        return "not measured"


def _kept_layers(layers: Any) -> Rows:
    if not isinstance(layers, dict) or not layers:
        return []
    return [("kept", ", ".join(f"{name} {kind}" for name, kind in layers.items()))]


def _calibration(calibration: Any, sha256: str | None) -> Rows:
    if not isinstance(calibration, dict) or not isinstance(calibration.get("images"), list):
        return []
    count, seed = len(calibration["images"]), calibration.get("seed")
    return [("calibrated", f"on {count} images, seed {seed}, sha256 {(sha256 or 'unknown')[:12]}…")]
