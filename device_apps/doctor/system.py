"""Checks of the machine: Python, processor, memory, disk, heat, clock and permissions."""

from __future__ import annotations

import ctypes
import os
import platform
import shutil
import stat
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from device_apps.doctor.finding import Finding, failed, ok, warning
from device_apps.machine import cores, processor, temperature_c, throttled

__all__ = [
    "check_clock",
    "check_disk",
    "check_heat",
    "check_memory",
    "check_permissions",
    "check_processor",
    "check_python",
    "read_clock_state",
]

_MIN_PYTHON = (3, 10)
_HOT_C = 75.0  # A Raspberry Pi slows down from 80 °C.
_LOW_DISK, _FULL_DISK = 1_000_000_000, 100_000_000  # bytes
_LOW_MEMORY = 200_000_000  # bytes
_TIME_ERROR = 5  # adjtimex(2): the clock is not synchronized.
_RELEASE_TIME = 1_767_225_600  # 2026-01-01: an earlier date must be wrong.


def check_python() -> Iterable[Finding]:
    """Check the version of Python, and that it runs in a virtual environment."""
    version = platform.python_version()
    text = f"{version} at {sys.executable}"
    if sys.version_info < _MIN_PYTHON:
        yield failed("python", text, "install Python 3.10 or newer, and create the virtual environment again with it")
    elif sys.prefix == sys.base_prefix:
        yield warning(
            "python",
            f"{text}, outside a virtual environment",
            "python3 -m venv --system-site-packages edge-ssd-env && . edge-ssd-env/bin/activate",
        )
    else:
        yield ok("python", text)


def check_processor() -> Iterable[Finding]:
    """Check the processor, and that kernel and programs have the same word size."""
    bits, machine = (64 if sys.maxsize > 2**32 else 32), platform.machine()
    text = f"{processor()}, {cores()} {'core' if cores() == 1 else 'cores'}, {machine}, {bits}-bit Python"
    if bits == 64:
        yield ok("processor", text)
    elif sys.version_info >= (3, 12):
        yield failed("processor", f"{text}: no TFLite interpreter exists for it", "install the 64-bit Raspberry Pi OS")
    elif machine in ("aarch64", "x86_64"):
        yield warning(
            "processor",
            f"{text}: 32-bit programs on a 64-bit kernel, which misleads pip",
            'install under: setarch linux32 pip install "edge-ssd[device]" (or use the 64-bit Raspberry Pi OS)',
        )
    else:
        yield warning("processor", text, "the 64-bit Raspberry Pi OS is faster, if the board supports it")


def check_memory(meminfo: Path = Path("/proc/meminfo")) -> Iterable[Finding]:
    """Report free memory and swap; warn below 200 MB of free memory. ``meminfo`` has the format of /proc/meminfo."""
    try:
        lines = meminfo.read_text(encoding="ascii").splitlines()
    except OSError:
        yield ok("memory", "unknown on this system")
        return
    kb = {line.split(":")[0]: int(line.split()[1]) for line in lines if line.split()[1:2]}
    total, free = 1024 * kb["MemTotal"], 1024 * kb.get("MemAvailable", kb["MemFree"])
    swap, swap_free = 1024 * kb.get("SwapTotal", 0), 1024 * kb.get("SwapFree", 0)
    text = f"{free / 1e6:.0f} of {total / 1e6:.0f} MB free, swap {(swap - swap_free) / 1e6:.0f} of {swap / 1e6:.0f} MB"
    if free < _LOW_MEMORY:
        yield warning("memory", text, "stop other programs, or boot to the console: sudo raspi-config, System Options")
    else:
        yield ok("memory", text)


def check_disk(folder: Path = Path()) -> Iterable[Finding]:
    """Check the free disk space of ``folder``: a warning below 1 GB, a failure below 100 MB."""
    free = shutil.disk_usage(folder).free
    text = f"{free / 1e9:.1f} GB free in {folder.resolve()}"
    remedy = "make room: sudo apt clean, journalctl --vacuum-size=100M, or a larger card"
    if free < _FULL_DISK:
        yield failed("disk", text, remedy)
    elif free < _LOW_DISK:
        yield warning("disk", text, remedy)
    else:
        yield ok("disk", text)


def check_heat(
    read_temperature: Callable[[], float | None] = temperature_c, read_throttling: Callable[[], str | None] = throttled
) -> Iterable[Finding]:
    """Check the heat: warn from 75 °C (``read_temperature``), or if ``read_throttling`` returns a non-empty text."""
    degrees, throttling = read_temperature(), read_throttling()
    text = "no thermometer" if degrees is None else f"{degrees:.0f} °C"
    text += ", no vcgencmd (only on a Raspberry Pi)" if throttling is None else f", {throttling or 'not throttled'}"
    if "under-voltage" in (throttling or ""):
        yield warning("heat", text, "use the board's own power supply and a short cable")
    elif throttling or (degrees is not None and degrees >= _HOT_C):
        yield warning("heat", text, "add a heat sink or a fan")
    else:
        yield ok("heat", text)


def read_clock_state() -> int | None:
    """Return the state of the kernel's clock from adjtimex(2): 5 if it is not synchronized; None if it is unknown."""
    try:
        library = ctypes.CDLL(None, use_errno=True)
        state = library.adjtimex(ctypes.create_string_buffer(512))  # struct timex has about 200 bytes.
    except (OSError, AttributeError, TypeError):
        return None
    return int(state) if state >= 0 else None


def check_clock(read_state: Callable[[], int | None] = read_clock_state) -> Iterable[Finding]:
    """Check that the date is plausible and, by ``read_state`` (:func:`read_clock_state`), that it is synchronized."""
    now = time.strftime("%Y-%m-%d %H:%M:%S %Z")
    if time.time() < _RELEASE_TIME:
        yield failed("clock", f"{now} is wrong", "connect it to the network, then: sudo timedatectl set-ntp true")
        return
    state = read_state()
    if state is None:
        yield ok("clock", f"{now}, synchronization unknown")
    elif state == _TIME_ERROR:
        yield warning("clock", f"{now}, not synchronized", "sudo timedatectl set-ntp true")
    else:
        yield ok("clock", f"{now}, synchronized")


def check_permissions(devices: Path = Path("/dev")) -> Iterable[Finding]:
    """Check whether this user may use the cameras and GPIO pins in the folder ``devices``."""
    for name, patterns in (("cameras", ("video*",)), ("pins", ("gpiochip*", "gpiomem*"))):
        paths = sorted(path for pattern in patterns for path in devices.glob(pattern))
        denied = [path for path in paths if not os.access(path, os.R_OK | os.W_OK)]
        if denied:
            group = _group(denied[0])
            yield failed(
                f"{name}: access",
                f"no permission for {', '.join(map(str, denied))}",
                f"sudo usermod -aG {group} $USER, then log in again",
            )
        elif paths:
            yield ok(f"{name}: access", f"may use {', '.join(map(str, paths))}")


def _group(path: Path) -> str:
    """Return the group that may use a device."""
    import grp

    status = path.stat()
    try:
        name = grp.getgrgid(status.st_gid).gr_name
    except KeyError:
        name = str(status.st_gid)
    return name if stat.S_IMODE(status.st_mode) & stat.S_IRGRP else "video"
