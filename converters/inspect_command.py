"""``edge-ssd inspect``: what a ``.tflite`` holds. Works on the device: no TensorFlow."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edge_ssd.runtime.bundle import Bundle

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = "Check a .tflite that 'edge-ssd convert' wrote and show what it holds."
    parser.epilog = "examples:\n  edge-ssd inspect banana.tflite\n  edge-ssd inspect banana.tflite --selftest"
    parser.add_argument("model", type=Path, metavar="FILE.tflite")
    parser.add_argument(
        "--selftest", action="store_true", help="also detect in the embedded picture; exit 1 if this machine differs"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    from edge_ssd.runtime.bundle import read_bundle

    bundle = read_bundle(args.model)
    facts = _facts(bundle)
    passed = True
    if args.selftest:
        from edge_ssd.runtime.detector import Detector

        with Detector(bundle) as detector:
            result = detector.selftest()
        passed = result.passed
        facts["selftest"] = {**result._asdict(), "backend": detector.backend}
    print(json.dumps(facts, ensure_ascii=False) if args.json else _text(bundle, facts))
    return 0 if passed else 1


def _facts(bundle: Bundle) -> dict[str, Any]:
    from converters.operators import count_operators

    return {
        "file": str(bundle.path),
        "bytes": bundle.path.stat().st_size,
        **bundle.metadata,
        "operators": [
            {"name": operator.name, "version": operator.version, "count": count}
            for operator, count in count_operators(bundle.flatbuffer).items()
        ],
    }


def _text(bundle: Bundle, facts: dict[str, Any]) -> str:
    spec, defaults = bundle.network.input, bundle.defaults
    maps = ", ".join(f"{level.height}×{level.width}" for level in bundle.network.levels)
    operators = ", ".join(f"{row['count']} {row['name']} v{row['version']}" for row in facts["operators"])
    lines = [
        f"{bundle.path}: {bundle.name}, {facts['bytes'] / 1e6:.2f} MB",
        f"  labels      {', '.join(bundle.labels)}",
        f"  input       {spec.height}×{spec.width} RGB, uint8, {spec.resize}",
        f"  network     {bundle.details.quantization}, maps {maps}, {bundle.network.num_anchors} anchors",
        f"  operators   {operators}",
        f"  thresholds  score {defaults.score_threshold:g}, IoU {defaults.iou_threshold:g}, "
        f"at most {defaults.max_detections} detections",
        *_accuracy(facts.get("accuracy")),
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


def _accuracy(accuracy: Any) -> list[str]:
    """The reader does not check this part of the file, so take only what has the form that is written."""
    try:
        before, after = accuracy["float"]["ap"], accuracy["quantized"]["ap"]
        return [f"  AP          {before:.3f} float, {after:.3f} converted ({accuracy['data']})"]
    except (KeyError, TypeError, ValueError):
        return ["  AP          not measured"]
