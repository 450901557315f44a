"""Torsos: from observations to features. Each is chosen by gin, never by the agent.

A torso holds its Keras layers and tells an agent two things more: `prepare`, pure TensorFlow from
observations to what the layers read (compiled by XLA, which does it ten times faster than TensorFlow's
own kernels), and `compile_update`, whether XLA is faster for the whole update too. One that is small
enough to be computed in NumPy also brings `call_numpy` (see `twins`; a subclass brings its own or acts
by TensorFlow). Observations come as they are stored, but those of a `Discrete` space as one-hot vectors.

Torsos are not Keras layers themselves: Keras inspects a layer's `__init__`, which gin wraps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import gin
import keras
import numpy as np
import tensorflow as tf

from dopamine_lite.common.errors import UserError
from dopamine_lite.common.seeding import Seeds
from dopamine_lite.networks.layers import initializer as _initializer


class Torso(Protocol):
    """What a network asks of its torso. Built as `torso(seeds)`."""

    layers: keras.layers.Layer
    compile_update: bool

    def prepare(self, observations: tf.Tensor) -> tf.Tensor:
        """Observations [B, ...] -> what `layers` reads."""


def _dense(
    seeds: Seeds, name: str, units: int, kind: str, activation: str = "relu"
) -> keras.layers.Layer:
    return keras.layers.Dense(
        units, activation=activation, kernel_initializer=_initializer(kind, seeds, name), name=name
    )


def _convolution(
    seeds: Seeds, index: int, filters: int, kernel: int, strides: int, kind: str
) -> keras.layers.Layer:
    name = f"convolution_{index}"
    return keras.layers.Conv2D(
        filters,
        kernel,
        strides,
        padding="valid",
        activation="relu",
        kernel_initializer=_initializer(kind, seeds, name),
        name=name,
    )


def _scaled_images(torso: str, observations: tf.Tensor) -> tf.Tensor:
    """[B, stack, height, width] -> [B, height, width, stack] float32, bytes scaled to [0, 1].

    Raises:
      UserError: these are no stacks of frames, or the last axis is the stack.
    """
    shape = tuple(observations.shape[1:])
    if len(shape) != 3 or shape[0] > shape[2]:
        raise UserError(
            f"{torso} reads stacks of frames [stack, height, width], but the observations have the "
            f"shape {shape}: bind another torso, such as @MLP."
        )
    images = tf.cast(tf.transpose(observations, [0, 2, 3, 1]), tf.float32)
    return images / 255.0 if observations.dtype == tf.uint8 else images


@gin.configurable
class NatureCNN:
    """The convolutional torso of Mnih et al. (2015): 3 convolutions, 512 units, 'valid' padding.

    Reads stacks of frames [B, stack, height, width], bytes or numbers of a scale that suits; gives
    features [B, hidden_units].

    Args:
      seeds: of the initial parameters.
      hidden_units: of the layer after the convolutions; 0: none, for a head that has its own.
      convolutions: filters, kernel and stride of each.
      initializer: see `dopamine_lite.networks.layers`.
    """

    compile_update = False  # measured: XLA brings nothing for convolutions on the CPU

    def __init__(
        self,
        seeds: Seeds,
        hidden_units: int = 512,
        convolutions: Sequence[tuple[int, int, int]] = ((32, 8, 4), (64, 4, 2), (64, 3, 1)),
        initializer: str = "glorot_uniform",
    ):
        layers = [
            _convolution(seeds, index, *size, initializer)
            for index, size in enumerate(convolutions)
        ]
        layers.append(keras.layers.Flatten())
        if hidden_units:
            layers.append(_dense(seeds, "dense", hidden_units, initializer))
        self.layers = keras.Sequential(layers)

    @staticmethod
    def preparation_layers(dtype: tf.DType) -> list[keras.layers.Layer]:
        """`prepare` for observations of `dtype` as Keras layers."""
        scaling = [keras.layers.Rescaling(1 / 255)] if dtype == tf.uint8 else []
        return [keras.layers.Permute((2, 3, 1)), *scaling]

    @staticmethod
    def prepare(observations: tf.Tensor) -> tf.Tensor:
        """[B, stack, height, width] -> [B, height, width, stack] float32, bytes scaled to [0, 1]."""
        return _scaled_images("NatureCNN", observations)


class _Residual(keras.layers.Layer):
    """x + convolution(relu(convolution(relu(x)))), twice in each section of the IMPALA torso."""

    def __init__(self, seeds: Seeds, filters: int, kind: str, name: str):
        super().__init__(name=name)
        self.convolutions = [
            keras.layers.Conv2D(
                filters,
                3,
                padding="same",
                kernel_initializer=_initializer(kind, seeds, f"{name}_{index}"),
                name=f"convolution_{index}",
            )
            for index in range(2)
        ]

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        outputs = inputs
        for convolution in self.convolutions:
            outputs = convolution(tf.nn.relu(outputs))
        return inputs + outputs


@gin.configurable
class ImpalaCNN:
    """The residual torso of Espeholt et al. (2018), figure 3, right: 15 convolutions.

    Reads stacks of frames [B, stack, height, width], bytes or numbers of a scale that suits; gives
    features [B, hidden_units] or, with 0, those of the convolutions. `nn_scale` multiplies the filters
    16, 32, 32.
    """

    compile_update = False

    def __init__(
        self,
        seeds: Seeds,
        nn_scale: int = 1,
        hidden_units: int = 512,
        initializer: str = "glorot_uniform",
    ):
        layers: list[keras.layers.Layer] = []
        for section, width in enumerate((16, 32, 32)):
            filters = width * nn_scale
            layers += [
                keras.layers.Conv2D(
                    filters,
                    3,
                    padding="same",
                    kernel_initializer=_initializer(initializer, seeds, f"section_{section}"),
                    name=f"section_{section}",
                ),
                keras.layers.MaxPooling2D(3, 2, padding="same"),
            ]
            layers += [
                _Residual(seeds, filters, initializer, f"residual_{section}_{block}")
                for block in range(2)
            ]
        layers += [keras.layers.ReLU(), keras.layers.Flatten()]
        if hidden_units:
            layers.append(_dense(seeds, "dense", hidden_units, initializer))
        self.layers = keras.Sequential(layers)

    @staticmethod
    def prepare(observations: tf.Tensor) -> tf.Tensor:
        """[B, stack, height, width] -> [B, height, width, stack] float32, bytes scaled to [0, 1]."""
        return _scaled_images("ImpalaCNN", observations)


class PatchConvolution(keras.layers.Conv2D):
    """A convolution of stride 1 and 'valid' padding as one product of its patches and its kernel.

    XLA on the CPU computes small ones four times faster than `Conv2D`, and then the rest of an
    update, which it fuses, is faster than TensorFlow's too.
    """

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """[B, height, width, channels] -> [B, height - rows + 1, width - columns + 1, filters]."""
        rows, columns, channels, filters = self.kernel.shape
        height, width = inputs.shape[1] - rows + 1, inputs.shape[2] - columns + 1
        shifted = [
            inputs[:, row : row + height, column : column + width]
            for row in range(rows)
            for column in range(columns)
        ]
        patches = tf.reshape(tf.concat(shifted, axis=-1), [-1, rows * columns * channels])
        outputs = patches @ tf.reshape(self.kernel, [-1, filters]) + self.bias
        return self.activation(tf.reshape(outputs, [-1, height, width, filters]))


@gin.configurable
class MinAtarCNN:
    """The torso of Young and Tian (2019) for MinAtar: one 3x3 convolution of 16 filters, 128 units.

    Reads [B, 10, 10, channels] of any number type; gives features [B, hidden_units], or [B, 1024]
    of the convolution with 0.
    """

    compile_update = True

    def __init__(self, seeds: Seeds, hidden_units: int = 128, initializer: str = "glorot_uniform"):
        name = "convolution_0"
        kernel = _initializer(initializer, seeds, name)
        layers: list[keras.layers.Layer] = [
            PatchConvolution(16, 3, activation="relu", kernel_initializer=kernel, name=name),
            keras.layers.Flatten(),
        ]
        if hidden_units:
            layers.append(_dense(seeds, "dense", hidden_units, initializer))
        self.layers = keras.Sequential(layers)

    @staticmethod
    def preparation_layers(dtype: tf.DType) -> list[keras.layers.Layer]:
        """`prepare` for observations of `dtype` as Keras layers: Keras casts by itself."""
        return []

    @staticmethod
    def prepare(observations: tf.Tensor) -> tf.Tensor:
        """[B, 10, 10, channels] -> the same in float32."""
        shape = tuple(observations.shape[1:])
        if len(shape) != 3:
            raise UserError(
                "MinAtarCNN reads images [height, width, channels], but the observations have the "
                f"shape {shape}: bind another torso, such as @MLP."
            )
        return tf.cast(observations, tf.float32)

    @staticmethod
    def call_numpy(observations: np.ndarray, weights: Sequence[np.ndarray]) -> np.ndarray:
        """`prepare` and `layers` in NumPy."""
        kernel, bias, *dense = weights
        patches = np.lib.stride_tricks.sliding_window_view(observations, (3, 3), axis=(1, 2))
        patches = patches.transpose(0, 1, 2, 4, 5, 3)  # [B, 8, 8, 3, 3, channels]
        rows = patches.reshape(-1, kernel.size // kernel.shape[-1]).astype(np.float32)
        outputs = np.maximum(rows @ kernel.reshape(-1, kernel.shape[-1]) + bias, 0)
        return _dense_numpy(outputs.reshape(len(observations), -1), dense)


def _relu(outputs: np.ndarray) -> np.ndarray:
    return np.maximum(outputs, 0)


_ACTIVATIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {"relu": _relu, "tanh": np.tanh}


def _dense_numpy(
    outputs: np.ndarray,
    weights: Sequence[np.ndarray],
    activation: Callable[[np.ndarray], np.ndarray] = _relu,
) -> np.ndarray:
    for kernel, bias in zip(weights[::2], weights[1::2], strict=True):
        outputs = activation(outputs @ kernel + bias)
    return outputs


@gin.configurable
class MLP:
    """Fully connected layers over the flattened observation.

    Reads observations [B, ...] of any number type; gives features [B, hidden_units[-1]].

    Args:
      seeds: of the initial parameters.
      hidden_units: of each layer.
      initializer: see `dopamine_lite.networks.layers`.
      activation: "relu" or "tanh".
    """

    compile_update = True

    def __init__(
        self,
        seeds: Seeds,
        hidden_units: Sequence[int] = (64, 64),
        initializer: str = "glorot_uniform",
        activation: str = "relu",
    ):
        if activation not in _ACTIVATIONS:
            raise UserError(
                f"MLP.activation is {activation!r}: choose one of {', '.join(_ACTIVATIONS)}."
            )
        self._activation = _ACTIVATIONS[activation]
        self.layers = keras.Sequential(
            [
                _dense(seeds, f"dense_{index}", units, initializer, activation)
                for index, units in enumerate(hidden_units)
            ]
        )

    @staticmethod
    def preparation_layers(dtype: tf.DType) -> list[keras.layers.Layer]:
        """`prepare` for observations of `dtype` as Keras layers."""
        return [keras.layers.Flatten()]

    @staticmethod
    def prepare(observations: tf.Tensor) -> tf.Tensor:
        """[B, ...] -> [B, size] float32."""
        size = int(np.prod(observations.shape[1:]))
        return tf.cast(tf.reshape(observations, [-1, size]), tf.float32)

    def call_numpy(self, observations: np.ndarray, weights: Sequence[np.ndarray]) -> np.ndarray:
        """`prepare` and `layers` in NumPy, ten times faster for a handful of observations."""
        flat = observations.reshape(len(observations), -1).astype(np.float32, copy=False)
        return _dense_numpy(flat, weights, self._activation)
