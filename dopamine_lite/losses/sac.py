"""Soft actor-critic: squashed normal policies, the losses of SAC, and moving averages of parameters.

Haarnoja et al. 2018b means "Soft Actor-Critic Algorithms and Applications", arXiv:1812.05905. All losses
are to be minimized.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

LOWEST_LOG_STD, HIGHEST_LOG_STD = -20.0, 2.0  # from the authors' code


def squashed(
    means: tf.Tensor, log_stds: tf.Tensor, noise: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Actions a = tanh(u), u = mean + std * noise, and their log densities (appendix C).

    log pi(a|s) = sum_i log N(u_i) - log(1 - tanh(u_i)^2), where the last term is computed as 2 (log 2 -
    u - softplus(-2 u)), which is finite even if tanh(u)^2 rounds to 1. Both results have gradients with
    respect to means and log_stds, by the reparametrization of eq. 8.

    Args:
      means: [B, D] of u.
      log_stds: [B, D] logarithms of the standard deviations of u, which are clipped to [-20, 2].
      noise: [B, D] draws from the standard normal distribution.

    Returns:
      [B, D] actions within [-1, 1], and [B] the logarithms of their densities.
    """
    tf.debugging.assert_shapes([(means, "BD"), (log_stds, "BD"), (noise, "BD")])
    log_stds = tf.clip_by_value(log_stds, LOWEST_LOG_STD, HIGHEST_LOG_STD)
    unsquashed = means + tf.exp(log_stds) * noise
    normal = -tf.square(noise) / 2 - log_stds - np.log(2 * np.pi) / 2
    shrinkage = 2 * (np.log(2) - unsquashed - tf.nn.softplus(-2 * unsquashed))
    return tf.tanh(unsquashed), tf.reduce_sum(normal - shrinkage, axis=1)


def soft_values(
    values: tf.Tensor, log_probabilities: tf.Tensor, temperature: tf.Tensor
) -> tf.Tensor:
    """V(s) = min_j Q_j(s, a) - alpha log pi(a|s) of one drawn action (Haarnoja et al. 2018b, eq. 3).

    Args:
      values: [B, 2] Q_1(s, a) and Q_2(s, a).
      log_probabilities: [B] log pi(a|s).
      temperature: [] alpha.

    Returns:
      [B]
    """
    tf.debugging.assert_shapes([(values, ("B", 2)), (log_probabilities, "B"), (temperature, ())])
    return tf.reduce_min(values, axis=1) - temperature * log_probabilities


def critic_losses(values: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
    """sum_j (Q_j(s, a) - y)^2 / 2 (Haarnoja et al. 2018b, eq. 5, for both critics).

    Args:
      values: [B, 2] Q_1(s, a) and Q_2(s, a).
      targets: [B] y, through which no gradient flows.

    Returns:
      [B]
    """
    tf.debugging.assert_shapes([(values, ("B", 2)), (targets, "B")])
    errors = values - tf.stop_gradient(targets)[:, None]
    return tf.reduce_sum(tf.square(errors), axis=1) / 2


def policy_losses(
    values: tf.Tensor, log_probabilities: tf.Tensor, temperature: tf.Tensor
) -> tf.Tensor:
    """alpha log pi(a|s) - min_j Q_j(s, a) (Haarnoja et al. 2018b, eq. 9): -V(s), by way of a.

    Arguments and result are as in `soft_values`. `squashed` draws the actions from the policy.
    """
    return -soft_values(values, log_probabilities, temperature)


def temperature_losses(
    log_temperature: tf.Tensor, log_probabilities: tf.Tensor, target_entropy: float
) -> tf.Tensor:
    """-log(alpha) (log pi(a|s) + H) (Haarnoja et al. 2018b, eq. 18, with log(alpha) in alpha's place).

    Its gradient with respect to log(alpha) has the same sign as the paper's, and does not vanish with
    alpha.

    Args:
      log_temperature: [] log(alpha).
      log_probabilities: [B] log pi(a|s), through which no gradient flows.
      target_entropy: H, the entropy that alpha aims at, in nats.

    Returns:
      [B]
    """
    tf.debugging.assert_shapes([(log_temperature, ()), (log_probabilities, "B")])
    return -log_temperature * tf.stop_gradient(log_probabilities + target_entropy)


def averaged(target: tf.Tensor, online: tf.Tensor, tau: float | tf.Tensor) -> tf.Tensor:
    """tau online + (1 - tau) target (Haarnoja et al. 2018b, algorithm 1). Tensors of any one shape.

    With tau = 1 it is `online` to the bit, and with tau = 0 it is `target`.
    """
    online.shape.assert_is_compatible_with(target.shape)
    return tau * online + (1.0 - tau) * target
