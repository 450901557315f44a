"""Munchausen's log-policies, bonuses and soft values against tables worked by hand."""

import numpy as np
import pytest
import tensorflow as tf

from dopamine_lite.losses import munchausen

LN3 = float(np.log(3.0))  # softmax([0, ln 3]) is [1/4, 3/4]


@pytest.mark.parametrize(
    ("q", "temperature", "expected"),
    [
        ([0.0, LN3], 1.0, np.log([0.25, 0.75])),
        ([7.0, 7.0 + LN3], 1.0, np.log([0.25, 0.75])),
        ([0.0, LN3 / 2], 0.5, 0.5 * np.log([0.25, 0.75])),
        ([2.0, 2.0], 0.03, 0.03 * np.log([0.5, 0.5])),
        ([0.0, 1000.0], 0.03, [-1000.0, 0.0]),  # exp(q / tau) would overflow
    ],
)
def test_log_policy(q, temperature, expected):
    result = munchausen.log_policy(tf.constant([q]), temperature)
    np.testing.assert_allclose(result, [expected], rtol=1e-5, atol=1e-6)


def test_log_policy_keeps_the_small_differences_of_large_values():
    # 4096 + 1/1024 is a float32; divided by 0.03 the difference would be off by a tenth or more.
    result = munchausen.log_policy(tf.constant([[4096.0, 4096.0 + 2**-10]]), 0.03)
    assert float(result[0, 1] - result[0, 0]) == pytest.approx(2**-10, rel=1e-4)


def test_log_policy_gradients_match_finite_differences():
    q, weights = np.array([[0.1, -0.4, 0.7]]), np.array([[1.0, -2.0, 0.5]])
    numeric = [
        np.sum(
            weights
            * (
                munchausen.log_policy(tf.constant(q + step), 0.3)
                - munchausen.log_policy(tf.constant(q - step), 0.3)
            )
        )
        / 2e-6
        for step in 1e-6 * np.eye(3)
    ]
    variable = tf.Variable(q)
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(weights * munchausen.log_policy(variable, 0.3))
    np.testing.assert_allclose(tape.gradient(total, variable), [numeric], rtol=1e-6)


@pytest.mark.parametrize(
    ("action", "clip_min", "expected"),
    [
        (0, -10.0, 0.9 * np.log(0.25)),
        (1, -10.0, 0.9 * np.log(0.75)),
        (0, -1.0, 0.9 * -1.0),  # ln 1/4 is -1.39
        (1, -1.0, 0.9 * np.log(0.75)),
        (0, 0.0, 0.0),
    ],
)
def test_bonus(action, clip_min, expected):
    result = munchausen.bonus(
        tf.constant([[0.0, LN3]]), tf.constant([action]), 1.0, alpha=0.9, clip_min=clip_min
    )
    np.testing.assert_allclose(result, [expected], rtol=1e-6)


@pytest.mark.parametrize(
    ("q", "temperature", "expected"),
    [  # in closed form tau log sum exp(q / tau)
        ([0.0, LN3], 1.0, np.log(4)),
        ([0.0, LN3 / 2], 0.5, 0.5 * np.log(4)),
        ([2.0, 2.0], 0.03, 2 + 0.03 * np.log(2)),  # a uniform policy: the entropy's bonus
        ([-5.0, 1000.0], 0.03, 1000.0),  # a greedy one: the greatest
    ],
)
def test_soft_values(q, temperature, expected):
    result = munchausen.soft_values(tf.constant([q]), temperature)
    np.testing.assert_allclose(result, [expected], rtol=1e-6)


def test_soft_quantiles():
    # Policy 1/4, 3/4, so each quantile is 1/4 (z_0 + ln 4) + 3/4 (z_1 + ln 4/3).
    quantiles = tf.constant([[[0.0, 4.0], [4.0, 8.0], [-8.0, 0.0]]])
    entropy = 0.25 * np.log(4) + 0.75 * np.log(4 / 3)
    result = munchausen.soft_quantiles(quantiles, tf.constant([[0.0, LN3]]), 1.0)
    np.testing.assert_allclose(result, [[3 + entropy, 7 + entropy, -2 + entropy]], rtol=1e-6)


def test_the_mean_of_soft_quantiles_is_the_soft_value():
    quantiles = tf.constant(np.random.default_rng(0).normal(size=[4, 8, 3]), tf.float32)
    q = tf.reduce_mean(quantiles, axis=1)
    np.testing.assert_allclose(
        tf.reduce_mean(munchausen.soft_quantiles(quantiles, q, 0.3), axis=1),
        munchausen.soft_values(q, 0.3),
        atol=1e-6,
    )


@pytest.mark.parametrize(
    "function",
    [
        lambda q: munchausen.bonus(q, tf.constant([0]), 0.03, 0.9, -1.0),
        lambda q: munchausen.soft_values(q, 0.03),
        lambda q: munchausen.soft_quantiles(q[:, None, :], q, 0.03),
    ],
)
def test_targets_carry_no_gradient(function):
    q = tf.Variable([[0.0, 0.01]])
    with tf.GradientTape() as tape:
        result = function(tf.identity(q))
    assert tape.gradient(result, q) is None


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan")])
def test_a_temperature_that_is_not_positive_is_refused(temperature):
    with pytest.raises(ValueError, match="temperature must be positive"):
        munchausen.log_policy(tf.zeros([1, 2]), temperature)


def test_a_positive_clip_is_refused():
    with pytest.raises(ValueError, match="clip_min must be 0 or less, as log-policies are, not 1"):
        munchausen.bonus(tf.zeros([1, 2]), tf.constant([0]), 0.03, 0.9, 1.0)


def test_compiled_functions_agree_with_eager_ones():
    def step(q, quantiles):
        return (
            munchausen.log_policy(q, 0.03),
            munchausen.bonus(q, tf.zeros([8], tf.int32), 0.03, 0.9, -1.0),
            munchausen.soft_values(q, 0.03),
            munchausen.soft_quantiles(quantiles, q, 0.03),
        )

    random = np.random.default_rng(1)
    inputs = [tf.constant(random.normal(size=shape), tf.float32) for shape in ([8, 4], [8, 5, 4])]
    for compiled, eager in zip(
        tf.function(step, jit_compile=True)(*inputs), step(*inputs), strict=True
    ):
        assert compiled.dtype == tf.float32
        np.testing.assert_allclose(compiled, eager, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "call",
    [
        lambda: munchausen.log_policy(tf.zeros([2]), 1.0),
        lambda: munchausen.bonus(tf.zeros([2, 3]), tf.zeros([2, 1], tf.int32), 1.0, 0.9, -1.0),
        lambda: munchausen.bonus(tf.zeros([2, 3]), tf.zeros([3], tf.int32), 1.0, 0.9, -1.0),
        lambda: munchausen.soft_values(tf.zeros([2, 3, 4]), 1.0),
        lambda: munchausen.soft_quantiles(tf.zeros([2, 5, 3]), tf.zeros([2, 5]), 1.0),
        lambda: munchausen.soft_quantiles(tf.zeros([2, 5, 3]), tf.zeros([1, 3]), 1.0),
    ],
)
def test_wrong_shapes_are_refused(call):
    with pytest.raises(ValueError, match=r"[Ss]hape|rank"):
        call()
