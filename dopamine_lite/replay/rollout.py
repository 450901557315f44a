"""The memory of agents that learn from what they have just done: the last T steps, and then no more."""

from __future__ import annotations

from typing import Generic, NamedTuple, TypeVar

import gymnasium
import numpy as np

from dopamine_lite.common.memory import require_memory
from dopamine_lite.networks.policies import Policy


class Rollout(NamedTuple):
    """T steps of N environments, time-major, of an agent that learns a policy."""

    observations: np.ndarray  # [T, N, ...]
    actions: np.ndarray  # [T, N, D] as drawn
    outputs: np.ndarray  # [T, N, P] of the policy that drew them
    values: np.ndarray  # [T, N] V(s)
    cut_values: np.ndarray  # [T, N] V(s') where a stream was cut, and in the last row
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
        """[T, N] V(s') of the true successors, where the episode did not terminate."""
        return _next_values(self.values, self.cut_values, self.truncated)


class ValueRollout(NamedTuple):
    """T steps of N environments, time-major, of an agent that learns action values."""

    observations: np.ndarray  # [T, N, ...]
    actions: np.ndarray  # [T, N] int32, counted from 0
    values: np.ndarray  # [T, N] max_a Q(s, a), of the legal actions
    cut_values: np.ndarray  # [T, N] max_a Q(s', a) where a stream was cut, and in the last row
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
        """[T, N] max_a Q(s', a) of the true successors, where the episode did not terminate."""
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
    """Collects steps until T of every environment are there.

    Args:
      length: T, steps of each environment.
      num_envs: N, the number of environments.
      example: one step of one environment: arrays of the shapes and dtypes that the columns have
        without the axes [T, N].
      owner: the agent's name, for messages.
      update_bytes: what an update holds besides.
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
        self._position = 0  # steps of each environment that are there

    @property
    def memory_bytes(self) -> int:
        return sum(column.nbytes for column in self._rollout)

    @property
    def room(self) -> int:
        """Steps of each environment that are still to come."""
        return self._length - self._position

    def add(self, steps: _Steps) -> None:
        """Takes the next steps, of which there may be no more than there is room for."""
        rows = slice(self._position, self._position + len(steps.rewards))
        for own, column in zip(self._rollout, steps, strict=True):
            own[rows] = column
        self._position += len(steps.rewards)

    def take(self) -> _Steps:
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
