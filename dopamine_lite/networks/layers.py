"""Dense layers and their initialization, each with its source."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import keras
import numpy as np
import tensorflow as tf

from dopamine_lite.common.errors import UserError
from dopamine_lite.common.seeding import Seeds

MOST_UNITS = 1_000_000  # of a layer; a larger number is a typing error that would fill any memory

_SCALES = {  # (scale, mode) of keras.initializers.VarianceScaling, uniform
    # Glorot and Bengio (2010), eq. 16: Dopamine's DQN.
    "glorot_uniform": (1.0, "fan_avg"),
    # U(+-sqrt(sqrt(3) / fan_in)): Dopamine's C51, Rainbow, QR-DQN and IQN.
    "dopamine_uniform": (1.0 / np.sqrt(3.0), "fan_in"),
    # U(+-1 / sqrt(fan_in)): Torch's default, as in Mnih et al. (2015) and in DeepMind's dqn_zoo. They
    # draw biases in the same way; here, biases are zero.
    "torch_uniform": (1.0 / 3.0, "fan_in"),
}


def initializer(kind: str, seeds: Seeds, name: str) -> keras.initializers.Initializer:
    """The initializer `kind`, which draws from the generator called `name`."""
    if kind == "orthogonal":
        return orthogonal(np.sqrt(2.0), seeds, name)
    if kind not in _SCALES:
        kinds = ", ".join([*_SCALES, "orthogonal"])
        raise UserError(f"There is no initializer {kind!r}: choose one of {kinds}.")
    scale, mode = _SCALES[kind]
    return keras.initializers.VarianceScaling(scale, mode, "uniform", seed=seeds.integer(name))


def orthogonal(gain: float, seeds: Seeds, name: str) -> keras.initializers.Initializer:
    """Orthogonal kernels times `gain` (Saxe et al. 2014), as OpenAI's baselines initialize PPO."""
    return keras.initializers.Orthogonal(gain, seed=seeds.integer(name))


class Linear(Protocol):
    """A layer from which a head can be built: `Dense` or `NoisyDense`."""

    trainable_variables: list[keras.Variable]

    def __call__(self, inputs: tf.Tensor, seed: tf.Tensor | None = None) -> tf.Tensor: ...

    def call_numpy(
        self,
        inputs: np.ndarray,
        weights: Sequence[np.ndarray],
        generator: np.random.Generator | None,
    ) -> np.ndarray: ...


class Dense(keras.layers.Dense):
    """y = x W + b; accepts the seed that `NoisyDense` needs, and ignores it."""

    def call(self, inputs: tf.Tensor, seed: tf.Tensor | None = None) -> tf.Tensor:
        return super().call(inputs)

    @staticmethod
    def call_numpy(
        inputs: np.ndarray, weights: Sequence[np.ndarray], generator: np.random.Generator | None
    ) -> np.ndarray:
        kernel, bias = weights
        return inputs @ kernel + bias


class NoisyDense(keras.layers.Layer):
    """A dense layer with factorized Gaussian noise on its parameters (Fortunato et al. 2018, eq. 9-11).

    y = x (mu_w + sigma_w * f(e_in) f(e_out)^T) + mu_b + sigma_b * f(e_out), f(e) = sign(e) sqrt(|e|);
    without a seed or generator, the noise is off: y = x mu_w + mu_b. One draw serves the whole batch.

    Args:
      units: the number of outputs.
      seeds: seeds of the initial mu, U(+-1 / sqrt(fan_in)) (section 3.2).
      sigma0: sigma is initially sigma0 / sqrt(fan_in).
      name: the layer's name.
    """

    def __init__(self, units: int, seeds: Seeds, sigma0: float, name: str):
        super().__init__(name=name)
        self._units = units
        self._seeds = seeds
        self._sigma0 = sigma0

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        size = input_shape[-1]
        assert size is not None
        bound = 1.0 / np.sqrt(size)

        def mu(name: str) -> keras.initializers.Initializer:
            return keras.initializers.RandomUniform(-bound, bound, seed=self._seeds.integer(name))

        sigma = keras.initializers.Constant(self._sigma0 * bound)
        self.kernel_mu = self.add_weight((size, self._units), mu("kernel"), name="kernel_mu")
        self.bias_mu = self.add_weight((self._units,), mu("bias"), name="bias_mu")
        self.kernel_sigma = self.add_weight((size, self._units), sigma, name="kernel_sigma")
        self.bias_sigma = self.add_weight((self._units,), sigma, name="bias_sigma")

    def call(self, inputs: tf.Tensor, seed: tf.Tensor | None = None) -> tf.Tensor:
        outputs = inputs @ self.kernel_mu + self.bias_mu
        if seed is None:
            return outputs
        noise = normal([inputs.shape[-1] + self._units], seed)
        noise = tf.sign(noise) * tf.sqrt(tf.abs(noise))
        noise_in, noise_out = noise[: inputs.shape[-1]], noise[inputs.shape[-1] :]
        return outputs + ((inputs * noise_in) @ self.kernel_sigma + self.bias_sigma) * noise_out

    @staticmethod
    def call_numpy(
        inputs: np.ndarray, weights: Sequence[np.ndarray], generator: np.random.Generator | None
    ) -> np.ndarray:
        kernel_mu, bias_mu, kernel_sigma, bias_sigma = weights
        outputs = inputs @ kernel_mu + bias_mu
        if generator is None:
            return outputs
        noise = generator.standard_normal(sum(kernel_mu.shape), np.float32)
        noise = np.sign(noise) * np.sqrt(np.abs(noise))
        noise_in, noise_out = noise[: len(kernel_mu)], noise[len(kernel_mu) :]
        return outputs + ((inputs * noise_in) @ kernel_sigma + bias_sigma) * noise_out


class CosineEmbedding(keras.layers.Layer):
    """psi(s) * phi(tau): features times a ReLU layer on cosines of tau (Dabney et al. 2018b, eq. 4).

    phi_j(tau) = ReLU(sum_i cos(pi i tau) w_ij + b_j) for i = 0 ... num_cosines - 1.
    """

    def __init__(self, num_cosines: int, kernel_initializer: keras.initializers.Initializer):
        super().__init__(name="cosine_embedding")
        self._kernel_initializer = kernel_initializer
        self._frequencies = np.pi * np.arange(num_cosines, dtype=np.float32)

    def build(self, features_shape: tuple[int | None, ...], taus_shape: Any = None) -> None:
        size = features_shape[-1]
        self.kernel = self.add_weight(
            (len(self._frequencies), size), self._kernel_initializer, name="kernel"
        )
        self.bias = self.add_weight((size,), "zeros", name="bias")

    def call(self, features: tf.Tensor, taus: tf.Tensor) -> tf.Tensor:
        """[B, Q, F] for features [B, F] and fractions taus [B, Q]."""
        cosines = tf.cos(tf.reshape(taus, [-1, 1]) * self._frequencies)  # rows: faster than 3 axes
        embedded = tf.nn.relu(cosines @ self.kernel + self.bias)
        return features[:, None, :] * tf.reshape(embedded, [-1, taus.shape[1], features.shape[-1]])

    def call_numpy(
        self, features: np.ndarray, taus: np.ndarray, weights: Sequence[np.ndarray]
    ) -> np.ndarray:
        kernel, bias = weights
        cosines = np.cos(taus[:, :, None] * self._frequencies)
        return features[:, None, :] * np.maximum(cosines @ kernel + bias, 0)


def uniform(shape: Sequence[int], seed: tf.Tensor) -> tf.Tensor:
    """Numbers in [0, 1) from Philox, which is fast under XLA.

    XLA's default took twelve times as long for a thousand numbers on the CPU. For the same seed, a
    function draws different numbers with and without XLA.
    """
    return tf.random.stateless_uniform(shape, seed, alg="philox")


def normal(shape: Sequence[int], seed: tf.Tensor) -> tf.Tensor:
    """Standard normal numbers, drawn as in `uniform`."""
    return tf.random.stateless_normal(shape, seed, alg="philox")


def uniform_rows(shape: Sequence[int], seed: tf.Tensor) -> tf.Tensor:
    """`uniform` for the rows of a batch, [B, ...].

    If several devices share the batch, B is the number of rows on a device, and each row gets the same
    numbers as in the whole batch.
    """
    return _own_rows(uniform, shape, seed)


def normal_rows(shape: Sequence[int], seed: tf.Tensor) -> tf.Tensor:
    """`normal`, as `uniform_rows`."""
    return _own_rows(normal, shape, seed)


def _own_rows(
    draw: Callable[[Sequence[int], tf.Tensor], tf.Tensor], shape: Sequence[int], seed: tf.Tensor
) -> tf.Tensor:
    context = tf.distribute.get_replica_context()  # None: outside of a step
    if context is None or context.num_replicas_in_sync == 1:
        return draw(shape, seed)
    (rows, *rest), replicas = shape, context.num_replicas_in_sync
    whole = tf.reshape(draw([replicas * rows, *rest], seed), [replicas, rows, *rest])
    return whole[context.replica_id_in_sync_group]


def fold_in(seed: tf.Tensor, number: int) -> tf.Tensor:
    """A seed [2] of its own for the consumer `number` of the seed [2]."""
    return seed + tf.constant([number, 0], seed.dtype)
