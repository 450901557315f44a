"""The view of a ring as n-step transitions, with stacks of frames that never leave an episode."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dopamine_lite.losses.returns import n_step_returns
from dopamine_lite.replay.replay import Sample
from dopamine_lite.replay.ring import ENDED, FINAL_FRAME, TERMINATED, Ring


class Drawn(NamedTuple):
    """M slots of a ring, and what begins there."""

    columns: np.ndarray  # [M] int64
    slots: np.ndarray  # [M] int64
    whole: np.ndarray  # [M] bool: whether a transition that can be drawn begins there
    lengths: np.ndarray  # [M] L: n, or less where the episode ends within n steps
    ages: np.ndarray  # [M] the frames before it in its episode, counted up to the stack


class NStepTransitions:
    """Assembles transitions (s, a, R, d, s') of up to n steps.

    A transition can be drawn once its n-step successor is stored, or its episode has ended within the
    n steps, and as long as its whole stack of frames is held.

    Args:
      ring: the ring that holds the frames; its spec says n, the discount and the stack.
    """

    def __init__(self, ring: Ring):
        self._ring = ring
        spec = ring.spec
        self._stack, self._horizon, self._gamma = (
            spec.stack_size,
            spec.update_horizon,
            spec.gamma,
        )
        # One step's window of slots: the older frames of its stack, itself, n successors.
        self._offsets = np.arange(1 - self._stack, self._horizon + 1)
        if self._horizon == 1:  # s and s' share all frames but one: gather them once
            self._state_offsets = np.arange(1 - self._stack, 2)
        else:
            stack = np.arange(1 - self._stack, 1)
            self._state_offsets = np.concatenate([stack, stack])
        self._moves_with_length = np.arange(self._state_offsets.size) >= self._stack

    @property
    def frames_shape(self) -> tuple[int, ...]:
        """[F, ...], the shape of one transition's frames in a `Sample`."""
        return (self._state_offsets.size, *self._ring.spec.frame_shape)

    def examine(self, columns: np.ndarray, slots: np.ndarray) -> Drawn:
        """What begins at slots [M] of columns [M]."""
        ring, first = self._ring, self._ring.first
        window = slots[:, None] + self._offsets  # [M, stack - 1 + n + 1]
        kinds = ring["kinds"][ring.at(columns[:, None], window)]
        here = self._stack - 1
        stored = window[:, here:] < ring.stop[columns, None]
        ended = ((kinds[:, here:-1] & ENDED) != 0) & stored[:, :-1]  # [M, n]
        lengths = np.where(ended.any(1), ended.argmax(1) + 1, self._horizon)
        whole = (kinds[:, here] != FINAL_FRAME) & stored[np.arange(slots.size), lengths]
        if self._stack == 1:
            return Drawn(columns, slots, whole, lengths, np.zeros(slots.size, np.int64))
        before = window[:, :here][:, ::-1]  # the previous slot first
        outside = (kinds[:, :here][:, ::-1] == FINAL_FRAME) | (before < 0)
        ages = np.where(outside.any(1), outside.argmax(1), here)
        # A stack whose older frames have been overwritten: its episode's start is not known.
        whole &= slots - ages - (ages < here) >= np.where(first > 0, first, -1)[columns]
        return Drawn(columns, slots, whole, lengths, ages)

    def sample(self, drawn: Drawn, num_batches: int) -> Sample:
        """K batches of what has been drawn, which are all whole."""
        ring, (columns, slots, _, lengths, _) = self._ring, drawn
        window = ring.at(columns[:, None], slots[:, None] + np.arange(self._horizon))  # [M, n]
        last = ring["kinds"][ring.at(columns, slots + lengths - 1)]
        returns, discounts = n_step_returns(
            ring["rewards"][window], lengths, (last & TERMINATED) != 0, self._gamma
        )
        shape = (num_batches, -1)
        masks = None
        if "masks" in ring:
            both = np.stack([window[:, 0], ring.at(columns, slots + lengths)], axis=1)
            masks = ring["masks"][both].reshape(*shape, 2, ring.spec.mask_size)
        return Sample(
            frames=self._gather(drawn).reshape(*shape, *self.frames_shape),
            actions=ring["actions"][window[:, 0]].reshape(*shape, *ring.spec.action_shape),
            returns=returns.reshape(shape),
            discounts=discounts.reshape(shape),
            columns=columns.reshape(shape),
            slots=slots.reshape(shape),
            masks=masks,
        )

    def _gather(self, drawn: Drawn) -> np.ndarray:
        """The frames [M * F, ...] of s and s', zeros before an episode's first."""
        columns, slots, _, lengths, ages = drawn
        offsets = np.broadcast_to(self._state_offsets, (slots.size, self._state_offsets.size))
        if self._horizon > 1:
            offsets = offsets + lengths[:, None] * self._moves_with_length
        at = self._ring.at(columns[:, None], slots[:, None] + offsets)
        frames = self._ring["frames"].take(at.ravel(), axis=0)
        if self._stack > 1:
            absent = (offsets < -ages[:, None]).ravel()
            if absent.any():
                frames[absent] = 0
        return frames
