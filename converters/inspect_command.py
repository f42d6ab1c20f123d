"""``edge-ssd inspect``: show the content of a ``.tflite`` file. Works on the device, without TensorFlow."""

from __future__ import annotations

import argparse
from pathlib import Path

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the options."""
    parser.description = (
        "Check a .tflite that 'edge-ssd convert' wrote and show its content. Of any other TFLite model it shows the\n"
        "operators, and which runtimes support them."
    )
    parser.epilog = "examples:\n  edge-ssd inspect banana.tflite\n  edge-ssd inspect banana.tflite --selftest"
    parser.add_argument("model", type=Path, metavar="FILE.tflite")
    parser.add_argument(
        "--selftest", action="store_true", help="also detect in the embedded image; exit 1 if the result differs"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Print the facts about the file; return 1 if the self-test fails."""
    from converters.inspection import inspect_bundle, inspect_tflite
    from converters.inspection_text import format_bundle, format_tflite
    from converters.interop.read import format_profile, read_profile
    from edge_ssd.console.json_output import print_json
    from edge_ssd.errors import BundleError, SettingError
    from edge_ssd.runtime.bundle import read_bundle
    from edge_ssd.runtime.detector import Detector

    exit_status = 0
    if (facts := read_profile(args.model)) is not None:
        if args.selftest:
            raise SettingError(
                f"{args.model}: is a profile for other runtimes ({facts['profile']}), which carries no self-test; "
                "convert without --profile for a file that does"
            )
        text = format_profile(facts)
    elif (facts := inspect_tflite(args.model)) is not None:
        if args.selftest:
            raise BundleError(facts["bundle"])
        text = format_tflite(facts)
    else:
        bundle = read_bundle(args.model)
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
        print(text)
    return exit_status
