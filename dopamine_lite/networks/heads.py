"""Heads: from features to what an agent learns about every action, and from that to action values.

Whatever its outputs are, a head can end in two streams (dueling, Wang et al. 2016), have a hidden layer
in each stream, and be noisy (Fortunato et al. 2018). `random_in_training` and `random_in_evaluation` say
whether its outputs are random: then a call needs a seed [2], or in NumPy a generator.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import gin
import keras
import numpy as np
import tensorflow as tf

from dopamine_lite.common.checks import check_flag, check_not_negative, check_number, check_whole
from dopamine_lite.common.errors import UserError
from dopamine_lite.common.seeding import Seeds
from dopamine_lite.losses import categorical, quantile
from dopamine_lite.networks.layers import (
    MOST_UNITS,
    CosineEmbedding,
    Dense,
    Linear,
    NoisyDense,
    fold_in,
    uniform,
)
from dopamine_lite.networks.layers import initializer as make_initializer

_EXPLAINED_QUANTILES = 64  # of a distribution that is shown where fractions are otherwise drawn


class Head(Protocol):
    """What a network asks of its head. Built as `head(seeds, num_actions)`.

    Three methods are optional. `call_numpy(features, weights, generator)` makes acting faster: in NumPy,
    it returns action values [B, A] for features [B, F], with noise drawn from the generator (see
    `networks.twins`). `distributions(outputs)` returns fields of an `Explanation` besides action values,
    by name. `explained_outputs(features)`, of a head whose outputs are random, returns outputs that are
    not random.
    """

    random_in_training: bool
    random_in_evaluation: bool

    @property
    def layers(self) -> Sequence[keras.layers.Layer]:
        """All layers with parameters, in a fixed order."""

    def __call__(self, features: tf.Tensor, seed: tf.Tensor | None = None) -> tf.Tensor:
        """Outputs for features [B, F]."""

    def values(self, outputs: tf.Tensor) -> tf.Tensor:
        """Action values [B, A] of the outputs."""

    def describe(self) -> dict[str, Any]:
        """What this head is and which of its parts are active."""


class _Streams:
    """A number of outputs for each action: [B, F] -> [B, A, Z].

    Args:
      seeds: seeds of the initial parameters.
      num_actions: A, the number of actions.
      outputs: Z, the number of outputs for each action.
      dueling: a dueling network, V(s) + A(s, a) - mean_a A(s, a) for each output (Wang et al. 2016,
        eq. 9).
      noisy: noisy layers (`NoisyDense`), whose noise is drawn in training and off in evaluation.
      hidden_units: units of a ReLU layer before the last layer of each stream; 0: no such layer.
      initializer: initializer of the layers if they are not noisy; "glorot_uniform",
        "dopamine_uniform", "torch_uniform" or "orthogonal".
      sigma0: initial noise; the sigma of a noisy layer begins as sigma0 / sqrt(its number of inputs).
    """

    random_in_evaluation = False

    def __init__(
        self,
        seeds: Seeds,
        num_actions: int,
        outputs: int,
        *,
        dueling: bool,
        noisy: bool,
        hidden_units: int,
        initializer: str,
        sigma0: float,
    ):
        name = type(self).__name__
        check_flag(name, dueling=dueling, noisy=noisy)
        check_whole(name, least=0, most=MOST_UNITS, hidden_units=hidden_units)
        check_not_negative(name, sigma0=sigma0)

        def linear(units: int, name: str) -> Linear:
            if noisy:
                return NoisyDense(units, seeds.child(name), sigma0, name)
            kernel = make_initializer(initializer, seeds, name)
            return Dense(units, kernel_initializer=kernel, name=name)

        def stream(rows: int, name: str) -> list[Linear]:
            hidden = [linear(hidden_units, f"{name}_hidden")] if hidden_units else []
            return [*hidden, linear(rows * outputs, name)]

        self._outputs = outputs
        self._hidden_units = hidden_units
        self._streams = [stream(num_actions, "q_values")]
        if dueling:
            self._streams.append(stream(1, "state_values"))
        self.layers = [layer for layers in self._streams for layer in layers]
        self.random_in_training = noisy

    def describe(self) -> dict[str, Any]:
        return {
            "head": type(self).__name__,
            "dueling": len(self._streams) == 2,
            "noisy": self.random_in_training,
            "hidden_units": self._hidden_units,
        }

    def streams(self, features: tf.Tensor, seed: tf.Tensor | None) -> tf.Tensor:
        """[B, A, Z] for features [B, F]."""

        def call(layer: Linear, inputs: tf.Tensor) -> tf.Tensor:
            own = None if seed is None else fold_in(seed, self.layers.index(layer))
            return layer(inputs, seed=own)

        found = []
        for *hidden, last in self._streams:
            outputs = features
            for layer in hidden:
                outputs = tf.nn.relu(call(layer, outputs))
            outputs = call(last, outputs)
            found.append(
                tf.reshape(outputs, [-1, outputs.shape[-1] // self._outputs, self._outputs])
            )
        if len(found) == 1:
            return found[0]
        advantages, state_values = found
        return state_values + advantages - tf.reduce_mean(advantages, axis=1, keepdims=True)

    def streams_numpy(
        self,
        features: np.ndarray,
        weights: Sequence[np.ndarray],
        generator: np.random.Generator | None,
    ) -> np.ndarray:
        """`streams` in NumPy, with noise from `generator` where there is one."""
        left = iter(weights)

        def call(layer: Linear, inputs: np.ndarray) -> np.ndarray:
            own = [next(left) for _ in layer.trainable_variables]
            return layer.call_numpy(inputs, own, generator)

        found = []
        for *hidden, last in self._streams:
            outputs = features
            for layer in hidden:
                outputs = np.maximum(call(layer, outputs), 0)
            outputs = call(last, outputs)
            found.append(outputs.reshape(len(outputs), -1, self._outputs))
        if len(found) == 1:
            return found[0]
        advantages, state_values = found
        return state_values + advantages - advantages.mean(axis=1, keepdims=True)


@gin.configurable
class QHead(_Streams):
    """Action values [B, A]: one output for each action.

    Args:
      seeds, num_actions, dueling, noisy, hidden_units, initializer, sigma0: see `_Streams`.
    """

    def __init__(
        self,
        seeds: Seeds,
        num_actions: int,
        dueling: bool = False,
        noisy: bool = False,
        hidden_units: int = 0,
        initializer: str = "glorot_uniform",
        sigma0: float = 0.5,
    ):
        super().__init__(
            seeds,
            num_actions,
            1,
            dueling=dueling,
            noisy=noisy,
            hidden_units=hidden_units,
            initializer=initializer,
            sigma0=sigma0,
        )

    def __call__(self, features: tf.Tensor, seed: tf.Tensor | None = None) -> tf.Tensor:
        return self.streams(features, seed)[:, :, 0]

    @staticmethod
    def values(outputs: tf.Tensor) -> tf.Tensor:
        return outputs

    def call_numpy(
        self,
        features: np.ndarray,
        weights: Sequence[np.ndarray],
        generator: np.random.Generator | None,
    ) -> np.ndarray:
        return self.streams_numpy(features, weights, generator)[:, :, 0]


@gin.configurable
class CategoricalHead(_Streams):
    """Logits [B, A, Z] of return distributions over fixed atoms (Bellemare et al. 2017).

    Args:
      seeds, num_actions, dueling, noisy, hidden_units, initializer, sigma0: see `_Streams`.
      num_atoms: Z, the number of atoms.
      vmin: the lowest atom, in units of return.
      vmax: the highest atom, in units of return.
    """

    def __init__(
        self,
        seeds: Seeds,
        num_actions: int,
        num_atoms: int = 51,
        vmin: float = -10.0,
        vmax: float = 10.0,
        dueling: bool = False,
        noisy: bool = False,
        hidden_units: int = 0,
        initializer: str = "dopamine_uniform",
        sigma0: float = 0.5,
    ):
        check_number("CategoricalHead", vmin=vmin, vmax=vmax)
        check_whole("CategoricalHead", least=2, most=MOST_UNITS, num_atoms=num_atoms)
        if not vmin < vmax:
            raise UserError(
                f"A distribution of returns cannot have {num_atoms} atoms from {vmin} to {vmax}: give "
                "it a vmin below its vmax."
            )
        super().__init__(
            seeds,
            num_actions,
            num_atoms,
            dueling=dueling,
            noisy=noisy,
            hidden_units=hidden_units,
            initializer=initializer,
            sigma0=sigma0,
        )
        self.support = categorical.support(vmin, vmax, num_atoms)  # [Z]
        self._atoms = self.support.numpy()

    def __call__(self, features: tf.Tensor, seed: tf.Tensor | None = None) -> tf.Tensor:
        return self.streams(features, seed)

    def values(self, outputs: tf.Tensor) -> tf.Tensor:
        return categorical.values(outputs, self.support)

    def distributions(self, outputs: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"atoms": self.support, "probabilities": tf.nn.softmax(outputs)}

    def call_numpy(
        self,
        features: np.ndarray,
        weights: Sequence[np.ndarray],
        generator: np.random.Generator | None,
    ) -> np.ndarray:
        logits = self.streams_numpy(features, weights, generator)
        masses = np.exp(logits - logits.max(axis=2, keepdims=True))
        return (masses @ self._atoms) / masses.sum(axis=2)


@gin.configurable
class QuantileHead(_Streams):
    """Quantiles [B, Q, A] of return distributions at fixed midpoints (Dabney et al. 2018a).

    Args:
      seeds, num_actions, dueling, noisy, hidden_units, initializer, sigma0: see `_Streams`.
      num_quantiles: Q, the number of quantiles.
    """

    def __init__(
        self,
        seeds: Seeds,
        num_actions: int,
        num_quantiles: int = 200,
        dueling: bool = False,
        noisy: bool = False,
        hidden_units: int = 0,
        initializer: str = "dopamine_uniform",
        sigma0: float = 0.5,
    ):
        check_whole("QuantileHead", most=MOST_UNITS, num_quantiles=num_quantiles)
        super().__init__(
            seeds,
            num_actions,
            num_quantiles,
            dueling=dueling,
            noisy=noisy,
            hidden_units=hidden_units,
            initializer=initializer,
            sigma0=sigma0,
        )
        self.taus = quantile.midpoints(num_quantiles)  # [Q]

    def __call__(self, features: tf.Tensor, seed: tf.Tensor | None = None) -> tf.Tensor:
        return tf.transpose(self.streams(features, seed), [0, 2, 1])

    @staticmethod
    def values(outputs: tf.Tensor) -> tf.Tensor:
        return quantile.values(outputs)

    @staticmethod
    def distributions(outputs: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"quantiles": tf.transpose(outputs, [0, 2, 1])}

    def call_numpy(
        self,
        features: np.ndarray,
        weights: Sequence[np.ndarray],
        generator: np.random.Generator | None,
    ) -> np.ndarray:
        return self.streams_numpy(features, weights, generator).mean(axis=2)


@gin.configurable
class ImplicitQuantileHead:
    """Quantiles of return distributions at fractions tau that are drawn or given (Dabney et al. 2018b).

    Z_tau(s, a) = f(psi(s) * phi(tau))_a, where phi is a ReLU layer on `num_cosines` cosines (eq. 4).

    Args:
      seeds: seeds of the initial parameters.
      num_actions: A, the number of actions.
      num_cosines: n of eq. 4, the number of cosines that represent a fraction tau.
      num_quantile_samples: K, the number of fractions drawn for acting.
      hidden_units: units of a ReLU layer after the product psi(s) * phi(tau); 0: no such layer. The
        paper's network has 512 units here, after a torso that ends with the convolutions.
      initializer: initializer of the layers; "glorot_uniform", "dopamine_uniform", "torch_uniform" or
        "orthogonal".
    """

    random_in_training = random_in_evaluation = True

    def __init__(
        self,
        seeds: Seeds,
        num_actions: int,
        num_cosines: int = 64,
        num_quantile_samples: int = 32,
        hidden_units: int = 0,
        initializer: str = "dopamine_uniform",
    ):
        def dense(units: int, name: str) -> Dense:
            kernel = make_initializer(initializer, seeds, name)
            return Dense(units, kernel_initializer=kernel, name=name)

        check_whole(
            "ImplicitQuantileHead",
            most=MOST_UNITS,
            num_cosines=num_cosines,
            num_quantile_samples=num_quantile_samples,
        )
        check_whole("ImplicitQuantileHead", least=0, most=MOST_UNITS, hidden_units=hidden_units)
        self._num_samples = num_quantile_samples
        kernel = make_initializer(initializer, seeds, "embedding")
        self._embedding = CosineEmbedding(num_cosines, kernel)
        self._hidden = [dense(hidden_units, "hidden")] if hidden_units else []
        self._last = dense(num_actions, "quantiles")
        self.layers = [self._embedding, *self._hidden, self._last]

    def describe(self) -> dict[str, Any]:
        hidden_units = self._hidden[0].units if self._hidden else 0
        return {"head": type(self).__name__, "hidden_units": hidden_units}

    def __call__(self, features: tf.Tensor, seed: tf.Tensor | None = None) -> tf.Tensor:
        assert seed is not None
        size = [tf.shape(features)[0], self._num_samples]
        return self.quantiles(features, uniform(size, seed))

    def explained_outputs(self, features: tf.Tensor) -> tf.Tensor:
        """[B, Q, A] at fractions that are spread evenly instead of drawn."""
        taus = quantile.midpoints(_EXPLAINED_QUANTILES)
        return self.quantiles(features, tf.tile(taus[None], [tf.shape(features)[0], 1]))

    def quantiles(self, features: tf.Tensor, taus: tf.Tensor) -> tf.Tensor:
        """[B, Q, A] at fractions taus [B, Q], of features [B, F]."""
        return self._last(self._hidden_outputs(features, taus))

    def chosen_quantiles(
        self, features: tf.Tensor, taus: tf.Tensor, actions: tf.Tensor
    ) -> tf.Tensor:
        """[B, Q], the quantiles of actions [B] only, at a fraction of the work."""
        chosen = tf.one_hot(actions, self._last.units)
        kernels = tf.matmul(chosen, self._last.kernel, transpose_b=True)  # [B, F]
        biases = tf.linalg.matvec(chosen, self._last.bias)
        hidden = self._hidden_outputs(features, taus)
        return tf.reduce_sum(hidden * kernels[:, None, :], axis=2) + biases[:, None]

    def mean_quantiles(self, features: tf.Tensor, taus: tf.Tensor) -> tf.Tensor:
        """[B, A], the action values; the last layer is linear, so it may follow the mean."""
        return self._last(tf.reduce_mean(self._hidden_outputs(features, taus), axis=1))

    def _hidden_outputs(self, features: tf.Tensor, taus: tf.Tensor) -> tf.Tensor:
        outputs = self._embedding(features, taus)
        for layer in self._hidden:
            outputs = tf.nn.relu(layer(outputs))
        return outputs

    @staticmethod
    def values(outputs: tf.Tensor) -> tf.Tensor:
        return quantile.values(outputs)

    @staticmethod
    def distributions(outputs: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"quantiles": tf.transpose(outputs, [0, 2, 1])}

    def call_numpy(
        self,
        features: np.ndarray,
        weights: Sequence[np.ndarray],
        generator: np.random.Generator | None,
    ) -> np.ndarray:
        assert generator is not None
        taus = generator.random((len(features), self._num_samples), np.float32)
        outputs = self._embedding.call_numpy(features, taus, weights[:2])
        for kernel, bias in zip(weights[2:-2:2], weights[3:-2:2], strict=True):
            outputs = np.maximum(outputs @ kernel + bias, 0)
        return outputs.mean(axis=1) @ weights[-2] + weights[-1]  # the last layer is linear
