"""PPO's update: what it is given, its gradient by hand, its schedules."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from dopamine_lite.agents.ppo_agent import PPOAgent, Samples
from dopamine_lite.common.errors import UserError
from dopamine_lite.common.normalisation import RewardNormaliser
from dopamine_lite.networks.optimizers import Adam
from tests.agents import policies
from tests.agents.policies import Recorder, digest, script, updates_of
from tests.agents.tiny import Identity


def build(name: str = "ppo", **arguments: Any) -> PPOAgent:
    agent = policies.build(name, **arguments)
    assert isinstance(agent, PPOAgent)
    return agent


def test_an_update_is_given_the_rollout_with_the_values_of_true_successors():
    """Often wrong: where an episode was cut, the value of the next one's first observation."""
    agent = build(rollout_length=4, num_minibatches=1)
    updates, steps = updates_of(agent), script()

    def values(observations: np.ndarray) -> np.ndarray:
        return np.stack([agent._policy_and_values(row)[1] for row in observations])

    expected = steps.rewards, values(steps.observations), values(steps.next_observations)
    steps.play(agent)
    ((observations, _, _, (rewards, now, following), ends, _, _),) = updates
    np.testing.assert_array_equal(observations.reshape(4, 2, 3), steps.observations)
    np.testing.assert_allclose(rewards, expected[0], rtol=1e-6)
    np.testing.assert_allclose(now, expected[1], rtol=1e-5)
    counts = ~steps.terminated  # a terminal observation has no value
    np.testing.assert_allclose(following[counts], expected[2][counts], rtol=1e-5)
    np.testing.assert_array_equal(ends, [steps.terminated, steps.truncated])


def test_advantages_and_returns_of_a_rollout():
    """At the old policy, before the first step: V - R = -A, rho = 1, KL = 0."""
    arguments = {"gamma": 0.9, "gae_lambda": 0.5, "normalise_advantages": False}
    agent = build(rollout_length=4, num_epochs=1, num_minibatches=1, **arguments)
    updates, steps = updates_of(agent), script()
    steps.play(agent)
    ((*_, (rewards, values, following), _, _, _),) = updates
    advantages = np.zeros((5, 2))
    for step in reversed(range(4)):
        ended = steps.terminated[step] | steps.truncated[step]
        bootstrap = np.where(steps.terminated[step], 0.0, following[step])
        delta = rewards[step] + 0.9 * bootstrap - values[step]
        advantages[step] = delta + 0.9 * 0.5 * np.where(ended, 0.0, advantages[step + 1])
    advantages = advantages[:4]
    metrics = agent.metrics()
    assert metrics["policy_loss"] == pytest.approx(-advantages.mean(), rel=1e-4)
    assert metrics["value_loss"] == pytest.approx(np.square(advantages).mean(), rel=1e-4)
    explained = 1 - advantages.var() / (advantages + values).var()
    assert metrics["explained_variance"] == pytest.approx(explained, rel=1e-4)
    assert metrics["kl"] == pytest.approx(0, abs=1e-6)
    assert metrics["clip_fraction"] == 0


@pytest.mark.parametrize(
    "arguments",
    [
        {"surrogate": "clip"},
        {"surrogate": "kl", "initial_kl_coefficient": 1.5},
        {"surrogate": "clip", "value_clip": 0.1},
        {"surrogate": "clip", "normalise_advantages": True},
        {"surrogate": "clip", "max_gradient_norm": 0.01},
    ],
    ids=str,
)
def test_the_gradient_is_that_of_equation_9(arguments):
    """Often wrong: the sign of the entropy, a coefficient that is not used, a norm not clipped."""
    settings: dict[str, Any] = {
        "value_coefficient": 0.7,
        "entropy_coefficient": 0.3,
        "normalise_advantages": False,
        "max_gradient_norm": None,
    } | arguments
    agent = build(optimizer=Recorder, **settings)
    generator = np.random.default_rng(1)
    states, old_outputs = generator.normal(size=(2, 6, 3)).astype(np.float32)
    old_outputs *= 0.2  # near the new policy, so that the clip bites here and there
    old_values, advantages, returns = generator.normal(size=(3, 6)).astype(np.float32)
    actions = tf.constant([0, 1, 2, 0, 1, 2])
    old_logs = tf.nn.log_softmax(old_outputs)
    chosen = tf.gather(old_logs, actions, batch_dims=1)

    with tf.GradientTape() as tape:
        outputs = agent._network(tf.constant(states))
        logs, values = tf.nn.log_softmax(outputs[:, :3]), outputs[:, 3]
        ratios = tf.exp(tf.gather(logs, actions, batch_dims=1) - chosen)
        weights = advantages
        if settings["normalise_advantages"]:
            weights = (advantages - advantages.mean()) / (advantages.std() + 1e-8)
        if settings["surrogate"] == "kl":
            divergences = tf.reduce_sum(tf.exp(old_logs) * (old_logs - logs), axis=1)
            surrogate = ratios * weights - 1.5 * divergences
        else:
            clipped = tf.clip_by_value(ratios, 0.8, 1.2)
            surrogate = tf.minimum(ratios * weights, clipped * weights)
            assert 0 < np.mean(clipped != ratios) < 1
        errors = tf.square(values - returns)
        if "value_clip" in settings:
            near = old_values + tf.clip_by_value(values - old_values, -0.1, 0.1)
            errors = tf.maximum(errors, tf.square(near - returns))
        entropies = -tf.reduce_sum(tf.exp(logs) * logs, axis=1)
        objective = tf.reduce_mean(surrogate - 0.7 * errors + 0.3 * entropies)
    expected = [-part for part in tape.gradient(objective, agent._network.variables)]
    if settings["max_gradient_norm"]:
        assert tf.linalg.global_norm(expected) > 0.01
        expected, _ = tf.clip_by_global_norm(expected, 0.01)

    columns = old_outputs, chosen, old_values, advantages, returns
    samples = Samples(tf.constant(states), actions[:, None], *map(tf.constant, columns))
    agent._gradient_step(samples, tf.constant(0.2))
    for found, by_hand in zip(agent._optimizer.gradients, expected, strict=True):
        np.testing.assert_allclose(found, by_hand, rtol=1e-4, atol=1e-6)


def test_the_clip_that_updates_are_given_falls_to_zero_and_stays():
    agent = build(clip_decay_period=64)
    updates = updates_of(agent)
    Identity(2).play(agent, 64)
    np.testing.assert_allclose([inputs[-1] for inputs in updates], [0.2, 0.1, 0.0, 0.0])
    assert agent.metrics()["clip"] == 0


def test_updates_are_given_normalised_observations_and_rewards():
    """By the moments before the rollout, which then counts itself; rewards by their ends."""
    agent = build(
        rollout_length=4,
        num_minibatches=1,
        gamma=0.9,
        normalise_observations=True,
        normalise_rewards=True,
    )
    updates, rewards = updates_of(agent), RewardNormaliser(2, 0.9)
    mean, deviation = 0.0, 1.0
    for seed in range(2):
        steps = script(seed=seed)
        steps.play(agent)
        seen = (steps.observations - mean) / deviation
        np.testing.assert_allclose(updates[seed][0].reshape(4, 2, 3), seen, rtol=1e-4, atol=1e-5)
        ended = steps.terminated | steps.truncated
        expected = rewards(steps.rewards.astype(np.float32), ended)
        np.testing.assert_allclose(updates[seed][3][0], expected, rtol=1e-5)
        mean, deviation = (
            steps.observations.mean(axis=(0, 1)),
            steps.observations.std(axis=(0, 1)),
        )


def test_minibatches_share_every_step_of_a_pass_and_differ_between_passes():
    """Often wrong: blocks of neighbouring steps shuffled as such, one order for all passes."""
    agent = build()
    seen = []
    update = agent._update
    agent._update = lambda *inputs: seen.append(inputs[5].numpy()) or update(*inputs)
    Identity(2).play(agent, 16)
    (orders,) = seen
    assert orders.shape == (4, 2, 16)
    for order in orders:
        assert sorted(order.ravel()) == list(range(32))
    assert len({order.tobytes() for order in orders}) == 4
    assert not (np.diff(orders[0, 0]) == 1).all()


def test_passes_stop_where_the_policy_has_moved_too_far():
    agent = build("ppo", stop_at_kl=1e-9, optimizer=functools.partial(Adam, learning_rate=0.1))
    Identity(2).play(agent, 16)
    assert agent.metrics()["passes"] == 1


def test_the_kl_coefficient_adapts():
    far = build("ppo_kl", optimizer=functools.partial(Adam, learning_rate=0.1), kl_target=1e-6)
    Identity(2).play(far, 16)
    assert far.metrics()["kl_coefficient"] == 2.0
    near = build("ppo_kl", optimizer=functools.partial(Adam, learning_rate=1e-9))
    Identity(2).play(near, 32)
    assert near.metrics()["kl_coefficient"] == 0.25


def test_minibatches_of_one_step_are_refused():
    with pytest.raises(UserError, match="Minibatches of one step have no advantages"):
        build(num_minibatches=32)
    build(num_minibatches=32, normalise_advantages=False)


def test_uneven_minibatches_are_refused():
    with pytest.raises(UserError, match="3 minibatches cannot share evenly"):
        build("ppo", num_minibatches=3)
    with pytest.raises(UserError, match=r"PPOAgent\.surrogate is 'trust'"):
        build("ppo", surrogate="trust")


def test_every_value_of_a_successor_is_set():
    """Often wrong: what memory held where an episode terminated, which may be NaN, times zero."""
    agent = build("ppo")
    agent._rollout.next_values[:] = np.nan
    Identity(2).play(agent, 16)
    assert all(np.isfinite(variable).all() for variable in digest(agent))
