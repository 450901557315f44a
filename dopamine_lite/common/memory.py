"""Checks that the memory a task needs is available, before the task takes it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import psutil

from dopamine_lite.common.errors import UserError

_LITTLE = 1 << 20  # bytes; smaller needs are not checked, because a check takes a millisecond
_PROCESS = Path("/proc/self/cgroup")
_CGROUPS = Path("/sys/fs/cgroup")


class _Files(NamedTuple):
    """The files with a control group's memory limit and use."""

    limit: str
    used: str
    cache: str  # in memory.stat: file cache that the kernel gives up on demand


_VERSION_1 = _Files("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
_VERSION_2 = _Files("memory.max", "memory.current", "inactive_file")


def available_memory() -> int:
    """Bytes that this process may still take: the machine's free memory, or less if a control group,
    such as a container's or a batch job's, has a lower limit."""
    return max(0, min([int(psutil.virtual_memory().available), *_left_in_groups()]))


def require_memory(needed: int, what: str, remedy: str) -> None:
    """Raises UserError, which ends with `remedy`, if `needed` bytes for `what` are not available."""
    if needed <= _LITTLE:
        return
    available = available_memory()
    if needed > available:
        raise UserError(
            f"{what} needs {needed / 1e9:.2f} GB of memory, but {available / 1e9:.2f} GB are "
            f"available: {remedy}."
        )


def _left_in_groups() -> Iterator[int]:
    """Bytes left in this process's control group and in each group above it."""
    try:
        memberships = _PROCESS.read_text().splitlines()
    except OSError:  # not Linux
        return
    for line in memberships:
        _, controllers, group = line.split(":", 2)
        if not controllers:
            root, files = _CGROUPS, _VERSION_2
        elif "memory" in controllers.split(","):
            root, files = _CGROUPS / "memory", _VERSION_1
        else:
            continue
        # Inside a container, the path may be the host's: the part that exists, up to the root, counts.
        below = root / group.lstrip("/")
        for directory in (below, *below.parents):
            left = _left_in(directory, files)
            if left is not None:
                yield left
            if directory == root:
                break


def _left_in(group: Path, files: _Files) -> int | None:
    """Bytes left in a group; None if it has no limit, or if that is not known."""
    try:
        limit = int((group / files.limit).read_text())  # "max" if unlimited
        used = int((group / files.used).read_text())
        statistics = dict(map(str.split, (group / "memory.stat").read_text().splitlines()))
        return limit - used + int(statistics.get(files.cache, 0))
    except (OSError, ValueError):
        return None
