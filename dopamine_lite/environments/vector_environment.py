"""Any Gymnasium vector environment that resets within the step that ends an episode."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np

from dopamine_lite.environments.environment import Environment, EnvironmentSpec, Step


class VectorEnvironment(Environment):
    """The N streams of a `gymnasium.vector.VectorEnv` in same-step autoreset mode.

    Args:
      envs: the vector environment; not yet reset. It must not write to arrays it has returned.
      spec: what to tell the agent; observations are handed over in the dtype it names.
      seeds: [N] one seed a stream, where the environment takes them, or one for all.
    """

    def __init__(
        self, envs: gymnasium.vector.VectorEnv, spec: EnvironmentSpec, seeds: np.ndarray | int
    ):
        if envs.metadata.get("autoreset_mode") != gymnasium.vector.AutoresetMode.SAME_STEP:
            raise ValueError(f"{envs} does not reset within the step that ends an episode.")
        self.spec = spec
        self._envs: Any = envs
        self._seeds = seeds
        self._dtype = spec.observation_space.dtype

    def reset(self) -> np.ndarray:
        observations, self._info = self._envs.reset(seed=self._seeds)
        return np.asarray(observations, self._dtype)

    def step(self, actions: np.ndarray) -> Step:
        observations, rewards, terminated, truncated, self._info = self._envs.step(actions)
        following = observations = np.asarray(observations, self._dtype)
        ended = (terminated | truncated).nonzero()[0]
        if ended.size:
            following = observations.copy()
            final = self._info["final_obs"]  # [N, ...], or [N] objects where not all have ended
            for stream in ended:
                following[stream] = final[stream]
        return Step(
            observations,
            rewards.astype(np.float64),
            terminated,
            truncated & ~terminated,
            following,
        )

    def render(self) -> np.ndarray:
        return self._envs.render()[0]

    def close(self) -> None:
        self._envs.close()
