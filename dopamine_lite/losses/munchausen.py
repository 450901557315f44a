"""Munchausen targets (Vieillard et al. 2020) as pure functions: M-DQN and M-IQN.

The policy is always pi(a|s) = softmax(q(s, a) / tau), where q is the target network. M-DQN's target
is R + bonus(q(s)) + d soft_values(q(s')) (eq. 2); M-IQN has soft_quantiles instead of soft_values.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from dopamine_lite.losses import td


def log_policy(q: tf.Tensor, temperature: float) -> tf.Tensor:
    """tau log pi(a|s) = q - v - tau log sum_b exp((q_b - v) / tau), v = max_b q_b.

    In this form (Vieillard et al. 2020, appendix B.1) it neither overflows nor loses the digits that
    q / tau would lose at the usual tau of 0.03.

    Args:
      q: [B, A] action values.
      temperature: tau, positive, in units of return.

    Returns:
      [B, A], at most zero.

    Raises:
      ValueError: the temperature is not positive.
    """
    q.shape.assert_has_rank(2)
    if not temperature >= np.finfo(np.float32).tiny:
        raise ValueError(f"The temperature must be positive, not {temperature}.")
    advantages = q - tf.reduce_max(q, axis=1, keepdims=True)
    normalizers = tf.reduce_logsumexp(advantages / temperature, axis=1, keepdims=True)
    return advantages - temperature * normalizers


def bonus(
    q_target_state: tf.Tensor,
    actions: tf.Tensor,
    temperature: float,
    alpha: float,
    clip_min: float,
) -> tf.Tensor:
    """alpha [tau log pi(a|s)] clipped to [clip_min, 0] (Vieillard et al. 2020, eq. 2 and B.1).

    Args:
      q_target_state: [B, A] the target network's q at s, the state in which the action was taken.
      actions: [B] int32, the actions taken.
      temperature: tau.
      alpha: the share of the log-policy that is added to the reward.
      clip_min: the paper's l_0, at most zero; without it, the log-policy would have no lower bound.

    Returns:
      [B], with no gradient.

    Raises:
      ValueError: clip_min is positive, or the temperature is not.
    """
    tf.debugging.assert_shapes([(q_target_state, "BA"), (actions, "B")])
    if clip_min > 0:
        raise ValueError(f"clip_min must be 0 or less, as log-policies are, not {clip_min}.")
    taken = td.select(log_policy(q_target_state, temperature), actions)
    return tf.stop_gradient(alpha * tf.clip_by_value(taken, clip_min, 0.0))


def soft_values(next_q: tf.Tensor, temperature: float) -> tf.Tensor:
    """sum_a pi(a|s') (q(s', a) - tau log pi(a|s')) (Vieillard et al. 2020, eq. 1 and 2).

    next_q [B, A] -> [B], with no gradient.
    """
    next_q.shape.assert_has_rank(2)
    log_policies = log_policy(next_q, temperature)
    policies = tf.exp(log_policies / temperature)
    return tf.stop_gradient(tf.reduce_sum(policies * (next_q - log_policies), axis=1))


def soft_quantiles(next_quantiles: tf.Tensor, next_q: tf.Tensor, temperature: float) -> tf.Tensor:
    """sum_a pi(a|s') (Z_tau'(s', a) - tau log pi(a|s')), M-IQN (Vieillard et al. 2020, appendix B.1).

    Args:
      next_quantiles: [B, Q', A] the target network's quantiles at s'.
      next_q: [B, A] the action values whose softmax is pi: the mean of quantiles at s'.
      temperature: tau of the policy, not a quantile fraction.

    Returns:
      [B, Q'], with no gradient.
    """
    tf.debugging.assert_shapes([(next_quantiles, "BQA"), (next_q, "BA")])
    log_policies = log_policy(next_q, temperature)
    policies = tf.exp(log_policies / temperature)
    soft = policies[:, None, :] * (next_quantiles - log_policies[:, None, :])
    return tf.stop_gradient(tf.reduce_sum(soft, axis=2))
