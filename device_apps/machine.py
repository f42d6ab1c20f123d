"""Description of the machine, for measurements and the doctor."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path

__all__ = ["cores", "describe_machine", "governor", "processor"]

_BOARD = Path("/proc/device-tree/model")  # Raspberry Pi and other boards with a device tree.
_CPUINFO = Path("/proc/cpuinfo")
_GOVERNOR = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")


def cores() -> int:
    """Return the number of processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def processor(board: Path = _BOARD, cpuinfo: Path = _CPUINFO) -> str:
    """Return the name of the board, else that of the processor, else its architecture."""
    try:
        return board.read_bytes().rstrip(b"\0\n").decode("utf-8", "replace")
    except OSError:
        pass
    try:
        match = re.search(r"^model name\s*:\s*(.+)$", cpuinfo.read_text(encoding="utf-8", errors="replace"), re.M)
    except OSError:
        match = None
    return match[1].strip() if match else platform.processor() or platform.machine()


def governor(path: Path = _GOVERNOR) -> str | None:
    """Return the frequency governor of the first core, such as "ondemand"; None if the kernel has none."""
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None


def describe_machine() -> str:
    """Return processor, cores, system and Python version in one line."""
    number = cores()
    return (
        f"{processor()}, {number} core{'' if number == 1 else 's'}, {platform.machine()}, {platform.system()} "
        f"{platform.release()}, Python {platform.python_version()}"
    )
