"""The policy of SAC: normal distributions that depend on the state, squashed into bounds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium
import keras
import numpy as np
import tensorflow as tf
from scipy.special import ndtri

from dopamine_lite.common.seeding import Seeds
from dopamine_lite.losses import sac
from dopamine_lite.networks.layers import Dense, initializer, normal_rows
from dopamine_lite.networks.policies import float32_towards

_FRACTIONS = (
    256  # of the normal distribution, by which the moments of squashed actions are computed
)


class SquashedGaussianPolicy:
    """Actions tanh(u), u normal with means and standard deviations that depend on the state.

    Haarnoja et al. 2018b, appendix C. It is the head of a `Network` whose outputs are the means and the
    logarithms of the deviations of u, [B, 2 D]. Inside the agent, actions are [B, D] within [-1, 1]; the
    environment gets them scaled to its bounds and, if it takes whole numbers, rounded to the nearest.

    Args:
      seeds: seeds of the initial parameters.
      action_space: a `Box` with finite bounds.
    """

    random_in_training = random_in_evaluation = False
    draws_for_parts = True

    def __init__(self, seeds: Seeds, action_space: gymnasium.spaces.Box):
        self._shape = action_space.shape
        self._dtype = np.dtype(action_space.dtype)
        self._whole = self._dtype.kind in "iub"
        self._low = float32_towards(np.inf, action_space.low)
        self._high = float32_towards(-np.inf, action_space.high)
        self._middle = self._low / 2 + self._high / 2  # in this form, nothing overflows
        self._half = self._high / 2 - self._low / 2
        self.action_size = int(np.prod(self._shape))
        kernel = initializer("torch_uniform", seeds, "means_and_deviations")
        self._layer = Dense(
            2 * self.action_size, kernel_initializer=kernel, name="means_and_deviations"
        )
        self.layers: Sequence[keras.layers.Layer] = [self._layer]

    def __call__(self, features: tf.Tensor, seed: tf.Tensor | None = None) -> tf.Tensor:
        return self._layer(features)

    def call_numpy(
        self,
        features: np.ndarray,
        weights: Sequence[np.ndarray],
        generator: np.random.Generator | None,
    ) -> np.ndarray:
        return self._layer.call_numpy(features, weights, generator)

    @staticmethod
    def values(outputs: tf.Tensor) -> tf.Tensor:
        """All outputs, because acting needs all of them."""
        return outputs

    def describe(self) -> dict[str, Any]:
        return {"policy": type(self).__name__}

    def draw(self, outputs: tf.Tensor, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Actions [B, D] drawn with a seed [2], and log pi(a|s) [B]. Differentiable."""
        means, log_stds = tf.split(outputs, 2, axis=1)
        return sac.squashed(means, log_stds, normal_rows(means.shape, seed))

    def sample(self, outputs: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """Actions [N, D] drawn from outputs [N, 2 D]."""
        means, stds = self._moments(outputs)
        return np.tanh(means + stds * generator.standard_normal(means.shape, np.float32))

    def mode(self, outputs: np.ndarray) -> np.ndarray:
        """tanh(mean), [N, D]: the median of the actions."""
        return np.tanh(self._moments(outputs)[0])

    def uniform(self, num: int, generator: np.random.Generator) -> np.ndarray:
        """Actions [num, D], each number uniform within [-1, 1]."""
        return generator.uniform(-1, 1, (num, self.action_size)).astype(np.float32)

    def to_environment(self, actions: np.ndarray) -> np.ndarray:
        """Actions [N, D] as the environment takes them, [N, ...]."""
        scaled = self._middle + self._half * actions.reshape(-1, *self._shape)
        inside = np.clip(scaled, self._low, self._high)
        return (np.rint(inside) if self._whole else inside).astype(self._dtype, copy=False)

    def exported_mode(self, outputs: tf.Tensor) -> tf.Tensor:
        """`mode` and `to_environment` in TensorFlow."""
        actions = tf.reshape(tf.tanh(outputs[:, : self.action_size]), [-1, *self._shape])
        inside = tf.clip_by_value(self._middle + self._half * actions, self._low, self._high)
        return tf.cast(tf.round(inside) if self._whole else inside, self._dtype)

    def explain(self, outputs: np.ndarray) -> dict[str, np.ndarray]:
        """The fields of an `Explanation`: moments of the actions in the environment's units."""
        means, stds = self._moments(outputs.astype(np.float64))
        fractions = (np.arange(_FRACTIONS) + 0.5) / _FRACTIONS
        drawn = np.tanh(means[..., None] + stds[..., None] * ndtri(fractions))  # [N, D, fractions]
        middle, half = self._middle.reshape(-1), self._half.reshape(-1)
        return {
            "means": middle + half * drawn.mean(axis=-1),
            "deviations": half * drawn.std(axis=-1),
        }

    @staticmethod
    def _moments(outputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The means and standard deviations of u, [N, D] each, from outputs [N, 2 D]."""
        means, log_stds = np.split(outputs, 2, axis=1)
        return means, np.exp(np.clip(log_stds, sac.LOWEST_LOG_STD, sac.HIGHEST_LOG_STD))
