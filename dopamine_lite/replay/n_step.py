"""The view of a ring as n-step transitions, with stacks of frames that never leave an episode."""

from __future__ import annotations

import numpy as np

from dopamine_lite.losses.returns import n_step_returns
from dopamine_lite.replay.replay import Sample
from dopamine_lite.replay.ring import ENDED, TERMINATED, TRUNCATED, Ring
from dopamine_lite.replay.view import Drawn
from dopamine_lite.replay.windows import Windows


class NStepTransitions:
    """Assembles transitions (s, a, R, d, s') of up to n steps.

    Args:
      ring: the ring that holds the frames. Its spec gives n, the discount and the size of the stack.
    """

    noun = "transition"

    def __init__(self, ring: Ring):
        self._ring = ring
        spec = ring.spec
        self.horizon = spec.update_horizon
        self.examine = Windows(ring, self.horizon).examine
        if self.horizon == 1:  # s and s' share all frames but one, so gather them once
            self._state_offsets = np.arange(1 - spec.stack_size, 2)
        else:
            stack = np.arange(1 - spec.stack_size, 1)
            self._state_offsets = np.concatenate([stack, stack])
        self._moves_with_length = np.arange(self._state_offsets.size) >= spec.stack_size

    @property
    def frames_shape(self) -> tuple[int, ...]:
        """[F, ...], the shape of one transition's frames in a `Sample`."""
        return (self._state_offsets.size, *self._ring.spec.frame_shape)

    def sample(self, drawn: Drawn, num_batches: int) -> Sample:
        """K batches of the transitions that have been drawn."""
        ring, (environments, slots, _, lengths, _) = self._ring, drawn
        window, returns, discounts, _ = self._returns(drawn)
        shape = (num_batches, -1)
        masks = None
        if "masks" in ring:
            both = np.stack([window[:, 0], ring.at(environments, slots + lengths)], axis=1)
            masks = ring["masks"][both].reshape(*shape, 2, ring.spec.mask_size)
        return Sample(
            frames=self._gather(drawn).reshape(*shape, *self.frames_shape),
            actions=ring["actions"][window[:, 0]].reshape(*shape, *ring.spec.action_shape),
            returns=returns.reshape(shape),
            discounts=discounts.reshape(shape),
            environments=environments.reshape(shape),
            slots=slots.reshape(shape),
            masks=masks,
        )

    def td_errors(self, drawn: Drawn) -> np.ndarray:
        """|R + d max_a Q(s', a) - Q(s, a)| [M] of transitions, with the values that the actor recorded.

        It is -1 where an episode was truncated, because the agent did not act on its last observation.
        """
        ring = self._ring
        window, returns, discounts, last = self._returns(drawn)
        after = ring.at(drawn.environments, drawn.slots + drawn.lengths)
        taken, greatest = ring["values"][window[:, 0], 0], ring["values"][after, 1]
        errors = np.abs(returns + discounts * greatest - taken)
        return np.where((last & ENDED) == TRUNCATED, np.float32(-1), errors)

    def _returns(self, drawn: Drawn) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """The places of the steps [M, n], R [M], d [M], and the kind of each last step [M]."""
        ring, (environments, slots, _, lengths, _) = self._ring, drawn
        window = ring.at(environments[:, None], slots[:, None] + np.arange(self.horizon))
        last = ring["kinds"][ring.at(environments, slots + lengths - 1)]
        returns, discounts = n_step_returns(
            ring["rewards"][window], lengths, (last & TERMINATED) != 0, ring.spec.gamma
        )
        return window, returns, discounts, last

    def _gather(self, drawn: Drawn) -> np.ndarray:
        """The frames [M * F, ...] of s and s'."""
        size = drawn.slots.size
        offsets = np.broadcast_to(self._state_offsets, (size, self._state_offsets.size))
        if self.horizon > 1:
            offsets = offsets + drawn.lengths[:, None] * self._moves_with_length
        return self._ring.frames(drawn, offsets)
