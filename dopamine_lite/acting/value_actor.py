"""Acts on action values: an exploration strategy chooses among the values of a network."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from dopamine_lite.acting.actor import Acted
from dopamine_lite.acting.exploration import Exploration
from dopamine_lite.acting.inference import Inference
from dopamine_lite.common.seeding import Seeds, generator_state, restore_generator
from dopamine_lite.common.types import State

_RECENT_VALUES = 256  # acting steps whose values are kept for the histogram


class ValueDecisions(NamedTuple):
    """What a value actor records about its decisions in N environments."""

    values: np.ndarray  # [N] max_a Q(s, a), of the legal actions
    taken: np.ndarray  # [N] Q(s, a) of the actions taken


class ValueActor:
    """The actor of the agents that learn action values.

    Args:
      inference: computes the action values [N, A] for observations.
      exploration: chooses actions by these values.
      seeds: the agent's node in the tree of seeds, for heads whose outputs are drawn.
      num_envs: N, the number of environments in training. `act` may be called for a part of them.
      first_action: the environment's number for its first action, which is 0 inside the agent.
      tells_values: whether learning needs `ValueDecisions`. Otherwise, values are computed only if an
        action depends on them.
    """

    def __init__(
        self,
        inference: Inference,
        exploration: Exploration,
        seeds: Seeds,
        num_envs: int,
        first_action: int = 0,
        tells_values: bool = False,
    ):
        self.inference = inference
        self.exploration = exploration
        self.steps = 0  # agent steps acted in training, over all environments
        self.first_action = first_action
        self._num_envs = num_envs
        self.tells_values = tells_values
        head = inference.network.head
        self._noise = {  # the head's draws; the key: whether it is in evaluation
            False: seeds.generator("noise", "train") if head.random_in_training else None,
            True: seeds.generator("noise", "eval") if head.random_in_evaluation else None,
        }
        self._recent_values: deque[np.ndarray] = deque(maxlen=_RECENT_VALUES)

    def act(
        self,
        observations: np.ndarray,
        evaluate: bool = False,
        action_masks: np.ndarray | None = None,
    ) -> Acted[ValueDecisions | None]:
        def values() -> np.ndarray:
            computed = self.inference(observations, self._noise[evaluate])
            if not evaluate:
                self._recent_values.append(computed)
            return _of_legal(computed, action_masks)

        known = values() if self.tells_values and not evaluate else None
        actions = self.exploration.choose(
            len(observations),
            lambda: values() if known is None else known,
            self.steps,
            evaluate,
            action_masks,
        )
        decisions = None
        if known is not None:
            taken = known[np.arange(len(known)), actions]
            decisions = ValueDecisions(known.max(axis=1), taken)
        if not evaluate:
            self.steps += self._num_envs
        return Acted(actions + self.first_action if self.first_action else actions, decisions)

    def greatest_values(
        self, observations: np.ndarray, action_masks: np.ndarray | None = None
    ) -> np.ndarray:
        """max_a Q(s, a) [N] for observations [N, ...], over the legal actions and without noise."""
        return _of_legal(self.inference(observations), action_masks).max(axis=1)

    def load(self, parameters: tf.Tensor) -> None:
        self.inference.load(parameters)

    def metrics(self) -> dict[str, float | np.ndarray]:
        values: dict[str, float | np.ndarray] = dict(self.exploration.metrics(self.steps))
        if self._recent_values:
            values["q_values"] = np.concatenate(self._recent_values)
        self._recent_values.clear()
        return values

    def get_state(self) -> State:
        return {
            "steps": self.steps,
            "exploration": self.exploration.get_state(),
            "noise": [generator_state(generator) for generator in self._generators()],
        }

    def set_state(self, state: State) -> None:
        self.steps = state["steps"]
        self.exploration.set_state(state["exploration"])
        for generator, saved in zip(self._generators(), state["noise"], strict=True):
            restore_generator(generator, saved)

    def _generators(self) -> list[np.random.Generator]:
        return [generator for generator in self._noise.values() if generator]


def _of_legal(values: np.ndarray, masks: np.ndarray | None) -> np.ndarray:
    """Action values [N, A], with minus infinity for illegal actions."""
    return values if masks is None else np.where(masks, values, -np.inf)
