"""Sutton and Barto's (2018) example 6.7: a tiny game in which the maximum of estimates is misleading."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np

from dopamine_lite.common.checks import check_whole

A, B = 0, 1
RIGHT, LEFT = 0, 1
_MEAN, _DEVIATION = -0.1, 1.0  # of the reward in B


class MaximisationBias(gymnasium.Env):
    """In A, right ends the episode with a reward of 0, and left leads to B, where the reward is luck.

    The observation is the state, `Discrete(2)`: 0 is A, where every episode starts, and 1 is B. Actions
    are `Discrete(num_actions)`. In A, action 0 is right and action 1 is left, which also gives a reward
    of 0; the other actions do nothing and are illegal by `info["action_mask"]`. In B, every action
    terminates the episode with a reward drawn from a normal distribution with mean -0.1 and standard
    deviation 1. So left is worth -0.1 and right is worth 0. An episode that goes left lasts two steps,
    so the average length minus 1 is the share of episodes that went left.

    Args:
      num_actions: the number of actions in B, 2 or more.

    Raises:
      UserError: `num_actions` is below 2.
    """

    metadata = {"render_modes": []}  # noqa: RUF012

    def __init__(self, num_actions: int = 10):
        check_whole("MaximisationBias", least=2, num_actions=num_actions)
        self.observation_space = gymnasium.spaces.Discrete(2)
        self.action_space = gymnasium.spaces.Discrete(num_actions)
        self._num_actions = num_actions
        self._state = A

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[int, dict[str, Any]]:
        super().reset(seed=seed)
        self._state = A
        return A, self._info()

    def step(self, action: int) -> tuple[int, float, bool, bool, dict[str, Any]]:
        reward, terminated = 0.0, self._state == B or action == RIGHT
        if self._state == B:
            reward = float(self.np_random.normal(_MEAN, _DEVIATION))
        elif action == LEFT:
            self._state = B
        return self._state, reward, terminated, False, self._info()

    def _info(self) -> dict[str, Any]:
        mask = np.ones(self._num_actions, np.int8)
        if self._state == A:
            mask[LEFT + 1 :] = 0
        return {"action_mask": mask}
