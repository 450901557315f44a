"""The quantile Huber loss and its targets against tables worked by hand and finite differences."""

import numpy as np
import pytest
import tensorflow as tf

from dopamine_lite.losses import quantile


@pytest.mark.parametrize(
    ("num_quantiles", "taus"),
    [(1, [0.5]), (2, [0.25, 0.75]), (5, [0.1, 0.3, 0.5, 0.7, 0.9])],
)
def test_midpoints(num_quantiles, taus):
    result = quantile.midpoints(num_quantiles)
    assert result.dtype == tf.float32
    np.testing.assert_allclose(result, taus, rtol=1e-6)


def test_no_quantiles_are_refused():
    with pytest.raises(ValueError, match="at least 1 quantile, not 0"):
        quantile.midpoints(0)


def test_values():
    quantiles = tf.constant([[[1.0, 10.0], [2.0, 20.0], [6.0, 0.0]]])
    np.testing.assert_allclose(quantile.values(quantiles), [[3, 10]])


def test_select():
    quantiles = tf.reshape(tf.range(12.0), [2, 3, 2])
    np.testing.assert_array_equal(
        quantile.select(quantiles, tf.constant([1, 0])), [[1, 3, 5], [6, 8, 10]]
    )


def test_targets():
    # R + d Z(s', a*): within an episode with action 1, and after a terminal step.
    next_quantiles = tf.constant([[[1.0, 2.0], [3.0, 4.0]], [[5.0, 6.0], [7.0, 8.0]]])
    targets = quantile.targets(
        tf.constant([1.0, -1.0]), tf.constant([0.5, 0.0]), next_quantiles, tf.constant([1, 0])
    )
    np.testing.assert_allclose(targets, [[2, 3], [-1, -1]])


def test_targets_carry_no_gradient():
    next_quantiles = tf.Variable(tf.ones([1, 3, 2]))
    with tf.GradientTape() as tape:
        targets = quantile.targets(tf.ones([1]), tf.ones([1]), next_quantiles, tf.constant([0]))
    assert tape.gradient(targets, next_quantiles) is None


@pytest.mark.parametrize(
    ("kappa", "error", "loss"),
    [  # with tau 1/4: a quarter of the loss of a target above, three quarters of one below
        (0.0, 2.0, 0.25 * 2),
        (0.0, -2.0, 0.75 * 2),
        (1.0, 0.0, 0.0),
        (1.0, 0.5, 0.25 * 0.125),
        (1.0, -0.5, 0.75 * 0.125),
        (1.0, 2.0, 0.25 * 1.5),
        (1.0, -2.0, 0.75 * 1.5),
        (2.0, 1.0, 0.25 * 0.5 / 2),
        (2.0, 3.0, 0.25 * 4 / 2),
        (2.0, -3.0, 0.75 * 4 / 2),
    ],
)
def test_loss_of_an_error(kappa, error, loss):
    result = quantile.quantile_huber(
        tf.constant([[1.0]]), tf.constant([[0.25]]), tf.constant([[1.0 + error]]), kappa
    )
    np.testing.assert_allclose(result, [loss], rtol=1e-6)


def test_loss_sums_over_quantiles_and_averages_over_targets():
    # u is 0, 2, -1 for the first quantile and -1, 1, -2 for the second.
    losses = quantile.quantile_huber(
        tf.constant([[0.0, 1.0]]),
        tf.constant([[0.25, 0.75]]),
        tf.constant([[0.0, 2.0, -1.0]]),
        kappa=0.0,
    )
    first = (0.25 * 0 + 0.25 * 2 + 0.75 * 1) / 3
    second = (0.25 * 1 + 0.75 * 1 + 0.25 * 2) / 3
    np.testing.assert_allclose(losses, [first + second], rtol=1e-6)


@pytest.mark.parametrize(("tau", "minimum"), [(0.1, 1.0), (0.3, 2.0), (0.6, 3.0), (0.9, 4.0)])
def test_quantile_regression_is_least_at_the_quantile(tau, minimum):
    guesses = np.arange(0, 5.01, 0.05)[:, None]
    targets = tf.tile(tf.constant([[1.0, 2.0, 3.0, 4.0]], tf.float64), [len(guesses), 1])
    losses = quantile.quantile_huber(
        tf.constant(guesses), tf.fill(guesses.shape, tf.constant(tau, tf.float64)), targets, 0.0
    )
    assert float(guesses[np.argmin(losses)][0]) == pytest.approx(minimum)


def test_a_small_kappa_is_almost_quantile_regression():
    random = np.random.default_rng(0)
    quantiles, targets = tf.constant(random.normal(size=[2, 4, 5]), tf.float32)
    taus = tf.tile(quantile.midpoints(5)[None], [4, 1])
    np.testing.assert_allclose(
        quantile.quantile_huber(quantiles, taus, targets, 1e-6),
        quantile.quantile_huber(quantiles, taus, targets, 0.0),
        rtol=1e-5,
    )


@pytest.mark.parametrize("kappa", [0.0, 0.5, 1.0, 2.0])
def test_gradients_match_finite_differences(kappa):
    random = np.random.default_rng(1)
    quantiles, taus = random.normal(size=[2, 3]), tf.constant(random.uniform(size=[2, 3]))
    targets = tf.constant(2 * random.normal(size=[2, 4]))
    numeric = np.zeros_like(quantiles)
    for index in np.ndindex(*quantiles.shape):
        step = np.zeros_like(quantiles)
        step[index] = 1e-6
        above = quantile.quantile_huber(tf.constant(quantiles + step), taus, targets, kappa)
        below = quantile.quantile_huber(tf.constant(quantiles - step), taus, targets, kappa)
        numeric[index] = np.sum(above - below) / 2e-6
    variable = tf.Variable(quantiles)
    with tf.GradientTape() as tape:
        tape.watch(targets)
        total = tf.reduce_sum(quantile.quantile_huber(variable, taus, targets, kappa))
    gradient, through_targets = tape.gradient(total, [variable, targets])
    np.testing.assert_allclose(gradient, numeric, rtol=1e-6, atol=1e-8)
    assert through_targets is None


def test_a_negative_kappa_is_refused():
    with pytest.raises(ValueError, match="kappa must be 0 or more, not -1"):
        quantile.quantile_huber(tf.zeros([1, 1]), tf.zeros([1, 1]), tf.zeros([1, 1]), -1.0)


@pytest.mark.parametrize("kappa", [0.0, 1.0])
def test_compiled_functions_agree_with_eager_ones(kappa):
    def step(returns, discounts, next_quantiles, quantiles):
        next_actions = tf.argmax(quantile.values(next_quantiles), axis=1, output_type=tf.int32)
        targets = quantile.targets(returns, discounts, next_quantiles, next_actions)
        taus = tf.tile(quantile.midpoints(6)[None], [8, 1])
        return targets, quantile.quantile_huber(quantiles, taus, targets, kappa)

    random = np.random.default_rng(2)
    shapes = [[8], [8], [8, 5, 4], [8, 6]]
    inputs = [tf.constant(random.normal(size=shape), tf.float32) for shape in shapes]
    for compiled, eager in zip(
        tf.function(step, jit_compile=True)(*inputs), step(*inputs), strict=True
    ):
        assert compiled.dtype == tf.float32
        np.testing.assert_allclose(compiled, eager, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "call",
    [
        lambda: quantile.values(tf.zeros([2, 3])),
        lambda: quantile.select(tf.zeros([2, 3, 4]), tf.zeros([2, 1], tf.int32)),
        lambda: quantile.targets(
            tf.zeros([2]), tf.zeros([2, 1]), tf.zeros([2, 3, 4]), tf.zeros([2], tf.int32)
        ),
        lambda: quantile.targets(
            tf.zeros([3]), tf.zeros([3]), tf.zeros([2, 3, 4]), tf.zeros([2], tf.int32)
        ),
        lambda: quantile.quantile_huber(tf.zeros([2, 3]), tf.zeros([3]), tf.zeros([2, 3])),
        lambda: quantile.quantile_huber(tf.zeros([2, 3]), tf.zeros([2, 4]), tf.zeros([2, 4])),
        lambda: quantile.quantile_huber(tf.zeros([2, 3]), tf.zeros([2, 3]), tf.zeros([1, 3])),
    ],
)
def test_wrong_shapes_are_refused(call):
    with pytest.raises(ValueError, match=r"[Ss]hape|rank"):
        call()
