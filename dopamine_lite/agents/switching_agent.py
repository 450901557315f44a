"""An example in Dopamine's style: repeats its last action, and at times switches to a random one."""

from __future__ import annotations

from typing import Any

import gin
import numpy as np

from dopamine_lite.common.checks import check_fraction
from dopamine_lite.common.seeding import generator_state, restore_generator


@gin.configurable
class SwitchingAgent:
    """Repeats its last action, and draws a new one every 1 / `switch_prob` steps on average.

    The agent learns nothing. A new action can be the same as the last one.

    Args:
      num_actions: the number of actions of the environment.
      seed: the seed of the agent's random draws.
      switch_prob: the probability, in each step, that the agent draws a new action.
    """

    def __init__(self, num_actions: int, seed: int, switch_prob: float = 0.1):
        check_fraction("SwitchingAgent", switch_prob=switch_prob)
        self._num_actions = num_actions
        self._switch_prob = switch_prob
        self.eval_mode = False
        # The key is eval_mode, so that evaluating changes nothing in training.
        self._generators = [np.random.default_rng([seed, mode]) for mode in (False, True)]
        self._last_actions = [0, 0]

    def _choose(self) -> int:
        generator = self._generators[self.eval_mode]
        if generator.random() < self._switch_prob:
            self._last_actions[self.eval_mode] = int(generator.integers(self._num_actions))
        return self._last_actions[self.eval_mode]

    def begin_episode(self, observation: np.ndarray) -> int:
        return self._choose()

    def step(self, reward: float, observation: np.ndarray) -> int:
        return self._choose()

    def end_episode(self, reward: float) -> None:
        pass

    def bundle_and_checkpoint(self, checkpoint_dir: str, iteration_number: int) -> dict[str, Any]:
        return {
            "last_actions": list(self._last_actions),
            "generators": [generator_state(generator) for generator in self._generators],
        }

    def unbundle(self, checkpoint_dir: str, iteration_number: int, bundle: dict[str, Any]) -> bool:
        self._last_actions = list(bundle["last_actions"])
        for generator, state in zip(self._generators, bundle["generators"], strict=True):
            restore_generator(generator, state)
        return True
