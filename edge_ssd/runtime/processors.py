"""Number of processors that this process may use: its affinity, and the CPU quota of its control group."""

from __future__ import annotations

import os

__all__ = ["usable_processors"]

_GROUPS = "/sys/fs/cgroup"
_OWN_GROUP = "/proc/self/cgroup"


def usable_processors(groups: str = _GROUPS, own_group: str = _OWN_GROUP) -> int:
    """Return how many processors this process may use at once, at least 1.

    That is fewer than the machine has after ``taskset``, in a cpuset, and with a quota of processor time: ``docker run
    --cpus``, ``CPUQuota=`` of systemd. A quota of 2.5 processors counts as 2, since a further thread would be stopped
    for a part of each period, and the others would wait for it.

    Args:
        groups: mount point of control groups, version 2 (Linux, Documentation/admin-guide/cgroup-v2.rst).
        own_group: file that names the group of the process.
    """
    number = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _quota(groups, own_group)
    return number if quota is None else max(1, min(number, int(quota)))


def _quota(groups: str, own_group: str) -> float | None:
    """Return the processors that the quotas of the process's group and of those above it allow; None for no limit."""
    try:
        with open(own_group, encoding="utf-8") as file:  # noqa: PTH123 (pathlib is slow to import)
            names = [line.rstrip("\n")[3:] for line in file if line.startswith("0::/")]
    except OSError:
        return None
    limits = []
    for name in names:
        while True:
            try:
                with open(f"{groups}{name.rstrip('/')}/cpu.max", encoding="ascii") as file:  # noqa: PTH123
                    quota, period = file.read().split()
                    limits.append(int(quota) / int(period))
            except (OSError, ValueError, ZeroDivisionError):  # no file, or "max"
                pass
            if name in ("", "/"):
                break
            name = name.rpartition("/")[0]
    return min(limits, default=None)
