"""Numbers that change with the agent's steps."""

from __future__ import annotations


def linearly_decaying(step: int, start: float, end: float, warmup: int, period: int) -> float:
    """`start` for `warmup` steps, then linear over `period` steps to `end`, then `end`.

    The epsilon schedule of Mnih et al. (2015), with the warm-up while the replay fills.
    """
    if period <= 0:
        return end if step >= warmup else start
    fraction = min(max((step - warmup) / period, 0.0), 1.0)
    return start + fraction * (end - start)
