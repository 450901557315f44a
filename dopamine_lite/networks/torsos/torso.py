"""What a network asks of its torso."""

from __future__ import annotations

from typing import Protocol

import gymnasium
import keras
import tensorflow as tf

from dopamine_lite.networks.observations import reader_of


class Torso(Protocol):
    """What a network asks of its torso. Built as `torso(seeds)`."""

    layers: keras.layers.Layer
    compile_update: bool

    def prepare(self, observations: tf.Tensor) -> tf.Tensor:
        """Observations [B, ...] float32 -> what `layers` reads.

        Observations with several entries come as a dictionary of such tensors.
        """


def prepared_shape(torso: Torso, space: gymnasium.Space) -> tuple[int, ...]:
    """The shape [...] of what a torso prepares from observations of `space`, without the batch's axis.

    Traced and not computed: of a transpose outside XLA, TensorFlow may complain aloud.
    """
    assert space.shape is not None and space.dtype is not None
    reader = reader_of(space)
    stored = tf.TensorSpec([None, *space.shape], tf.as_dtype(space.dtype))
    prepare = tf.function(lambda observations: torso.prepare(reader(observations)), autograph=False)
    return tuple(prepare.get_concrete_function(stored).structured_outputs.shape[1:])
