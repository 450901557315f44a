"""Return distributions as quantiles: QR-DQN (Dabney et al. 2018a) and IQN (Dabney et al. 2018b).

Quantiles of all actions always have the layout [B, Q, A].
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tensorflow as tf

_LEAST = float(np.finfo(np.float32).tiny)  # XLA and TensorFlow's kernels flush smaller numbers


def midpoints(num_quantiles: int) -> tf.Tensor:
    """tau-hat_i = (2 i - 1) / 2 Q for i = 1 .. Q (Dabney et al. 2018a, lemma 2).

    Returns:
      [Q] float32.

    Raises:
      ValueError: `num_quantiles` is below 1.
    """
    if num_quantiles < 1:
        raise ValueError(f"A distribution needs at least 1 quantile, not {num_quantiles}.")
    return (tf.range(num_quantiles, dtype=tf.float32) + 0.5) / num_quantiles


def values(quantiles: tf.Tensor) -> tf.Tensor:
    """Q(s, a), the mean of the quantiles (Dabney et al. 2018a, algorithm 1). [B, Q, A] -> [B, A]."""
    quantiles.shape.assert_has_rank(3)
    return tf.reduce_mean(quantiles, axis=1)


def select(quantiles: tf.Tensor, actions: tf.Tensor) -> tf.Tensor:
    """quantiles[b, :, actions[b]]: [B, Q, A], [B] int32 -> [B, Q]."""
    tf.debugging.assert_shapes([(quantiles, "BQA"), (actions, "B")])
    chosen = tf.one_hot(actions, quantiles.shape[2], True, False, dtype=tf.bool)
    return tf.reduce_sum(tf.where(chosen[:, None, :], quantiles, 0.0), axis=2)


def targets(
    returns: tf.Tensor,
    discounts: tf.Tensor,
    next_quantiles: tf.Tensor,
    next_actions: tf.Tensor,
) -> tf.Tensor:
    """T Z_tau' = R + d Z_tau'(s', a*) (Dabney et al. 2018a, algorithm 1).

    Args:
      returns: [B] sum of discounted rewards until s'.
      discounts: [B] gamma^n, zero if s' is terminal.
      next_quantiles: [B, Q', A] the target network's quantiles at s'.
      next_actions: [B] int32, a*: the greedy actions at s', by the target network or, for double
        Q-learning, by the online network.

    Returns:
      [B, Q'], with no gradient.
    """
    tf.debugging.assert_shapes(
        [(returns, "B"), (discounts, "B"), (next_quantiles, "BQA"), (next_actions, "B")]
    )
    next_quantiles = tf.where(discounts[:, None, None] > 0, next_quantiles, 0.0)  # even if infinite
    next_values = select(next_quantiles, next_actions)
    return tf.stop_gradient(returns[:, None] + discounts[:, None] * next_values)


def quantile_huber(
    quantiles: tf.Tensor, taus: tf.Tensor, targets: tf.Tensor, kappa: float = 1.0
) -> tf.Tensor:
    """sum_i mean_j rho_tau_i(u_ij), u_ij = target_j - quantile_i (Dabney et al. 2018b, eq. 3).

    rho_tau(u) = |tau - 1{u < 0}| L_kappa(u) / kappa with Huber's loss L_kappa. As kappa goes to zero, it
    tends to the loss of quantile regression, |tau - 1{u < 0}| |u| (Dabney et al. 2018a, eq. 8 to 10).

    Args:
      quantiles: [B, Q] quantiles of the action taken.
      taus: [B, Q] the fractions of `quantiles`, in (0, 1).
      targets: [B, Q'] samples or quantiles of the target.
      kappa: the error, in units of return, at which Huber's loss becomes linear; 0: quantile regression.

    Returns:
      [B]; the gradient flows only to `quantiles`.

    Raises:
      ValueError: kappa is negative.
    """
    tf.debugging.assert_shapes([(quantiles, "BQ"), (taus, "BQ"), (targets, "BT")])
    if kappa < 0:
        raise ValueError(f"kappa must be 0 or more, not {kappa}.")

    # Loss and derivative in one pass over u, summed over an axis that is not the innermost: six times
    # faster than automatic differentiation of the formula.
    @tf.custom_gradient
    def loss(quantiles: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
        errors = targets[:, :, None] - quantiles[:, None, :]  # [B, Q', Q]
        taus_of_sign = tf.where(errors < 0, 1 - taus[:, None, :], taus[:, None, :])
        if kappa >= _LEAST:
            # Huber's loss over kappa, in a form that loses no digits if kappa is small.
            slopes = tf.clip_by_value(errors / kappa, -1.0, 1.0)
            losses = slopes * (errors - slopes * (kappa / 2))
        else:
            slopes, losses = tf.sign(errors), tf.abs(errors)
        derivatives = -tf.reduce_mean(taus_of_sign * slopes, axis=1)  # [B, Q]
        summed = tf.reduce_sum(tf.reduce_mean(taus_of_sign * losses, axis=1), axis=1)
        return summed, lambda upstream: upstream[:, None] * derivatives

    return loss(quantiles)


# The same in XLA, wherever it is called: TensorFlow takes three times as long for the differences.
compiled_quantile_huber = tf.function(quantile_huber, jit_compile=True, autograph=False)
