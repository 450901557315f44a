"""The contract of a view, which assembles the slots of a ring into, for example, transitions."""

from __future__ import annotations

from typing import NamedTuple, Protocol, Self, TypeVar

import numpy as np


class Drawn(NamedTuple):
    """M slots of a ring, and the items that begin there."""

    environments: np.ndarray  # [M] int64
    slots: np.ndarray  # [M] int64
    whole: np.ndarray  # [M] bool: whether a whole item begins there
    lengths: np.ndarray  # [M] agent steps of the item, fewer if the episode ends sooner
    ages: np.ndarray  # [M] earlier frames in its episode, at most the stack's older frames


class Sampled(Protocol):
    """The common fields of every view's samples: their origin, and weights. They are named tuples."""

    @property
    def environments(self) -> np.ndarray:
        """[K, B] int64: the environments."""

    @property
    def slots(self) -> np.ndarray:
        """[K, B] int64: the numbers of the first slots, each counted in its environment."""

    def _replace(self, *, weights: np.ndarray) -> Self:
        """The same sample with importance weights [K, B]."""


Sample = TypeVar("Sample", bound=Sampled, covariant=True)


class View(Protocol[Sample]):
    """Finds the item that begins at a slot, and assembles it. Only whole items can be drawn."""

    noun: str  # the name of its items, in messages

    @property
    def horizon(self) -> int:
        """The greatest number of agent steps in an item."""

    @property
    def frames_shape(self) -> tuple[int, ...]:
        """[F, ...], the shape of an item's frames."""

    def examine(self, environments: np.ndarray, slots: np.ndarray) -> Drawn:
        """The items that begin at slots [M] of environments [M]."""

    def sample(self, drawn: Drawn, num_batches: int) -> Sample:
        """K batches of the drawn items, which are all whole."""
