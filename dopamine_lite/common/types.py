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

    An episode ends with this step if it is `terminated` or `truncated`, and the next observations that
    `act` gets belong to a new episode.

    Attributes:
      observations: [N, ...] the observations that `act` was given.
      actions: [N, ...] the actions that `act` returned.
      rewards: [N] float64, clipped if `Runner.clip_rewards` is set.
      terminated: [N] bool: the environment itself has ended. Never bootstrap.
      truncated: [N] bool: a limit has stopped the episode. Bootstrap from `next_observations`.
      next_observations: [N, ...] the result of the actions, even at the end of an episode.
      action_masks: [N, A] bool: which actions were legal before the step; None: all actions are always
        legal.
      next_action_masks: [N, A] bool: which actions are legal after the step; None: all actions are
        always legal.
    """

    observations: np.ndarray
    actions: np.ndarray
    rewards: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray
    next_observations: np.ndarray
    action_masks: np.ndarray | None = None
    next_action_masks: np.ndarray | None = None


@dataclass(frozen=True)
class RingSlots:
    """The slots `first..stop` of every environment in a ring, to be read in blocks.

    Slots are numbered from 0 for the life of a run and never change once they are written. `first` rises
    as the ring overwrites its oldest slots. The object serves as a leaf of a state tree: for a live ring
    that is to be saved, and for saved segments that are to be restored.

    Attributes:
      first: [N] int64, the oldest slot that is still held.
      stop: [N] int64, one past the newest slot.
      blocks: called with `after` [N] int64, yields the slots from `max(after, first)` to `stop` in
        order, in blocks of bounded size. Each is a dict of arrays: "start" and "stop" [N] int64 and,
        under every other name, the slots of environment 0, then of environment 1 ..., concatenated.
    """

    first: np.ndarray
    stop: np.ndarray
    blocks: Callable[[np.ndarray], Iterator[dict[str, np.ndarray]]]
