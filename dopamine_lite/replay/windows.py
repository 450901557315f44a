"""Windows at the slots of a ring: up to n steps of one episode, and the frames before them."""

from __future__ import annotations

import numpy as np

from dopamine_lite.replay.ring import ENDED, FINAL_FRAME, Ring
from dopamine_lite.replay.view import Drawn


class Windows:
    """Looks at slots together with their n successors and the older frames of their stacks.

    A window becomes whole when its n-th successor is stored, or when its episode ends within n steps. It
    stays whole as long as the ring holds its whole stack of frames.

    Args:
      ring: the ring.
      horizon: n.
    """

    def __init__(self, ring: Ring, horizon: int):
        self._ring = ring
        self._horizon = horizon
        self._stack = ring.spec.stack_size
        # The older frames of a step's stack, the step itself, and its n successors.
        self._offsets = np.arange(1 - self._stack, horizon + 1)

    def examine(self, environments: np.ndarray, slots: np.ndarray) -> Drawn:
        """The windows that begin at slots [M] of environments [M]."""
        ring, first = self._ring, self._ring.first
        window = slots[:, None] + self._offsets  # [M, stack - 1 + n + 1]
        kinds = ring["kinds"][ring.at(environments[:, None], window)]
        here = self._stack - 1
        stored = window[:, here:] < ring.stop[environments, None]
        ended = ((kinds[:, here:-1] & ENDED) != 0) & stored[:, :-1]  # [M, n]
        lengths = np.where(ended.any(1), ended.argmax(1) + 1, self._horizon)
        whole = (kinds[:, here] != FINAL_FRAME) & stored[np.arange(slots.size), lengths]
        if self._stack == 1:
            return Drawn(environments, slots, whole, lengths, np.zeros(slots.size, np.int64))
        before = window[:, :here][:, ::-1]  # the previous slot first
        outside = (kinds[:, :here][:, ::-1] == FINAL_FRAME) | (before < 0)
        ages = np.where(outside.any(1), outside.argmax(1), here)
        # If older frames of a stack have been overwritten, the start of its episode is unknown.
        whole &= slots - ages - (ages < here) >= np.where(first > 0, first, -1)[environments]
        return Drawn(environments, slots, whole, lengths, ages)
