"""List of the checks of ``edge-ssd doctor``, and how they are run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from device_apps.doctor import cameras, software, system
from device_apps.doctor.finding import Finding, warning

__all__ = ["Check", "list_checks", "run_checks"]

Check = Callable[[], Iterable[Finding]]


def list_checks(model: str | None = None) -> list[tuple[str, Check]]:
    """Return the name and the function of every check, in the order of the report.

    Args:
        model: file or shipped model whose self-test is run; None for the default model.
    """
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


def run_checks(checks: Sequence[tuple[str, Check]]) -> list[Finding]:
    """Return the findings of all checks; a check that raises is a warning."""
    findings: list[Finding] = []
    for name, check in checks:
        try:
            findings += check()
        except Exception as error:
            text = f"this check failed: {type(error).__name__}: {error}"
            findings.append(warning(name, text, "report it with the output of: edge-ssd doctor --json"))
    return findings
