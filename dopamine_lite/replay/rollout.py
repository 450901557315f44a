"""The memory of on-policy agents: T steps, which are forgotten once the agent has learned from them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Generic, NamedTuple, TypeVar

import gymnasium
import numpy as np

from dopamine_lite.common.memory import require_memory
from dopamine_lite.networks.policies import Policy
from dopamine_lite.replay.block import Block
from dopamine_lite.replay.ring import in_single_precision


class Rollout(NamedTuple):
    """T steps of N environments, time-major, of an agent that learns a policy."""

    observations: np.ndarray  # [T, N, ...]
    actions: np.ndarray  # [T, N, D] as drawn
    outputs: np.ndarray  # [T, N, P] of the policy that drew them
    values: np.ndarray  # [T, N] V(s)
    cut_values: np.ndarray  # [T, N] V(s') where an episode was cut, and in the last row
    rewards: np.ndarray  # [T, N] float32
    terminated: np.ndarray  # [T, N] bool
    truncated: np.ndarray  # [T, N] bool

    @classmethod
    def example(cls, space: gymnasium.Space, policy: Policy) -> Rollout:
        """One step of one environment, for the `RolloutBuffer`."""
        return cls(
            np.zeros(_shape(space), space.dtype),
            np.zeros(policy.action_size, policy.action_dtype),
            np.zeros(policy.size, np.float32),
            *[np.zeros((), np.float32)] * 3,
            *[np.zeros((), bool)] * 2,
        )

    def next_values(self) -> np.ndarray:
        """V(s') [T, N] of the true successors, valid where the episode did not terminate."""
        return _next_values(self.values, self.cut_values, self.truncated)


class ValueRollout(NamedTuple):
    """T steps of N environments, time-major, of an agent that learns action values."""

    observations: np.ndarray  # [T, N, ...]
    actions: np.ndarray  # [T, N] int32, counted from 0
    values: np.ndarray  # [T, N] max_a Q(s, a), of the legal actions
    cut_values: np.ndarray  # [T, N] max_a Q(s', a) where an episode was cut, and in the last row
    rewards: np.ndarray  # [T, N] float32
    terminated: np.ndarray  # [T, N] bool
    truncated: np.ndarray  # [T, N] bool

    @classmethod
    def example(cls, space: gymnasium.Space) -> ValueRollout:
        """One step of one environment, for the `RolloutBuffer`."""
        return cls(
            np.zeros(_shape(space), space.dtype),
            np.zeros((), np.int32),
            *[np.zeros((), np.float32)] * 3,
            *[np.zeros((), bool)] * 2,
        )

    def next_values(self) -> np.ndarray:
        """max_a Q(s', a) [T, N] of the true successors, valid where the episode did not terminate."""
        return _next_values(self.values, self.cut_values, self.truncated)


def _shape(space: gymnasium.Space) -> tuple[int, ...]:
    assert space.shape is not None
    return space.shape


def _next_values(values: np.ndarray, cut_values: np.ndarray, truncated: np.ndarray) -> np.ndarray:
    cut = truncated.copy()
    cut[-1] = True
    return np.where(cut, cut_values, np.roll(values, -1, axis=0))


_Steps = TypeVar("_Steps", bound=Rollout | ValueRollout)


class RolloutBuffer(Generic[_Steps]):
    """Collects steps until it has T steps of every environment.

    Args:
      length: T, steps of each environment.
      num_envs: N, the number of environments.
      example: one step of one environment, in arrays with the dtypes of the columns and, but for the
        axes [T, N], their shapes.
      owner: the agent's name, for messages.
      update_bytes: the bytes that an update holds, not counting the steps.
    """

    def __init__(self, length: int, num_envs: int, example: _Steps, owner: str, update_bytes: int):
        of_step = sum(column.nbytes for column in example)
        require_memory(
            length * num_envs * of_step + update_bytes,
            f"{owner}'s rollout",
            f"lower {owner}.rollout_length",
        )
        columns = [np.empty((length, num_envs, *column.shape), column.dtype) for column in example]
        self._rollout: _Steps = type(example)(*columns)
        self._length = length
        self._position = 0  # number of collected steps of each environment

    @property
    def memory_bytes(self) -> int:
        return sum(column.nbytes for column in self._rollout)

    @property
    def room(self) -> int:
        """The number of missing steps of each environment."""
        return self._length - self._position

    @property
    def agent_steps(self) -> int:
        """The number of collected agent steps, over all environments."""
        return self._position * self._rollout.rewards.shape[1]

    def completed(
        self,
        block: Block,
        steps_of: Callable[[Block, np.ndarray], _Steps],
        values_after: Callable[[Block, int], np.ndarray],
    ) -> Iterator[_Steps]:
        """Takes the steps of a block; yields each complete rollout before it is overwritten.

        Args:
          block: the steps.
          steps_of: called with a block and the values [T, N] of its successors; returns the columns to
            keep. Values are needed only where an episode was cut and in a rollout's last row.
          values_after: called with a block and one of its rows; returns the values [N] of the row's true
            successors.
        """
        while block.num_steps:
            part, block = block.rows(0, self.room), block.rows(self.room, block.num_steps)
            in_single_precision(part.rewards)
            steps = steps_of(part, self._cut_values(part, values_after))
            rows = slice(self._position, self._position + part.num_steps)
            for own, column in zip(self._rollout, steps, strict=True):
                own[rows] = column
            self._position += part.num_steps
            if not self.room:
                self._position = 0
                yield self._rollout

    def _cut_values(
        self, block: Block, values_after: Callable[[Block, int], np.ndarray]
    ) -> np.ndarray:
        """The values [T, N] of the successors in the rows that need them, and 0 in other rows."""
        values = np.zeros(block.rewards.shape, np.float32)
        needed = np.any(block.truncated, axis=1)
        needed[-1] |= block.num_steps == self.room
        for step in needed.nonzero()[0].tolist():
            values[step] = values_after(block, step)
        return values

    def get_state(self) -> list[np.ndarray]:
        """The collected steps."""
        return [column[: self._position].copy() for column in self._rollout]

    def set_state(self, state: list[np.ndarray]) -> None:
        for column, saved in zip(self._rollout, state, strict=True):
            column[: len(saved)] = saved
            self._position = len(saved)
