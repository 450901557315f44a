"""Shared code of torsos for pictures: which axes of an observation are rows, columns and channels."""

from __future__ import annotations

import math

import gymnasium
import keras
import numpy as np
import tensorflow as tf

from dopamine_lite.common.errors import UserError
from dopamine_lite.spaces.packed_space import PackedSpace
from dopamine_lite.spaces.pictures import MOST_CHANNELS, channel_axis


class PictureTorso:
    """The base class of torsos for pictures: it puts rows and columns first, channels last.

    Pictures are [height, width, channels], [channels, height, width] or [height, width]. The channels of
    a stack's frames are put side by side, the oldest frame's first.

    Args:
      channels: which axis of a picture holds its channels, "first" or "last"; None: whichever of the
        two has at most 4 entries.

    Raises:
      UserError: `channels` is something else.
    """

    least_size = 1  # rows and columns that the layers need

    def __init__(self, channels: str | None = None):
        if channels not in (None, "first", "last"):
            raise UserError(
                f'{self._name}.channels is {channels!r}: choose "first", "last" or None.'
            )
        self._channels = channels

    def built_for(self, space: gymnasium.Space, stack_size: int) -> None:
        """Finds the axes in observations of `space`. In stacks, the first axis counts the frames.

        Raises:
          UserError: the observations are not pictures, their shape does not say where the channels are,
            or they are too small.
        """
        assert space.shape is not None
        shape = space.shape[1:] if stack_size > 1 else space.shape
        if isinstance(space, PackedSpace) or len(shape) not in (2, 3):
            raise UserError(
                f"{self._name} reads pictures, [height, width] with or without channels, but an "
                f"observation is {space}: bind another torso, such as @MLP, or @DictTorso for several "
                "entries."
            )
        if len(shape) == 2:
            rows, columns, channels = 0, 1, []
        elif self._channels_come_first(shape):
            rows, columns, channels = 1, 2, [0]
        else:
            rows, columns, channels = 0, 1, [2]
        height, width = shape[rows], shape[columns]
        if min(height, width) < self.least_size:
            raise UserError(
                f"{self._name} needs pictures of {self.least_size} x {self.least_size} or more, but "
                f"these are {height} x {width}: bind @SmallCNN, or smaller convolutions."
            )
        frames = [0] if stack_size > 1 else []
        order = [axis + len(frames) for axis in (rows, columns)] + frames
        self._order = [*order, *(axis + len(frames) for axis in channels)]
        self._size = (height, width, math.prod(space.shape) // (height * width))

    def preparation_layers(self) -> list[keras.layers.Layer]:
        """`prepare` as Keras layers."""
        layers: list[keras.layers.Layer] = []
        if self._order != sorted(self._order):
            layers.append(keras.layers.Permute([axis + 1 for axis in self._order]))
        return layers if len(self._order) == 3 else [*layers, keras.layers.Reshape(self._size)]

    def prepare(self, observations: tf.Tensor) -> tf.Tensor:
        """Observations [B, ...] -> [B, height, width, channels of all frames]."""
        order = [0, *(axis + 1 for axis in self._order)]
        if order != sorted(order):
            observations = tf.transpose(observations, order)
        return tf.reshape(observations, [-1, *self._size])

    def _prepare_numpy(self, observations: np.ndarray) -> np.ndarray:
        """`prepare` in NumPy."""
        moved = observations.transpose(0, *(axis + 1 for axis in self._order))
        return moved.reshape(-1, *self._size)

    def _channels_come_first(self, shape: tuple[int, ...]) -> bool:
        if self._channels is not None:
            return self._channels == "first"
        axis = channel_axis(shape)
        if axis is None:
            raise UserError(
                f"{self._name} reads pictures, but the shape {shape} does not say which axis holds the "
                f"channels (the first or the last, only one of them with at most {MOST_CHANNELS}): bind "
                f'{self._name}.channels = "last" or "first".'
            )
        return axis == 0

    @property
    def _name(self) -> str:
        return type(self).__name__
