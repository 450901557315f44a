"""The contract of a view: what the slots of a ring are put together to, such as transitions."""

from __future__ import annotations

from typing import NamedTuple, Protocol, Self, TypeVar

import numpy as np


class Drawn(NamedTuple):
    """M slots of a ring, and what begins there."""

    environments: np.ndarray  # [M] int64
    slots: np.ndarray  # [M] int64
    whole: np.ndarray  # [M] bool: whether something that can be drawn begins there
    lengths: np.ndarray  # [M] its agent steps, fewer where the episode ends before
    ages: np.ndarray  # [M] the frames before it in its episode, counted up to the stack


class Sampled(Protocol):
    """What every view's samples have, as named tuples: where they came from, and weights."""

    @property
    def environments(self) -> np.ndarray:
        """[K, B] int64: the environments."""

    @property
    def slots(self) -> np.ndarray:
        """[K, B] int64: the numbers of the first slots, each counted in its environment."""

    def _replace(self, *, weights: np.ndarray) -> Self:
        """The same with importance weights [K, B]."""


Sample = TypeVar("Sample", bound=Sampled, covariant=True)


class View(Protocol[Sample]):
    """Says what begins at a slot, and assembles it. What is not whole cannot be drawn."""

    noun: str  # what it makes, for messages

    @property
    def horizon(self) -> int:
        """Agent steps, at most, of what it makes."""

    @property
    def frames_shape(self) -> tuple[int, ...]:
        """[F, ...], the shape of the frames of what it makes."""

    def examine(self, environments: np.ndarray, slots: np.ndarray) -> Drawn:
        """What begins at slots [M] of environments [M]."""

    def sample(self, drawn: Drawn, num_batches: int) -> Sample:
        """K batches of what has been drawn, which is whole."""
