"""Minibatches: the steps of a rollout, divided anew in every pass."""

from __future__ import annotations

import numpy as np

from dopamine_lite.common.errors import UserError


def drawn_minibatches(
    generator: np.random.Generator, size: int, num_epochs: int, num_minibatches: int
) -> np.ndarray:
    """The steps of M minibatches in each of E passes, [E, M, size / M] int32.

    In each pass, every one of the `size` steps is in one minibatch.
    """
    orders = np.stack([generator.permutation(size) for _ in range(num_epochs)])
    return orders.reshape(num_epochs, num_minibatches, -1).astype(np.int32)


def require_even_minibatches(owner: str, grid: tuple[int, int], num_minibatches: int) -> None:
    """Raises UserError if the steps of a rollout cannot be divided evenly.

    Args:
      owner: the agent's name.
      grid: (T, N), the shape of a rollout.
      num_minibatches: the number of minibatches.
    """
    length, num_envs = grid
    size = length * num_envs
    if size % num_minibatches:
        raise UserError(
            f"A rollout with {length} steps of each of {num_envs} environments has {size} steps, "
            f"which {num_minibatches} minibatches cannot share evenly: change {owner}.rollout_length, "
            f"{owner}.num_minibatches or Runner.num_envs."
        )
