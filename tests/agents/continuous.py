"""SAC in small, and an environment with continuous actions whose every value is known."""

from __future__ import annotations

import functools
from typing import Any

import gymnasium
import numpy as np

from dopamine_lite.agents.agent import Transitions
from dopamine_lite.agents.sac_agent import SACAgent
from dopamine_lite.common.seeding import Seeds
from dopamine_lite.environments.environment import EnvironmentSpec
from dopamine_lite.networks.optimizers import Adam
from dopamine_lite.networks.torsos import MLP

LOW, HIGH = np.array([-2.0, 0.0], np.float32), np.array([2.0, 1.0], np.float32)


def spec(num_envs: int = 1, **changes: Any) -> EnvironmentSpec:
    """Three numbers are seen, and an action is one number within +-2 and one from 0 to 1."""
    settings: dict[str, Any] = {
        "observation_space": gymnasium.spaces.Box(-1, 1, (3,), np.float32),
        "action_space": gymnasium.spaces.Box(LOW, HIGH),
    } | changes
    return EnvironmentSpec("Reach-v0", num_envs=num_envs, **settings)


def small(seeds: Seeds, units: int = 16) -> MLP:
    """A torso whose updates take TensorFlow a second to compile, where XLA would take ten."""
    torso = MLP(seeds, hidden_units=(units,))
    torso.compile_update = False
    return torso


def build(seed: int = 0, num_envs: int = 2, **arguments: Any) -> SACAgent:
    settings: dict[str, Any] = {
        "torso": small,
        **{
            f"{name}_optimizer": functools.partial(Adam, learning_rate=0.003, epsilon=1e-8)
            for name in ("actor", "critic", "temperature")
        },
        "gamma": 0.9,
        "min_replay_history": 20,
        "batch_size": 8,
    } | arguments
    return SACAgent(settings.pop("spec", spec(num_envs)), Seeds(seed), **settings)


class Reach:
    """Shows three numbers; the best action is the first two of them, in the units of the actions.

    The reward is minus the squared distance from it, in units of +-1. Episodes have three steps; every
    other one is cut there, the others terminate.
    """

    def __init__(self, num_envs: int = 2, seed: int = 0):
        self._generator = np.random.default_rng(seed)
        self._num_envs = num_envs
        self._step = 0
        self.observations = self._draw()
        self.rewards: list[np.ndarray] = []

    def _draw(self) -> np.ndarray:
        return self._generator.uniform(-0.8, 0.8, (self._num_envs, 3)).astype(np.float32)

    def step(self, actions: np.ndarray) -> Transitions:
        inside = 2 * (actions - LOW) / (HIGH - LOW) - 1
        rewards = -np.square(inside - self.observations[:, :2]).sum(axis=1).astype(np.float64)
        self.rewards.append(rewards)
        self._step += 1
        ended = np.full(self._num_envs, self._step % 3 == 0)
        terminated = ended & (self._step % 6 == 0)
        following = self._draw()
        seen = Transitions(
            self.observations, actions, rewards, terminated, ended & ~terminated, following
        )
        self.observations = self._draw() if ended.any() else following
        return seen

    def play(self, agent: SACAgent, steps: int) -> None:
        for _ in range(steps):
            agent.observe(self.step(agent.act(self.observations)))
