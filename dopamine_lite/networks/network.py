"""A torso and a head, their variables, and the fastest way to ask them for a few outputs."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import tensorflow as tf

from dopamine_lite.common.errors import UserError
from dopamine_lite.common.types import State
from dopamine_lite.networks.heads import Head
from dopamine_lite.networks.torsos import Torso

ValuesFunction = Callable[[np.ndarray, np.random.Generator | None], np.ndarray]


class Network:
    """A head on a torso, built for the observations of one space.

    An observation of a `Discrete` space, which is a name and no quantity, reaches the torso as a
    one-hot vector.

    Args:
      torso: see `dopamine_lite.networks.torsos`.
      head: see `dopamine_lite.networks.heads`.
      observation_space: of observations as they are stored, a stack's axis included.
    """

    def __init__(self, torso: Torso, head: Head, observation_space: gymnasium.Space):
        self.torso = torso
        self.head: Any = head
        space = observation_space
        assert space.shape is not None and space.dtype is not None
        self.categories = space if isinstance(space, gymnasium.spaces.Discrete) else None
        self.input = tf.TensorSpec([None, *space.shape], tf.as_dtype(space.dtype))
        one = tf.zeros([1, *space.shape], self.input.dtype)
        prepared = compiled_by_xla(self.prepare, one)(one)
        self.prepared_shape = tuple(prepared.shape[1:])
        self(prepared, tf.zeros([2], tf.int32))  # builds the layers
        self.variables: list[tf.Variable] = [
            variable.value
            for layer in (torso.layers, *head.layers)
            for variable in layer.trainable_variables
        ]

    def __call__(self, prepared: tf.Tensor, seed: tf.Tensor | None = None) -> tf.Tensor:
        """Outputs of the head for what `prepare` returned. Differentiable.

        `seed` [2] int32 is for a head whose outputs are drawn.
        """
        return self.head(self.features(prepared), seed)

    def features(self, prepared: tf.Tensor) -> tf.Tensor:
        """The torso's features [B, F] of what `prepare` returned."""
        return self.torso.layers(prepared)

    def prepare(self, observations: tf.Tensor) -> tf.Tensor:
        """Observations [B, ...] as stored -> what the torso's layers read."""
        if self.categories:
            first, number = int(self.categories.start), int(self.categories.n)
            observations = tf.one_hot(observations - first, number)
        return self.torso.prepare(observations)

    @property
    def num_parameters(self) -> int:
        return sum(int(np.prod(variable.shape)) for variable in self.variables)

    def flat_parameters(self) -> tf.Tensor:
        """All parameters in one vector [P], in the order of `variables`. Usable in a graph."""
        return tf.concat([tf.reshape(variable, [-1]) for variable in self.variables], axis=0)

    def values_function(self) -> ValuesFunction:
        """A function from observations [N, ...] and a generator to action values [N, A] in NumPy.

        The generator, where there is one, draws the head's noise.
        """
        prepare = tf.function(self.prepare, jit_compile=True)

        @functools.cache
        def compiled(drawn: bool) -> Callable[..., tf.Tensor]:
            def values(observations: tf.Tensor, *seed: tf.Tensor) -> tf.Tensor:
                return self.head.values(self(prepare(observations), *seed))

            signature = [self.input] + [tf.TensorSpec([2], tf.int32)] * drawn
            return tf.function(values, input_signature=signature).get_concrete_function()

        def call(observations: np.ndarray, generator: np.random.Generator | None) -> np.ndarray:
            if generator is None:
                return compiled(False)(tf.constant(observations)).numpy()
            seed = generator.integers(2**31, size=2, dtype=np.int32)
            return compiled(True)(tf.constant(observations), tf.constant(seed)).numpy()

        return call

    def get_state(self) -> State:
        """The parameters.

        Raises:
          UserError: one is no finite number; a checkpoint of it could never be gone on from.
        """
        state = {f"{index}": variable.numpy() for index, variable in enumerate(self.variables)}
        if not all(np.isfinite(values).all() for values in state.values()):
            raise UserError(
                "A network's parameters are not finite numbers any more: the run has diverged, "
                "and no checkpoint is made of it. Begin anew in another --base_dir, with a lower "
                "learning rate or clipped rewards."
            )
        return state

    def set_state(self, state: State) -> None:
        for index, variable in enumerate(self.variables):
            variable.assign(state[f"{index}"])


def compiled_by_xla(function: Callable[..., tf.Tensor], *examples: tf.Tensor) -> Callable:
    """`function` compiled for tensors of the shapes and dtypes of `examples`."""
    return tf.function(function, jit_compile=True).get_concrete_function(*examples)


class NumpyNetwork:
    """A network computed in NumPy: for a few observations and small layers, ten times faster.

    The torso must offer `call_numpy`. Holds the parameters last given to `load`.
    """

    def __init__(self, network: Network):
        self._torso: Any = network.torso
        self._head = network.head
        self._categories = network.categories
        self._shapes = [tuple(variable.shape) for variable in network.variables]
        self._ends = np.cumsum([int(np.prod(shape)) for shape in self._shapes])
        self._split = len(self._torso.layers.trainable_variables)

    @staticmethod
    def supports(network: Network) -> bool:
        """Whether `network` can be computed in NumPy."""
        return hasattr(network.torso, "call_numpy")

    def load(self, flat: np.ndarray) -> None:
        """Takes parameters [P] as `Network.flat_parameters` returned them; not copied."""
        parts = np.split(flat, self._ends[:-1])
        self._weights = [
            part.reshape(shape) for part, shape in zip(parts, self._shapes, strict=True)
        ]

    def __call__(
        self, observations: np.ndarray, generator: np.random.Generator | None = None
    ) -> np.ndarray:
        """Action values [N, A] for observations [N, ...] as stored; see `values_function`."""
        if self._categories:
            rows = np.eye(int(self._categories.n), dtype=np.float32)
            observations = rows[observations - self._categories.start]
        features = self._torso.call_numpy(observations, self._weights[: self._split])
        return self._head.call_numpy(features, self._weights[self._split :], generator)
