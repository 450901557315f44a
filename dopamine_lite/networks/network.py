"""A torso and a head, their variables, and the fastest way to ask them for a few outputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dopamine_lite.common.types import State
from dopamine_lite.networks.torsos import Torso


class Network:
    """A head on a torso, built for observations of one shape and dtype.

    Args:
      torso: see `dopamine_lite.networks.torsos`.
      head: a Keras layer over the torso's features.
      observation_shape: of one observation, a stack's axis included.
      observation_dtype: as stored.
    """

    def __init__(
        self,
        torso: Torso,
        head: keras.layers.Layer,
        observation_shape: tuple[int, ...],
        observation_dtype: np.dtype,
    ):
        self.torso = torso
        self.head = head
        self._input = tf.TensorSpec([None, *observation_shape], tf.as_dtype(observation_dtype))
        one = tf.zeros([1, *observation_shape], self._input.dtype)
        self(compiled_by_xla(self.prepare, one)(one))  # builds the layers
        self.variables: list[tf.Variable] = [
            variable.value
            for layer in (torso.layers, head)
            for variable in layer.trainable_variables
        ]

    def __call__(self, prepared: tf.Tensor) -> tf.Tensor:
        """Outputs of the head for what `prepare` returned. Differentiable."""
        return self.head(self.torso.layers(prepared))

    def prepare(self, observations: tf.Tensor) -> tf.Tensor:
        """Observations [B, ...] as stored -> what the torso reads."""
        return self.torso.prepare(observations)

    @property
    def num_parameters(self) -> int:
        return sum(int(np.prod(variable.shape)) for variable in self.variables)

    def flat_parameters(self) -> tf.Tensor:
        """All parameters in one vector [P], in the order of `variables`. Usable in a graph."""
        return tf.concat([tf.reshape(variable, [-1]) for variable in self.variables], axis=0)

    def compiled(
        self, outputs_to_values: Callable[[tf.Tensor], tf.Tensor]
    ) -> Callable[[np.ndarray], np.ndarray]:
        """A function from observations [N, ...] to outputs_to_values(outputs), as a NumPy array."""
        prepare = tf.function(self.prepare, jit_compile=True)

        @tf.function(input_signature=[self._input])
        def values(observations: tf.Tensor) -> tf.Tensor:
            return outputs_to_values(self(prepare(observations)))

        concrete = values.get_concrete_function()
        return lambda observations: concrete(tf.constant(observations)).numpy()

    def get_state(self) -> State:
        return {f"{index}": variable.numpy() for index, variable in enumerate(self.variables)}

    def set_state(self, state: State) -> None:
        for index, variable in enumerate(self.variables):
            variable.assign(state[f"{index}"])


def compiled_by_xla(function: Callable[..., tf.Tensor], *examples: tf.Tensor) -> Callable:
    """`function` compiled for tensors of the shapes and dtypes of `examples`."""
    return tf.function(function, jit_compile=True).get_concrete_function(*examples)


class NumpyNetwork:
    """A network computed in NumPy: for a few observations and small layers, ten times faster.

    Torso and head must offer `call_numpy`. Holds the parameters last given to `load`.
    """

    def __init__(self, network: Network):
        self._torso: Any = network.torso
        self._head: Any = network.head
        self._shapes = [tuple(variable.shape) for variable in network.variables]
        self._ends = np.cumsum([int(np.prod(shape)) for shape in self._shapes])
        self._split = len(self._torso.layers.trainable_variables)

    @staticmethod
    def supports(network: Network) -> bool:
        """Whether both parts of `network` can be computed in NumPy."""
        return hasattr(network.torso, "call_numpy") and hasattr(network.head, "call_numpy")

    def load(self, flat: np.ndarray) -> None:
        """Takes parameters [P] as `Network.flat_parameters` returned them; not copied."""
        parts = np.split(flat, self._ends[:-1])
        self._weights = [
            part.reshape(shape) for part, shape in zip(parts, self._shapes, strict=True)
        ]

    def __call__(self, observations: np.ndarray) -> np.ndarray:
        """The head's outputs for observations [N, ...] as stored."""
        features = self._torso.call_numpy(observations, self._weights[: self._split])
        return self._head.call_numpy(features, self._weights[self._split :])
