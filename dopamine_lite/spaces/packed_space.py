"""Observations with several entries (dictionaries and tuples), each as one row of bytes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import gymnasium
import numpy as np

from dopamine_lite.common.errors import UserError

_ARRAYS = (
    gymnasium.spaces.Box,
    gymnasium.spaces.Discrete,
    gymnasium.spaces.MultiDiscrete,
    gymnasium.spaces.MultiBinary,
)
_LONGEST = 60  # characters of an entry that a sentence quotes


class PackedSpace(gymnasium.Space):
    """The space of observations whose entries' bytes lie one after the other: [bytes] uint8.

    Code that stores observations then handles a single array, and a picture next to a few numbers takes
    no more memory than its bytes. Networks unpack the entries.

    Args:
      entries: the entries' spaces by name, in the order of their bytes.
      owner: the environment's name, for messages.
      stack_size: the number of observations in a stack [stack, bytes]; 1: there is no such axis.

    Attributes:
      slices: the places of each entry's bytes.
    """

    def __init__(self, entries: dict[str, Any], owner: str, stack_size: int = 1):
        self.entries, self.owner, self.stack_size = entries, owner, stack_size
        self.slices: dict[str, slice] = {}
        stop = 0
        for name, leaf in entries.items():
            start, stop = stop, stop + math.prod(leaf.shape) * leaf.dtype.itemsize
            self.slices[name] = slice(start, stop)
        self._bytes_in_all = stop
        super().__init__((stack_size, stop) if stack_size > 1 else (stop,), np.uint8)

    @classmethod
    def of(cls, space: gymnasium.spaces.Dict | gymnasium.spaces.Tuple, owner: str) -> PackedSpace:
        """The space for the entries of `space`.

        An entry of an inner space is called "outer/inner"; the entries of a tuple are "0", "1" and so
        on. Boxes of float64 are kept as float32.

        Raises:
          UserError: an entry is not an array, or two entries have the same name.
        """
        leaves = list(_leaves(space))
        for name, _ in leaves:
            if [other for other, _ in leaves].count(name) > 1:
                raise UserError(
                    f"{owner}'s observations have two entries that are called {name!r}, one of them "
                    "inside another entry: rename one of them."
                )
        return cls({name: _single_precision(name, leaf, owner) for name, leaf in leaves}, owner)

    @property
    def is_np_flattenable(self) -> bool:
        """Whether Gymnasium can flatten the space: no, because its bytes are not numbers."""
        return False

    def stacked_entries(self) -> dict[str, Any]:
        """The entries' spaces, as spaces of stacks if this space is one."""
        if self.stack_size == 1:
            return self.entries
        return {name: stacked(leaf, self.stack_size) for name, leaf in self.entries.items()}

    def pack(self, observation: Any) -> np.ndarray:
        """An observation as the environment returns it -> [bytes] uint8.

        Raises:
          UserError: an entry is missing, unknown, or not in its space.
        """
        row = np.empty(self._bytes_in_all, np.uint8)
        found = dict(_leaves(observation))
        if found.keys() != self.entries.keys():
            raise UserError(
                f"An observation of {self.owner} has the entries {', '.join(found)}, but its space has "
                f"{', '.join(self.entries)}: return the entries that the space has."
            )
        for name in self.entries:
            row[self.slices[name]] = self._bytes(name, found[name])
        return row

    def unpack(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """Rows [..., bytes] -> the entries [..., *shape] by name."""
        entries = {}
        for name, leaf in self.entries.items():
            own = np.ascontiguousarray(rows[..., self.slices[name]])
            entries[name] = own.view(leaf.dtype).reshape((*rows.shape[:-1], *leaf.shape))
        return entries

    def sample(self, mask: Any = None, probability: Any = None) -> np.ndarray:
        """The bytes of elements drawn from the entries' spaces."""
        rows = [
            np.concatenate(
                [self._bytes(name, leaf.sample()) for name, leaf in self.entries.items()]
            )
            for _ in range(self.stack_size)
        ]
        return np.array(rows) if self.stack_size > 1 else rows[0]

    def seed(self, seed: int | None = None) -> Any:
        """Seeds the space of each entry."""
        return [leaf.seed(seed) for leaf in self.entries.values()]

    def contains(self, x: Any) -> bool:
        """Whether these are the bytes of elements of the entries' spaces."""
        if not isinstance(x, np.ndarray) or x.dtype != np.uint8 or x.shape != self.shape:
            return False
        return all(
            self.entries[name].contains(entry)
            for row in x.reshape(self.stack_size, -1)
            for name, entry in self.unpack(row).items()
        )

    def _bytes(self, name: str, value: Any) -> np.ndarray:
        """The bytes of an entry, checked to be in its space. Only a float's last digits may be lost.

        As elsewhere, real numbers must be finite, but may be beyond their bounds.
        """
        space, given = self.entries[name], np.asarray(value)
        numbers = given.shape == space.shape and given.dtype.kind in "biuf"
        kept = given.astype(space.dtype, copy=False) if numbers else None
        if space.dtype.kind == "f":
            inside = kept is not None and np.isfinite(kept).all()
        else:
            inside = kept is not None and np.array_equal(kept, given) and space.contains(kept)
        if kept is None or not inside:
            shown = " ".join(repr(given).split())
            if len(shown) > _LONGEST:
                shown = f"an array of shape {given.shape}, {given.dtype}"
            raise UserError(
                f"The entry {name!r} of an observation of {self.owner} is {shown}, which is not in "
                f"its space {space}: return a value of that space."
            )
        return np.ascontiguousarray(kept).reshape(-1).view(np.uint8)

    def __repr__(self) -> str:
        return f"PackedSpace({', '.join(f'{name}: {leaf}' for name, leaf in self.entries.items())})"

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, PackedSpace)
            and self.entries == other.entries
            and self.shape == other.shape
        )


def stacked(space: Any, size: int) -> gymnasium.spaces.Box:
    """The space of stacks of `size` observations of `space`, some of which may be all zeros."""
    if isinstance(space, gymnasium.spaces.MultiBinary):
        return gymnasium.spaces.Box(0, 1, (size, *space.shape), space.dtype.type)
    low, high = np.minimum(space.low, 0), np.maximum(space.high, 0)
    low, high = (np.repeat(bound[None], size, axis=0) for bound in (low, high))
    return gymnasium.spaces.Box(low, high, dtype=space.dtype.type)


def _leaves(tree: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The entries of a space or of an observation of it, by name."""
    inner = tree.spaces if isinstance(tree, _NESTED_SPACES) else tree
    if isinstance(inner, tuple | list):
        inner = {str(index): branch for index, branch in enumerate(inner)}
    if isinstance(inner, dict):
        for name, branch in inner.items():
            yield from _leaves(branch, f"{prefix}{name}/")
    else:
        yield prefix.removesuffix("/"), inner


_NESTED_SPACES = (gymnasium.spaces.Dict, gymnasium.spaces.Tuple)


def _single_precision(name: str, space: gymnasium.Space, owner: str) -> Any:
    if not isinstance(space, _ARRAYS):
        raise UserError(
            f"The entry {name!r} of {owner}'s observations is {space}, which is not an array of one "
            "shape: leave it out, or turn it into a Box in a gymnasium.ObservationWrapper."
        )
    if isinstance(space, gymnasium.spaces.Box) and space.dtype == np.float64:
        low, high = space.low.astype(np.float32), space.high.astype(np.float32)
        return gymnasium.spaces.Box(low, high, dtype=np.float32)
    return space
