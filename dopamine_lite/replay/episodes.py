"""The memory of agents that learn from whole episodes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dopamine_lite.losses.returns import discounted_returns
from dopamine_lite.replay.block import Block


class Episode(NamedTuple):
    """The T steps of an episode."""

    observations: np.ndarray  # [T, ...]
    actions: np.ndarray  # [T, D] as drawn
    outputs: np.ndarray  # [T, P] of the policy that drew them
    values: np.ndarray  # [T] V(s)
    returns: np.ndarray  # [T] G


class EpisodeBuffer:
    """Puts together the episodes of N environments from blocks.

    Args:
      num_envs: N, the number of environments.
      gamma: discount per agent step.
      reset_return_at_reward: start the return anew at each reward that is not zero.
    """

    def __init__(self, num_envs: int, gamma: float, reset_return_at_reward: bool):
        self._gamma = gamma
        self._reset_return_at_reward = reset_return_at_reward
        self._in_flight: list[list[list[np.ndarray]]] = [[] for _ in range(num_envs)]

    @property
    def is_empty(self) -> bool:
        """Whether no episode is in flight."""
        return not any(self._in_flight)

    def clear(self) -> None:
        """Forgets the episodes in flight."""
        for parts in self._in_flight:
            parts.clear()

    def add(self, block: Block, last_values: np.ndarray) -> list[Episode]:
        """Takes the steps of a block; returns the episodes that ended with its last step.

        Args:
          block: the steps, with the policy's `Decisions`. Episodes end only with its last step.
          last_values: [N] V(s') to continue the return of an episode that was cut, or 0.
        """
        decisions = block.decisions
        columns = (
            block.observations[:-1],
            decisions.actions,
            decisions.outputs,
            decisions.values,
            block.rewards,
        )
        for environment, parts in enumerate(self._in_flight):
            parts.append([column[:, environment].copy() for column in columns])
        ended = block.ended[-1].nonzero()[0]
        return [
            self._finished(environment, float(last_values[environment])) for environment in ended
        ]

    def _finished(self, environment: int, last_value: float) -> Episode:
        parts = self._in_flight[environment]
        observations, actions, outputs, values, rewards = (
            np.concatenate(column) for column in zip(*parts, strict=True)
        )
        parts.clear()
        returns = discounted_returns(rewards, self._gamma, last_value, self._reset_return_at_reward)
        return Episode(observations, actions, outputs, values, returns)
