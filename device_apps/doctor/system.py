"""The doctor on the machine: Python, processor, memory, disk, heat, clock and permissions."""

from __future__ import annotations

import ctypes
import os
import platform
import shutil
import stat
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from device_apps.doctor.checks import Finding, failed, ok, warning
from device_apps.health import temperature_c, throttled
from device_apps.machine import cores, processor

__all__ = ["architecture", "clock", "disk", "heat", "memory", "permissions", "python"]

_OLDEST = (3, 10)
_HOT_C = 75.0  # A Raspberry Pi slows down from 80 °C.
_LITTLE_DISK, _NO_DISK = 1_000_000_000, 100_000_000  # bytes
_LITTLE_MEMORY = 200_000_000
_TIME_ERROR = 5  # adjtimex(2): the clock is not synchronised.
_WRITTEN = 1_767_225_600  # 2026-01-01: no machine with this program has an earlier date.


def python() -> Iterable[Finding]:
    """The Python that runs this."""
    version = platform.python_version()
    where = f"{version} at {sys.executable}"
    if sys.version_info < _OLDEST:
        yield failed("python", where, "install Python 3.10 or newer, and make the virtual environment anew with it")
    elif sys.prefix == sys.base_prefix:
        yield warning(
            "python",
            f"{where}, outside a virtual environment",
            "python3 -m venv --system-site-packages edge-ssd-env && . edge-ssd-env/bin/activate",
        )
    else:
        yield ok("python", where)


def architecture() -> Iterable[Finding]:
    """The processor, and whether kernel and programs are of one width."""
    bits, machine = (64 if sys.maxsize > 2**32 else 32), platform.machine()
    text = f"{processor()}, {cores()} cores, {machine}, {bits}-bit Python"
    if bits == 64:
        yield ok("processor", text)
    elif sys.version_info >= (3, 12):
        yield failed("processor", f"{text}: no TFLite interpreter exists for it", "install the 64-bit Raspberry Pi OS")
    elif machine in ("aarch64", "x86_64"):
        yield warning(
            "processor",
            f"{text}: 32-bit programs on a 64-bit kernel, which misleads pip",
            'install under: setarch linux32 pip install "edge-ssd[device]" (or take the 64-bit Raspberry Pi OS)',
        )
    else:
        yield warning("processor", text, "the 64-bit Raspberry Pi OS is faster, where the board can run it")


def memory(meminfo: Path = Path("/proc/meminfo")) -> Iterable[Finding]:
    """Memory and swap."""
    try:
        lines = meminfo.read_text(encoding="ascii").splitlines()
    except OSError:
        yield ok("memory", "unknown on this system")
        return
    kb = {line.split(":")[0]: int(line.split()[1]) for line in lines if line.split()[1:2]}
    total, free = 1024 * kb["MemTotal"], 1024 * kb.get("MemAvailable", kb["MemFree"])
    swap, swap_free = 1024 * kb.get("SwapTotal", 0), 1024 * kb.get("SwapFree", 0)
    text = f"{free / 1e6:.0f} of {total / 1e6:.0f} MB free, swap {(swap - swap_free) / 1e6:.0f} of {swap / 1e6:.0f} MB"
    if free < _LITTLE_MEMORY:
        yield warning("memory", text, "stop other programs, or boot to the console: sudo raspi-config, System Options")
    else:
        yield ok("memory", text)


def disk(folder: Path = Path()) -> Iterable[Finding]:
    """Room where files would be written."""
    free = shutil.disk_usage(folder).free
    text = f"{free / 1e9:.1f} GB free in {folder.resolve()}"
    remedy = "make room: sudo apt clean, journalctl --vacuum-size=100M, or a larger card"
    if free < _NO_DISK:
        yield failed("disk", text, remedy)
    elif free < _LITTLE_DISK:
        yield warning("disk", text, remedy)
    else:
        yield ok("disk", text)


def heat() -> Iterable[Finding]:
    """Temperature and throttling."""
    degrees, held_back = temperature_c(), throttled()
    text = "no thermometer" if degrees is None else f"{degrees:.0f} °C"
    if held_back is None:
        text += ", no vcgencmd (it is a Raspberry Pi's)"
    elif held_back:
        remedy = (
            "use the board's own power supply and a short cable"
            if "under-voltage" in held_back
            else "give it a heat sink or a fan, and air"
        )
        yield warning("heat", f"{text}, {held_back}", remedy)
        return
    else:
        text += ", not throttled"
    if degrees is not None and degrees >= _HOT_C:
        yield warning("heat", text, "give it a heat sink or a fan, and air")
    else:
        yield ok("heat", text)


def clock() -> Iterable[Finding]:
    """Whether the time is right: TLS and the times of events need it, and a board has no clock that runs on."""
    now = time.strftime("%Y-%m-%d %H:%M:%S %Z")
    if time.time() < _WRITTEN:
        yield failed("clock", f"{now} cannot be", "connect it to the network, then: sudo timedatectl set-ntp true")
        return
    state = _adjtimex()
    if state is None:
        yield ok("clock", f"{now}, unknown whether it is synchronised")
    elif state == _TIME_ERROR:
        yield warning("clock", f"{now}, not synchronised", "sudo timedatectl set-ntp true")
    else:
        yield ok("clock", f"{now}, synchronised")


def permissions(devices: Path = Path("/dev")) -> Iterable[Finding]:
    """Whether this user may use cameras and pins."""
    for name, patterns in (("cameras", ("video*",)), ("pins", ("gpiochip*", "gpiomem*"))):
        found = sorted(path for pattern in patterns for path in devices.glob(pattern))
        barred = [path for path in found if not os.access(path, os.R_OK | os.W_OK)]
        if barred:
            group = _group(barred[0])
            yield failed(
                f"{name}: access",
                f"no permission for {', '.join(map(str, barred))}",
                f"sudo usermod -aG {group} $USER, then log in again",
            )
        elif found:
            yield ok(f"{name}: access", f"may use {', '.join(map(str, found))}")


def _adjtimex() -> int | None:
    """The kernel's clock state, adjtimex(2) with nothing to change; None where there is no such call."""
    try:
        library = ctypes.CDLL(None, use_errno=True)
        state = library.adjtimex(ctypes.create_string_buffer(512))  # struct timex has some 200 bytes.
    except (OSError, AttributeError, TypeError):
        return None
    return int(state) if state >= 0 else None


def _group(path: Path) -> str:
    """The group that a device is given to."""
    import grp

    information = path.stat()
    try:
        name = grp.getgrgid(information.st_gid).gr_name
    except KeyError:
        name = str(information.st_gid)
    return name if stat.S_IMODE(information.st_mode) & stat.S_IRGRP else "video"
