"""Heads: from features to what an agent learns."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from dopamine_lite.common.seeding import Seeds
from dopamine_lite.networks.torsos import glorot_uniform


class QHead(keras.layers.Layer):
    """Action values, one linear unit each: features [B, F] -> [B, A]."""

    def __init__(self, seeds: Seeds, num_actions: int):
        super().__init__(name="q_head")
        self._dense = keras.layers.Dense(
            num_actions, kernel_initializer=glorot_uniform(seeds, "q_values"), name="q_values"
        )

    def call(self, features: tf.Tensor) -> tf.Tensor:
        return self._dense(features)

    @staticmethod
    def call_numpy(features: np.ndarray, weights: Sequence[np.ndarray]) -> np.ndarray:
        kernel, bias = weights
        return features @ kernel + bias
