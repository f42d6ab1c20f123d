"""How the machine is: the memory of this process, the temperature of its processor, whether it slows itself down.

Everything is None where the machine does not tell. Sources: proc(5) for ``statm``; the kernel's
Documentation/driver-api/thermal/sysfs-api.rst; Raspberry Pi's documentation of ``vcgencmd get_throttled``.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import threading
import time
from pathlib import Path

__all__ = ["Health", "memory_bytes", "temperature_c", "throttled"]

_THERMAL = Path("/sys/class/thermal")
# What the zone of the processor is called: Raspberry Pi and most ARM boards, then x86.
_PROCESSOR_ZONES = ("cpu-thermal", "cpu_thermal", "soc-thermal", "x86_pkg_temp")

# Bits of get_throttled; sixteen higher they say that it happened since the start of the system.
_THROTTLED = ("under-voltage", "frequency capped", "throttled", "near the temperature limit")
_SINCE_START = 16

_ASK_AGAIN_S = 10.0  # Asking starts a process, which is too much for once a second.


def memory_bytes() -> int | None:
    """Resident memory of this process."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return None


def temperature_c(folder: Path = _THERMAL) -> float | None:
    """Degrees Celsius of the processor, or else of the first thermal zone that there is."""
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
    """What a Raspberry Pi holds back, in words; "" for nothing, None where there is no ``vcgencmd``."""
    program = shutil.which("vcgencmd")
    if program is None:
        return None
    try:
        done = subprocess.run([program, "get_throttled"], capture_output=True, text=True, timeout=1, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(r"throttled=0x([0-9a-fA-F]+)", done.stdout)
    if found is None:
        return None
    bits = int(found[1], 16)
    now = [f"{what} now" for bit, what in enumerate(_THROTTLED) if bits >> bit & 1]
    before = [f"{what} since the start" for bit, what in enumerate(_THROTTLED) if bits >> (bit + _SINCE_START) & 1]
    return ", ".join(now + before)


class Health:
    """The three at once, from any thread; ``vcgencmd`` is started once in ten seconds at most."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asked_at: float | None = None
        self._throttled: str | None = None

    def read(self) -> tuple[int | None, float | None, str | None]:
        """Memory in bytes, temperature in °C, throttling in words."""
        with self._lock:
            now = time.monotonic()
            if self._asked_at is None or now - self._asked_at >= _ASK_AGAIN_S:
                self._throttled = throttled()
                self._asked_at = now
            return memory_bytes(), temperature_c(), self._throttled
