"""Heads: from features to outputs that an agent learns for every action, and then to action values.

With any kind of outputs, a head can end in two streams (dueling, Wang et al. 2016), have a hidden layer
in each stream, and be noisy (Fortunato et al. 2018). `random_in_training` and `random_in_evaluation` say
whether its outputs are random. If they are, a call needs a seed [2], or a generator in NumPy.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import gin
import keras
import numpy as np
import tensorflow as tf

from dopamine_lite.common.checks import check_number, check_whole
from dopamine_lite.common.errors import UserError
from dopamine_lite.common.seeding import Seeds
from dopamine_lite.losses import categorical, quantile
from dopamine_lite.networks.layers import (
    MOST_UNITS,
    CosineEmbedding,
    Dense,
    uniform_rows,
)
from dopamine_lite.networks.layers import initializer as make_initializer
from dopamine_lite.networks.streams import Streams

_EXPLAINED_QUANTILES = 64  # shown instead of drawn fractions


class Head(Protocol):
    """The contract between a network and its head. Built as `head(seeds, num_actions)`.

    Three methods are optional. `call_numpy(features, weights, generator)` makes acting faster: in NumPy,
    it returns action values [B, A] for features [B, F], with noise drawn from the generator (see
    `networks.twins`). `distributions(outputs)` returns fields of an `Explanation` besides action values,
    by name. If a head's outputs are random, `explained_outputs(features)` returns outputs that are not.
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
        """The head's name and its active parts."""


@gin.configurable
class QHead(Streams):
    """Action values [B, A]: one output for each action.

    Args:
      seeds, num_actions, dueling, noisy, hidden_units, initializer, sigma0: see `Streams`.
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
class CategoricalHead(Streams):
    """Logits [B, A, Z] of return distributions over fixed atoms (Bellemare et al. 2017).

    Args:
      seeds, num_actions, dueling, noisy, hidden_units, initializer, sigma0: see `Streams`.
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
class QuantileHead(Streams):
    """Quantiles [B, Q, A] of return distributions at fixed midpoints (Dabney et al. 2018a).

    Args:
      seeds, num_actions, dueling, noisy, hidden_units, initializer, sigma0: see `Streams`.
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
      hidden_units: the units of a ReLU layer after the product psi(s) * phi(tau); 0: no such layer. The
        paper's network has 512 units here, after a torso that ends with the convolutions.
      initializer: the initializer of the layers, one of "glorot_uniform", "dopamine_uniform",
        "torch_uniform" or "orthogonal".
    """

    random_in_training = random_in_evaluation = True
    draws_for_parts = True

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
        return {"head": type(self).__name__, "head_hidden_units": hidden_units}

    def __call__(self, features: tf.Tensor, seed: tf.Tensor | None = None) -> tf.Tensor:
        assert seed is not None
        size = [tf.shape(features)[0], self._num_samples]
        return self.quantiles(features, uniform_rows(size, seed))

    def explained_outputs(self, features: tf.Tensor) -> tf.Tensor:
        """Quantiles [B, Q, A] at evenly spread fractions, instead of drawn ones."""
        taus = quantile.midpoints(_EXPLAINED_QUANTILES)
        return self.quantiles(features, tf.tile(taus[None], [tf.shape(features)[0], 1]))

    def quantiles(self, features: tf.Tensor, taus: tf.Tensor) -> tf.Tensor:
        """Quantiles [B, Q, A] at fractions taus [B, Q], for features [B, F]."""
        return self._last(self._hidden_outputs(features, taus))

    def chosen_quantiles(
        self, features: tf.Tensor, taus: tf.Tensor, actions: tf.Tensor
    ) -> tf.Tensor:
        """The quantiles [B, Q] of the chosen actions [B] alone, for a fraction of the work."""
        chosen = tf.one_hot(actions, self._last.units)
        kernels = tf.matmul(chosen, self._last.kernel, transpose_b=True)  # [B, F]
        biases = tf.linalg.matvec(chosen, self._last.bias)
        hidden = self._hidden_outputs(features, taus)
        return tf.reduce_sum(hidden * kernels[:, None, :], axis=2) + biases[:, None]

    def mean_quantiles(self, features: tf.Tensor, taus: tf.Tensor) -> tf.Tensor:
        """The action values [B, A]. The last layer is linear, so it can follow the mean."""
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
