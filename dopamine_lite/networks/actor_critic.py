"""A policy and a value in one network, with shared features or separate features."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import gymnasium
import keras
import numpy as np
import tensorflow as tf

from dopamine_lite.common.seeding import Seeds
from dopamine_lite.common.types import State
from dopamine_lite.networks.layers import Dense, orthogonal
from dopamine_lite.networks.network import Network
from dopamine_lite.networks.normalization import ObservationNormalizer
from dopamine_lite.networks.policies import Policy
from dopamine_lite.networks.torsos import Torso
from dopamine_lite.networks.twins import brings_twin


class ActorCriticHead:
    """The policy's outputs and, last, the value of the state: [B, P + 1].

    Args:
      seeds: seeds of the value layer's initial parameters.
      policy: the policy, which is the rest of the head.
      twin: whether the features come from a `TwinTorso`: the first half is for the policy, the second
        half for the value.
    """

    random_in_training = random_in_evaluation = False

    def __init__(self, seeds: Seeds, policy: Policy, twin: bool):
        self.policy = policy
        self._twin = twin
        self.value_layer = Dense(
            1, kernel_initializer=orthogonal(1.0, seeds, "value"), name="value"
        )
        self.layers: Sequence[keras.layers.Layer] = [*policy.layers, self.value_layer]
        if brings_twin(policy):
            self.call_numpy = self._in_numpy

    def __call__(self, features: tf.Tensor, seed: tf.Tensor | None = None) -> tf.Tensor:
        own, of_value = tf.split(features, 2, axis=1) if self._twin else (features, features)
        return tf.concat([self.policy(own), self.value_layer(of_value)], axis=1)

    def describe(self) -> dict[str, Any]:
        return {"policy": type(self.policy).__name__}

    @staticmethod
    def values(outputs: tf.Tensor) -> tf.Tensor:
        """All outputs, because acting needs all of them."""
        return outputs

    def _in_numpy(
        self,
        features: np.ndarray,
        weights: Sequence[np.ndarray],
        generator: np.random.Generator | None,
    ) -> np.ndarray:
        own = of_value = features
        if self._twin:
            half = features.shape[1] // 2
            own, of_value = features[:, :half], features[:, half:]
        kernel, bias = weights[-2:]
        outputs = self.policy.call_numpy(own, weights[:-2])
        return np.concatenate([outputs, of_value @ kernel + bias], axis=1)


class PolicyParameters(NamedTuple):
    """The parameters that a learner of policies publishes and an actor loads."""

    network: tf.Tensor | np.ndarray  # for the actor's inference
    moments: State | None  # of the observations; None: they are not normalized

    @classmethod
    def of(
        cls, network: tf.Tensor | np.ndarray, normalizer: ObservationNormalizer | None
    ) -> PolicyParameters:
        """The parameters of a network, and of the normalizer before it, if there is one."""
        return cls(network, normalizer.moments.get_state() if normalizer else None)


class TwinTorso:
    """Two torsos of one kind with separate parameters; their features are side by side, [B, 2 F]."""

    def __init__(self, seeds: Seeds, torso: Callable[[Seeds], Torso]):
        first, second = torso(seeds.child("policy")), torso(seeds.child("value"))
        self.layers = _SideBySide(first.layers, second.layers)
        self.compile_update = first.compile_update
        self.precision = getattr(first, "precision", "float32")
        self.kind = type(first).__name__
        self._both = (first, second)
        self.prepare = first.prepare
        self._torsos: list[Any] = [first, second]
        if all(map(brings_twin, self._torsos)):
            self.call_numpy = self._in_numpy

    def _in_numpy(self, observations: np.ndarray, weights: Sequence[np.ndarray]) -> np.ndarray:
        half = len(weights) // 2
        parts = zip(self._torsos, (weights[:half], weights[half:]), strict=True)
        return np.concatenate([torso.call_numpy(observations, own) for torso, own in parts], axis=1)

    def built_for(self, space: gymnasium.Space, stack_size: int) -> None:
        """Tells both torsos about the observations."""
        for torso in self._both:
            if hasattr(torso, "built_for"):
                torso.built_for(space, stack_size)


def value_variables(network: Network) -> list[tf.Variable]:
    """The parameters that only the value depends on, of a network with a `TwinTorso`."""
    layers = (network.torso.layers.second, network.head.value_layer)
    return [variable.value for layer in layers for variable in layer.trainable_variables]


class _SideBySide(keras.layers.Layer):
    def __init__(self, first: keras.Sequential, second: keras.Sequential):
        super().__init__(name="twin")
        self.first, self.second = first, second

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        return tf.concat([self.first(inputs), self.second(inputs)], axis=1)
