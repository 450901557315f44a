"""The view of a ring as overlapping sequences of steps, for agents with a recurrent state."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dopamine_lite.replay.ring import TERMINATED, Ring
from dopamine_lite.replay.view import Drawn
from dopamine_lite.replay.windows import Windows


class SequenceSample(NamedTuple):
    """K batches of B sequences of up to L steps of one episode, padded to L."""

    # [K, B, stack - 1 + L + 1, ...] single frames, from the oldest frame of the first observation to the
    # newest frame of the observation after the last step.
    frames: np.ndarray
    actions: np.ndarray  # [K, B, L, ...]
    rewards: np.ndarray  # [K, B, L] float32
    lengths: np.ndarray  # [K, B] steps before the padding
    terminated: np.ndarray  # [K, B] bool: whether the episode terminated with the last step
    environments: np.ndarray  # [K, B] int64: the environment of each sequence
    slots: np.ndarray  # [K, B] int64: the number of its first slot in that environment
    states: np.ndarray | None = (
        None  # [K, B, ...] the recurrent state that the actor was in at first
    )
    weights: np.ndarray | None = None  # [K, B] float32 importance weights, of a prioritized replay


class Sequences:
    """Assembles sequences of L steps, as in R2D2 (Kapturowski et al. 2019, section 2.3).

    In each episode, a sequence begins at the first step and at every (L - `overlap`)-th step after it. A
    sequence never crosses the end of an episode, so it may be shorter there. Padding is zero.

    Args:
      ring: the ring, which must keep `ages`.
      length: L, the steps in a sequence.
      overlap: steps that a sequence shares with the next one, fewer than L.
    """

    noun = "sequence"

    def __init__(self, ring: Ring, length: int, overlap: int):
        self._ring = ring
        self.horizon = length
        self._stride = length - overlap
        self._windows = Windows(ring, length)

    @property
    def frames_shape(self) -> tuple[int, ...]:
        """[F, ...], the shape of one sequence's frames in a `SequenceSample`."""
        return (self._ring.spec.stack_size + self.horizon, *self._ring.spec.frame_shape)

    def examine(self, environments: np.ndarray, slots: np.ndarray) -> Drawn:
        """The sequences that begin at slots [M] of environments [M]."""
        drawn = self._windows.examine(environments, slots)
        begins = self._ring["ages"][self._ring.at(environments, slots)] % self._stride == 0
        return drawn._replace(whole=drawn.whole & begins)

    def sample(self, drawn: Drawn, num_batches: int) -> SequenceSample:
        """K batches of the sequences that have been drawn."""
        ring, (environments, slots, _, lengths, _) = self._ring, drawn
        steps = np.arange(self.horizon)
        at = ring.at(environments[:, None], slots[:, None] + steps)  # [M, L]
        padding = steps >= lengths[:, None]
        actions, rewards = ring["actions"][at], ring["rewards"][at]
        actions[padding], rewards[padding] = 0, 0
        last = ring["kinds"][ring.at(environments, slots + lengths - 1)]
        offsets = np.arange(1 - ring.spec.stack_size, self.horizon + 1)
        # The last frame is the successor of the last step.
        behind = offsets > lengths[:, None]
        frames = ring.frames(drawn, np.broadcast_to(offsets, behind.shape))
        frames[behind.ravel()] = 0
        shape = (num_batches, -1)
        return SequenceSample(
            frames=frames.reshape(*shape, *self.frames_shape),
            actions=actions.reshape(*shape, *actions.shape[1:]),
            rewards=rewards.reshape(*shape, self.horizon),
            lengths=lengths.reshape(shape),
            terminated=((last & TERMINATED) != 0).reshape(shape),
            environments=environments.reshape(shape),
            slots=slots.reshape(shape),
            states=ring["states"][at[:, 0]].reshape(*shape, *ring.spec.state_shape)
            if ring.spec.state_shape is not None
            else None,
        )
