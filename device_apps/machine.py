"""Processor, memory, temperature and throttling of this machine.

A value is None where the machine does not report it. Sources: proc(5) for ``statm``; the kernel's
Documentation/driver-api/thermal/sysfs-api.rst; Raspberry Pi's documentation of ``vcgencmd get_throttled``.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import re
import shutil
import subprocess
import threading
import time
from pathlib import Path

__all__ = [
    "Health",
    "address_space_limit",
    "cores",
    "describe_machine",
    "governor",
    "memory_bytes",
    "processor",
    "return_free_memory",
    "temperature_c",
    "throttled",
]

_BOARD = Path("/proc/device-tree/model")  # Raspberry Pi and other boards with a device tree.
_CPUINFO = Path("/proc/cpuinfo")
_GOVERNOR = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
_THERMAL_FOLDER = Path("/sys/class/thermal")
# Names of the processor's thermal zone: Raspberry Pi and most ARM boards, then x86.
_PROCESSOR_ZONES = ("cpu-thermal", "cpu_thermal", "soc-thermal", "x86_pkg_temp")
# Bits of get_throttled; sixteen bits higher the same for the time since the start of the system.
_THROTTLED = ("under-voltage", "frequency capped", "throttled", "near the temperature limit")
_SINCE_START = 16


def address_space_limit() -> int | None:
    """Return the maximum address space of this process in bytes (``ulimit -v``); None if it is not limited."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    return None if limit == resource.RLIM_INFINITY else limit


def cores() -> int:
    """Return the number of processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def processor(board: Path = _BOARD, cpuinfo: Path = _CPUINFO) -> str:
    """Return the name of the board in file ``board``, else of the processor in ``cpuinfo``, else the architecture."""
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
    """Return the frequency governor of the first core, such as "ondemand", from the file ``path``; None without one."""
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


def memory_bytes() -> int | None:
    """Return the resident memory of this process in bytes; None if it is unknown."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return None


def temperature_c(folder: Path = _THERMAL_FOLDER) -> float | None:
    """Return the temperature in °C of the processor, else of the first thermal zone in ``folder``; None without one."""
    zones: dict[str, float] = {}
    for zone in sorted(folder.glob("thermal_zone*")):
        try:
            kind = (zone / "type").read_text(encoding="utf-8").strip()
            zones.setdefault(kind, int((zone / "temp").read_text(encoding="ascii")) / 1000)
        except (OSError, ValueError):  # A zone that is switched off cannot be read.
            continue
    for kind in _PROCESSOR_ZONES:
        if kind in zones:
            return zones[kind]
    return next(iter(zones.values()), None)


def throttled() -> str | None:
    """Return how a Raspberry Pi is throttled, such as "under-voltage now"; "" if it is not, None if it is unknown."""
    program = shutil.which("vcgencmd")
    if program is None:
        return None
    try:
        process = subprocess.run([program, "get_throttled"], capture_output=True, text=True, timeout=1, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = re.search(r"throttled=0x([0-9a-fA-F]+)", process.stdout)
    if match is None:
        return None
    bits = int(match[1], 16)
    now = [f"{what} now" for bit, what in enumerate(_THROTTLED) if bits >> bit & 1]
    before = [f"{what} since the start" for bit, what in enumerate(_THROTTLED) if bits >> (bit + _SINCE_START) & 1]
    return ", ".join(now + before)


class Health:
    """Thread-safe reader of three values; runs ``vcgencmd`` at most once in ``throttling_interval`` seconds."""

    def __init__(self, throttling_interval: float = 10.0) -> None:
        self._throttling_interval = throttling_interval
        self._lock = threading.Lock()
        self._throttling_read_at: float | None = None
        self._throttled: str | None = None

    def read(self) -> tuple[int | None, float | None, str | None]:
        """Return the three readings: :func:`memory_bytes`, :func:`temperature_c` and :func:`throttled`."""
        with self._lock:
            now = time.monotonic()
            if self._throttling_read_at is None or now - self._throttling_read_at >= self._throttling_interval:
                self._throttled = throttled()
                self._throttling_read_at = now
            return memory_bytes(), temperature_c(), self._throttled


def return_free_memory() -> None:
    """Return memory that the C library keeps for later to the system, where it can (glibc). Takes some milliseconds."""
    with contextlib.suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)
