"""Observations in the form for torsos: names as one-hot vectors, bytes as fractions, entries by name."""

from __future__ import annotations

import math
from typing import Any, Protocol

import gymnasium
import numpy as np
import tensorflow as tf

from dopamine_lite.spaces.one_hot import columns
from dopamine_lite.spaces.packed_space import PackedSpace

Read = Any
"""[B, ...] float32, or by name such an array for each entry of a `PackedSpace`."""

_BYTE = 255.0  # the highest byte


class Reader(Protocol):
    """Turns stored observations into the input of a torso's `prepare`, in TensorFlow and in NumPy."""

    def __call__(self, observations: tf.Tensor) -> Read: ...

    def call_numpy(self, observations: np.ndarray) -> Read: ...


def reader_of(space: gymnasium.Space) -> Reader:
    """The reader for observations of `space`, or for stacks of them."""
    if isinstance(space, PackedSpace):
        return Entries(space)
    if isinstance(space, gymnasium.spaces.Discrete | gymnasium.spaces.MultiDiscrete):
        return Names(space)
    return Numbers(divided_by_255=_are_bytes(space))


class Numbers:
    """Passes on numbers, but turns bytes from 0 to 255 into fractions from 0 to 1."""

    def __init__(self, divided_by_255: bool):
        self.divided_by_255 = divided_by_255

    def __call__(self, observations: tf.Tensor) -> tf.Tensor:
        numbers = tf.cast(observations, tf.float32)
        return numbers / _BYTE if self.divided_by_255 else numbers

    def call_numpy(self, observations: np.ndarray) -> np.ndarray:
        numbers = observations.astype(np.float32, copy=False)
        return numbers / np.float32(_BYTE) if self.divided_by_255 else numbers


class Names:
    """Turns names, which are not quantities, into one-hot vectors, one after the other."""

    def __init__(self, space: gymnasium.spaces.Discrete | gymnasium.spaces.MultiDiscrete):
        self._owners, self._values = columns(space)
        self._size = math.prod(space.shape or ())

    def __call__(self, observations: tf.Tensor) -> tf.Tensor:
        """[B, *shape] -> [B, columns]."""
        names = tf.reshape(observations, [-1, self._size])
        values = tf.constant(self._values, names.dtype)
        return tf.cast(tf.gather(names, self._owners, axis=1) == values, tf.float32)

    def call_numpy(self, observations: np.ndarray) -> np.ndarray:
        names = observations.reshape(-1, self._size)
        return (names[:, self._owners] == self._values).astype(np.float32)


class Entries:
    """Reads the entries of a `PackedSpace`, each according to its own space."""

    def __init__(self, space: PackedSpace):
        self._space = space
        self._readers = {name: reader_of(entry) for name, entry in space.entries.items()}

    def __call__(self, observations: tf.Tensor | dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Also reads a dictionary of entries that are already unpacked."""
        if not isinstance(observations, dict):
            observations = self._unpacked(observations)
        return {name: read(observations[name]) for name, read in self._readers.items()}

    def call_numpy(self, observations: np.ndarray) -> dict[str, np.ndarray]:
        entries = self._space.unpack(observations)
        return {name: read.call_numpy(entries[name]) for name, read in self._readers.items()}

    def _unpacked(self, rows: tf.Tensor) -> dict[str, tf.Tensor]:
        """`PackedSpace.unpack` in TensorFlow."""
        entries = {}
        for name, space in self._space.entries.items():
            shape = [-1, *rows.shape[1:-1], *space.shape]
            own = rows[..., self._space.slices[name]]
            if space.dtype.itemsize > 1:
                own = tf.bitcast(tf.reshape(own, [*shape, space.dtype.itemsize]), space.dtype)
            elif space.dtype != np.uint8:  # types of one byte have no axis of bytes
                own = (
                    tf.cast(own, space.dtype)
                    if space.dtype == bool
                    else tf.bitcast(own, space.dtype)
                )
            entries[name] = tf.reshape(own, shape)
        return entries


def _are_bytes(space: gymnasium.Space) -> bool:
    """Whether the space has bytes from 0 to 255, or differences of bytes from `DifferenceFrame`."""
    if not isinstance(space, gymnasium.spaces.Box) or space.dtype not in (np.uint8, np.int16):
        return False
    lowest = 0 if space.dtype == np.uint8 else -255
    return bool((space.low == lowest).all() and (space.high == 255).all())
