"""Torsos: from observations to features. Each is chosen by gin, never by the agent.

A torso holds its Keras layers and tells an agent two things more: `prepare`, pure TensorFlow from
observations as they are stored to what the layers read (compiled by XLA, which does it ten times
faster than TensorFlow's own kernels), and `compile_update`, whether XLA is faster for the whole
update too. One that is small enough to be computed in NumPy also offers `call_numpy`.

Torsos are not Keras layers themselves: Keras inspects a layer's `__init__`, which gin wraps.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import gin
import keras
import numpy as np
import tensorflow as tf

from dopamine_lite.common.seeding import Seeds


class Torso(Protocol):
    """What a network asks of its torso. Built as `torso(seeds)`."""

    layers: keras.Sequential
    compile_update: bool

    @staticmethod
    def prepare(observations: tf.Tensor) -> tf.Tensor:
        """Observations [B, ...] as stored -> what `layers` reads."""


def glorot_uniform(seeds: Seeds, name: str) -> keras.initializers.Initializer:
    """Glorot and Bengio (2010), eq. 16, drawn from the generator called `name`."""
    return keras.initializers.GlorotUniform(seed=seeds.integer(name))


def _dense(seeds: Seeds, name: str, units: int) -> keras.layers.Layer:
    return keras.layers.Dense(
        units, activation="relu", kernel_initializer=glorot_uniform(seeds, name), name=name
    )


@gin.configurable
class NatureCNN:
    """The convolutional torso of Mnih et al. (2015): 3 convolutions, 512 units, 'valid' padding.

    Reads stacks of frames [B, stack, height, width] uint8; gives features [B, 512].
    """

    compile_update = False  # measured: XLA brings nothing for convolutions on the CPU

    def __init__(self, seeds: Seeds):
        convolutions = [
            keras.layers.Conv2D(
                filters,
                kernel,
                strides,
                padding="valid",
                activation="relu",
                kernel_initializer=glorot_uniform(seeds, f"convolution_{index}"),
                name=f"convolution_{index}",
            )
            for index, (filters, kernel, strides) in enumerate([(32, 8, 4), (64, 4, 2), (64, 3, 1)])
        ]
        self.layers = keras.Sequential(
            [*convolutions, keras.layers.Flatten(), _dense(seeds, "dense", 512)]
        )

    @staticmethod
    def prepare(observations: tf.Tensor) -> tf.Tensor:
        """[B, stack, height, width] uint8 -> [B, height, width, stack] float32 in [0, 1]."""
        observations.shape.assert_has_rank(4)
        return tf.cast(tf.transpose(observations, [0, 2, 3, 1]), tf.float32) / 255.0


@gin.configurable
class MLP:
    """Fully connected ReLU layers over the flattened observation.

    Reads observations [B, ...] of any number type; gives features [B, hidden_units[-1]].
    """

    compile_update = True

    def __init__(self, seeds: Seeds, hidden_units: Sequence[int] = (64, 64)):
        self.layers = keras.Sequential(
            [_dense(seeds, f"dense_{index}", units) for index, units in enumerate(hidden_units)]
        )

    @staticmethod
    def prepare(observations: tf.Tensor) -> tf.Tensor:
        """[B, ...] -> [B, size] float32."""
        size = int(np.prod(observations.shape[1:]))
        return tf.cast(tf.reshape(observations, [-1, size]), tf.float32)

    @staticmethod
    def call_numpy(observations: np.ndarray, weights: Sequence[np.ndarray]) -> np.ndarray:
        """`prepare` and `layers` in NumPy, ten times faster for a handful of observations."""
        outputs = observations.reshape(len(observations), -1).astype(np.float32, copy=False)
        for kernel, bias in zip(weights[::2], weights[1::2], strict=True):
            outputs = np.maximum(outputs @ kernel + bias, 0)
        return outputs
