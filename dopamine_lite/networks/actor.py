"""A network's outputs for a few observations, in the way that is fastest for it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from dopamine_lite.networks.network import Network


class Actor:
    """Computes what a network's head acts by, its `values`, for N observations.

    In NumPy where the torso offers `call_numpy`, which for small layers and a handful of observations is
    ten times faster than a call into TensorFlow; else by a compiled function.

    Args:
      network: whose parameters count. After they have changed, give `load` what `parameters` says.
    """

    def __init__(self, network: Network):
        self._network = network
        self._numpy = NumpyNetwork(network) if NumpyNetwork.supports(network) else None
        self._outputs = self._numpy or compiled(network)
        self.load(self.parameters())

    @property
    def kind(self) -> str:
        """What computes: "NumPy" or "TensorFlow"."""
        return "NumPy" if self._numpy else "TensorFlow"

    def parameters(self) -> tf.Tensor:
        """What `load` takes, usable in a graph: all parameters [P], or nothing, [0], where the compiled
        function reads the network's own."""
        return self._network.flat_parameters() if self._numpy else tf.zeros([0])

    def load(self, parameters: tf.Tensor) -> None:
        if self._numpy:
            self._numpy.load(parameters.numpy())

    def __call__(
        self, observations: np.ndarray, generator: np.random.Generator | None = None
    ) -> np.ndarray:
        """[N, A] action values, or [N, P + 1] a policy's outputs and the state's value.

        For observations [N, ...] as stored. The generator, where there is one, draws the head's noise.
        """
        return self._outputs(observations, generator)


def compiled(network: Network) -> Callable[[np.ndarray, np.random.Generator | None], np.ndarray]:
    """`Actor` in TensorFlow."""
    prepare = tf.function(network.prepare, jit_compile=True)

    @functools.cache
    def outputs_function(drawn: bool) -> Callable[..., tf.Tensor]:
        # Not `seed=None`: a call that leaves out a default misses the signature, which costs dearly.
        def outputs(observations: tf.Tensor, *seed: tf.Tensor) -> tf.Tensor:
            return network.head.values(network(prepare(observations), *seed))

        signature = [network.input]
        if drawn:
            signature.append(tf.TensorSpec([2], tf.int32))
        return tf.function(outputs, input_signature=signature).get_concrete_function()

    def call(observations: np.ndarray, generator: np.random.Generator | None) -> np.ndarray:
        if generator is None:
            return outputs_function(False)(tf.constant(observations)).numpy()
        seed = generator.integers(2**31, size=2, dtype=np.int32)
        return outputs_function(True)(tf.constant(observations), tf.constant(seed)).numpy()

    return call


class NumpyNetwork:
    """`Actor` in NumPy. Holds the parameters last given to `load`."""

    def __init__(self, network: Network):
        self._torso: Any = network.torso
        self._head = network.head
        self._reader = network.reader
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
        read = self._reader.call_numpy(observations)
        features = self._torso.call_numpy(read, self._weights[: self._split])
        return self._head.call_numpy(features, self._weights[self._split :], generator)
