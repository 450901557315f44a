"""Selectors draw slots of a ring, uniformly or in proportion to priorities."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from dopamine_lite.common.errors import UserError
from dopamine_lite.common.schedules import linearly_decaying
from dopamine_lite.common.types import State
from dopamine_lite.replay.ring import Ring
from dopamine_lite.replay.sum_tree import SumTree
from dopamine_lite.replay.view import Drawn, Sampled, View


class Selector(Protocol):
    """Draws slots of a ring."""

    weighted: bool  # whether draws have importance weights

    @property
    def memory_bytes(self) -> int:
        """The bytes that it holds in addition to the ring, once the ring is full."""

    def added(self, agent_steps: int) -> None:
        """Called with the number of agent steps, over all environments, that were added to the ring."""

    def prepare(self) -> None:
        """Called before the draws of a sample."""

    def draw(self, num_batches: int, batch_size: int) -> tuple[np.ndarray, np.ndarray]:
        """Draws environments and slots, [K x B] each. Whole items need not begin there."""

    def weights(self, environments: np.ndarray, slots: np.ndarray) -> np.ndarray | None:
        """Importance weights [K, B] of the drawn items, or None."""

    def feedback(self, environments: np.ndarray, slots: np.ndarray, priorities: np.ndarray) -> None:
        """Takes the priorities [K, B] of the drawn items."""

    def metrics(self) -> dict[str, float]:
        """Numbers for the log."""

    def describe(self) -> dict[str, Any]:
        """The settings that matter."""

    def get_state(self) -> State:
        """Everything, apart from the ring and the generator, that determines the next draws."""

    def set_state(self, state: State) -> None:
        """Puts this selector into `state`. The ring must already be in its state from that time."""


class Uniform:
    """Draws all slots with the same chance.

    Args:
      ring: the ring.
      generator: draws the slots.
    """

    weighted = False
    memory_bytes = 0

    def __init__(self, ring: Ring, generator: np.random.Generator):
        self._ring = ring
        self._generator = generator

    def added(self, agent_steps: int) -> None:
        pass

    def prepare(self) -> None:
        pass

    def draw(self, num_batches: int, batch_size: int) -> tuple[np.ndarray, np.ndarray]:
        first = self._ring.first
        counts = self._ring.stop - first
        ends = np.cumsum(counts)
        drawn = self._generator.integers(ends[-1], size=num_batches * batch_size)
        if len(ends) == 1:
            return np.zeros(drawn.size, np.int64), drawn + first[0]
        environments = np.searchsorted(ends, drawn, side="right")
        return environments, first[environments] + drawn - (ends - counts)[environments]

    def weights(self, environments: np.ndarray, slots: np.ndarray) -> None:
        return None

    def feedback(self, environments: np.ndarray, slots: np.ndarray, priorities: np.ndarray) -> None:
        pass

    def metrics(self) -> dict[str, float]:
        return {}

    def describe(self) -> dict[str, Any]:
        return {}

    def get_state(self) -> State:
        return {}

    def set_state(self, state: State) -> None:
        pass


class Proportional:
    """Draws slots in proportion to their priorities (Schaul et al. 2016, section 3.3).

    Args:
      ring: the ring.
      generator: draws the slots.
      view: says at which slots an item begins. Only these slots have a priority, so every draw by
        priority finds an item.
      alpha: how much priorities count; 0: not at all.
      beta: exponent of the importance weights.
      beta_period: agent steps in which beta rises linearly to 1; None: beta is constant.
      uniform: u, the chance of a uniform draw.
      first_priorities: returns the priority with which each of the slots [M] that have become whole
        enters. For a negative number, or with None, a slot enters with the greatest priority so far.
    """

    weighted = True

    def __init__(
        self,
        ring: Ring,
        generator: np.random.Generator,
        view: View[Sampled],
        *,
        alpha: float,
        beta: float,
        beta_period: int | None,
        uniform: float,
        first_priorities: Callable[[Drawn], np.ndarray] | None = None,
    ):
        self._ring = ring
        self._generator = generator
        self._view = view
        self._alpha = alpha
        self._first_beta = beta
        self._beta_period = beta_period
        self._uniform = uniform
        self._uniformly = Uniform(ring, generator)
        self._first_priorities = first_priorities
        self.max_priority = 1.0  # of p^alpha
        self._steps = 0  # agent steps stored
        self._tree: SumTree | None = None  # over the ring's flat arrays
        # By environment, the slot after the last whole one at the tree's last update. Earlier slots that
        # are not whole never will be.
        self._entered = np.zeros(ring.spec.num_envs, np.int64)

    @property
    def memory_bytes(self) -> int:
        return SumTree.memory_bytes(self._ring.capacity)

    @property
    def beta(self) -> float:
        """The present exponent of the importance weights."""
        if self._beta_period is None:
            return self._first_beta
        return linearly_decaying(self._steps, self._first_beta, 1.0, 0, self._beta_period)

    @property
    def tree(self) -> SumTree:
        if self._tree is None:
            self._tree = SumTree(self._ring.capacity)
        return self._tree

    def added(self, agent_steps: int) -> None:
        self._steps += agent_steps

    def prepare(self) -> None:
        """Enters slots that are newly whole into the tree, and removes those that no longer are."""
        first, stop = self._ring.first, self._ring.stop
        # The stacks of the oldest slots may reach back to frames that were overwritten.
        oldest = _between(first, np.minimum(first + self._ring.spec.stack_size - 1, stop))
        newest = _between(np.maximum(self._entered, first), stop)
        environments, slots = np.concatenate([oldest, newest], axis=1)
        found = self._view.examine(environments, slots)
        whole = found.whole
        at, new = self._ring.at(environments, slots), slice(len(oldest[0]), None)
        priorities = self.tree.get(at)
        priorities[new] = self.max_priority
        if self._first_priorities is not None:
            entering = whole.copy()
            entering[: len(oldest[0])] = False
            priorities[entering] = self._first(Drawn(*(each[entering] for each in found)))
        self.tree.set(at, priorities * whole)
        self._entered = _after_last(whole[new], environments[new], slots[new], self._entered)

    def draw(self, num_batches: int, batch_size: int) -> tuple[np.ndarray, np.ndarray]:
        strata = np.tile(np.arange(batch_size), num_batches)
        targets = (strata + self._generator.random(strata.size)) / batch_size * self.tree.total
        at = self.tree.find(targets)
        num_envs = self._ring.spec.num_envs
        environments, times = at % num_envs, at // num_envs
        newest = self._ring.stop[environments] - 1
        slots = newest - (newest - times) % self._ring.length
        if self._uniform:
            uniform = (self._generator.random(strata.size) < self._uniform).nonzero()[0]
            environments[uniform], slots[uniform] = self._uniformly.draw(1, uniform.size)
        return environments, slots

    def weights(self, environments: np.ndarray, slots: np.ndarray) -> np.ndarray:
        shares = self.tree.get(self._ring.at(environments, slots)) / self.tree.total
        chances = (1 - self._uniform) * shares + self._uniform / len(self._ring)
        weights = (chances.min(axis=1, keepdims=True) / chances) ** self.beta
        return weights.astype(np.float32)

    def feedback(self, environments: np.ndarray, slots: np.ndarray, priorities: np.ndarray) -> None:
        """As `Selector.feedback`.

        Raises:
          UserError: a priority is not a finite number; the run has diverged.
        """
        values = self._to_power(priorities)
        self.tree.set(self._ring.at(environments, slots).ravel(), values.ravel())
        self.max_priority = max(self.max_priority, float(values.max()))

    def _to_power(self, priorities: np.ndarray) -> np.ndarray:
        """p^alpha. Draws are in proportion to it."""
        if not np.isfinite(priorities).all():
            raise UserError(
                "A priority is not a finite number: the run has diverged. Lower the learning rate "
                "or clip the rewards."
            )
        # float32, because a checkpoint keeps that. Rounding can make a divergence negative. With the
        # constant, every item can be drawn again.
        values: np.ndarray = (np.maximum(priorities, 0) + 1e-6) ** self._alpha
        return values.astype(np.float32)

    def _first(self, entering: Drawn) -> np.ndarray:
        """p^alpha of the items that can be drawn from now on."""
        assert self._first_priorities is not None
        priorities = self._first_priorities(entering)
        known = ~(priorities < 0)  # also NaN, which is refused
        values = self._to_power(priorities[known])
        self.max_priority = max([self.max_priority, *values.max(keepdims=True, initial=0).tolist()])
        found = np.full(priorities.shape, self.max_priority)
        found[known] = values
        return found

    def metrics(self) -> dict[str, float]:
        return {"beta": self.beta, "max_priority": self.max_priority}

    def describe(self) -> dict[str, Any]:
        return {"alpha": self._alpha, "beta": self._first_beta}

    def get_state(self) -> State:
        self._ring.allocate()
        self.prepare()
        return {
            "priorities": self.tree.get(np.arange(self._ring.capacity)).astype(np.float32),
            "max_priority": self.max_priority,
            "steps": self._steps,
        }

    def set_state(self, state: State) -> None:
        first, stop = self._ring.first, self._ring.stop
        self.tree.set(np.arange(self._ring.capacity), state["priorities"])
        self.max_priority = state["max_priority"]
        # Whether a slot is whole is decided once as many steps follow it as the horizon has.
        decided = stop - self._view.horizon
        environments, slots = _between(np.maximum(decided, first), stop)
        whole = self._view.examine(environments, slots).whole
        self._entered = _after_last(whole, environments, slots, decided)
        self._steps = state["steps"]


def _between(begin: np.ndarray, end: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The environments and numbers [M] of the slots from `begin` to `end` [N], in order."""
    counts = end - begin
    environments = np.repeat(np.arange(counts.size), counts)
    shifts = begin - np.cumsum(counts) + counts
    return environments, np.arange(environments.size) + shifts[environments]


def _after_last(
    whole: np.ndarray, environments: np.ndarray, slots: np.ndarray, otherwise: np.ndarray
) -> np.ndarray:
    """The slot after the last whole one in `slots` [M], which are in order, by environment."""
    after = otherwise.copy()
    after[environments[whole]] = slots[whole] + 1
    return after
