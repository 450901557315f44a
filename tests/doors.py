"""An environment with illegal actions."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np


class Doors(gymnasium.Env):
    """Six steps; in each one of three doors is locked, and trying it raises.

    The door that may be opened for a reward of 1 is the one after the locked one.
    """

    observation_space = gymnasium.spaces.Box(0, 1, (3,), np.float32)
    action_space = gymnasium.spaces.Discrete(3)

    def _now(self) -> tuple[np.ndarray, dict[str, Any]]:
        self._locked = int(self.np_random.integers(3))
        mask = np.ones(3, np.int8)
        mask[self._locked] = 0
        return np.eye(3, dtype=np.float32)[self._locked], {"action_mask": mask}

    def reset(self, *, seed: int | None = None, options: Any = None):
        super().reset(seed=seed)
        self._left = 6
        return self._now()

    def step(self, action):
        if action == self._locked:
            raise ValueError(f"door {action} is locked")
        reward = float(action == (self._locked + 1) % 3)
        self._left -= 1
        observation, info = self._now()
        return observation, reward, self._left == 0, False, info


gymnasium.register("Doors-v0", entry_point=Doors)
