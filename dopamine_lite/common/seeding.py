"""One seed for a run; every consumer of randomness gets a generator of its own from it."""

from __future__ import annotations

import zlib

import numpy as np


class Seeds:
    """A node in the tree of `numpy.random.SeedSequence`s that grows from the run's one seed.

    Children are addressed by names and numbers, not by the order in which they are asked for, so
    that adding a consumer changes nobody else's numbers: `Seeds(1).child("environment", "train", 3)`.
    """

    def __init__(self, seed: int, path: tuple[str | int, ...] = ()):
        self.seed = seed
        self.path = path

    def child(self, *names: str | int) -> Seeds:
        """The node below this one at `names`."""
        return Seeds(self.seed, self.path + names)

    def generator(self, *names: str | int) -> np.random.Generator:
        """A fresh PCG64 generator for the consumer called `names`."""
        return np.random.Generator(np.random.PCG64(self.child(*names)._sequence()))

    def integer(self, *names: str | int) -> int:
        """A seed in [0, 2**31), for libraries that take a number."""
        return int(self.child(*names)._sequence().generate_state(1)[0] >> 1)

    def _sequence(self) -> np.random.SeedSequence:
        keys = [name if isinstance(name, int) else zlib.crc32(name.encode()) for name in self.path]
        return np.random.SeedSequence(self.seed, spawn_key=keys)


def generator_state(generator: np.random.Generator) -> dict:
    """The whole state of `generator` as a tree of numbers and strings."""
    return dict(generator.bit_generator.state)


def restore_generator(generator: np.random.Generator, state: dict) -> None:
    """Puts `generator` back into the `state` that `generator_state` returned."""
    generator.bit_generator.state = state
