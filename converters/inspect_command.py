"""``edge-ssd inspect``: what a ``.tflite`` holds. Works on the device: no TensorFlow."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Check a .tflite that 'edge-ssd convert' wrote and show what it holds. Of any other TFLite model it shows the\n"
        "operators, and which runtimes have them."
    )
    parser.epilog = "examples:\n  edge-ssd inspect banana.tflite\n  edge-ssd inspect banana.tflite --selftest"
    parser.add_argument("model", type=Path, metavar="FILE.tflite")
    parser.add_argument(
        "--selftest", action="store_true", help="also detect in the embedded picture; exit 1 if this machine differs"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    from converters.inspection import bundle_facts, bundle_text, foreign_facts
    from converters.interop.export import read_profile
    from edge_ssd.runtime.bundle import read_bundle

    profile = read_profile(args.model)
    if profile is not None:
        return _inspect_profile(args, profile)
    foreign = foreign_facts(args.model)
    if foreign is not None:
        return _inspect_foreign(args, foreign)
    bundle = read_bundle(args.model)
    facts = bundle_facts(bundle)
    passed = True
    if args.selftest:
        from edge_ssd.runtime.detector import Detector

        with Detector(bundle) as detector:
            result = detector.selftest()
        passed = result.passed
        facts["selftest"] = {**result._asdict(), "backend": detector.backend}
    print(json.dumps(facts, ensure_ascii=False) if args.json else bundle_text(bundle, facts))
    return 0 if passed else 1


def _inspect_profile(args: argparse.Namespace, profile: dict[str, Any]) -> int:
    from converters.interop.export import profile_text
    from edge_ssd.errors import SettingError

    if args.selftest:
        raise SettingError(
            f"{args.model}: is a profile for other runtimes ({profile['profile']}), which carries no self-test; "
            "convert without --profile for a file that does"
        )
    print(json.dumps(profile, ensure_ascii=False) if args.json else profile_text(profile))
    return 0


def _inspect_foreign(args: argparse.Namespace, facts: dict[str, Any]) -> int:
    from converters.inspection import foreign_text
    from edge_ssd.errors import BundleError

    if args.selftest:
        raise BundleError(facts["bundle"])
    print(json.dumps(facts, ensure_ascii=False) if args.json else foreign_text(facts))
    return 0
