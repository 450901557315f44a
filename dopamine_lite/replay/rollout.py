"""The memory of agents that learn from what they have just done: the last T steps, and then no more."""

from __future__ import annotations

from typing import NamedTuple

import gymnasium
import numpy as np

from dopamine_lite.common.block import Block
from dopamine_lite.common.memory import require_memory
from dopamine_lite.networks.policies import Policy


class Rollout(NamedTuple):
    """T steps of N environments, time-major."""

    observations: np.ndarray  # [T, N, ...]
    actions: np.ndarray  # [T, N, D] as drawn
    outputs: np.ndarray  # [T, N, P] of the policy that drew them
    values: np.ndarray  # [T, N] V(s)
    cut_values: np.ndarray  # [T, N] V(s') where a stream was cut, and in the last row
    rewards: np.ndarray  # [T, N] float32
    terminated: np.ndarray  # [T, N] bool
    truncated: np.ndarray  # [T, N] bool


class RolloutBuffer:
    """Collects blocks until T steps of every environment are there.

    Args:
      length: T, steps of each environment.
      num_envs: N, the number of environments.
      space: the space of observations.
      policy: the policy that acts, which says what its decisions are made of.
      owner: the agent's name, for messages.
      update_bytes: what an update holds besides.
    """

    def __init__(
        self,
        length: int,
        num_envs: int,
        space: gymnasium.Space,
        policy: Policy,
        owner: str,
        update_bytes: int,
    ):
        assert space.shape is not None and space.dtype is not None
        grid, size = (length, num_envs), length * num_envs
        of_decisions = 4 * (policy.action_size + policy.size + 4)
        require_memory(
            size * (int(np.prod(space.shape)) * space.dtype.itemsize + of_decisions) + update_bytes,
            f"{owner}'s rollout",
            f"lower {owner}.rollout_length",
        )
        self._rollout = Rollout(
            observations=np.empty((*grid, *space.shape), space.dtype),
            actions=np.empty((*grid, policy.action_size), policy.action_dtype),
            outputs=np.empty((*grid, policy.size), np.float32),
            values=np.empty(grid, np.float32),
            cut_values=np.empty(grid, np.float32),
            rewards=np.empty(grid, np.float32),
            terminated=np.empty(grid, bool),
            truncated=np.empty(grid, bool),
        )
        self._length = length
        self._position = 0  # steps of each environment that are there

    @property
    def memory_bytes(self) -> int:
        return sum(column.nbytes for column in self._rollout)

    @property
    def room(self) -> int:
        """Steps of each environment that are still to come."""
        return self._length - self._position

    def add(self, block: Block, cut_values: np.ndarray) -> None:
        """Takes the steps of a block, of which there may be no more than there is room for.

        Args:
          block: the steps, with the policy's `Decisions`.
          cut_values: [T, N] V(s') where a stream was cut, and in the rollout's last row.
        """
        decisions = block.decisions
        columns = Rollout(
            block.observations[:-1],
            decisions.actions,
            decisions.outputs,
            decisions.values,
            cut_values,
            block.rewards,
            block.terminated,
            block.truncated,
        )
        rows = slice(self._position, self._position + block.num_steps)
        for own, column in zip(self._rollout, columns, strict=True):
            own[rows] = column
        self._position += block.num_steps

    def take(self) -> Rollout:
        """The whole rollout, which the next `add` begins to overwrite."""
        assert not self.room
        self._position = 0
        return self._rollout

    def get_state(self) -> list[np.ndarray]:
        """The steps that are there."""
        return [column[: self._position].copy() for column in self._rollout]

    def set_state(self, state: list[np.ndarray]) -> None:
        for column, saved in zip(self._rollout, state, strict=True):
            column[: len(saved)] = saved
            self._position = len(saved)
