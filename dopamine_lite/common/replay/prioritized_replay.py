"""Prioritized replay (Schaul et al. 2016): the proportional variant on the circular buffer."""

from __future__ import annotations

from typing import Any

import gin
import numpy as np

from dopamine_lite.common.checks import check_fraction, check_whole
from dopamine_lite.common.errors import UserError
from dopamine_lite.common.replay.circular_replay import CircularReplay, ReplayBatch
from dopamine_lite.common.replay.sum_tree import SumTree
from dopamine_lite.common.schedules import linearly_decaying
from dopamine_lite.common.types import State, Transitions


@gin.configurable
class PrioritizedReplay(CircularReplay):
    """Draws transition i with P(i) = (1 - u) p_i^alpha / sum_k p_k^alpha + u / size (eq. 1).

    Once a transition can be drawn, it enters with the greatest priority so far; `set_priorities` gives
    it a priority of its own. A transition cannot be drawn while its n-step successor is not stored yet,
    or once a frame of its stack is no longer stored. It then has no priority, so that every draw finds
    something. Within a batch of B, each draw comes from a B-th of the total (stratified, appendix
    B.2.1). All K batches of one `sample` are drawn by the priorities before the first of them.

    Args:
      alpha: how much priorities count; 0: not at all.
      beta: exponent of the importance weights (1 / P(i))^beta, which are divided by their maximum in the
        batch.
      beta_period: agent steps in which beta rises linearly to 1; None: beta stays.
      uniform_sample_probability: u, the chance of a uniform draw.
      frame_shape, frame_dtype, stack_size, num_envs, generator, update_horizon, gamma,
        mask_size, replay_capacity: see `CircularReplay`.
    """

    prioritized = True

    def __init__(
        self,
        *,
        frame_shape: tuple[int, ...],
        frame_dtype: np.dtype,
        stack_size: int,
        num_envs: int,
        generator: np.random.Generator,
        alpha: float = 0.5,
        beta: float = 0.4,
        beta_period: int | None = None,
        uniform_sample_probability: float = 0.0,
        update_horizon: int = 1,
        gamma: float = 0.99,
        mask_size: int | None = None,
        replay_capacity: int = 1_000_000,
    ):
        super().__init__(
            frame_shape=frame_shape,
            frame_dtype=frame_dtype,
            stack_size=stack_size,
            num_envs=num_envs,
            generator=generator,
            update_horizon=update_horizon,
            gamma=gamma,
            mask_size=mask_size,
            replay_capacity=replay_capacity,
        )
        check_whole("PrioritizedReplay", optional=True, beta_period=beta_period)
        check_fraction(
            "PrioritizedReplay",
            alpha=alpha,
            beta=beta,
            uniform_sample_probability=uniform_sample_probability,
        )
        self._alpha = alpha
        self._first_beta = beta
        self._beta_period = beta_period
        self._uniform = uniform_sample_probability
        self._max_priority = 1.0  # of p^alpha
        self._steps = 0  # agent steps stored
        # By column, the slot after the last that was whole when the tree was last asked: what is not
        # whole before it never will be.
        self._entered = np.zeros(num_envs, np.int64)

    @property
    def memory_bytes(self) -> int:
        return super().memory_bytes + SumTree.memory_bytes(self._length * self._num_envs)

    @property
    def beta(self) -> float:
        """The exponent of the importance weights now."""
        if self._beta_period is None:
            return self._first_beta
        return linearly_decaying(self._steps, self._first_beta, 1.0, 0, self._beta_period)

    def add(self, transitions: Transitions) -> None:
        super().add(transitions)
        self._steps += self._num_envs

    def sample(self, num_batches: int, batch_size: int) -> ReplayBatch:
        """As `CircularReplay.sample`, by priority and with importance weights."""
        self._follow_ring()
        batch = super().sample(num_batches, batch_size)
        shares = self._tree.get(self._at(batch.columns, batch.slots)) / self._tree.total
        chances = (1 - self._uniform) * shares + self._uniform / len(self)
        weights = (chances.min(axis=1, keepdims=True) / chances) ** self.beta
        return batch._replace(weights=weights.astype(np.float32))

    def set_priorities(self, batch: ReplayBatch, priorities: np.ndarray) -> None:
        """Gives the transitions of `batch`, the last one sampled, priorities [K, B].

        Raises:
          UserError: one of them is not a finite number; the run has diverged.
        """
        if not np.isfinite(priorities).all():
            raise UserError(
                "A priority is not a finite number: the run has diverged. Lower the learning rate "
                "or clip the rewards."
            )
        # float32: what a checkpoint keeps. By rounding, a divergence can be below 0. The constant lets
        # everything be drawn again.
        values = ((np.maximum(priorities, 0) + 1e-6) ** self._alpha).astype(np.float32)
        self._tree.set(self._at(batch.columns, batch.slots).ravel(), values.ravel())
        self._max_priority = max(self._max_priority, float(values.max()))

    def describe(self) -> dict[str, Any]:
        return super().describe() | {"alpha": self._alpha, "beta": self._first_beta}

    def metrics(self) -> dict[str, float]:
        return {"beta": self.beta, "max_priority": self._max_priority}

    def get_state(self) -> State:
        if self._frames is None:
            self._allocate()
        self._follow_ring()
        leaves = np.arange(self._length * self._num_envs)
        return super().get_state() | {
            "priorities": self._tree.get(leaves).astype(np.float32),
            "max_priority": self._max_priority,
            "steps": self._steps,
        }

    def set_state(self, state: State) -> None:
        super().set_state(state)
        self._tree.set(np.arange(self._length * self._num_envs), state["priorities"])
        self._max_priority = state["max_priority"]
        # Longer ago than the horizon, everything has been decided.
        columns, slots = _between(np.maximum(self._stop - self._horizon, self._first()), self._stop)
        whole, _, _ = self._examine(columns, slots, self._first())
        self._entered = _after_last(whole, columns, slots, self._stop - self._horizon)
        self._steps = state["steps"]

    def _allocate(self) -> None:
        super()._allocate()
        self._tree = SumTree(self._length * self._num_envs)  # over the flat arrays

    def _follow_ring(self) -> None:
        """Enters into the tree what has become whole, and removes what is not any more."""
        first = self._first()
        # The stacks of the oldest may reach back to frames that are overwritten.
        oldest = _between(first, np.minimum(first + self._stack - 1, self._stop))
        newest = _between(np.maximum(self._entered, first), self._stop)
        columns, slots = np.concatenate([oldest, newest], axis=1)
        whole, _, _ = self._examine(columns, slots, first)
        at, new = self._at(columns, slots), slice(len(oldest[0]), None)
        priorities = self._tree.get(at)
        priorities[new] = self._max_priority
        self._tree.set(at, priorities * whole)
        self._entered = _after_last(whole[new], columns[new], slots[new], self._entered)

    def _draw_slots(
        self, num_batches: int, batch_size: int, first: np.ndarray, ends: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        strata = np.tile(np.arange(batch_size), num_batches)
        targets = (strata + self._generator.random(strata.size)) / batch_size * self._tree.total
        at = self._tree.find(targets)
        columns, times = at % self._num_envs, at // self._num_envs
        newest = self._stop[columns] - 1
        slots = newest - (newest - times) % self._length
        if self._uniform:
            uniform = (self._generator.random(strata.size) < self._uniform).nonzero()[0]
            columns[uniform], slots[uniform] = super()._draw_slots(1, uniform.size, first, ends)
        return columns, slots


def _between(begin: np.ndarray, end: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The columns and numbers [M] of the slots from `begin` to `end` [columns], in order."""
    counts = end - begin
    columns = np.repeat(np.arange(counts.size), counts)
    return columns, np.arange(columns.size) + (begin - np.cumsum(counts) + counts)[columns]


def _after_last(
    whole: np.ndarray, columns: np.ndarray, slots: np.ndarray, otherwise: np.ndarray
) -> np.ndarray:
    """By column, the slot after its last whole one of `slots` [M], which are in order."""
    after = otherwise.copy()
    after[columns[whole]] = slots[whole] + 1
    return after
