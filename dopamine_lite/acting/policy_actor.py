"""Acts on a policy: draws actions from the distributions that a network computes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dopamine_lite.acting.actor import Acted
from dopamine_lite.acting.inference import Inference
from dopamine_lite.common.seeding import Seeds, generator_state, restore_generator
from dopamine_lite.common.types import State
from dopamine_lite.networks.actor_critic import PolicyParameters
from dopamine_lite.networks.normalization import ObservationNormalizer
from dopamine_lite.networks.policies import Policy


class Decisions(NamedTuple):
    """What a policy's actor records about its decisions in N environments."""

    outputs: np.ndarray  # [N, P] of the policy, with illegal actions masked
    values: np.ndarray  # [N] V(s)
    actions: np.ndarray  # [N, D] as drawn


class PolicyActor:
    """The actor of the agents that learn a policy and a value in one network.

    Args:
      inference: computes the policy's outputs and the values of observations, [N, P + 1].
      policy: draws actions from the outputs.
      seeds: the agent's node in the tree of seeds.
      normalizer: scales the observations; None: they are used as they are.
      sample_in_evaluation: draw actions in evaluation too; False: take the most likely actions.
    """

    def __init__(
        self,
        inference: Inference,
        policy: Policy,
        seeds: Seeds,
        normalizer: ObservationNormalizer | None,
        sample_in_evaluation: bool,
    ):
        self.inference = inference
        self._policy = policy
        self._normalizer = normalizer
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
    ) -> Acted[Decisions | None]:
        outputs, values = self.policy_and_values(observations, action_masks)
        generator = self._generators[evaluate]
        if evaluate and not self._sample_in_evaluation:
            return Acted(self._policy.to_environment(self._policy.mode(outputs, generator)), None)
        actions = self._policy.sample(outputs, generator)
        return Acted(self._policy.to_environment(actions), Decisions(outputs, values, actions))

    def policy_and_values(
        self, observations: np.ndarray, action_masks: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """The policy's outputs [N, P] and values [N] for observations [N, ...]."""
        if self._normalizer:
            observations = self._normalizer(observations)
        outputs = self.inference(observations)
        policy_outputs = outputs[:, :-1]
        if action_masks is not None:
            policy_outputs = self._policy.mask(policy_outputs, action_masks)
        return policy_outputs, outputs[:, -1]

    def load(self, parameters: PolicyParameters) -> None:
        self.inference.load(parameters.network)
        if self._normalizer and parameters.moments is not None:
            self._normalizer.moments.set_state(parameters.moments)

    def metrics(self) -> dict[str, float | np.ndarray]:
        return {}

    def get_state(self) -> State:
        return {"generators": [generator_state(own) for own in self._generators.values()]}

    def set_state(self, state: State) -> None:
        for own, saved in zip(self._generators.values(), state["generators"], strict=True):
            restore_generator(own, saved)
