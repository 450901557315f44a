"""Targets, losses and their gradients against rlax on random batches, where rlax is installed."""

import numpy as np
import pytest
import tensorflow as tf

rlax = pytest.importorskip("rlax")
pytestmark = pytest.mark.oracle
import jax

from dopamine_lite.losses import categorical, munchausen, policy_gradient, quantile, td
from dopamine_lite.losses.returns import discounted_returns

BATCH, ACTIONS, ATOMS, QUANTILES, SAMPLES = 64, 6, 51, 32, 24
TEMPERATURES = [0.03, 0.5]
# The position of a return among 51 atoms is known to 4e-6 in float32, and logits differ by tens.
POSITIONS = 5e-5


@pytest.fixture
def random():
    return np.random.default_rng(0)


@pytest.fixture
def returns(random):
    return normal(random, BATCH)


@pytest.fixture
def discounts(random):
    """One in four zero, as after a terminal step."""
    return np.where(random.random(BATCH) < 0.25, 0, random.uniform(0.8, 1, BATCH)).astype("f")


@pytest.fixture
def actions(random):
    return random.integers(ACTIONS, size=BATCH, dtype=np.int32)


def normal(random, *shape, scale=3.0):
    return random.normal(scale=scale, size=shape).astype(np.float32)


def gradient(loss, values):
    values = tf.Variable(values)
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(loss(values))
    return tf.convert_to_tensor(tape.gradient(total, values))


def rlax_gradient(loss, values):
    return jax.grad(lambda values: loss(values).sum())(values)


def assert_equal(ours, theirs, atol):
    assert ours.shape == theirs.shape
    assert np.ptp(theirs) > 100 * atol, "outputs that hardly differ compare nothing"
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=atol)


def test_q_learning(random, returns, discounts, actions):
    q, next_q = normal(random, 2, BATCH, ACTIONS)
    targets = td.td_targets(
        tf.constant(returns), tf.constant(discounts), td.q_learning_values(tf.constant(next_q))
    )
    theirs = jax.vmap(rlax.q_learning)(q, actions, returns, discounts, next_q)
    assert_equal(targets - td.select(tf.constant(q), actions), theirs, atol=2e-6)


def test_double_q_learning(random, returns, discounts, actions):
    q, target_q, online_q = normal(random, 3, BATCH, ACTIONS)
    values = td.double_q_values(tf.constant(target_q), tf.constant(online_q))
    targets = td.td_targets(tf.constant(returns), tf.constant(discounts), values)
    theirs = jax.vmap(rlax.double_q_learning)(q, actions, returns, discounts, target_q, online_q)
    assert_equal(targets - td.select(tf.constant(q), actions), theirs, atol=2e-6)


@pytest.mark.parametrize("delta", [0.5, 1.0, 2.0])
def test_huber(random, delta):
    errors = normal(random, BATCH)
    assert_equal(td.huber(tf.constant(errors), delta), rlax.huber_loss(errors, delta), atol=2e-6)
    assert_equal(
        gradient(lambda errors: td.huber(errors, delta), errors),
        rlax_gradient(lambda errors: rlax.huber_loss(errors, delta), errors),
        atol=1e-7,
    )


@pytest.mark.parametrize(("vmin", "vmax"), [(-10.0, 10.0), (0.0, 10.0), (-5.0, 0.0)])
def test_categorical_projection(random, vmin, vmax):
    support = categorical.support(vmin, vmax, ATOMS)
    returns = normal(random, BATCH, ATOMS, scale=8.0)
    probabilities = random.dirichlet(np.ones(ATOMS), BATCH).astype(np.float32)
    ours = categorical.project(tf.constant(returns), tf.constant(probabilities), support)
    theirs = jax.vmap(rlax.categorical_l2_project, (0, 0, None))(
        returns, probabilities, support.numpy()
    )
    assert_equal(ours, theirs, atol=1e-6)


def test_categorical_double_q_learning(random, returns, discounts, actions):
    logits, target_logits, online_logits = normal(random, 3, BATCH, ACTIONS, ATOMS)
    support = categorical.support(-10.0, 10.0, ATOMS)
    selector = categorical.values(tf.constant(online_logits), support)
    targets = categorical.targets(
        tf.constant(returns),
        tf.constant(discounts),
        tf.constant(target_logits),
        tf.argmax(selector, axis=1, output_type=tf.int32),
        support,
    )

    def loss(logits):
        return categorical.cross_entropy(categorical.select(logits, actions), targets)

    def rlax_loss(logits):
        return jax.vmap(rlax.categorical_double_q_learning, (None, 0, 0, 0, 0, None, 0, 0))(
            atoms, logits, actions, returns, discounts, atoms, target_logits, selector.numpy()
        )

    atoms = support.numpy()
    assert_equal(loss(tf.constant(logits)), rlax_loss(logits), atol=POSITIONS)
    assert_equal(gradient(loss, logits), rlax_gradient(rlax_loss, logits), atol=5e-6)


def test_categorical_q_learning(random, returns, discounts, actions):
    logits, next_logits = normal(random, 2, BATCH, ACTIONS, ATOMS)
    support = categorical.support(-10.0, 10.0, ATOMS)
    values = categorical.values(tf.constant(next_logits), support)
    targets = categorical.targets(
        tf.constant(returns),
        tf.constant(discounts),
        tf.constant(next_logits),
        tf.argmax(values, axis=1, output_type=tf.int32),
        support,
    )
    theirs = jax.vmap(rlax.categorical_q_learning, (None, 0, 0, 0, 0, None, 0))(
        support.numpy(), logits, actions, returns, discounts, support.numpy(), next_logits
    )
    ours = categorical.cross_entropy(categorical.select(tf.constant(logits), actions), targets)
    assert_equal(ours, theirs, atol=POSITIONS)


def test_categorical_kl_divergence(random):
    logits, target_logits = normal(random, 2, BATCH, ATOMS)
    ours = categorical.kl_divergence(tf.constant(logits), tf.nn.softmax(target_logits))
    assert_equal(ours, jax.vmap(rlax.categorical_kl_divergence)(target_logits, logits), atol=1e-5)


@pytest.mark.parametrize("kappa", [0.0, 0.5, 1.0, 2.0])
def test_quantile_q_learning(random, returns, discounts, actions, kappa):
    """rlax leaves out the division by kappa."""
    quantiles = normal(random, BATCH, QUANTILES, ACTIONS)
    target_quantiles, online_quantiles = normal(random, 2, BATCH, SAMPLES, ACTIONS)
    taus = random.random([BATCH, QUANTILES]).astype(np.float32)
    targets = quantile.targets(
        tf.constant(returns),
        tf.constant(discounts),
        tf.constant(target_quantiles),
        tf.argmax(quantile.values(tf.constant(online_quantiles)), axis=1, output_type=tf.int32),
    )

    def loss(quantiles):
        selected = quantile.select(quantiles, actions)
        return quantile.quantile_huber(selected, tf.constant(taus), targets, kappa)

    def rlax_loss(quantiles):
        losses = jax.vmap(rlax.quantile_q_learning, (0, 0, 0, 0, 0, 0, 0, None))(
            quantiles, taus, actions, returns, discounts, online_quantiles, target_quantiles, kappa
        )
        return losses / kappa if kappa else losses

    assert_equal(loss(tf.constant(quantiles)), rlax_loss(quantiles), atol=1e-4)
    assert_equal(gradient(loss, quantiles), rlax_gradient(rlax_loss, quantiles), atol=1e-6)


# rlax has no Munchausen loss; its softmax policy and its expected SARSA give one.


def rlax_policy(q, temperature):
    """Probabilities and tau log pi, [B, A] each."""
    policy = rlax.softmax(temperature)
    log_policies = jax.vmap(lambda action: policy.logprob(action, q))(
        np.tile(np.arange(ACTIONS)[:, None], [1, BATCH])
    )
    return policy.probs(q), temperature * log_policies.T


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_log_policy(random, temperature):
    q = normal(random, BATCH, ACTIONS, scale=temperature)
    ours = munchausen.log_policy(tf.constant(q), temperature)
    assert_equal(ours, rlax_policy(q, temperature)[1], atol=2e-6)


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_munchausen_q_learning(random, returns, discounts, actions, temperature):
    q, target_q, next_q = normal(random, 3, BATCH, ACTIONS, scale=temperature)
    bonuses = munchausen.bonus(tf.constant(target_q), actions, temperature, 0.9, -1.0)
    next_values = munchausen.soft_values(tf.constant(next_q), temperature)
    targets = td.td_targets(returns + bonuses, tf.constant(discounts), next_values)

    taken = np.take_along_axis(rlax_policy(target_q, temperature)[1], actions[:, None], axis=1)
    rewards = returns + 0.9 * np.clip(taken[:, 0], -1, 0)
    policies, log_policies = rlax_policy(next_q, temperature)
    theirs = jax.vmap(rlax.expected_sarsa)(
        q, actions, rewards, discounts, next_q - log_policies, policies
    )
    assert_equal(targets - td.select(tf.constant(q), actions), theirs, atol=5e-6)


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_soft_quantiles(random, temperature):
    quantiles = normal(random, BATCH, SAMPLES, ACTIONS, scale=temperature)
    q = quantiles.mean(axis=1)
    policies, log_policies = rlax_policy(q, temperature)
    one_quantile = jax.vmap(rlax.expected_sarsa, (None, None, None, None, 0, None))
    theirs = jax.vmap(one_quantile, (None, None, None, None, 0, 0))(
        np.zeros(ACTIONS, "f"), 0, 0.0, 1.0, quantiles - log_policies[:, None, :], policies
    )
    ours = munchausen.soft_quantiles(tf.constant(quantiles), tf.constant(q), temperature)
    assert_equal(ours, theirs, atol=2e-6)


@pytest.mark.parametrize("gae_lambda", [0.0, 0.9, 1.0])
def test_gae(random, gae_lambda):
    rewards, values = normal(random, SAMPLES), normal(random, SAMPLES + 1)
    terminated = random.random(SAMPLES) < 0.2
    columns = (rewards, values[:-1], values[1:], terminated, np.zeros(SAMPLES, bool))
    ours = policy_gradient.gae(
        *(tf.constant(column)[:, None] for column in columns), 0.9, gae_lambda
    )
    theirs = rlax.truncated_generalized_advantage_estimation(
        rewards, 0.9 * ~terminated, gae_lambda, values
    )
    assert_equal(ours[:, 0], theirs, atol=1e-5)


def test_clipped_surrogate(random):
    log_ratios, advantages = normal(random, BATCH, scale=0.3), normal(random, BATCH)

    def loss(log_ratios):
        return policy_gradient.clipped_surrogate(log_ratios, tf.constant(advantages), 0.2)

    def rlax_loss(log_ratios):
        ratios = jax.numpy.exp(log_ratios)
        return jax.vmap(
            lambda ratio, advantage: rlax.clipped_surrogate_pg_loss(
                ratio[None], advantage[None], 0.2
            )
        )(ratios, advantages)

    assert_equal(loss(tf.constant(log_ratios)), rlax_loss(log_ratios), atol=1e-5)
    assert_equal(gradient(loss, log_ratios), rlax_gradient(rlax_loss, log_ratios), atol=1e-5)


def test_policy_gradient(random, actions):
    logits, advantages = normal(random, BATCH, ACTIONS), normal(random, BATCH)
    logs = tf.gather(tf.nn.log_softmax(logits), actions, batch_dims=1)
    ours = policy_gradient.policy_gradient(logs, tf.constant(advantages))
    columns = (logits, actions, advantages, np.ones(BATCH, np.float32))
    theirs = jax.vmap(rlax.policy_gradient_loss)(*(column[:, None] for column in columns))
    assert_equal(ours, theirs, atol=1e-5)


def test_discounted_returns(random):
    rewards = normal(random, SAMPLES)
    theirs = rlax.discounted_returns(rewards, np.full(SAMPLES, 0.9, np.float32), 2.0)
    assert_equal(discounted_returns(rewards, 0.9, last_value=2.0), theirs, atol=1e-5)
