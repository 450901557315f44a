"""The contract of a view, which assembles the slots of a ring into, for example, transitions."""

from __future__ import annotations

from typing import NamedTuple, Protocol, Self, TypeVar

import numpy as np


class Drawn(NamedTuple):
    """M slots of a ring, and what begins there."""

    environments: np.ndarray  # [M] int64
    slots: np.ndarray  # [M] int64
    whole: np.ndarray  # [M] bool: whether something that can be drawn begins there
    lengths: np.ndarray  # [M] its agent steps, fewer if the episode ends sooner
    ages: np.ndarray  # [M] the frames before it in its episode, at most the stack's older frames


class Sampled(Protocol):
    """What the samples of every view have: where they came from, and weights. They are named tuples."""

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
    """Says what begins at a slot, and assembles it. Only what is whole can be drawn."""

    noun: str  # for what the view makes, in messages

    @property
    def horizon(self) -> int:
        """The most agent steps that anything it makes can have."""

    @property
    def frames_shape(self) -> tuple[int, ...]:
        """[F, ...], the shape of the frames in one thing that it makes."""

    def examine(self, environments: np.ndarray, slots: np.ndarray) -> Drawn:
        """What begins at slots [M] of environments [M]."""

    def sample(self, drawn: Drawn, num_batches: int) -> Sample:
        """K batches of what was drawn, all of which is whole."""
