"""Numbers that change with the agent's steps."""

from __future__ import annotations


def linearly_decaying(step: int, start: float, end: float, warmup: int, period: int) -> float:
    """`start` for `warmup` steps, then linear over `period` steps to `end`, then `end`.

    The epsilon schedule of Mnih et al. (2015), with the warm-up while the replay fills.
    """
    fraction = _fraction(step, warmup, period)
    return (1 - fraction) * start + fraction * end


def exponentially_decaying(step: int, start: float, end: float, warmup: int, period: int) -> float:
    """`start` for `warmup` steps, then by the same factor each step to `end` in `period` steps."""
    return start * (end / start) ** _fraction(step, warmup, period)


def share_left(step: int, decay_period: int | None) -> float:
    """The share of a number that falls linearly to zero in `decay_period` steps; None: all of it."""
    return 1.0 if decay_period is None else linearly_decaying(step, 1.0, 0.0, 0, decay_period)


def _fraction(step: int, warmup: int, period: int) -> float:
    """How much of a period that begins after the warm-up is over; all of an empty one at once."""
    if period <= 0:
        return float(step >= warmup)
    return min(max((step - warmup) / period, 0.0), 1.0)
