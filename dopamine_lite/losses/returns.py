"""Returns in NumPy: they are computed from rewards before anything reaches TensorFlow."""

from __future__ import annotations

import numpy as np


def n_step_returns(
    rewards: np.ndarray, lengths: np.ndarray, terminated: np.ndarray, gamma: float
) -> tuple[np.ndarray, np.ndarray]:
    """R = sum_{k < L} gamma^k r_k and d = gamma^L (Sutton and Barto 2018, eq. 7.1).

    The bootstrapped return is R + d V(s_L). L is less than n if the episode ended earlier. If it
    terminated, d is zero; if it was truncated, V(s_L) is the value of its final observation.

    Args:
      rewards: [M, n] rewards from the step taken in s on; rewards from index L on do not count.
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


def discounted_returns(
    rewards: np.ndarray, gamma: float, last_value: float = 0.0, reset_at_reward: bool = False
) -> np.ndarray:
    """G_t = r_t + gamma G_{t+1} of one episode (Sutton and Barto 2018, eq. 3.9).

    Args:
      rewards: [T]
      gamma: discount per step.
      last_value: the value with which G continues after the last step; zero if the episode terminated.
      reset_at_reward: start G anew at each reward that is not zero. In Pong, a point ends a rally, and
        the rewards after it do not depend on the actions before it (Karpathy 2016, "Pong from pixels").

    Returns:
      [T] float32
    """
    assert rewards.ndim == 1
    returns = np.empty(len(rewards), np.float32)
    later = last_value
    for step in reversed(range(len(rewards))):
        if reset_at_reward and rewards[step] != 0:
            later = 0.0
        later = rewards[step] + gamma * later
        returns[step] = later
    return returns
