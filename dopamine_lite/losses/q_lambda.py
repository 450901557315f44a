"""Q(lambda): returns that use the values of all later states."""

from __future__ import annotations

import tensorflow as tf


def q_lambda_targets(
    rewards: tf.Tensor,
    next_values: tf.Tensor,
    terminated: tf.Tensor,
    truncated: tf.Tensor,
    gamma: float,
    q_lambda: float,
) -> tf.Tensor:
    """The lambda-returns of action values (Peng and Williams 1996; Gallici et al. 2025, algorithm 1).

    R_t = r_t + gamma [lambda R_{t+1} + (1 - lambda) max_a Q(s_{t+1}, a)]. At the end of an episode,
    R_{t+1} belongs to another episode: R_t = r_t if the episode terminated, and if it was truncated, R_t
    = r_t + gamma max_a Q(s_{t+1}, a), with the value of its final observation. The same holds in the
    last row, because nothing is known after it.

    Args:
      rewards: [T, N] r_t of N environments.
      next_values: [T, N] max_a Q(s_{t+1}, a) of the true successors.
      terminated, truncated: [T, N] bool.
      gamma: discount per step.
      q_lambda: lambda; 0 for one-step targets, 1 for whole returns.

    Returns:
      [T, N], with no gradient.
    """
    tf.debugging.assert_shapes(
        [(tensor, "TN") for tensor in (rewards, next_values, terminated, truncated)]
    )
    next_values = tf.where(terminated, 0.0, next_values)  # even if infinite
    going_on = q_lambda * (1.0 - tf.cast(terminated | truncated, rewards.dtype))
    # R - V of a successor adds the knowledge beyond its value. There is none beyond the last.
    one_step = rewards + gamma * next_values
    targets = tf.scan(
        lambda later, step: step[0] + gamma * step[1] * (later - step[2]),
        (one_step, going_on, next_values),
        initializer=next_values[-1],
        reverse=True,
    )
    return tf.stop_gradient(targets)
