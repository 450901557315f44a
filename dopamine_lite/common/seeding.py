"""One seed for a run; every consumer of randomness gets a generator of its own from it."""

from __future__ import annotations

import zlib

import numpy as np


class Seeds:
    """A node in the tree of random seeds that grows from the one seed of a run.

    A child is addressed by names and numbers, as in `Seeds(1).child("environment", "train", 3)`, and not
    by the order of the calls. A new consumer of random numbers therefore changes no other consumer's
    numbers.

    Args:
      seed: the run's seed.
      path: the names and numbers that lead from the root to this node.
    """

    def __init__(self, seed: int, path: tuple[str | int, ...] = ()):
        self.seed = seed
        self.path = path

    def child(self, *names: str | int) -> Seeds:
        """The node below this one at `names`."""
        return Seeds(self.seed, self.path + names)

    def generator(self, *names: str | int) -> np.random.Generator:
        """A new generator (PCG64) of random numbers for the consumer called `names`."""
        return np.random.Generator(np.random.PCG64(self.child(*names)._sequence()))

    def integer(self, *names: str | int) -> int:
        """A seed from 0 to 2**31 - 1 for the consumer called `names`, if a library takes a number."""
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
