"""The values that the package's parts exchange: transitions and states."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

State = dict[str, Any]
"""A tree of dicts and lists whose leaves are NumPy arrays, numbers, strings, None or `RingSlots`."""


class Transitions(NamedTuple):
    """One agent step in each of N environment streams.

    A stream's episode ends with this transition where `terminated | truncated`; the next
    `observations` of that stream belong to a new episode. `next_observations` is always the true
    successor, also at an episode's end.
    """

    observations: np.ndarray  # [N, ...] what `act` saw
    actions: np.ndarray  # [N, ...]
    rewards: np.ndarray  # [N] float64, clipped if the Runner clips
    terminated: np.ndarray  # [N] bool: the environment's own end; never bootstrap
    truncated: np.ndarray  # [N] bool: cut by a limit; bootstrap from next_observations
    next_observations: np.ndarray  # [N, ...]
    # [N, A] bool, which actions are legal before and after the step; None where all always are.
    action_masks: np.ndarray | None = None
    next_action_masks: np.ndarray | None = None
