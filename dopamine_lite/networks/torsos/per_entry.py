"""The torso for observations with several entries: a torso for each, and a layer that joins them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import gin
import gymnasium
import keras
import numpy as np
import tensorflow as tf

from dopamine_lite.common.errors import UserError
from dopamine_lite.common.seeding import Seeds
from dopamine_lite.networks.torsos.mlp import MLP
from dopamine_lite.networks.torsos.mlp import dense as _dense
from dopamine_lite.networks.torsos.mlp import dense_numpy as _dense_numpy
from dopamine_lite.networks.torsos.torso import Torso, compiles_update, prepared_shape
from dopamine_lite.networks.twins import brings_twin
from dopamine_lite.spaces.packed_space import PackedSpace


@gin.configurable(module=__package__)
class DictTorso:
    """A torso for each entry of observations that are dictionaries or tuples, and a joint layer.

    It reads observations of a `PackedSpace`. Its features are [B, hidden_units] or, with 0 hidden units,
    the features of the torsos side by side.

    Args:
      seeds: seeds of the initial parameters.
      torsos: the torsos by the names of the entries, such as {"picture": @NatureCNN, "speed": @MLP}. An
        entry of an inner dictionary is called "outer/inner", and the entries of a tuple are called "0",
        "1" and so on.
      hidden_units: the units of the layer that joins the torsos; 0: no such layer.
      initializer: the initializer of the layer that joins the torsos, one of "glorot_uniform",
        "dopamine_uniform", "torch_uniform" or "orthogonal".
    """

    def __init__(
        self,
        seeds: Seeds,
        torsos: Mapping[str, Callable[[Seeds], Torso]] = gin.REQUIRED,
        hidden_units: int = 128,
        initializer: str = "glorot_uniform",
    ):
        # Sorted as in a run's config.gin, because this order is the order of the parameters.
        self._torsos: dict[str, Any] = {
            name: torso(seeds.child(name)) for name, torso in sorted(torsos.items())
        }
        joint = _dense(seeds, "joint", hidden_units, initializer) if hidden_units else None
        self.layers = _EachItsOwn([torso.layers for torso in self._torsos.values()], joint)
        self.compile_update = all(map(compiles_update, self._torsos.values()))
        lower = {getattr(torso, "precision", "float32") for torso in self._torsos.values()}
        self.precision = ", ".join(sorted(lower))
        if all(map(brings_twin, self._torsos.values())):
            self.call_numpy = self._call_numpy

    def built_for(self, space: gymnasium.Space, stack_size: int) -> None:
        """Tells each torso about its entry.

        Raises:
          UserError: observations have no entries, their entries do not match `torsos`, or a torso cannot
            read its entry.
        """
        if not isinstance(space, PackedSpace):
            raise UserError(
                f"DictTorso reads dictionaries and tuples, but an observation is {space}: bind "
                "another torso, such as @MLP."
            )
        if space.entries.keys() != self._torsos.keys():
            raise UserError(
                f"DictTorso.torsos has {', '.join(self._torsos)}, but the entries of an observation are "
                f"{', '.join(space.entries)}: bind one torso for each."
            )
        entries = space.stacked_entries()
        for name, torso in self._torsos.items():
            if hasattr(torso, "built_for"):
                torso.built_for(entries[name], stack_size)
        self.unread = {
            name: getattr(torso, "unread", (0, 0)) for name, torso in self._torsos.items()
        }
        self.layers.shapes = [
            prepared_shape(torso, entries[name]) for name, torso in self._torsos.items()
        ]

    def prepare(self, observations: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """The entries [B, ...] -> the results of their torsos' `prepare`, in one row [B, numbers]."""
        return MLP.prepare(
            {name: torso.prepare(observations[name]) for name, torso in self._torsos.items()}
        )

    def _call_numpy(
        self, observations: Mapping[str, np.ndarray], weights: Sequence[np.ndarray]
    ) -> np.ndarray:
        """`prepare` and `layers` in NumPy."""
        features = []
        for name, torso in self._torsos.items():
            own = len(torso.layers.trainable_variables)
            features.append(torso.call_numpy(observations[name], weights[:own]))
            weights = weights[own:]
        return _dense_numpy(np.concatenate(features, axis=1), weights)


class _EachItsOwn(keras.layers.Layer):
    """Rows [B, numbers], split into `shapes`: each part has its own layers, and others join them."""

    def __init__(self, parts: Sequence[keras.layers.Layer], joint: keras.layers.Layer | None):
        super().__init__(name="entries")
        self.shapes: Any = ()
        self.parts, self.joint = list(parts), joint

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        features, start = [], 0
        for layers, shape in zip(self.parts, self.shapes, strict=True):
            stop = start + math.prod(shape)
            features.append(layers(tf.reshape(inputs[:, start:stop], [-1, *shape])))
            start = stop
        joined = tf.concat([MLP.prepare(part) for part in features], axis=1)
        return self.joint(joined) if self.joint else joined
