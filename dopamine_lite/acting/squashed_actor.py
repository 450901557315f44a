"""Acts on a squashed normal policy: draws continuous actions within their bounds."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from dopamine_lite.acting.actor import Acted
from dopamine_lite.acting.inference import Inference
from dopamine_lite.common.seeding import Seeds, generator_state, restore_generator
from dopamine_lite.common.types import State
from dopamine_lite.networks.squashed_policy import SquashedGaussianPolicy


class SquashedDecisions(NamedTuple):
    """What this actor records about its decisions in N environments."""

    actions: np.ndarray  # [N, D] float32 within [-1, 1], before they are scaled to the bounds


class SquashedActor:
    """The actor of SAC.

    Args:
      inference: computes the policy's outputs [N, 2 D] for observations.
      policy: draws actions from the outputs.
      seeds: the agent's node in the tree of seeds.
      num_envs: N, the number of environments in training. `act` may be called for a part of them.
      warmup: agent steps of uniformly random actions at the start of training.
      hold: steps of each environment for which each of these random actions is held.
      sample_in_evaluation: draw actions in evaluation too; False: take the tanh of the mean.
    """

    def __init__(
        self,
        inference: Inference,
        policy: SquashedGaussianPolicy,
        seeds: Seeds,
        num_envs: int,
        warmup: int,
        hold: int,
        sample_in_evaluation: bool,
    ):
        self.inference = inference
        self.steps = 0  # agent steps acted in training, over all environments
        self._num_envs = num_envs
        self._policy = policy
        self._warmup, self._hold = warmup, hold
        self._held: np.ndarray | None = None  # [N, D] the random actions of the warm-up
        self._sample_in_evaluation = sample_in_evaluation
        self._generators = {  # the key: whether it is in evaluation
            False: seeds.generator("actions", "train"),
            True: seeds.generator("actions", "eval"),
        }

    def act(
        self,
        observations: np.ndarray,
        evaluate: bool = False,
        action_masks: np.ndarray | None = None,
    ) -> Acted:
        actions = self._choose(observations, evaluate)
        if not evaluate:
            self.steps += self._num_envs
        return Acted(self._policy.to_environment(actions), SquashedDecisions(actions))

    def _choose(self, observations: np.ndarray, evaluate: bool) -> np.ndarray:
        """Actions [N, D] within [-1, 1]."""
        generator = self._generators[evaluate]
        if not evaluate and self.steps < self._warmup:
            if self._held is None or self.steps // self._num_envs % self._hold == 0:
                self._held = self._policy.uniform(len(observations), generator)
            return self._held
        outputs = self.inference(observations)
        if evaluate and not self._sample_in_evaluation:
            return self._policy.mode(outputs)
        return self._policy.sample(outputs, generator)

    def load(self, parameters: tf.Tensor) -> None:
        self.inference.load(parameters)

    def metrics(self) -> dict[str, float | np.ndarray]:
        return {}

    def get_state(self) -> State:
        return {
            "steps": self.steps,
            "held": self._held,
            "generators": [generator_state(own) for own in self._generators.values()],
        }

    def set_state(self, state: State) -> None:
        self.steps, self._held = state["steps"], state["held"]
        for own, saved in zip(self._generators.values(), state["generators"], strict=True):
            restore_generator(own, saved)
