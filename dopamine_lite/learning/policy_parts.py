"""What the learners of policies share: a network of policy and value, and its training."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from dopamine_lite.common.types import State
from dopamine_lite.networks.network import Network
from dopamine_lite.networks.normalization import ObservationNormalizer
from dopamine_lite.networks.optimizers import Optimizer
from dopamine_lite.networks.policies import Policy


class PolicyParts(NamedTuple):
    """The parts that a learner is given."""

    network: Network  # [B, P + 1] the policy's outputs and, last, the value
    policy: Policy
    optimizer: Optimizer
    normalizer: ObservationNormalizer | None  # of observations; the learner updates its statistics
    parameters: Callable[[], tf.Tensor]  # makes, in a graph, the actor's parameters
    has_masks: bool  # whether some actions are illegal at times

    def normalized(self, observations: np.ndarray) -> np.ndarray:
        """Observations as the network gets them."""
        return self.normalizer(observations) if self.normalizer else observations

    def outputs(self, prepared: tf.Tensor, masked: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """The policy's outputs [B, P] and the values [B].

        Actions that are illegal in `masked` [B, P] are masked in the outputs too.
        """
        outputs = self.network(prepared)
        policy_outputs = outputs[:, :-1]
        if self.has_masks:
            policy_outputs = self.policy.mask_as(policy_outputs, masked)
        return policy_outputs, outputs[:, -1]

    @property
    def input_dtype(self) -> tf.DType:
        """The dtype of what `normalized` returns."""
        space = self.network.observation_space
        return tf.float32 if self.normalizer else tf.as_dtype(space.dtype)

    def get_state(self) -> State:
        return {
            "network": self.network.get_state(),
            "optimizer": self.optimizer.get_state(),
            "normaliser": self.normalizer.moments.get_state() if self.normalizer else None,
        }

    def set_state(self, state: State) -> None:
        self.network.set_state(state["network"])
        self.optimizer.set_state(state["optimizer"])
        if self.normalizer:
            self.normalizer.moments.set_state(state["normaliser"])

    def start_from(self, state: State) -> None:
        """Takes the weights of another agent; running statistics of observations count as weights."""
        if (self.normalizer is None) != (state["normaliser"] is None):
            raise ValueError(
                "one of the two agents normalizes observations, and the other does not"
            )
        self.network.set_state(state["network"])
        if self.normalizer:
            self.normalizer.moments.set_state(state["normaliser"])
