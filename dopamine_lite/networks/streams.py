"""Streams: a number of outputs for each action, with or without dueling and noise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from dopamine_lite.common.checks import check_flag, check_not_negative, check_whole
from dopamine_lite.common.seeding import Seeds
from dopamine_lite.networks.layers import (
    MOST_UNITS,
    Dense,
    Linear,
    NoisyDense,
    fold_in,
)
from dopamine_lite.networks.layers import initializer as make_initializer


class Streams:
    """A number of outputs for each action: [B, F] -> [B, A, Z].

    Args:
      seeds: seeds of the initial parameters.
      num_actions: A, the number of actions.
      outputs: Z, the number of outputs for each action.
      dueling: make it a dueling network, V(s) + A(s, a) - mean_a A(s, a) for each output (Wang et al.
        2016, eq. 9).
      noisy: use noisy layers, whose noise is drawn in training and off in evaluation (Fortunato et al.
        2018).
      hidden_units: the units of a ReLU layer before the last layer of each stream; 0: no such layer.
      initializer: the initializer of the layers if they are not noisy, one of "glorot_uniform",
        "dopamine_uniform", "torch_uniform" or "orthogonal".
      sigma0: the initial noise. The sigma of a noisy layer begins as sigma0 / sqrt(its number of
        inputs).
    """

    random_in_evaluation = False
    draws_for_parts = True  # of a batch: one draw serves the whole batch

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
            "head_hidden_units": self._hidden_units,
        }

    def streams(self, features: tf.Tensor, seed: tf.Tensor | None) -> tf.Tensor:
        """The outputs [B, A, Z] for features [B, F]."""

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
        """`streams` in NumPy, with noise from `generator` if there is one."""
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
