"""TD targets and losses against tables worked by hand, gradients against finite differences."""

import numpy as np
import pytest
import tensorflow as tf

from dopamine_lite.losses import td
from dopamine_lite.losses.returns import n_step_returns


def test_td_targets():
    # R + d V(s'): within an episode, after a terminal step, and a 2-step return with gamma 0.9.
    targets = td.td_targets(
        tf.constant([1.0, 5.0, 1.9]), tf.constant([0.9, 0.0, 0.81]), tf.constant([2.0, 7.0, -1.0])
    )
    np.testing.assert_allclose(targets, [2.8, 5.0, 1.09], rtol=1e-6)


@pytest.mark.parametrize(
    ("length", "terminated", "expected", "discount"),
    [
        (3, False, 1 + 0.5 * 2 + 0.25 * 4, 0.125),
        (3, True, 3.0, 0.0),
        (2, False, 1 + 0.5 * 2, 0.25),  # truncated: bootstrapped, from its final observation
        (2, True, 2.0, 0.0),
        (1, False, 1.0, 0.5),
    ],
)
def test_n_step_returns(length, terminated, expected, discount):
    rewards = np.array([[1.0, 2.0, 4.0], [0.0, 0.0, 8.0]], np.float32)
    returns, discounts = n_step_returns(
        rewards, np.array([length, 3]), np.array([terminated, False]), gamma=0.5
    )
    np.testing.assert_allclose(returns, [expected, 2.0])
    np.testing.assert_allclose(discounts, [discount, 0.125])
    assert returns.dtype == discounts.dtype == np.float32


def test_td_targets_carry_no_gradient():
    next_values = tf.Variable([2.0])
    with tf.GradientTape() as tape:
        targets = td.td_targets(tf.constant([1.0]), tf.constant([0.9]), next_values)
    assert tape.gradient(targets, next_values) is None


def test_q_learning_values_are_the_greatest():
    np.testing.assert_allclose(td.q_learning_values(tf.constant([[1.0, 3.0], [0.0, -2.0]])), [3, 0])


def test_double_q_values_take_the_online_choice_at_the_target_value():
    target = tf.constant([[1.0, 3.0], [0.0, -2.0]])
    online = tf.constant([[5.0, 4.0], [1.0, 2.0]])
    np.testing.assert_allclose(td.double_q_values(target, online), [1, -2])


def test_select():
    values = tf.constant([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    np.testing.assert_allclose(td.select(values, tf.constant([2, 0])), [3, 4])


@pytest.mark.parametrize(
    ("error", "huber", "squared"),
    [(0.0, 0.0, 0.0), (0.5, 0.125, 0.25), (-1.0, 0.5, 1.0), (3.0, 2.5, 9.0), (-3.0, 2.5, 9.0)],
)
def test_losses_of_an_error(error, huber, squared):
    assert float(td.huber(tf.constant(error))) == pytest.approx(huber)
    assert float(td.squared(tf.constant(error))) == pytest.approx(squared)


def test_huber_with_another_delta():
    np.testing.assert_allclose(td.huber(tf.constant([1.0, 4.0]), delta=2.0), [0.5, 6.0])


@pytest.mark.parametrize("loss", [td.huber, td.squared])
def test_gradients_match_finite_differences(loss):
    errors = np.array([-2.5, -0.7, 0.3, 0.9, 1.8])
    step = 1e-5
    numeric = (loss(tf.constant(errors + step)) - loss(tf.constant(errors - step))) / (2 * step)
    variable = tf.Variable(errors)
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(loss(variable))
    np.testing.assert_allclose(tape.gradient(total, variable), numeric, rtol=1e-6)


@pytest.mark.parametrize(
    "call",
    [
        lambda: td.td_targets(tf.zeros([2]), tf.zeros([3]), tf.zeros([2])),
        lambda: td.td_targets(tf.zeros([2, 1]), tf.zeros([2, 1]), tf.zeros([2, 1])),
        lambda: td.q_learning_values(tf.zeros([2])),
        lambda: td.double_q_values(tf.zeros([2, 3]), tf.zeros([2, 4])),
    ],
)
def test_wrong_shapes_are_refused(call):
    """A [B] against a [B, 1] would broadcast to [B, B] without a word."""
    with pytest.raises(ValueError, match=r"[Ss]hape|rank"):
        call()
