"""The contract between a network and its torso."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import gymnasium
import keras
import tensorflow as tf

from dopamine_lite.networks.observations import reader_of


class Torso(Protocol):
    """The contract between a network and its torso. Built as `torso(seeds)`."""

    layers: keras.layers.Layer

    @property
    def compile_update(self) -> bool | Mapping[str, bool]:
        """Whether XLA makes the whole update faster; a mapping answers for "cpu" and "gpu"."""

    def prepare(self, observations: tf.Tensor) -> tf.Tensor:
        """Observations [B, ...] float32 -> the input of `layers`.

        Observations with several entries come as a dictionary of such tensors.
        """


def compiles_update(torso: Torso) -> bool:
    """Whether XLA compiles the whole update of a torso, on this process's device."""
    pays = torso.compile_update
    if isinstance(pays, Mapping):
        return pays["gpu" if tf.config.get_visible_devices("GPU") else "cpu"]
    return pays


def updating(torso: Torso) -> str:
    """The name of what computes updates: "XLA" or "TensorFlow"."""
    return "XLA" if compiles_update(torso) else "TensorFlow"


def unread(torso: Torso) -> dict[str, str]:
    """An entry for `describe` if a torso leaves some rows or columns of pictures unread."""
    left = getattr(torso, "unread", (0, 0))
    by_entry = left if isinstance(left, Mapping) else {"": left}
    words = [
        (f"{name}: " if name else "") + " and ".join(_counted(*counts))
        for name, counts in by_entry.items()
        if any(counts)
    ]
    return {"unread": "; ".join(words)} if words else {}


def _counted(rows: int, columns: int) -> list[str]:
    """ "1 row" and "2 columns"; nothing of which there is none."""
    counts = {"row": rows, "column": columns}
    return [f"{count} {name}{'s' * (count > 1)}" for name, count in counts.items() if count]


def prepared_shape(torso: Torso, space: gymnasium.Space) -> tuple[int, ...]:
    """The shape [...] of a torso's prepared observations of `space`, without the batch's axis.

    It is traced, not computed, because TensorFlow may print complaints about a transpose outside XLA.
    """
    assert space.shape is not None and space.dtype is not None
    reader = reader_of(space)
    stored = tf.TensorSpec([None, *space.shape], tf.as_dtype(space.dtype))
    prepare = tf.function(lambda observations: torso.prepare(reader(observations)), autograph=False)
    return tuple(prepare.get_concrete_function(stored).structured_outputs.shape[1:])
