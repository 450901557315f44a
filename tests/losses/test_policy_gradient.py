"""Advantages and surrogates against tables worked by hand, gradients against finite differences."""

import functools

import numpy as np
import pytest
import tensorflow as tf

from dopamine_lite.losses import policy_gradient
from dopamine_lite.losses.returns import discounted_returns


@pytest.mark.parametrize(
    ("terminated", "truncated", "next_values", "expected"),
    [  # gamma 0.5, lambda 0.5; rewards 1, 2, 3 and values of 1
        ([0, 0, 0], [0, 0, 0], [1, 1, 4], [1.125, 2.5, 4.0]),  # deltas 0.5, 1.5, 4
        ([0, 1, 0], [0, 0, 0], [1, 9, 4], [0.75, 1.0, 4.0]),  # what follows a terminal step is nothing
        ([0, 0, 0], [0, 1, 0], [1, 7, 4], [1.625, 4.5, 4.0]),  # bootstrapped from the final observation
        ([0, 0, 1], [0, 0, 0], [1, 1, 9], [1.0, 2.0, 2.0]),
    ],
)  # fmt: skip
def test_gae(terminated, truncated, next_values, expected):
    columns = [
        tf.constant(np.array(column, dtype))[:, None]
        for column, dtype in (
            ([1, 2, 3], np.float32),
            ([1, 1, 1], np.float32),
            (next_values, np.float32),
            (terminated, bool),
            (truncated, bool),
        )
    ]
    found = policy_gradient.gae(*columns, gamma=0.5, gae_lambda=0.5)
    np.testing.assert_allclose(found[:, 0], expected)


def test_gae_is_of_each_environment_alone_and_the_same_under_xla():
    generator = np.random.default_rng(0)
    rewards, values, next_values = (
        tf.constant(generator.normal(size=(6, 3)), tf.float32) for _ in range(3)
    )
    terminated, truncated = (tf.constant(generator.random((6, 3)) < 0.3) for _ in range(2))
    columns = (rewards, values, next_values, terminated, truncated)
    together = policy_gradient.gae(*columns, gamma=0.9, gae_lambda=0.8)
    compiled = tf.function(policy_gradient.gae, jit_compile=True)(*columns, 0.9, 0.8)
    np.testing.assert_allclose(together, compiled, atol=1e-6)
    for index in range(3):
        alone = [column[:, index : index + 1] for column in columns]
        found = policy_gradient.gae(*alone, gamma=0.9, gae_lambda=0.8)
        np.testing.assert_allclose(together[:, index], found[:, 0], atol=1e-6)


@pytest.mark.parametrize(
    ("ratio", "advantage", "loss", "slope"),
    [  # clip 0.2; the slope is that of the loss by the logarithm of the ratio
        (1.0, 2.0, -2.0, -2.0),
        (1.1, 2.0, -2.2, -2.2),
        (1.5, 2.0, -2.4, 0.0),  # gained enough
        (0.5, 2.0, -1.0, -1.0),  # lost: let it come back
        (1.5, -2.0, 3.0, 3.0),
        (0.5, -2.0, 1.6, 0.0),
    ],
)
def test_clipped_surrogate(ratio, advantage, loss, slope):
    log_ratios = tf.Variable([np.log(ratio)], dtype=tf.float32)
    with tf.GradientTape() as tape:
        found = policy_gradient.clipped_surrogate(log_ratios, tf.constant([advantage]), 0.2)
    assert float(found[0]) == pytest.approx(loss)
    assert float(tape.gradient(found, log_ratios)[0]) == pytest.approx(slope)


def test_kl_penalized_surrogate():
    found = policy_gradient.kl_penalized_surrogate(
        tf.math.log([1.5, 0.5]), tf.constant([2.0, -1.0]), tf.constant([0.1, 0.3]), 4.0
    )
    np.testing.assert_allclose(found, [0.4 - 3.0, 1.2 + 0.5], rtol=1e-6)


@pytest.mark.parametrize(
    ("divergence", "expected"), [(0.006, 1.0), (0.007, 2.0), (0.014, 2.0), (0.016, 4.0)]
)
def test_the_kl_coefficient_follows_its_target(divergence, expected):
    found = policy_gradient.adapted_kl_coefficient(
        tf.constant(2.0), tf.constant(divergence), target=0.01
    )
    assert float(found) == expected


def test_the_kl_coefficient_never_reaches_zero_or_infinity():
    """From 0 it could not come back, however far the policy ran away."""
    for divergence, limit in ((0.0, 1e-6), (1.0, 1e6)):
        coefficient = tf.constant(1.0)
        for _ in range(200):
            coefficient = policy_gradient.adapted_kl_coefficient(
                coefficient, tf.constant(divergence), target=0.01
            )
        assert float(coefficient) == pytest.approx(limit)


def test_gae_discounts_by_gamma_and_sums_by_gamma_and_lambda():
    """Two steps of reward 1 from V = 0 to V = 2: delta = 1, 1 + 2 gamma; A_0 = 1 + gamma lambda A_1."""
    column = functools.partial(tf.constant, shape=[2, 1])
    found = policy_gradient.gae(
        *(column(values) for values in ([1.0, 1.0], [0.0, 0.0], [0.0, 2.0])),
        *(column(ends) for ends in ([False, False], [False, False])),
        gamma=0.5,
        gae_lambda=0.25,
    )
    np.testing.assert_allclose(found[:, 0], [1 + 0.125 * 2, 2])


@pytest.mark.parametrize(
    ("value", "old", "clip", "loss"),
    [  # the return is 2
        (1.0, 0.0, None, 1.0),
        (1.0, 0.9, 0.2, 1.0),  # moved by 0.1: not clipped
        (1.0, 0.0, 0.2, 3.24),  # moved toward the return by 1, of which 0.2 count: (0.2 - 2)^2
        (0.0, 1.0, 0.2, 4.0),  # moved away from it: the greater loss is the plain one
    ],
)
def test_value_loss(value, old, clip, loss):
    found = policy_gradient.value_loss(
        tf.constant([value]), tf.constant([2.0]), tf.constant([old]), clip
    )
    assert float(found[0]) == pytest.approx(loss)


def test_policy_gradient():
    log_probabilities = tf.Variable([-1.0, -2.0])
    advantages = tf.Variable([3.0, -0.5])
    with tf.GradientTape() as tape:
        losses = policy_gradient.policy_gradient(log_probabilities, advantages)
    np.testing.assert_allclose(losses, [3.0, -1.0])
    gradients = tape.gradient(losses, [log_probabilities, advantages])
    np.testing.assert_allclose(gradients[0], [-3.0, 0.5])
    assert gradients[1] is None


@pytest.mark.parametrize("name", ["clipped_surrogate", "kl_penalized_surrogate", "value_loss"])
def test_gradients_match_finite_differences(name):
    generator = np.random.default_rng(0)
    first = generator.normal(scale=0.5, size=5)
    second, third = generator.normal(size=5), generator.normal(size=5)
    arguments = {
        "clipped_surrogate": (second, 0.2),
        "kl_penalized_surrogate": (second, np.abs(third), 2.0),
        "value_loss": (second, third, 0.3),
    }[name]
    others = [tf.constant(value) if np.ndim(value) else value for value in arguments]
    function = getattr(policy_gradient, name)
    step = 1e-6
    numeric = (
        function(tf.constant(first + step), *others) - function(tf.constant(first - step), *others)
    ) / (2 * step)
    variable = tf.Variable(first)
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(function(variable, *others))
    np.testing.assert_allclose(tape.gradient(total, variable), numeric, atol=1e-6)


@pytest.mark.parametrize(
    ("last_value", "reset", "expected"),
    [
        (0.0, False, [1.0 + 0.25 * -1 + 0.125 * 4, -0.5 + 0.25 * 4, -1.0 + 0.5 * 4, 4.0]),
        (8.0, False, [1.75, 1.5, 3.0, 8.0]),
        (0.0, True, [1.0, -0.5, -1.0, 4.0]),
        (8.0, True, [1.0, -0.5, -1.0, 4.0]),  # the last point ends its rally, whatever follows
    ],
)
def test_discounted_returns(last_value, reset, expected):
    found = discounted_returns(np.array([1.0, 0.0, -1.0, 4.0]), 0.5, last_value, reset)
    np.testing.assert_allclose(found, expected)
    assert found.dtype == np.float32
