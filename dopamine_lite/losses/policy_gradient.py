"""Policy gradients: advantages, the surrogates of PPO and REINFORCE, and the loss of the value.

All losses are to be minimized, so the papers' objectives have the opposite sign here.
"""

from __future__ import annotations

import tensorflow as tf

_LARGEST = 60.0  # a log-ratio whose ratio, times any advantage and summed, fits float32


def gae(
    rewards: tf.Tensor,
    values: tf.Tensor,
    next_values: tf.Tensor,
    terminated: tf.Tensor,
    truncated: tf.Tensor,
    gamma: float,
    gae_lambda: float,
) -> tf.Tensor:
    """Generalized advantage estimation (Schulman et al. 2016, eq. 11 and 16).

    A_t = delta_t + gamma lambda A_{t+1}, delta_t = r_t + gamma V(s_{t+1}) - V(s_t). At the end of an
    episode, A_{t+1} belongs to another episode and does not count. If the episode terminated, V(s_{t+1})
    does not count either; if it was truncated, V(s_{t+1}) is the value of its final observation.

    Args:
      rewards, values: [T, N] r_t and V(s_t) of N environments.
      next_values: [T, N] V(s_{t+1}) of the true successors.
      terminated, truncated: [T, N] bool.
      gamma: discount per step.
      gae_lambda: 0 for one-step advantages, 1 for whole returns.

    Returns:
      [T, N] advantages, with no gradient. Added to `values`, they give the lambda-returns.
    """
    tf.debugging.assert_shapes(
        [(tensor, "TN") for tensor in (rewards, values, next_values, terminated, truncated)]
    )
    going_on = 1.0 - tf.cast(terminated | truncated, rewards.dtype)
    next_values = tf.where(terminated, 0.0, next_values)  # even if infinite
    bootstrapped = next_values * (1.0 - tf.cast(terminated, rewards.dtype))
    deltas = rewards + gamma * bootstrapped - values
    advantages = tf.scan(
        lambda later, step: step[0] + gamma * gae_lambda * step[1] * later,
        (deltas, going_on),
        initializer=tf.zeros_like(rewards[0]),
        reverse=True,
    )
    return tf.stop_gradient(advantages)


def policy_gradient(log_probabilities: tf.Tensor, advantages: tf.Tensor) -> tf.Tensor:
    """-A log pi(a|s) (Williams 1992; Sutton and Barto 2018, eq. 13.8 and 13.11).

    Args:
      log_probabilities: [B] log pi(a|s) of the actions taken.
      advantages: [B] returns, or returns minus a baseline; no gradient flows through them.

    Returns:
      [B]
    """
    tf.debugging.assert_shapes([(log_probabilities, "B"), (advantages, "B")])
    return -tf.stop_gradient(advantages) * log_probabilities


def normalized(advantages: tf.Tensor) -> tf.Tensor:
    """(A - mean A) / (std A + 1e-8), [B] -> [B], with no gradient.

    If all advantages are equal, the differences A - mean A are nothing but rounding errors. The standard
    deviation is therefore taken as no less than the mean of the differences, which is a rounding error
    too, so the result is at most 1 in any compilation.
    """
    advantages.shape.assert_has_rank(1)
    differences = advantages - tf.reduce_mean(advantages)
    rounding = tf.abs(tf.reduce_mean(differences))
    deviation = tf.maximum(tf.math.reduce_std(differences), rounding)
    return tf.stop_gradient(differences / (deviation + 1e-8))


def ratios(log_ratios: tf.Tensor) -> tf.Tensor:
    """rho = exp(log rho), elementwise; above a log-ratio of 60, the tangent at 60 replaces it.

    At 88, exp and its derivative become infinite in float32, and zero times infinity is not a number.
    """
    beyond = tf.nn.relu(log_ratios - _LARGEST)
    return tf.exp(tf.minimum(log_ratios, _LARGEST)) * (1.0 + beyond)


def clipped_surrogate(
    log_ratios: tf.Tensor, advantages: tf.Tensor, clip: float | tf.Tensor
) -> tf.Tensor:
    """-min(rho A, clip(rho, 1 - clip, 1 + clip) A) (Schulman et al. 2017, eq. 7).

    Args:
      log_ratios: [B] log rho = log pi(a|s) - log pi_old(a|s).
      advantages: [B]
      clip: epsilon of the paper.

    Returns:
      [B]
    """
    tf.debugging.assert_shapes([(log_ratios, "B"), (advantages, "B")])
    advantages = tf.stop_gradient(advantages)
    rho = ratios(log_ratios)
    return -tf.minimum(rho * advantages, tf.clip_by_value(rho, 1.0 - clip, 1.0 + clip) * advantages)


def kl_penalized_surrogate(
    log_ratios: tf.Tensor,
    advantages: tf.Tensor,
    divergences: tf.Tensor,
    coefficient: float | tf.Tensor,
) -> tf.Tensor:
    """-(rho A - beta KL(pi_old, pi)) (Schulman et al. 2017, eq. 8).

    Args:
      log_ratios: [B] log rho = log pi(a|s) - log pi_old(a|s).
      advantages: [B]
      divergences: [B] KL(pi_old(.|s), pi(.|s)).
      coefficient: beta.

    Returns:
      [B]
    """
    tf.debugging.assert_shapes([(log_ratios, "B"), (advantages, "B"), (divergences, "B")])
    return coefficient * divergences - ratios(log_ratios) * tf.stop_gradient(advantages)


def adapted_kl_coefficient(
    coefficient: tf.Tensor, divergence: tf.Tensor, target: float
) -> tf.Tensor:
    """Halves beta if the divergence d < target / 1.5, doubles it if d > 1.5 target, or else keeps it.

    Schulman et al. 2017, section 4. Beta stays between 1e-6 and 1e6, so in float32 it becomes neither
    infinite nor 0, from which it could not return.
    """
    lower = tf.where(divergence < target / 1.5, coefficient / 2.0, coefficient)
    adapted = tf.where(divergence > target * 1.5, coefficient * 2.0, lower)
    return tf.clip_by_value(adapted, 1e-6, 1e6)


def value_loss(
    values: tf.Tensor, returns: tf.Tensor, old_values: tf.Tensor, clip: float | tf.Tensor | None
) -> tf.Tensor:
    """(V - R)^2 (Schulman et al. 2017, eq. 9); `clip` changes it as in OpenAI's baselines (ppo2).

    With `clip`, the loss is the larger of (V - R)^2 and (V' - R)^2, where V' is V clipped to at most
    `clip` away from the old V. The paper does not have this. OpenAI's baselines and CleanRL halve the
    square, so half of their coefficient means the same here; Stable-Baselines3 does not halve it.

    Args:
      values: [B] V(s).
      returns: [B] R, through which no gradient flows.
      old_values: [B] V(s) when the action was taken.
      clip: in units of return; None: no clipping.

    Returns:
      [B]
    """
    tf.debugging.assert_shapes([(values, "B"), (returns, "B"), (old_values, "B")])
    returns = tf.stop_gradient(returns)
    losses = tf.square(values - returns)
    if clip is None:
        return losses
    near = old_values + tf.clip_by_value(values - old_values, -clip, clip)
    return tf.maximum(losses, tf.square(near - returns))
