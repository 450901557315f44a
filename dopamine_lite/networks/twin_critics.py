"""Two networks that value actions. SAC uses the lower of the two values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import gymnasium
import keras
import numpy as np
import tensorflow as tf

from dopamine_lite.common.seeding import Seeds
from dopamine_lite.common.types import State
from dopamine_lite.networks.layers import Dense, initializer
from dopamine_lite.networks.network import Network, require_equal
from dopamine_lite.networks.observations import reader_of
from dopamine_lite.networks.torsos import Torso


class ActionValueHead:
    """Q(s, a) as [B, 1], for features of s and a together."""

    random_in_training = random_in_evaluation = False

    def __init__(self, seeds: Seeds):
        kernel = initializer("torch_uniform", seeds, "action_value")
        self._layer = Dense(1, kernel_initializer=kernel, name="action_value")
        self.layers: Sequence[keras.layers.Layer] = [self._layer]

    def __call__(self, features: tf.Tensor, seed: tf.Tensor | None = None) -> tf.Tensor:
        return self._layer(features)

    @staticmethod
    def values(outputs: tf.Tensor) -> tf.Tensor:
        return outputs

    @staticmethod
    def describe() -> dict[str, Any]:
        return {}


class TwinCritics:
    """Q_1(s, a) and Q_2(s, a), two networks of one kind with separate parameters.

    Each reads the numbers of the observation and the action side by side (Fujimoto et al. 2018).

    Args:
      seeds: seeds of the initial parameters.
      torso: makes the torso of a critic.
      observation_space: a `Box` of observations that are one row of numbers.
      action_size: D, the numbers in an action.
    """

    def __init__(
        self,
        seeds: Seeds,
        torso: Callable[[Seeds], Torso],
        observation_space: gymnasium.spaces.Box,
        action_size: int,
    ):
        size = observation_space.shape[0] + action_size
        both = gymnasium.spaces.Box(-np.inf, np.inf, (size,), np.float32)
        self._reader = reader_of(observation_space)
        self._networks = [
            Network(torso(own.child("torso")), ActionValueHead(own.child("head")), both)
            for own in (seeds.child("first"), seeds.child("second"))
        ]
        self.variables = [each for network in self._networks for each in network.variables]
        self.compile_update = self._networks[0].torso.compile_update

    def __call__(self, observations: tf.Tensor, actions: tf.Tensor) -> tf.Tensor:
        """[B, 2] for observations [B, O] as stored and actions [B, D]. Differentiable."""
        both = tf.concat([self._reader(observations), actions], axis=1)
        values = [network(network.prepare(both)) for network in self._networks]
        return tf.concat(values, axis=1)

    @property
    def num_parameters(self) -> int:
        return sum(network.num_parameters for network in self._networks)

    def batch_bytes(self, size: int) -> int:
        """As `Network.batch_bytes`, for both networks."""
        return sum(network.batch_bytes(size) for network in self._networks)

    def require_equal(self, other: TwinCritics) -> None:
        """Raises UserError if critics that were made with the same seeds differ."""
        for pair in zip(self._networks, other._networks, strict=True):
            require_equal(*pair)

    def get_state(self) -> State:
        first, second = self._networks
        return {"first": first.get_state(), "second": second.get_state()}

    def set_state(self, state: State) -> None:
        first, second = self._networks
        first.set_state(state["first"])
        second.set_state(state["second"])
