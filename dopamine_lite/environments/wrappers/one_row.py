"""Flatten, the wrapper that turns each observation into one row of numbers."""

from __future__ import annotations

from typing import Any

import gin
import gymnasium
import numpy as np

from dopamine_lite.environments.environment import Environment
from dopamine_lite.environments.wrappers.wrapper import EnvironmentWrapper
from dopamine_lite.spaces.one_hot import columns
from dopamine_lite.spaces.packed_space import PackedSpace, stacked

_AS_GOOD_AS_INFINITE = float(np.finfo(np.float32).max)  # the bound in spaces that have no bounds


@gin.configurable(module=__package__)
class Flatten(EnvironmentWrapper):
    """Turns each observation into one row of numbers, as `gymnasium.spaces.flatten` does.

    Names of a `Discrete` or `MultiDiscrete` space become one-hot vectors. The entries of dictionaries
    and tuples follow one another, in float32 where Gymnasium has float64. In a stack, each frame becomes
    a row. Numbers are not scaled, not even bytes next to fractions. Without this wrapper a network can
    read several entries too, and it scales bytes to fractions.
    """

    def __init__(self, environment: Environment):
        spec = environment.spec
        space: Any = spec.observation_space
        self._space = space
        entries = space.entries if isinstance(space, PackedSpace) else {"": space}
        if spec.stack_size > 1 and not isinstance(space, PackedSpace):
            entries = {
                "": gymnasium.spaces.Box(space.low[0], space.high[0], dtype=space.dtype.type)
            }
        self._entries: dict[str, Any] = entries
        flat: Any = [gymnasium.spaces.flatten_space(entry) for entry in entries.values()]
        dtype = np.result_type(*(entry.dtype for entry in flat))
        self._dtype = np.float32 if dtype == np.float64 else dtype
        row = gymnasium.spaces.Box(
            np.concatenate([entry.low for entry in flat]).astype(self._dtype),
            np.concatenate([entry.high for entry in flat]).astype(self._dtype),
            dtype=np.dtype(self._dtype).type,
        )
        size = spec.stack_size
        super().__init__(environment, stacked(row, size) if size > 1 else row, size)

    def convert(self, observations: np.ndarray) -> np.ndarray:
        values = {"": observations}
        if isinstance(self._space, PackedSpace):
            values = self._space.unpack(observations)
        rows = [self._flat(entry, values[name]) for name, entry in self._entries.items()]
        return np.concatenate(rows, axis=-1).astype(self._dtype, copy=False)

    def _flat(self, space: Any, values: np.ndarray) -> np.ndarray:
        """Values [N, *shape], or [N, stack, *shape], as rows."""
        rows = values.reshape(*values.shape[: values.ndim - len(space.shape)], -1)
        if not isinstance(space, gymnasium.spaces.Discrete | gymnasium.spaces.MultiDiscrete):
            return rows
        owners, names = columns(space)
        return (rows[..., owners] == names).astype(space.dtype)
