"""Exploration: from action values to actions."""

from __future__ import annotations

from collections.abc import Callable

import gin
import numpy as np

from dopamine_lite.common.schedules import linearly_decaying
from dopamine_lite.common.seeding import Seeds, generator_state, restore_generator
from dopamine_lite.common.types import State


@gin.configurable
class EpsilonGreedy:
    """A uniform action with probability epsilon, else one of greatest value, ties at random.

    Args:
      num_actions: A.
      warmup: agent steps before epsilon begins to fall from 1.
      seeds: gives one generator for training and one for evaluation.
      epsilon_train: what epsilon falls to.
      epsilon_eval: epsilon in evaluation.
      epsilon_decay_period: agent steps from 1 to `epsilon_train`.
    """

    def __init__(
        self,
        num_actions: int,
        warmup: int,
        seeds: Seeds,
        *,
        epsilon_train: float = 0.01,
        epsilon_eval: float = 0.001,
        epsilon_decay_period: int = 250_000,
    ):
        self._num_actions = num_actions
        self._warmup = warmup
        self._epsilon_train = epsilon_train
        self._epsilon_eval = epsilon_eval
        self._period = epsilon_decay_period
        self._generators = {False: seeds.generator("train"), True: seeds.generator("eval")}

    def epsilon(self, step: int, evaluate: bool = False) -> float:
        """Epsilon after `step` agent steps."""
        if evaluate:
            return self._epsilon_eval
        return linearly_decaying(step, 1.0, self._epsilon_train, self._warmup, self._period)

    def choose(
        self, num_streams: int, values: Callable[[], np.ndarray], step: int, evaluate: bool
    ) -> np.ndarray:
        """Actions [N] int64. `values` [N, A] is called only where some stream acts greedily."""
        generator = self._generators[evaluate]
        explores = generator.random(num_streams) < self.epsilon(step, evaluate)
        if explores.all():
            return generator.integers(self._num_actions, size=num_streams)
        actions = greedy(values(), generator)
        if explores.any():
            actions[explores] = generator.integers(self._num_actions, size=explores.sum())
        return actions

    def get_state(self) -> State:
        return {
            "train": generator_state(self._generators[False]),
            "eval": generator_state(self._generators[True]),
        }

    def set_state(self, state: State) -> None:
        restore_generator(self._generators[False], state["train"])
        restore_generator(self._generators[True], state["eval"])


def greedy(values: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """argmax over actions of values [N, A]; one of the best at random where several are."""
    best = values == values.max(axis=1, keepdims=True)
    if np.count_nonzero(best) > len(values):
        return (best * generator.random(best.shape)).argmax(axis=1)
    return best.argmax(axis=1)
