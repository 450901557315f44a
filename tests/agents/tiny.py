"""Environments small enough to know every value, and a loop to play them with an agent."""

from __future__ import annotations

import gymnasium
import numpy as np

from dopamine_lite.agents.agent import Agent, Transitions
from dopamine_lite.environments.environment import EnvironmentSpec


def spec(num_actions: int = 3, num_envs: int = 1, size: int = 3) -> EnvironmentSpec:
    return EnvironmentSpec(
        "Tiny-v0",
        gymnasium.spaces.Box(0, 1, (size,), np.float32),
        gymnasium.spaces.Discrete(num_actions),
        num_envs,
    )


class Identity:
    """Shows a one-hot vector; the action of the same index is worth 1. Every step is an episode."""

    def __init__(self, num_envs: int = 1, terminated: bool = True, seed: int = 0):
        self._generator = np.random.default_rng(seed)
        self._num_envs = num_envs
        self._terminated = np.full(num_envs, terminated)
        self.observations = self._draw()

    def _draw(self) -> np.ndarray:
        self._hot = self._generator.integers(3, size=self._num_envs)
        return np.eye(3, dtype=np.float32)[self._hot]

    def play(self, agent: Agent, steps: int) -> None:
        for _ in range(steps):
            actions = agent.act(self.observations)
            rewards = (actions == self._hot).astype(np.float64)
            agent.observe(
                Transitions(
                    self.observations,
                    actions,
                    rewards,
                    self._terminated,
                    ~self._terminated,
                    self.observations,
                )
            )
            self.observations = self._draw()
