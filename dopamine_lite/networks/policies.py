"""Policies: heads whose outputs are the parameters of a distribution over actions.

`policy_for` chooses one by the action space. A policy samples in NumPy, where acting happens, and
gives probabilities in TensorFlow, where learning does; both read the same outputs [B, P].
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import gin
import gymnasium
import keras
import numpy as np
import tensorflow as tf

from dopamine_lite.common.checks import check_number, check_positive
from dopamine_lite.common.errors import UserError
from dopamine_lite.common.seeding import Seeds
from dopamine_lite.networks.greedy import greedy
from dopamine_lite.networks.layers import Dense, orthogonal

_ILLEGAL = -1e9  # a finite logit that gives its action no probability
_FARTHEST = 20.0  # greatest log deviation, up or down: its squares fit float32


class Policy(Protocol):
    """What PPO and REINFORCE need from a policy. Inside the agent, actions are [B, D] `action_dtype`."""

    layers: Sequence[keras.layers.Layer]
    size: int  # P
    action_size: int  # D
    action_dtype: Any

    def __call__(self, features: tf.Tensor) -> tf.Tensor:
        """Outputs [B, P] for features [B, F]."""

    def call_numpy(self, features: np.ndarray, weights: Sequence[np.ndarray]) -> np.ndarray:
        """`__call__` in NumPy."""

    def log_probabilities(self, outputs: tf.Tensor, actions: tf.Tensor) -> tf.Tensor:
        """log pi(a|s) [B]: log probabilities, or log densities if actions are continuous."""

    def entropies(self, outputs: tf.Tensor) -> tf.Tensor:
        """-E log pi [B], in nats."""

    def divergences(self, old: tf.Tensor, new: tf.Tensor) -> tf.Tensor:
        """KL(pi_old, pi_new) [B], in nats, of outputs [B, P] each."""

    def sample(self, outputs: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """Actions [B, D] drawn from outputs [B, P]."""

    def mode(self, outputs: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """The most likely actions [B, D]; ties are broken at random."""

    def mask(self, outputs: np.ndarray, masks: np.ndarray) -> np.ndarray:
        """Outputs under which actions that are illegal by masks [B, A] have no probability."""

    def mask_as(self, outputs: tf.Tensor, masked: tf.Tensor) -> tf.Tensor:
        """Outputs [B, P] without the actions that `masked` [B, P] lacks."""

    def to_environment(self, actions: np.ndarray) -> np.ndarray:
        """Actions [B, D] as the environment takes them."""

    def exported_mode(self, outputs: tf.Tensor) -> tf.Tensor:
        """`mode` and `to_environment` in TensorFlow."""

    def explain(self, outputs: np.ndarray) -> dict[str, np.ndarray]:
        """The fields of an `Explanation`, by name, for a policy with outputs [B, P]."""


def policy_for(seeds: Seeds, action_space: gymnasium.Space, agent: str) -> Policy:
    """The policy for an action space: categorical for discrete spaces, Gaussian for boxes.

    Raises:
      UserError: there is no policy for this kind of action space.
    """
    if isinstance(action_space, gymnasium.spaces.Box):
        return GaussianPolicy(seeds, action_space)
    one_axis = isinstance(action_space, gymnasium.spaces.MultiDiscrete) and (
        action_space.nvec.ndim == 1
    )
    if one_axis or isinstance(action_space, gymnasium.spaces.Discrete):
        return CategoricalPolicy(seeds, action_space)
    raise UserError(
        f"{agent} needs a Discrete, MultiDiscrete or Box action space, but the environment has "
        f"{action_space}: wrap the environment."
    )


@gin.configurable(denylist=["seeds", "action_space"])
class CategoricalPolicy:
    """One or several discrete actions, each with its own logits, independent given the state.

    The actions of a `MultiDiscrete` space have nvec = (n_1 ... n_D). In a `Discrete` space, D is 1.

    Args:
      seeds: seeds of the initial parameters.
      action_space: a `Discrete` or `MultiDiscrete` space.
      gain: the factor of the last layer's initial kernel, which is orthogonal. With a small gain, all
        actions are about equally likely at first.
    """

    action_dtype: Any = np.int32

    def __init__(self, seeds: Seeds, action_space: gymnasium.Space, gain: float = 0.01):
        check_positive("CategoricalPolicy", gain=gain)
        if isinstance(action_space, gymnasium.spaces.Discrete):
            self._sizes = np.array([action_space.n])
            self._starts = np.array([action_space.start])
            self._is_single = True
        else:
            space: Any = action_space
            self._sizes, self._starts = space.nvec.astype(np.int64), space.start
            self._is_single = False
        ends = np.cumsum(self._sizes).tolist()
        self._parts = [slice(*pair) for pair in itertools.pairwise([0, *ends])]
        self.size = int(self._sizes.sum())
        self.action_size = len(self._sizes)
        self._last = Dense(self.size, kernel_initializer=orthogonal(gain, seeds, "logits"))
        self.layers: Sequence[keras.layers.Layer] = [self._last]

    def __call__(self, features: tf.Tensor) -> tf.Tensor:
        return self._last(features)

    def call_numpy(self, features: np.ndarray, weights: Sequence[np.ndarray]) -> np.ndarray:
        return self._last.call_numpy(features, weights, None)

    def _log_softmaxes(self, outputs: tf.Tensor) -> list[tf.Tensor]:
        """The log probabilities [B, n_i] of each of the D actions."""
        return [tf.nn.log_softmax(part) for part in tf.split(outputs, self._sizes, axis=1)]

    def log_probabilities(self, outputs: tf.Tensor, actions: tf.Tensor) -> tf.Tensor:
        chosen = [
            tf.reduce_sum(logs * tf.one_hot(actions[:, index], logs.shape[1]), axis=1)
            for index, logs in enumerate(self._log_softmaxes(outputs))
        ]
        return tf.add_n(chosen)

    def entropies(self, outputs: tf.Tensor) -> tf.Tensor:
        logs = self._log_softmaxes(outputs)
        return -tf.add_n([tf.reduce_sum(tf.exp(part) * part, axis=1) for part in logs])

    def divergences(self, old: tf.Tensor, new: tf.Tensor) -> tf.Tensor:
        pairs = zip(self._log_softmaxes(old), self._log_softmaxes(new), strict=True)
        return tf.add_n(
            [tf.reduce_sum(tf.exp(before) * (before - now), axis=1) for before, now in pairs]
        )

    def sample(self, outputs: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        # The Gumbel trick: the argmax of logits plus Gumbel noise is a draw from their softmax.
        noise = generator.gumbel(size=outputs.shape)
        return self._of_each(outputs + noise, lambda part: part.argmax(axis=1))

    def mode(self, outputs: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        return self._of_each(outputs, lambda part: greedy(part, generator))

    def _of_each(
        self, outputs: np.ndarray, choose: Callable[[np.ndarray], np.ndarray]
    ) -> np.ndarray:
        """Actions [B, D]; `choose` picks each of the D from its logits [B, n_i]."""
        actions = np.empty((len(outputs), self.action_size), np.int32)
        for index, part in enumerate(self._parts):
            actions[:, index] = choose(outputs[:, part])
        return actions

    def mask(self, outputs: np.ndarray, masks: np.ndarray) -> np.ndarray:
        return np.where(masks, outputs, np.float32(_ILLEGAL))

    def mask_as(self, outputs: tf.Tensor, masked: tf.Tensor) -> tf.Tensor:
        return tf.where(masked <= _ILLEGAL, masked, outputs)

    def to_environment(self, actions: np.ndarray) -> np.ndarray:
        shifted = actions + self._starts
        return shifted[:, 0] if self._is_single else shifted

    def exported_mode(self, outputs: tf.Tensor) -> tf.Tensor:
        # Slices, not `tf.split`: TensorFlow Lite accepts no sizes of 64 bits.
        parts = [outputs[:, part] for part in self._parts]
        actions = tf.stack([tf.argmax(part, axis=1) for part in parts], axis=1) + self._starts
        return actions[:, 0] if self._is_single else actions

    def explain(self, outputs: np.ndarray) -> dict[str, np.ndarray]:
        probabilities = np.empty(outputs.shape, np.float64)
        for part in self._parts:
            logits = outputs[:, part] - outputs[:, part].max(axis=1, keepdims=True)
            masses = np.exp(logits, dtype=np.float64)
            probabilities[:, part] = masses / masses.sum(axis=1, keepdims=True)
        return {"policy": probabilities}


@gin.configurable(denylist=["seeds", "action_space"])
class GaussianPolicy:
    """Independent normal distributions: means depend on the state, standard deviations do not.

    Outputs are the means and the logarithms of the standard deviations, [B, 2 D]. The environment gets
    actions that are clipped to its bounds and, if it takes whole numbers, rounded to the nearest. The
    agent learns from the actions as they were drawn.

    Args:
      seeds: seeds of the initial parameters.
      action_space: a bounded or unbounded `Box`.
      initial_log_std: the natural logarithm of the initial standard deviations, which are in the units
        of the actions.
      gain: the factor of the initial kernel of the means' layer, which is orthogonal. With a small gain,
        all means are about zero at first.
    """

    action_dtype: Any = np.float32

    def __init__(
        self,
        seeds: Seeds,
        action_space: gymnasium.spaces.Box,
        initial_log_std: float = 0.0,
        gain: float = 0.01,
    ):
        check_number("GaussianPolicy", initial_log_std=initial_log_std)
        check_positive("GaussianPolicy", gain=gain)
        self._shape = action_space.shape
        self._dtype = np.dtype(action_space.dtype)
        self._whole = self._dtype.kind in "iub"
        self._low, self._high = action_space.low, action_space.high
        if self._whole:
            self._low = float32_towards(np.inf, self._low)
            self._high = float32_towards(-np.inf, self._high)
        self.action_size = int(np.prod(self._shape))
        self.size = 2 * self.action_size
        kernel = orthogonal(gain, seeds, "means")
        self._layer = _MeansAndDeviations(self.action_size, kernel, initial_log_std)
        self.layers: Sequence[keras.layers.Layer] = [self._layer]

    def __call__(self, features: tf.Tensor) -> tf.Tensor:
        return self._layer(features)

    def call_numpy(self, features: np.ndarray, weights: Sequence[np.ndarray]) -> np.ndarray:
        kernel, bias, log_stds = weights
        means = features @ kernel + bias
        return np.concatenate([means, np.broadcast_to(log_stds, means.shape)], axis=1)

    @staticmethod
    def _parts(outputs: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """The means and the logarithms of the deviations, [B, D] each, from outputs [B, 2 D]."""
        means, log_stds = tf.split(outputs, 2, axis=1)
        return means, tf.clip_by_value(log_stds, -_FARTHEST, _FARTHEST)

    def log_probabilities(self, outputs: tf.Tensor, actions: tf.Tensor) -> tf.Tensor:
        means, log_stds = self._parts(outputs)
        distances = (actions - means) * tf.exp(-log_stds)
        return -tf.reduce_sum(tf.square(distances) / 2 + log_stds + np.log(2 * np.pi) / 2, axis=1)

    def entropies(self, outputs: tf.Tensor) -> tf.Tensor:
        _, log_stds = self._parts(outputs)
        return tf.reduce_sum(log_stds + np.log(2 * np.pi * np.e) / 2, axis=1)

    def divergences(self, old: tf.Tensor, new: tf.Tensor) -> tf.Tensor:
        old_means, old_logs = self._parts(old)
        means, logs = self._parts(new)
        squares = tf.exp(2 * (old_logs - logs)) + tf.square((old_means - means) * tf.exp(-logs))
        return tf.reduce_sum(logs - old_logs + (squares - 1) / 2, axis=1)

    def sample(self, outputs: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        means, log_stds = np.split(outputs, 2, axis=1)
        stds = self._deviations(log_stds)
        return means + stds * generator.standard_normal(means.shape, np.float32)

    def mode(self, outputs: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        return outputs[:, : self.action_size]

    def explain(self, outputs: np.ndarray) -> dict[str, np.ndarray]:
        means, log_stds = np.split(outputs, 2, axis=1)
        return {"means": means, "deviations": self._deviations(log_stds)}

    @staticmethod
    def _deviations(log_stds: np.ndarray) -> np.ndarray:
        return np.exp(np.clip(log_stds, -_FARTHEST, _FARTHEST))

    def mask(self, outputs: np.ndarray, masks: np.ndarray) -> np.ndarray:
        raise UserError("Continuous actions have no action masks: choose another environment.")

    def mask_as(self, outputs: tf.Tensor, masked: tf.Tensor) -> tf.Tensor:
        return outputs

    def to_environment(self, actions: np.ndarray) -> np.ndarray:
        inside = np.clip(actions.reshape(-1, *self._shape), self._low, self._high)
        if self._whole:
            inside = np.rint(inside)
        return inside.astype(self._dtype, copy=False)

    def exported_mode(self, outputs: tf.Tensor) -> tf.Tensor:
        means = tf.reshape(outputs[:, : self.action_size], [-1, *self._shape])
        low, high = float32_towards(np.inf, self._low), float32_towards(-np.inf, self._high)
        inside = tf.clip_by_value(means, low, high)
        return tf.cast(tf.round(inside) if self._whole else inside, self._dtype)


def float32_towards(end: float, bounds: np.ndarray) -> np.ndarray:
    """Bounds in float32; a bound that float32 lacks becomes the next number toward `end`, in the box.

    Otherwise, the highest int32 would become 2^31, and a cast would turn that into the lowest.
    """
    rounded = bounds.astype(np.float32)
    found, exact = rounded.astype(object), bounds.astype(object)  # exact comparison
    missed = found < exact if end > 0 else found > exact
    return np.where(missed.astype(bool), np.nextafter(rounded, np.float32(end)), rounded)


class _MeansAndDeviations(keras.layers.Layer):
    """[B, F] -> [B, 2 D]: a dense layer, and a row of variables that is the same for all states."""

    def __init__(
        self, units: int, kernel_initializer: keras.initializers.Initializer, log_std: float
    ):
        super().__init__(name="means_and_deviations")
        self._units = units
        self._kernel_initializer = kernel_initializer
        self._log_std = keras.initializers.Constant(log_std)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        shape = (input_shape[-1], self._units)
        self.kernel = self.add_weight(shape, self._kernel_initializer, name="kernel")
        self.bias = self.add_weight((self._units,), "zeros", name="bias")
        self.log_stds = self.add_weight((self._units,), self._log_std, name="log_stds")

    def call(self, features: tf.Tensor) -> tf.Tensor:
        means = features @ self.kernel + self.bias
        return tf.concat([means, tf.zeros_like(means) + self.log_stds], axis=1)
