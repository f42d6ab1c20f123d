"""``edge-ssd doctor``: check whether this machine is ready, and what to do if it is not.

Needs Python's standard library alone (so not :mod:`edge_ssd.console`, whose package loads NumPy):
``python -m device_apps.doctor_command`` works where NumPy does not load.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict

from device_apps.doctor import cameras, software, system
from device_apps.doctor.finding import Finding, warning

__all__ = ["add_arguments", "format_findings", "run", "run_checks"]

Check = Callable[[], Iterable[Finding]]

_EXAMPLES = """\
examples:
  edge-ssd doctor
  edge-ssd doctor --model mine.tflite
  edge-ssd doctor --json > machine.json

Prints a line for each check: ok, warning (it works slowly or in part) or failure, with the remedy after the arrow. The
exit status is 1 if there is a failure. Where NumPy does not load, run python -m device_apps.doctor_command
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the options of ``edge-ssd doctor``."""
    parser.description = "Check whether this machine is ready to detect, and what to do if it is not."
    parser.epilog = _EXAMPLES
    parser.add_argument(
        "--model", metavar="MODEL", help="run the self-test of this file or shipped model (default: fruit-small)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of lines")


def run(args: argparse.Namespace) -> int:
    """Print the findings of every check; return the exit status: 1 if there is a failure, else 0."""
    is_quiet = getattr(args, "quiet", False) or not sys.stderr.isatty()
    findings = run_checks(_checks(args.model), _ignore if is_quiet else _show_on_terminal)
    if args.json:
        print(json.dumps([asdict(finding) for finding in findings]))  # ASCII: valid in every encoding and on a terminal
    else:
        print(format_findings(findings))
    return 1 if any(finding.level == "failure" for finding in findings) else 0


def _checks(model: str | None) -> list[tuple[str, Check]]:
    """Return the name and the function of every check, in the order of the report."""
    return [
        ("python", system.check_python),
        ("processor", system.check_processor),
        ("interpreter", lambda: software.check_detector(model)),
        ("OpenCV", software.check_opencv),
        ("webcam", cameras.check_webcams),
        ("CSI camera", cameras.check_csi_camera),
        ("access", system.check_permissions),
        ("memory", system.check_memory),
        ("disk", system.check_disk),
        ("heat", system.check_heat),
        ("clock", system.check_clock),
        ("extras", software.check_extras),
    ]


def _show_on_terminal(name: str) -> None:
    """Show which check runs, in a line that the next one replaces; erase it for ""."""
    text = f"checking {name} ..." if name else ""
    sys.stderr.write(f"\r{text:40}" + ("" if name else "\r"))
    sys.stderr.flush()


def _ignore(name: str) -> None:
    """Show nothing."""


def run_checks(checks: Sequence[tuple[str, Check]], report: Callable[[str], object] = _ignore) -> list[Finding]:
    """Return the findings of all (name, function) checks; an exception in a check becomes a warning.

    ``report`` is called with the name of each check before it runs, and with "" at the end.
    """
    findings: list[Finding] = []
    for name, check in checks:
        report(name)
        try:
            findings += check()
        except Exception as error:
            text = f"this check failed: {type(error).__name__}: {error}"
            findings.append(warning(name, text, "report it with the output of: edge-ssd doctor --json"))
    report("")
    return findings


def format_findings(findings: Sequence[Finding]) -> str:
    """Return a line for each finding: level, name, text and remedy."""
    width = max(len(finding.name) for finding in findings)
    lines = []
    for finding in findings:
        remedy = f"  → {finding.remedy}" if finding.remedy else ""
        lines.append(f"{finding.level:7}  {finding.name:{width}}  {' '.join(finding.text.split())}{remedy}")
    return "\n".join(lines)


def main() -> int:
    """Run ``python -m device_apps.doctor_command``, which works where NumPy does not load; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m device_apps.doctor_command", formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_arguments(parser)
    return run(parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())
