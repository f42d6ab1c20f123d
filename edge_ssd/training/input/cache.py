"""Where decoded pictures are kept between epochs: in memory, in a file on disk, or nowhere."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Literal

from edge_ssd.network import InputSpec

__all__ = ["Cache", "available_memory", "choose_cache", "decoded_bytes", "existing_folder"]

Cache = Literal["auto", "memory", "disk", "none"]

# Of the memory that is available. Training itself needs some, and so does what else runs on the machine.
_MEMORY_SHARE = 0.5
# What must be left on the disk: checkpoints and models come there too.
_DISK_RESERVE = 2 * 10**9


def choose_cache(asked: Cache, num_bytes: int, folder: Path) -> Literal["memory", "disk", "none"]:
    """``asked``, or for "auto" the first of memory, disk and none that has room for ``num_bytes``.

    Memory has room up to half of what is available; the disk is that of ``folder``, and 2 GB of it stay free.
    """
    if asked != "auto":
        return asked
    if num_bytes <= _MEMORY_SHARE * available_memory():
        return "memory"
    free = shutil.disk_usage(existing_folder(folder)).free
    return "disk" if num_bytes <= free - _DISK_RESERVE else "none"


def decoded_bytes(num_pictures: int, spec: InputSpec) -> int:
    """How much so many pictures take up at the network's input size."""
    return num_pictures * spec.height * spec.width * 3


def existing_folder(folder: Path) -> Path:
    """``folder``, or the nearest folder above it that is there already."""
    folder = folder.absolute()
    while not folder.is_dir():
        folder = folder.parent
    return folder


def available_memory(root: Path = Path("/")) -> int:
    """Bytes that this process can still take without swapping, within the limit of its container.

    Args:
        root: where ``proc`` and ``sys`` lie.
    """
    sizes = [_system_memory(root)]
    control = root / "sys" / "fs" / "cgroup"
    for limit, used in (
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ):
        try:
            sizes.append(int((control / limit).read_text()) - int((control / used).read_text()))
        except (OSError, ValueError):  # no such control group, or "max"
            continue
    return max(0, min(sizes))


def _system_memory(root: Path) -> int:
    try:
        for line in (root / "proc" / "meminfo").read_text().splitlines():
            name, _, value = line.partition(":")
            if name == "MemAvailable":
                return int(value.split()[0]) * 1024
    except (OSError, ValueError):
        pass
    # Elsewhere than on Linux: half of what is built in.
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2 if hasattr(os, "sysconf") else 2**31
