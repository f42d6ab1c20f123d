"""``edge-ssd inspect``: show the content of a ``.tflite`` file. Works on the device, without TensorFlow."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from converters.tflite.compatibility import CompatibilityResult
from edge_ssd.console.counts import count
from edge_ssd.console.table import format_table
from edge_ssd.console.text import print_text, printable
from edge_ssd.data.held_out import HeldOut
from edge_ssd.data.held_out_images import parse_held_out

if TYPE_CHECKING:
    from edge_ssd.runtime.bundle import Bundle

__all__ = ["add_arguments", "format_bundle", "format_tflite", "run"]

Rows = list[tuple[str, str]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Check a .tflite that 'edge-ssd convert' wrote and show its content. Of any other TFLite model it shows the\n"
        "operators, and which runtimes support them."
    )
    parser.epilog = (
        "examples:\n"
        "  edge-ssd inspect banana.tflite\n"
        "  edge-ssd inspect banana.tflite --selftest\n"
        "  edge-ssd inspect nano"
    )
    parser.add_argument(
        "model", metavar="FILE.tflite", nargs="?", help="a file, or a shipped model by name, such as nano"
    )
    parser.add_argument("--data", help=argparse.SUPPRESS)  # of other commands: named in the error
    parser.add_argument(
        "--selftest", action="store_true", help="also detect in the embedded image; exit 1 if the result differs"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    from converters.inspection import inspect_bundle, inspect_graph, inspect_tflite
    from converters.interop.read import format_profile, read_profile
    from edge_ssd.console.json_output import print_json
    from edge_ssd.errors import BundleError, SettingError
    from edge_ssd.runtime.bundle import read_bundle
    from edge_ssd.runtime.detector import Detector
    from edge_ssd.runtime.shipped_models import find_model

    exit_status = 0
    _refuse_other_things(args.model, args.data)
    path = find_model(args.model)
    if (facts := read_profile(path)) is not None:
        if args.selftest:
            raise SettingError(
                f"{path}: is a profile for other runtimes ({facts['profile']}), which carries no self-test; "
                "convert without --profile for a file that does"
            )
        facts |= inspect_graph(path)
        text = format_profile(facts, _graph(facts))
    elif (facts := inspect_tflite(path)) is not None:
        if args.selftest:
            raise BundleError(facts["bundle"])
        text = format_tflite(facts)
    else:
        bundle = read_bundle(path)
        facts = inspect_bundle(bundle)
        if args.selftest:
            with Detector(bundle) as detector:
                result = detector.selftest()
            facts["selftest"] = {**result._asdict(), "backend": detector.backend}
            exit_status = 0 if result.passed else 1
        text = format_bundle(bundle, facts)
    if args.json:
        print_json(facts)
    else:
        print_text(text)
    return exit_status


def _refuse_other_things(model: str | None, data: str | None) -> None:
    """Raise SettingError, with the command to use, for a dataset, a Keras model or nothing in place of the file."""
    from edge_ssd.errors import SettingError
    from edge_ssd.runtime.model_file import MODEL_NAME

    if data is not None:
        raise SettingError(f"this command shows a model; for a dataset: edge-ssd data inspect {shlex.quote(data)}")
    if model is None:
        raise SettingError("the model is missing: name a .tflite file, or a shipped model, such as nano")
    path = Path(model)
    if (path / MODEL_NAME).is_file() or (path.suffix == ".keras" and path.is_file()):
        raise SettingError(
            f"{model}: a Keras model, and this command shows .tflite files: measure it with edge-ssd evaluate, convert "
            "it with edge-ssd convert"
        )
    if path.is_dir():
        raise SettingError(
            f"{model}: a folder, and this command shows a model; for a dataset: edge-ssd data inspect "
            f"{shlex.quote(model)}"
        )


def format_bundle(bundle: Bundle, facts: Mapping[str, Any]) -> str:
    """Return text for ``facts``: :func:`~converters.inspection.inspect_bundle`, to which "selftest" may be added."""
    spec, defaults, network = bundle.network.input, bundle.defaults, bundle.network
    maps = ", ".join(f"{level.height}×{level.width}" for level in network.levels)
    top_down = " with a top-down path" if network.top_down else ""
    embedded = facts["embedded_selftest"]
    scaling = f"pixel · {spec.scale:.6g}{f' + {spec.offset:g}' if spec.offset else ''} inside the network"
    rows = [
        ("labels", ", ".join(bundle.labels)),
        ("input", f"{spec.height}×{spec.width} RGB, uint8, {spec.resize}; {scaling}"),
        ("network", f"{bundle.details.quantization}, maps {maps}{top_down}, {count(network.num_anchors, 'anchor')}"),
        *_kept_layers(facts.get("kept_layers")),
        (
            "thresholds",
            f"score {defaults.score_threshold:g}, IoU {defaults.iou_threshold:g}, "
            f"at most {count(defaults.max_detections, 'detection')}",
        ),
        ("AP", _accuracy(facts.get("accuracy"))),
        *_false_alarms(facts.get("accuracy")),
        *_calibration(facts.get("calibration"), bundle.details.sha256.get("calibration")),
        *_held_out(parse_held_out(facts)),
        (
            "image",
            f"embedded for the self-test, {count(embedded['objects'], 'object')} with a score of "
            f"{embedded['score_threshold']:.2g}",
        ),
        *_graph(facts),
        ("sha256", f"{bundle.sha256} (of the file)"),
    ]
    tools = facts.get("tools")
    if isinstance(tools, dict):
        rows.append(("made with", ", ".join(f"{name} {version}" for name, version in tools.items())))
    if "selftest" in facts:
        result = facts["selftest"]
        outcome = "passed" if result["passed"] else f"FAILED: {result['problem']}"
        rows.append(("self-test", f"{outcome} ({count(result['expected'], 'object')} expected, {result['backend']})"))
    title = (
        f"{printable(f'{bundle.path}: {bundle.name}')}, {facts['bytes'] / 1e6:.2f} MB "
        f"(network {len(bundle.flatbuffer) / 1e6:.2f}), format {facts['format_version']}"
    )
    return f"{title}\n{format_table(rows, left=2, indent='  ')}"


def format_tflite(facts: Mapping[str, Any]) -> str:
    """Return text of several lines that shows ``facts``, a result of :func:`converters.inspection.inspect_tflite`."""
    title = f"{facts['file']}: {facts['bytes'] / 1e6:.2f} MB, a TFLite model but no Edge SSD bundle"
    return f"{title}\n{format_table(_graph(facts), left=2, indent='  ')}"


def _graph(facts: Mapping[str, Any]) -> Rows:
    operators = [f"{use['count']:2} {use['name']} v{use['version']} ({use['types']})" for use in facts["operators"]]
    targets = [str(CompatibilityResult(target["runtime"], target["missing"])) for target in facts["targets"]]
    groups = (("operators", operators), ("runs on", targets))
    rows = [("" if i else label, line) for label, lines in groups for i, line in enumerate(lines)]
    return [*rows, *(("PROBLEM", problem) for problem in facts["problems"])]


# The reader does not validate the parts below, so they are shown only if they have the form that the writer gives them.


def _accuracy(accuracy: Any) -> str:
    try:
        before, after = accuracy["float"]["ap"], accuracy["quantized"]["ap"]
        return f"{before:.3f} float, {after:.3f} converted ({accuracy['data']}), as the file states"
    except (KeyError, TypeError, ValueError, OverflowError):
        return "not measured"


def _false_alarms(accuracy: Any) -> Rows:
    try:
        stated = accuracy["false_alarms"]
        recall = "" if stated["recall"] is None else f", recall {stated['recall']:.2f}"
        rate, threshold = f"{stated['per_100_images']:.1f}", f"{stated['score_threshold']:g}"
        images = count(int(f"{stated['num_images']:d}"), "image")  # a ValueError for 1.5
        return [("", f"{rate} false alarms per 100 images with a score of {threshold}{recall} ({images})")]
    except (KeyError, TypeError, ValueError, OverflowError):
        return []


def _kept_layers(layers: Any) -> Rows:
    if not isinstance(layers, dict) or not layers:
        return []
    return [("kept", ", ".join(f"{name} {kind}" for name, kind in layers.items()))]


def _held_out(held_out: HeldOut | None) -> Rows:
    if held_out is None or not held_out.names:
        return []
    return [("held out", f"{count(len(held_out.names), 'image')} of the training set, to measure on")]


def _calibration(calibration: Any, sha256: str | None) -> Rows:
    if not isinstance(calibration, dict) or not isinstance(calibration.get("images"), list):
        return []
    images, seed = count(len(calibration["images"]), "image"), calibration.get("seed")
    return [("calibrated", f"on {images}, seed {seed}, sha256 {(sha256 or 'unknown')[:12]}…")]
