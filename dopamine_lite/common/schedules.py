"""Numbers that change with the agent's steps."""

from __future__ import annotations


def linearly_decaying(step: int, start: float, end: float, warmup: int, period: int) -> float:
    """`start` for `warmup` steps, then linear over `period` steps to `end`, then `end`.

    The epsilon schedule of Mnih et al. (2015), with the warm-up while the replay fills.
    """
    fraction = _fraction(step, warmup, period)
    return (1 - fraction) * start + fraction * end


def exponentially_decaying(step: int, start: float, end: float, warmup: int, period: int) -> float:
    """`start` for `warmup` steps, then the same factor in each of `period` steps, down to `end`."""
    return start * (end / start) ** _fraction(step, warmup, period)


def share_left(step: int, decay_period: int | None) -> float:
    """The share left of a number that falls linearly to 0 in `decay_period` steps; None: all of it."""
    return 1.0 if decay_period is None else linearly_decaying(step, 1.0, 0.0, 0, decay_period)


def _fraction(step: int, warmup: int, period: int) -> float:
    """The elapsed fraction of a period after the warm-up. An empty period is over at once."""
    if period <= 0:
        return float(step >= warmup)
    return min(max((step - warmup) / period, 0.0), 1.0)
