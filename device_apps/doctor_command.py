"""``edge-ssd doctor``: is this machine ready, and if not, what to do.

Needs Python's standard library alone; ``python -m device_apps.doctor_command`` works even where NumPy does not load.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict

from device_apps.doctor import cameras as doctor_cameras
from device_apps.doctor import software as doctor_software
from device_apps.doctor import system as doctor_system
from device_apps.doctor.checks import Check, Finding, examine

__all__ = ["add_arguments", "run"]

_EXAMPLES = """\
examples:
  edge-ssd doctor
  edge-ssd doctor --model mine.tflite
  edge-ssd doctor --json > machine.json

A line for each thing that was looked at: ok, warning (it works, but not as well, or not all of it) or failure, with
what to do after the arrow. The exit status is 1 when there is a failure. Where NumPy itself does not load, run
python -m device_apps.doctor_command
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the options."""
    parser.description = "See whether this machine is ready to detect, and what to do if not."
    parser.epilog = _EXAMPLES
    parser.add_argument(
        "--model", metavar="MODEL", help="run the self-test of this file or shipped model (default: banana)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of lines")


def run(args: argparse.Namespace) -> int:
    """Look at everything and say what was found; returns 1 when something does not work."""
    checks: list[tuple[str, Check]] = [
        ("python", doctor_system.python),
        ("processor", doctor_system.architecture),
        ("interpreter", lambda: doctor_software.detector(args.model)),
        ("OpenCV", doctor_software.opencv),
        ("webcam", doctor_cameras.webcams),
        ("CSI camera", doctor_cameras.csi_camera),
        ("access", doctor_system.permissions),
        ("memory", doctor_system.memory),
        ("disk", doctor_system.disk),
        ("heat", doctor_system.heat),
        ("clock", doctor_system.clock),
        ("extras", doctor_software.extras),
    ]
    findings = examine(checks)
    if args.json:
        print(json.dumps([asdict(finding) for finding in findings], indent=2, ensure_ascii=False))
    else:
        width = max(len(finding.name) for finding in findings)
        for finding in findings:
            print(_line(finding, width))
    return 1 if any(finding.level == "failure" for finding in findings) else 0


def _line(finding: Finding, width: int) -> str:
    text = " ".join(finding.text.split())
    return f"{finding.level:7}  {finding.name:{width}}  {text}{f'  → {finding.remedy}' if finding.remedy else ''}"


def main() -> int:
    """The command by itself, for where ``edge-ssd`` cannot start."""
    parser = argparse.ArgumentParser(
        prog="python -m device_apps.doctor_command", formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_arguments(parser)
    return run(parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())
