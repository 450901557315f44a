"""The meaning of a one-hot vector's columns."""

from __future__ import annotations

import gymnasium
import numpy as np


def columns(
    space: gymnasium.spaces.Discrete | gymnasium.spaces.MultiDiscrete,
) -> tuple[np.ndarray, np.ndarray]:
    """The columns of the one-hot vectors of the D names in `space`, one after the other.

    Returns:
      owners [C]: which of the D each column belongs to; values [C]: the name that sets it.
    """
    sizes = space.n if isinstance(space, gymnasium.spaces.Discrete) else space.nvec
    sizes, starts = np.ravel(sizes), np.ravel(space.start)
    owners = np.repeat(np.arange(len(sizes)), sizes)
    firsts = np.cumsum(sizes) - sizes
    return owners, np.arange(sizes.sum()) - (firsts - starts)[owners]
