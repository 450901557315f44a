"""The values that the package's parts exchange: transitions, states, and slots of a ring."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

State = dict[str, Any]
"""A tree of dicts and lists whose leaves are NumPy arrays, numbers, strings, None or `RingSlots`."""


class Transitions(NamedTuple):
    """One agent step in each of N environments.

    An environment's episode ends with this transition where `terminated | truncated`; its next
    `observations` belong to a new episode. `next_observations` is always the true successor, also at an
    episode's end.
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


@dataclass(frozen=True)
class RingSlots:
    """The slots `first..stop` of every environment in a ring, to be read in blocks.

    Slots are numbered from 0 for the life of a run and never change once written; `first` rises as
    the ring overwrites its oldest. Used as a leaf of a state tree, both for a live ring that is to be
    saved and for saved segments that are to be put back.

    Attributes:
      first: [N] int64, oldest slot still held.
      stop: [N] int64, one past the newest.
      blocks: called with `after` [N] int64, yields the slots from `max(after, first)` to `stop` in
        order, in blocks of bounded size. Each is a dict of arrays: "start" and "stop" [N] int64 and,
        under every other name, the slots of environment 0, then of environment 1 ..., concatenated.
    """

    first: np.ndarray
    stop: np.ndarray
    blocks: Callable[[np.ndarray], Iterator[dict[str, np.ndarray]]]
