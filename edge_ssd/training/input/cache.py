"""Choice of where decoded images are kept between epochs: in memory, in a file on disk, or nowhere."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from edge_ssd.network import InputSpec

__all__ = ["Cache", "available_memory", "choose_cache", "decoded_bytes", "existing_folder", "free_disk_space"]

Cache = Literal["auto", "memory", "disk", "none"]

# Maximum fraction of the available memory; training itself needs some too.
_MEMORY_FRACTION = 0.5
# Bytes that stay free on the disk, for checkpoints and models.
_DISK_RESERVE = 2 * 10**9


def existing_folder(folder: Path) -> Path:
    """Return ``folder``, or its nearest parent that exists."""
    folder = folder.absolute()
    while not folder.is_dir():
        folder = folder.parent
    return folder


def available_memory(root: Path = Path("/")) -> int:
    """Return the bytes that this process can allocate without swapping, within the limit of its container.

    They are read from ``proc`` and ``sys`` in the folder ``root``.
    """
    sizes = [_system_memory(root)]
    cgroup = root / "sys" / "fs" / "cgroup"
    for limit, used in (
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ):
        try:
            sizes.append(int((cgroup / limit).read_text()) - int((cgroup / used).read_text()))
        except (OSError, ValueError):  # no such cgroup, or "max"
            continue
    return max(0, min(sizes))


def free_disk_space(folder: Path) -> int:
    """Return the free bytes on the disk of ``folder``, which need not exist yet."""
    return shutil.disk_usage(existing_folder(folder)).free


def choose_cache(
    requested: Cache,
    num_bytes: int,
    folder: Path,
    memory: Callable[[], int] = available_memory,
    disk: Callable[[Path], int] = free_disk_space,
) -> Literal["memory", "disk", "none"]:
    """Return ``requested``, or for "auto" the first of memory, disk and none that has room for ``num_bytes``.

    Half of the available memory may be used, and 2 GB stay free on the disk of ``folder``. ``memory`` and ``disk``
    return the free bytes.
    """
    if requested != "auto":
        return requested
    if num_bytes <= _MEMORY_FRACTION * memory():
        return "memory"
    return "disk" if num_bytes <= disk(folder) - _DISK_RESERVE else "none"


def decoded_bytes(num_images: int, spec: InputSpec) -> int:
    """Return the size in bytes of ``num_images`` uint8 RGB images at the network's input size."""
    return num_images * spec.height * spec.width * 3


def _system_memory(root: Path) -> int:
    try:
        for line in (root / "proc" / "meminfo").read_text().splitlines():
            name, _, value = line.partition(":")
            if name == "MemAvailable":
                return int(value.split()[0]) * 1024
    except (OSError, ValueError):
        pass
    # Other systems than Linux: half of the physical memory.
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2 if hasattr(os, "sysconf") else 2**31
