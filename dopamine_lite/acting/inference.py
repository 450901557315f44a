"""A network's outputs for a few observations, computed in the fastest way for that network."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from dopamine_lite.common.errors import UserError
from dopamine_lite.networks.network import Network, part_name
from dopamine_lite.networks.twins import (
    agree,
    agree_in_distribution,
    brings_twin,
    example_observations,
    telling_parameters,
)

_EXAMPLES = 8  # observations that compare the two ways of computing
_SIZES = (3.0, 100.0)  # bounds of the real numbers in these observations
_DRAWS = 32  # draws of a head's outputs; their means and deviations are compared


class Inference:
    """Computes, for N observations, the `values` of a network's head, on which an agent acts.

    If the classes of both the torso and the head define `call_numpy`, it computes in NumPy, which
    for small layers and a handful of observations is ten times faster than a call into TensorFlow.
    Otherwise, it uses a compiled TensorFlow function.

    Args:
      network: the network to compute. After its parameters have changed, pass what `parameters`
        returns to `load`.

    Raises:
      UserError: a `call_numpy` computes numbers that differ from TensorFlow's.
    """

    def __init__(self, network: Network):
        self.network = network
        self._numpy = NumpyNetwork(network) if NumpyNetwork.supports(network) else None
        if self._numpy:
            _compare(network, self._numpy)
        self._compiled = CompiledNetwork(network)
        self._outputs = self._numpy or self._compiled
        self.load(self.parameters())

    @property
    def kind(self) -> str:
        """What computes: "NumPy" or "TensorFlow"."""
        return "NumPy" if self._numpy else "TensorFlow"

    def compile(self) -> None:
        """Compiles what acting calls in training and in evaluation, unless it is compiled already."""
        if not self._numpy:
            self._compiled.compile()

    def parameters(self) -> tf.Tensor:
        """The argument of `load` after the network has learned. The method can be called in a graph.

        These are all parameters [P], or nothing, [0], if the compiled function reads the variables of
        the network.
        """
        return self.network.flat_parameters() if self._numpy else tf.zeros([0])

    def all_parameters(self) -> np.ndarray:
        """All parameters [P] in use, for `load` of an equal inference, here or in another process."""
        if self._numpy:
            return self._numpy.flat
        return self._flat().numpy()

    @functools.cached_property
    def _flat(self) -> Callable[[], tf.Tensor]:
        return tf.function(self.network.flat_parameters, autograph=False)

    def load(self, parameters: tf.Tensor | np.ndarray) -> None:
        """Takes the result of `parameters`, or of `all_parameters` of an equal inference."""
        if self._numpy:
            self._numpy.load(np.asarray(parameters))
        elif len(parameters):
            self.network.load_flat(parameters)

    def __call__(
        self, observations: np.ndarray, generator: np.random.Generator | None = None
    ) -> np.ndarray:
        """The values of the head for observations [N, ...] as stored.

        They are action values [N, A], or a policy's outputs [N, P], or a policy's outputs and the
        state's value [N, P + 1]. If there is a generator, it draws the head's noise.
        """
        return self._outputs(observations, generator)


class CompiledNetwork:
    """`Inference` in TensorFlow. It is compiled by `compile`, or when it is first called."""

    def __init__(self, network: Network):
        self._network = network
        self._prepare = tf.function(network.prepare, jit_compile=True, autograph=False)
        self._function = functools.cache(self._compile)  # the key: whether the outputs are drawn

    def compile(self) -> None:
        head = self._network.head
        for drawn in {head.random_in_training, head.random_in_evaluation}:
            self._function(drawn)

    def _compile(self, drawn: bool) -> Callable[..., tf.Tensor]:
        network = self._network

        # Not `seed=None`: a call that leaves out a default misses the signature, which is slow.
        def outputs(observations: tf.Tensor, *seed: tf.Tensor) -> tf.Tensor:
            return network.head.values(network(self._prepare(observations), *seed))

        signature = [network.input]
        if drawn:
            signature.append(tf.TensorSpec([2], tf.int32))
        return tf.function(
            outputs, input_signature=signature, autograph=False
        ).get_concrete_function()

    def __call__(
        self, observations: np.ndarray, generator: np.random.Generator | None = None
    ) -> np.ndarray:
        if generator is None:
            return self._function(False)(tf.constant(observations)).numpy()
        seed = generator.integers(2**31, size=2, dtype=np.int32)
        return self._function(True)(tf.constant(observations), tf.constant(seed)).numpy()


class NumpyNetwork:
    """`Inference` in NumPy. It holds the parameters that `load` was last given."""

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
        return brings_twin(network.torso) and brings_twin(network.head)

    def load(self, flat: np.ndarray) -> None:
        """Takes parameters [P] as `Network.flat_parameters` returns them, without copying them."""
        self.flat = flat
        parts = np.split(flat, self._ends[:-1])
        self._weights = [
            part.reshape(shape) for part, shape in zip(parts, self._shapes, strict=True)
        ]

    def __call__(
        self, observations: np.ndarray, generator: np.random.Generator | None = None
    ) -> np.ndarray:
        return self.outputs(self.features(observations), generator)

    def features(self, observations: np.ndarray) -> np.ndarray:
        """The torso's features [N, F]."""
        read = self._reader.call_numpy(observations)
        return self._torso.call_numpy(read, self._weights[: self._split])

    def outputs(self, features: np.ndarray, generator: np.random.Generator | None) -> np.ndarray:
        """The values of the head, for features [N, F]."""
        return self._head.call_numpy(features, self._weights[self._split :], generator)


def _compare(network: Network, in_numpy: NumpyNetwork) -> None:
    """Raises UserError if `in_numpy` and `network` give different outputs for a few observations.

    If outputs are random, both draw their own, and the means and deviations are compared.
    """
    head = network.head
    with telling_parameters(network.variables), tf.device("CPU"):  # a GPU rounds factors
        in_numpy.load(network.flat_parameters().numpy())
        for size in _SIZES:
            observations = example_observations(network.observation_space, _EXAMPLES, size)
            features = network.features(network.prepare(tf.constant(observations)))
            _require(agree(features.numpy(), in_numpy.features(observations)), network.torso)
            # So small that no softmax magnifies rounding.
            small = features / tf.maximum(tf.reduce_max(tf.abs(features)), 1.0)
            if not head.random_in_evaluation:
                values = head.values(head(small)).numpy()
                _require(agree(values, in_numpy.outputs(small.numpy(), None)), head)
        if head.random_in_training:
            generator = np.random.default_rng(0)
            seeds = generator.integers(2**31, size=(_DRAWS, 2), dtype=np.int32)
            values = np.array([head.values(head(small, tf.constant(seed))) for seed in seeds])
            found = [in_numpy.outputs(small.numpy(), generator) for _ in range(_DRAWS)]
            _require(agree_in_distribution(values, np.array(found)), head)


def _require(agrees: bool, part: Any) -> None:
    if not agrees:
        raise UserError(
            f"{part_name(part)}.call_numpy, which chooses the actions, does not compute the same "
            "numbers as TensorFlow, which learns: make the two agree, or remove call_numpy so that "
            "TensorFlow also chooses the actions."
        )
