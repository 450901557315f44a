"""SAC's losses against numbers worked by hand, its densities against integrals and scipy."""

import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

from dopamine_lite.losses import sac


def row(*numbers: float) -> tf.Tensor:
    return tf.constant([numbers], tf.float32)


@pytest.mark.parametrize(("mean", "log_std"), [(0.0, 0.0), (0.7, -0.5), (-1.2, 0.4)])
def test_densities_of_squashed_actions_integrate_to_one(mean, log_std):
    """Often wrong: the correction left out, or its sign; both make the integral another number."""
    noise = np.linspace(-6, 6, 4001, dtype=np.float32)[:, None]
    means, log_stds = np.full_like(noise, mean), np.full_like(noise, log_std)
    actions, logs = sac.squashed(*map(tf.constant, (means, log_stds, noise)))
    densities = np.exp(logs.numpy().astype(np.float64))
    assert np.trapezoid(densities, actions[:, 0]) == pytest.approx(1, abs=1e-3)


def test_the_density_is_that_of_the_change_of_variables():
    """p(a) = N(artanh(a); mean, std) / (1 - a^2), summed over an action's numbers."""
    generator = np.random.default_rng(0)
    means, log_stds, noise = generator.normal(size=(3, 50, 2)).astype(np.float32) * 0.5
    actions, logs = sac.squashed(*map(tf.constant, (means, log_stds, noise)))
    found = actions.numpy().astype(np.float64)
    normal = scipy.stats.norm.logpdf(np.arctanh(found), means, np.exp(log_stds))
    expected = (normal - np.log(1 - found**2)).sum(axis=1)
    np.testing.assert_allclose(logs, expected, atol=1e-3)


@pytest.mark.parametrize("mean", [-1000.0, -20.0, 20.0, 1000.0])
def test_the_density_is_finite_where_tanh_is_one(mean):
    """log(1 - tanh(u)^2) = 2 log 2 - 2 |u| far from zero; computed as it stands it is -inf."""
    with tf.GradientTape() as tape:
        means = row(mean)
        tape.watch(means)
        actions, logs = sac.squashed(means, row(0.0), row(0.0))
    assert abs(float(actions[0, 0])) == 1
    expected = -np.log(2 * np.pi) / 2 - (2 * np.log(2) - 2 * abs(mean))
    assert float(logs[0]) == pytest.approx(expected, rel=1e-6)
    assert float(tape.gradient(logs, means)[0, 0]) == pytest.approx(2 * np.sign(mean))


def test_deviations_are_clipped():
    """To exp(2) and exp(-20); where they are clipped they have no gradient."""
    for log_std, within in ((5.0, 2.0), (-50.0, -20.0), (1.5, 1.5)):
        with tf.GradientTape() as tape:
            log_stds = row(log_std)
            tape.watch(log_stds)
            actions, logs = sac.squashed(row(0.1), log_stds, row(-0.3))
        expected = sac.squashed(row(0.1), row(within), row(-0.3))
        np.testing.assert_array_equal(actions, expected[0])
        np.testing.assert_array_equal(logs, expected[1])
        clipped = float(tape.gradient(logs, log_stds)[0, 0]) == 0
        assert clipped == (log_std != within)


def test_gradients_of_densities_match_finite_differences():
    """By the reparametrization: the noise stays, and u moves with the mean and the deviation."""
    generator = np.random.default_rng(1)
    means, log_stds, noise = generator.normal(size=(3, 4, 2))

    def logs(means: np.ndarray, log_stds: np.ndarray) -> np.ndarray:
        unsquashed = means + np.exp(log_stds) * noise
        normal = scipy.stats.norm.logpdf(unsquashed, means, np.exp(log_stds))
        return (normal - np.log(1 - np.tanh(unsquashed) ** 2)).sum(axis=1)

    inputs = [tf.constant(each) for each in (means, log_stds)]
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        _, found = sac.squashed(*inputs, tf.constant(noise))
    step = 1e-6 * np.array([1.0, 0.0])  # in the first of an action's two numbers
    by_mean, by_log_std = (gradient[:, 0] for gradient in tape.gradient(found, inputs))
    numeric = (logs(means + step, log_stds) - logs(means - step, log_stds)) / 2e-6
    np.testing.assert_allclose(by_mean, numeric, rtol=1e-4, atol=1e-6)
    numeric = (logs(means, log_stds + step) - logs(means, log_stds - step)) / 2e-6
    np.testing.assert_allclose(by_log_std, numeric, rtol=1e-4, atol=1e-6)


VALUES = tf.constant([[1.0, 3.0], [5.0, -2.0]])
LOGS = tf.constant([0.5, -1.0])


def test_soft_values_are_the_lower_values_and_the_entropy():
    found = sac.soft_values(VALUES, LOGS, tf.constant(0.2))
    np.testing.assert_allclose(found, [1 - 0.2 * 0.5, -2 + 0.2], rtol=1e-6)


def test_critic_losses_are_half_the_squares_of_both():
    """(1 - 2)^2 / 2 + (3 - 2)^2 / 2 and (5 - 1)^2 / 2 + (-2 - 1)^2 / 2."""
    targets = tf.Variable([2.0, 1.0])
    with tf.GradientTape() as tape:
        losses = sac.critic_losses(VALUES, targets)
    np.testing.assert_allclose(losses, [1.0, 12.5])
    assert tape.gradient(losses, targets) is None


def test_policy_losses_follow_the_lower_value_up():
    values, logs = tf.Variable(VALUES), tf.Variable(LOGS)
    with tf.GradientTape() as tape:
        losses = sac.policy_losses(values, logs, tf.constant(0.2))
    np.testing.assert_allclose(losses, [0.2 * 0.5 - 1, -0.2 + 2], rtol=1e-6)
    of_values, of_logs = tape.gradient(losses, [values, logs])
    np.testing.assert_array_equal(of_values, [[-1, 0], [0, -1]])
    np.testing.assert_allclose(of_logs, [0.2, 0.2])


@pytest.mark.parametrize(
    ("log", "slope"),
    [(3.0, -2.0), (-0.5, 1.5), (1.0, 0.0)],  # with the target entropy -1, which log pi = 1 has
)
def test_the_temperature_rises_where_entropy_lacks(log, slope):
    """Often wrong: the sign of the target. Descent moves log(alpha) against the slope."""
    log_temperature, logs = tf.Variable(0.7), tf.Variable([log])
    with tf.GradientTape() as tape:
        losses = sac.temperature_losses(log_temperature, logs, target_entropy=-1.0)
    np.testing.assert_allclose(losses, [0.7 * slope], rtol=1e-6)
    of_temperature, of_logs = tape.gradient(losses, [log_temperature, logs])
    assert float(of_temperature) == pytest.approx(slope) and of_logs is None


def test_averages_of_parameters():
    target, online = tf.constant([1.0, -2.0]), tf.constant([3.0, 4.0])
    np.testing.assert_allclose(sac.averaged(target, online, 0.25), [1.5, -0.5])
    odd = tf.constant([0.1, 1e-30]), tf.constant([1 / 3, 1e30])
    np.testing.assert_array_equal(sac.averaged(*odd, 1.0), odd[1])
    np.testing.assert_array_equal(sac.averaged(*odd, 0.0), odd[0])


@pytest.mark.parametrize("function", [sac.soft_values, sac.policy_losses])
def test_shapes_that_would_be_broadcast_are_refused(function):
    """Often wrong: [B, 1] minus [B], which is [B, B] and has a mean all the same."""
    with pytest.raises(ValueError):
        function(VALUES, LOGS[:, None], tf.constant(0.2))
