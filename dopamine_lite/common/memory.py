"""Will it fit? Memory that is asked for is compared with the machine's before it is taken."""

from __future__ import annotations

from pathlib import Path

import psutil

from dopamine_lite.common.errors import UserError

_CGROUP = Path("/sys/fs/cgroup")


def available_memory() -> int:
    """Bytes this process may still take: the machine's free memory or its control group's rest."""
    available = int(psutil.virtual_memory().available)
    try:
        limit = int((_CGROUP / "memory.max").read_text())  # "max" where unlimited
        used = int((_CGROUP / "memory.current").read_text())
    except (OSError, ValueError):
        return available
    return min(available, max(limit - used, 0))


def require_memory(needed: int, what: str, remedy: str) -> None:
    """Raises UserError where `needed` bytes for `what` are not available; `remedy` ends its sentence."""
    available = available_memory()
    if needed > available:
        raise UserError(
            f"{what} needs {needed / 1e9:.2f} GB of memory, but {available / 1e9:.2f} GB are "
            f"available: {remedy}."
        )
