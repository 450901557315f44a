"""A torso and a head, and their parameters."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

import gymnasium
import keras
import numpy as np
import tensorflow as tf

from dopamine_lite.common.errors import UserError
from dopamine_lite.common.types import State
from dopamine_lite.networks.heads import Head
from dopamine_lite.networks.observations import reader_of
from dopamine_lite.networks.torsos import Torso, prepared_shape

H = TypeVar("H", bound=Head)


class Network(Generic[H]):
    """A head on a torso, built for the observations of one space.

    The torso gets names, from a `Discrete` or `MultiDiscrete` space, as one-hot vectors, and bytes as
    fractions (see `dopamine_lite.networks.observations`).

    Args:
      torso: the torso (see `dopamine_lite.networks.torsos`).
      head: the head (see `dopamine_lite.networks.heads`).
      observation_space: the space of observations as they are stored, including the axis of a stack.
      stack_size: the number of frames in an observation, on its first axis; 1: there is no such axis.
    """

    def __init__(
        self,
        torso: Torso,
        head: H,
        observation_space: gymnasium.Space,
        stack_size: int = 1,
    ):
        self.torso = torso
        self.head = head
        self.observation_space = space = observation_space
        assert space.shape is not None and space.dtype is not None
        self.reader = reader_of(space)
        if hasattr(torso, "built_for"):
            torso.built_for(space, stack_size)
        self.input = tf.TensorSpec([None, *space.shape], tf.as_dtype(space.dtype))
        self.prepared_shape = prepared_shape(torso, space)
        _require_no_call(torso)
        self._build()
        self.variables: list[tf.Variable] = [
            variable.value
            for layer in (torso.layers, *head.layers)
            for variable in layer.trainable_variables
        ]

    def _build(self) -> None:
        """Builds the layers.

        Raises:
          UserError: the torso has no layers, the features are not rows of numbers, or a layer holds
            parameters that are not trained.
        """
        if not isinstance(self.torso.layers, keras.layers.Layer):
            raise UserError(
                f"{part_name(self.torso)}.layers is a {type(self.torso.layers).__name__}: make it a "
                "single Keras layer, such as a keras.Sequential."
            )
        features = self.features(tf.zeros([1, *self.prepared_shape]))
        if len(features.shape) != 2:
            raise UserError(
                f"The layers of {part_name(self.torso)} make features of shape "
                f"{('B', *features.shape[1:])}, but a head reads [B, F]: end the layers with a "
                "keras.layers.Flatten."
            )
        self.head(features, tf.zeros([2], tf.int32))
        for part, layers in ((self.torso, [self.torso.layers]), (self.head, self.head.layers)):
            for weight in (each for layer in layers for each in layer.non_trainable_weights):
                raise UserError(
                    f"{part_name(part)} has the weight {weight.path}, which is not trained, so it "
                    "would neither be saved nor reach the target network: make it trainable, or a "
                    f"constant drawn from the seeds that {part_name(part)} gets."
                )

    def __call__(self, prepared: tf.Tensor, seed: tf.Tensor | None = None) -> tf.Tensor:
        """The head's outputs for the result of `prepare`. Differentiable.

        A head whose outputs are random needs a `seed` [2] int32.
        """
        return self.head(self.features(prepared), seed)

    def features(self, prepared: tf.Tensor) -> tf.Tensor:
        """The torso's features [B, F] for the result of `prepare`."""
        return self.torso.layers(prepared)

    def prepare(self, observations: tf.Tensor) -> tf.Tensor:
        """Observations [B, ...] as stored -> the input of the torso's layers.

        Observations of a `PackedSpace` may also come as a dictionary of its entries.
        """
        return self.torso.prepare(self.reader(observations))

    @property
    def precision(self) -> str:
        """The precision of the torso: "float32" or, if it is set, "bfloat16", or both."""
        return str(getattr(self.torso, "precision", "float32"))

    @property
    def num_parameters(self) -> int:
        return sum(int(np.prod(variable.shape)) for variable in self.variables)

    def batch_bytes(self, size: int) -> int:
        """The least bytes that a gradient step on `size` observations holds, without the parameters.

        These are the observations and the outputs of fully connected layers, and the same again for
        gradients and for a target network. Convolutions hold more.
        """
        outputs = sum(int(variable.shape[-1]) for variable in self.variables)
        return 4 * 4 * size * (int(np.prod(self.prepared_shape)) + outputs)

    def flat_parameters(self) -> tf.Tensor:
        """All parameters in one vector [P], in the order of `variables`. Can be called in a graph."""
        return tf.concat([tf.reshape(variable, [-1]) for variable in self.variables], axis=0)

    def load_flat(self, parameters: tf.Tensor) -> None:
        """Takes the result of `flat_parameters` of an equal network."""
        sizes = [int(np.prod(variable.shape)) for variable in self.variables]
        for variable, part in zip(self.variables, tf.split(parameters, sizes), strict=True):
            variable.assign(tf.reshape(part, variable.shape))

    def get_state(self) -> State:
        """The parameters.

        Raises:
          UserError: a parameter is not a finite number, so no run could continue from a checkpoint of
            it.
        """
        state = {f"{index}": variable.numpy() for index, variable in enumerate(self.variables)}
        if not all(np.isfinite(values).all() for values in state.values()):
            raise UserError(
                "A network's parameters are no longer finite numbers: the run has diverged, and no "
                "checkpoint of this state is written. Start again in another `base_dir`, with a lower "
                "learning rate or clipped rewards."
            )
        return state

    def set_state(self, state: State) -> None:
        if len(state) != len(self.variables):
            raise ValueError(f"{len(state)} arrays of parameters instead of {len(self.variables)}")
        for index, variable in enumerate(self.variables):
            variable.assign(state[f"{index}"])


def require_equal(first: Network, second: Network) -> None:
    """Raises UserError if two networks that were made with the same seeds differ."""
    for one, other in zip(first.variables, second.variables, strict=True):
        if not np.array_equal(one.numpy(), other.numpy()):
            raise UserError(
                f"{part_name(first.torso)} or {part_name(first.head)} begins with different "
                f"numbers each time it is made with the same seeds ({one.name}), so no run could "
                "be repeated: draw the initial parameters from the seeds that it gets."
            )


def _require_no_call(torso: Torso) -> None:
    """Raises UserError if a torso has a method that seems to compute the features."""
    for name in ("call", "__call__"):
        if any(name in vars(kind) for kind in type(torso).__mro__):
            raise UserError(
                f"{part_name(torso)}.{name} would never be called: a torso is not a layer but holds "
                "`layers`, so put what it computes into `layers` or `prepare`."
            )


def part_name(part: Any) -> str:
    """The name of a torso or a head in a message. For two torsos side by side, it is their kind."""
    return str(getattr(part, "kind", type(part).__name__))
