"""Categorical return distributions on fixed atoms (Bellemare et al. 2017) as pure functions."""

from __future__ import annotations

import numpy as np
import tensorflow as tf


def support(vmin: float, vmax: float, num_atoms: int) -> tf.Tensor:
    """The atoms z_i = vmin + i (vmax - vmin) / (Z - 1) (Bellemare et al. 2017, section 4).

    Args:
      vmin: the lowest return, in units of clipped reward; zero is a value.
      vmax: the highest return; zero is a value.
      num_atoms: Z, at least 2.

    Returns:
      [Z] float32, ascending.

    Raises:
      ValueError: vmin is not below vmax, or there are fewer than two atoms.
    """
    if not vmin < vmax:
        raise ValueError(f"vmin must be below vmax, but vmin is {vmin} and vmax is {vmax}.")
    if num_atoms < 2:
        raise ValueError(f"A support needs at least 2 atoms, not {num_atoms}.")
    return tf.constant(np.linspace(vmin, vmax, num_atoms), tf.float32)


def values(logits: tf.Tensor, support: tf.Tensor) -> tf.Tensor:
    """Q(s, a) = sum_i z_i p_i(s, a) (Bellemare et al. 2017, algorithm 1).

    logits [B, A, Z], support [Z] -> [B, A].
    """
    tf.debugging.assert_shapes([(logits, "BAZ"), (support, "Z")])
    # No matrix product: a GPU rounds its factors to ten bits (TF32), here and in the projection.
    return tf.reduce_sum(tf.nn.softmax(logits) * support, axis=2)


def select(logits: tf.Tensor, actions: tf.Tensor) -> tf.Tensor:
    """logits[b, actions[b]]: [B, A, Z], [B] int32 -> [B, Z]."""
    tf.debugging.assert_shapes([(logits, "BAZ"), (actions, "B")])
    chosen = tf.one_hot(actions, logits.shape[1], True, False, dtype=tf.bool)
    return tf.reduce_sum(tf.where(chosen[:, :, None], logits, 0.0), axis=1)


def project(target_support: tf.Tensor, probabilities: tf.Tensor, support: tf.Tensor) -> tf.Tensor:
    """The projection Phi onto evenly spaced atoms (Bellemare et al. 2017, eq. 7 and algorithm 1).

    (Phi p)_i = sum_j clip(1 - |clip(t_j, vmin, vmax) - z_i| / dz, 0, 1) p_j: each t_j gives its mass to
    its two neighboring atoms in proportion to their closeness. If t_j falls on an atom, that atom gets
    all of the mass. Outside the atoms, the first or the last atom gets all of it. Distances are counted
    in atoms, so the two shares add up to exactly one.

    Args:
      target_support: [B, Z] the returns t_j.
      probabilities: [B, Z] their probabilities p_j.
      support: [Z] atoms, ascending and evenly spaced.

    Returns:
      [B, Z] probabilities of the atoms, with the same sum as `probabilities`.
    """
    tf.debugging.assert_shapes([(target_support, "BZ"), (probabilities, "BZ"), (support, "Z")])
    last = support.shape[0] - 1
    positions = last * (target_support - support[0]) / (support[-1] - support[0])
    positions = tf.clip_by_value(positions, 0.0, float(last))
    distances = tf.abs(positions[:, None, :] - tf.range(last + 1.0, dtype=positions.dtype)[:, None])
    return tf.reduce_sum(tf.maximum(1.0 - distances, 0.0) * probabilities[:, None, :], axis=2)


def targets(
    returns: tf.Tensor,
    discounts: tf.Tensor,
    next_logits: tf.Tensor,
    next_actions: tf.Tensor,
    support: tf.Tensor,
) -> tf.Tensor:
    """Phi T Z(s, a): R + d z under p(s', a*), on the atoms (Bellemare et al. 2017, algorithm 1).

    Args:
      returns: [B] sum of discounted rewards until s'.
      discounts: [B] gamma^n, zero if s' is terminal.
      next_logits: [B, A, Z] the target network's logits at s'.
      next_actions: [B] int32, a*: the target network's greedy actions at s' or, for double Q-learning,
        the online network's (Hessel et al. 2018).
      support: [Z] atoms.

    Returns:
      [B, Z] probabilities, with no gradient.
    """
    tf.debugging.assert_shapes(
        [
            (returns, "B"),
            (discounts, "B"),
            (next_logits, "BAZ"),
            (next_actions, "B"),
            (support, "Z"),
        ]
    )
    probabilities = tf.nn.softmax(select(next_logits, next_actions))
    target_support = returns[:, None] + discounts[:, None] * support
    return tf.stop_gradient(project(target_support, probabilities, support))


def cross_entropy(logits: tf.Tensor, target_probabilities: tf.Tensor) -> tf.Tensor:
    """-sum_i m_i log p_i, the loss (Bellemare et al. 2017, algorithm 1).

    logits [B, Z], target_probabilities [B, Z], through which no gradient flows -> [B].
    """
    tf.debugging.assert_shapes([(logits, "BZ"), (target_probabilities, "BZ")])
    return tf.nn.softmax_cross_entropy_with_logits(tf.stop_gradient(target_probabilities), logits)


def kl_divergence(logits: tf.Tensor, target_probabilities: tf.Tensor) -> tf.Tensor:
    """KL(m || p) = sum_i m_i (log m_i - log p_i), the priority of Hessel et al. 2018.

    It has the same gradient as the cross entropy, but it is zero if the prediction is right; 0 log 0
    counts as 0. logits [B, Z], target_probabilities [B, Z] without gradient -> [B].
    """
    tf.debugging.assert_shapes([(logits, "BZ"), (target_probabilities, "BZ")])
    fixed = tf.stop_gradient(target_probabilities)
    return cross_entropy(logits, fixed) + tf.reduce_sum(tf.math.xlogy(fixed, fixed), axis=1)
