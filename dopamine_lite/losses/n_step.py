"""n-step returns, in NumPy: they are part of sampling, before anything reaches TensorFlow."""

from __future__ import annotations

import numpy as np


def n_step_returns(
    rewards: np.ndarray, lengths: np.ndarray, terminated: np.ndarray, gamma: float
) -> tuple[np.ndarray, np.ndarray]:
    """R = sum_{k < L} gamma^k r_k and d = gamma^L (Sutton and Barto 2018, eq. 7.1).

    The bootstrapped return is R + d V(s_L). L is less than n where the episode ended before; where
    it terminated, d is zero, and where it was truncated, V(s_L) is of its final observation.

    Args:
      rewards: [M, n] from the step taken in s on; those from L on do not count.
      lengths: [M] L, from 1 to n.
      terminated: [M] bool, whether step L - 1 terminated its episode.
      gamma: discount per step.

    Returns:
      R and d, [M] float32 each.
    """
    horizon = rewards.shape[1]
    assert rewards.ndim == 2 and lengths.shape == terminated.shape == rewards.shape[:1]
    powers = (gamma ** np.arange(horizon + 1)).astype(np.float32)
    counted = np.where(np.arange(horizon) < lengths[:, None], rewards, 0)
    return counted @ powers[:-1], np.where(terminated, np.float32(0), powers[lengths])
