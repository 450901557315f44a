"""Temporal-difference targets and losses as pure functions of tensors."""

from __future__ import annotations

import tensorflow as tf


def td_targets(returns: tf.Tensor, discounts: tf.Tensor, next_values: tf.Tensor) -> tf.Tensor:
    """n-step bootstrapped targets G = R + d * V(s') (Sutton and Barto 2018, eq. 7.1).

    Args:
      returns: [B] sum of discounted rewards until s'.
      discounts: [B] gamma^n, zero if s' is terminal.
      next_values: [B] value of s'.

    Returns:
      [B], with no gradient.
    """
    _assert_same_shape(returns, discounts, next_values, rank=1)
    next_values = tf.where(discounts > 0, next_values, 0.0)  # even if infinite
    return tf.stop_gradient(returns + discounts * next_values)


def q_learning_values(next_q: tf.Tensor) -> tf.Tensor:
    """max_a Q(s', a) (Mnih et al. 2015, eq. 1). next_q [B, A] -> [B]."""
    next_q.shape.assert_has_rank(2)
    return tf.reduce_max(next_q, axis=1)


def double_q_values(next_q_target: tf.Tensor, next_q_online: tf.Tensor) -> tf.Tensor:
    """Q_target(s', argmax_a Q_online(s', a)) (van Hasselt et al. 2016, eq. 4). [B, A] x 2 -> [B]."""
    _assert_same_shape(next_q_target, next_q_online, rank=2)
    greedy = tf.argmax(next_q_online, axis=1, output_type=tf.int32)
    return select(next_q_target, greedy)


def select(values: tf.Tensor, actions: tf.Tensor) -> tf.Tensor:
    """values[b, actions[b]]: [B, A], [B] int32 -> [B]."""
    values.shape.assert_has_rank(2)
    chosen = tf.one_hot(actions, values.shape[1], True, False, dtype=tf.bool)
    return tf.reduce_sum(tf.where(chosen, values, 0.0), axis=1)


def squared(errors: tf.Tensor) -> tf.Tensor:
    """errors^2, elementwise; no factor 1/2, so that the mean is the mean squared error."""
    return tf.square(errors)


def huber(errors: tf.Tensor, delta: float = 1.0) -> tf.Tensor:
    """Huber's loss, elementwise: e^2 / 2 within delta, delta (|e| - delta / 2) beyond.

    With delta 1 its gradient is the TD error clipped to [-1, 1] (Mnih et al. 2015, Methods).
    """
    absolute = tf.abs(errors)
    quadratic = tf.minimum(absolute, delta)
    return 0.5 * tf.square(quadratic) + delta * (absolute - quadratic)


def _assert_same_shape(*tensors: tf.Tensor, rank: int) -> None:
    for tensor in tensors:
        tensor.shape.assert_has_rank(rank)
        tensor.shape.assert_is_compatible_with(tensors[0].shape)
