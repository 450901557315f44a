"""PPO's update: what it is given, its gradient by hand, its schedules."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import gymnasium
import numpy as np
import pytest
import tensorflow as tf

from dopamine_lite.agents.ppo_agent import PPOAgent
from dopamine_lite.common.errors import UserError
from dopamine_lite.learning.ppo_learner import Samples
from dopamine_lite.networks.normalization import RewardNormalizer
from dopamine_lite.networks.optimizers import Adam
from dopamine_lite.replay.rollout import Rollout
from tests.agents import policies
from tests.agents.policies import Recorder, digest, script, updates_of
from tests.agents.tiny import Identity, spec


def build(name: str = "ppo", **arguments: Any) -> PPOAgent:
    agent = policies.build(name, **arguments)
    assert isinstance(agent, PPOAgent)
    return agent


def test_an_update_is_given_the_rollout_with_the_values_of_true_successors():
    """Often wrong: where an episode was cut, the value of the next one's first observation."""
    agent = build(rollout_length=4, num_minibatches=1)
    updates, steps = updates_of(agent), script()

    def values(observations: np.ndarray) -> np.ndarray:
        return np.stack([agent.actor.policy_and_values(row)[1] for row in observations])

    expected = steps.rewards, values(steps.observations), values(steps.next_observations)
    steps.play(agent)
    ((observations, _, _, (rewards, now, following), ends, *_),) = updates
    np.testing.assert_array_equal(observations.reshape(4, 2, 3), steps.observations)
    np.testing.assert_allclose(rewards, expected[0], rtol=1e-6)
    np.testing.assert_allclose(now, expected[1], rtol=1e-5)
    counts = ~steps.terminated  # a terminal observation has no value
    np.testing.assert_allclose(following[counts], expected[2][counts], rtol=1e-5)
    np.testing.assert_array_equal(ends, [steps.terminated, steps.truncated])


def test_advantages_and_returns_of_a_rollout():
    """At the old policy, before the first step: V - R = -A, rho = 1, KL = 0."""
    arguments = {"gamma": 0.9, "gae_lambda": 0.5, "normalize_advantages": False}
    agent = build(rollout_length=4, num_epochs=1, num_minibatches=1, **arguments)
    updates, steps = updates_of(agent), script()
    steps.play(agent)
    ((_, _, _, (rewards, values, following), *_),) = updates
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


@pytest.mark.parametrize("num_envs", [1, 2])
def test_the_first_update_comes_when_it_is_said(num_envs):
    agent = build(num_envs=num_envs, rollout_length=4)
    updates, environment = updates_of(agent), Identity(num_envs)
    environment.play(agent, 3)
    assert not updates
    environment.play(agent, 1)
    assert len(updates) == 1
    assert agent.first_update == agent.get_state()["steps"] == 4 * num_envs


SPACES = {
    "discrete": gymnasium.spaces.Discrete(3),
    "several": gymnasium.spaces.MultiDiscrete([2, 3]),
    "box": gymnasium.spaces.Box(-1, 1, (2,), np.float32),
}


def log_softmaxes(space: str, outputs: tf.Tensor) -> list[tf.Tensor]:
    parts = tf.split(outputs, [2, 3], axis=1) if space == "several" else [outputs]
    return [tf.nn.log_softmax(part) for part in parts]


def logs_by_hand(space: str, outputs: tf.Tensor, actions: np.ndarray) -> tf.Tensor:
    """log pi(a|s) [B]."""
    if space == "box":
        means, log_stds = outputs[:, :2], outputs[:, 2:]
        densities = tf.exp(-tf.square((actions - means) / tf.exp(log_stds)) / 2)
        return tf.reduce_sum(tf.math.log(densities / np.sqrt(2 * np.pi)) - log_stds, axis=1)
    parts = log_softmaxes(space, outputs)
    return sum(tf.gather(p, actions[:, i], batch_dims=1) for i, p in enumerate(parts))


def divergences_by_hand(space: str, old: tf.Tensor, new: tf.Tensor) -> tf.Tensor:
    """KL(old, new) [B]."""
    if space == "box":
        means, stds, old_means, old_stds = new[:, :2], tf.exp(new[:, 2:]), old[:, :2], old[:, 2:]
        old_stds = tf.exp(old_stds)
        each = tf.math.log(stds / old_stds) - 0.5
        each += (old_stds**2 + (old_means - means) ** 2) / (2 * stds**2)
        return tf.reduce_sum(each, axis=1)
    pairs = zip(log_softmaxes(space, old), log_softmaxes(space, new), strict=True)
    return sum(tf.reduce_sum(tf.exp(before) * (before - now), axis=1) for before, now in pairs)


def entropies_by_hand(space: str, outputs: tf.Tensor) -> tf.Tensor:
    """[B]"""
    if space == "box":
        return tf.reduce_sum(outputs[:, 2:] + 0.5 * np.log(2 * np.pi * np.e), axis=1)
    parts = log_softmaxes(space, outputs)
    return -sum(tf.reduce_sum(tf.exp(part) * part, axis=1) for part in parts)


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize(
    "arguments",
    [
        {"surrogate": "clip"},
        {"surrogate": "kl", "initial_kl_coefficient": 1.5},
        {"surrogate": "clip", "value_clip": 0.1},
        {"surrogate": "clip", "normalize_advantages": True},
        {"surrogate": "clip", "max_gradient_norm": 0.01},
    ],
    ids=str,
)
def test_the_gradient_is_that_of_equation_9(arguments, space):
    """Often wrong: the sign of the entropy, a coefficient that is not used, a norm not clipped."""
    settings: dict[str, Any] = {
        "value_coefficient": 0.7,
        "entropy_coefficient": 0.3,
        "normalize_advantages": False,
        "max_gradient_norm": None,
    } | arguments
    tiny = dataclasses.replace(spec(num_envs=2), action_space=SPACES[space])
    agent = build(optimizer=Recorder, spec=tiny, **settings)
    generator = np.random.default_rng(1)
    states = generator.normal(size=(6, 3)).astype(np.float32)
    network, policy, optimizer, *_ = agent.learner.parts
    size = policy.size
    # Near the new policy, so that the clip bites here and there.
    old_outputs = 0.2 * generator.normal(size=(6, size)).astype(np.float32)
    old_values, advantages, returns = generator.normal(size=(3, 6)).astype(np.float32)
    actions = policy.sample(old_outputs, generator)
    chosen = logs_by_hand(space, old_outputs, actions)

    with tf.GradientTape() as tape:
        both = network(tf.constant(states))
        outputs, values = both[:, :size], both[:, size]
        ratios = tf.exp(logs_by_hand(space, outputs, actions) - chosen)
        weights = advantages
        if settings["normalize_advantages"]:
            weights = (advantages - advantages.mean()) / (advantages.std() + 1e-8)
        if settings["surrogate"] == "kl":
            divergences = divergences_by_hand(space, old_outputs, outputs)
            surrogate = ratios * weights - 1.5 * divergences
        else:
            clipped = tf.clip_by_value(ratios, 0.8, 1.2)
            surrogate = tf.minimum(ratios * weights, clipped * weights)
            assert 0 < np.mean(clipped != ratios) < 1
        errors = tf.square(values - returns)
        if "value_clip" in settings:
            near = old_values + tf.clip_by_value(values - old_values, -0.1, 0.1)
            errors = tf.maximum(errors, tf.square(near - returns))
        entropies = entropies_by_hand(space, outputs)
        objective = tf.reduce_mean(surrogate - 0.7 * errors + 0.3 * entropies)
    expected = [-part for part in tape.gradient(objective, network.variables)]
    if settings["max_gradient_norm"]:
        assert tf.linalg.global_norm(expected) > 0.01
        expected, _ = tf.clip_by_global_norm(expected, 0.01)

    columns = old_outputs, chosen, old_values, advantages, returns
    samples = Samples(tf.constant(states), tf.constant(actions), *map(tf.constant, columns))
    agent.learner._gradient_step(samples, tf.constant(0.2), tf.constant(0.4))
    assert float(optimizer.scale) == pytest.approx(0.4)
    for found, by_hand in zip(optimizer.gradients, expected, strict=True):
        np.testing.assert_allclose(found, by_hand, rtol=1e-4, atol=1e-6)


def test_clip_and_learning_rate_fall_to_zero_and_stay():
    """Both by agent steps. Often wrong: the rate by gradient steps, fewer where passes are skipped."""
    agent = build(clip_decay_period=64, learning_rate_decay_period=128, target_kl=1e-9)
    updates = updates_of(agent)
    Identity(2).play(agent, 80)
    np.testing.assert_allclose([inputs[-2] for inputs in updates], [0.2, 0.1, 0.0, 0.0, 0.0])
    np.testing.assert_allclose([inputs[-1] for inputs in updates], [1, 0.75, 0.5, 0.25, 0])
    assert agent.metrics()["clip"] == 0
    before = digest(agent)
    Identity(2).play(agent, 16)
    for then, now in zip(before, digest(agent), strict=True):
        np.testing.assert_array_equal(then, now)


def test_updates_are_given_normalized_observations_and_rewards():
    """By the moments before the rollout, which then counts itself; rewards by their ends."""
    agent = build(
        rollout_length=4,
        num_minibatches=1,
        gamma=0.9,
        normalize_observations=True,
        normalize_rewards=True,
    )
    updates, rewards = updates_of(agent), RewardNormalizer(2, 0.9)
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
    """Often wrong: blocks of neighboring steps shuffled as such, one order for all passes."""
    agent = build()
    updates = updates_of(agent)
    Identity(2).play(agent, 16)
    ((_, _, _, _, _, orders, *_),) = updates
    assert orders.shape == (4, 2, 16)
    for order in orders:
        assert sorted(order.ravel()) == list(range(32))
    assert len({order.tobytes() for order in orders}) == 4
    assert not (np.diff(orders[0, 0]) == 1).all()


@pytest.mark.exhaustive
def test_passes_stop_after_the_one_that_moved_the_policy_too_far():
    """Often wrong: one pass in any case, or none; another metric than the divergence."""
    divergences = []
    for epochs in (1, 2, 3):
        agent = build(num_epochs=epochs, optimizer=functools.partial(Adam, learning_rate=0.01))
        Identity(2).play(agent, 16)
        divergences.append(agent.metrics()["kl"])
    assert divergences == sorted(divergences)
    limits = [1e-9, np.mean(divergences[:2]), 2 * divergences[-1]]
    for expected, limit in zip((1, 2, 3), limits, strict=True):
        agent = build(
            num_epochs=3, target_kl=limit, optimizer=functools.partial(Adam, learning_rate=0.01)
        )
        Identity(2).play(agent, 16)
        assert agent.metrics()["passes"] == expected


@pytest.mark.exhaustive
def test_the_kl_coefficient_adapts():
    far = build(
        "ppo_kl", optimizer=functools.partial(Adam, learning_rate=0.1), adaptive_kl_target=1e-6
    )
    Identity(2).play(far, 16)
    assert far.metrics()["kl_coefficient"] == 2.0
    near = build("ppo_kl", optimizer=functools.partial(Adam, learning_rate=1e-9))
    Identity(2).play(near, 32)
    assert near.metrics()["kl_coefficient"] == 0.25


def test_the_divergence_that_adapts_the_coefficient_is_of_the_policy_after_the_update():
    """Often wrong: that before the last step, which is 0 with one pass of one minibatch."""
    agent = build(
        "ppo_kl",
        num_epochs=1,
        num_minibatches=1,
        optimizer=functools.partial(Adam, learning_rate=0.1),
    )
    updates = updates_of(agent)
    Identity(2).play(agent, 16)
    ((observations, _, old_outputs, *_),) = updates
    new_outputs, _ = agent.actor.policy_and_values(observations)
    divergence = np.mean(divergences_by_hand("discrete", old_outputs, new_outputs))
    metrics = agent.metrics()
    assert divergence > 1.5 * 0.01
    assert metrics["kl"] == pytest.approx(divergence, rel=1e-3)
    assert metrics["kl_coefficient"] == 2.0


@pytest.mark.parametrize(
    "name",
    [
        "clip",
        "clip_decay_period",
        "learning_rate_decay_period",
        "adaptive_kl_target",
        "initial_kl_coefficient",
        "target_kl",
        "value_clip",
        "max_gradient_norm",
        "rollout_length",
    ],
)
def test_numbers_with_which_nothing_could_be_learned_are_refused(name):
    with pytest.raises(UserError, match=rf"PPOAgent\.{name} is 0"):
        build(**{name: 0})


def test_a_rollout_beyond_memory_is_refused():
    with pytest.raises(
        UserError, match="PPOAgent's rollout needs .* GB .*: lower PPOAgent.rollout"
    ):
        build(rollout_length=10**12)


@pytest.mark.parametrize("name", ["value_coefficient", "entropy_coefficient"])
def test_coefficients_below_zero_are_refused(name):
    with pytest.raises(UserError, match=rf"PPOAgent\.{name} is -0.1: give a number, 0 or more"):
        build(**{name: -0.1})


def test_minibatches_of_one_step_are_refused():
    with pytest.raises(
        UserError, match="Advantages cannot be normalized in minibatches of one step"
    ):
        build(num_minibatches=32)
    build(num_minibatches=32, normalize_advantages=False)


def test_uneven_minibatches_are_refused():
    with pytest.raises(UserError, match="3 minibatches cannot share evenly"):
        build("ppo", num_minibatches=3)
    with pytest.raises(UserError, match=r"PPOAgent\.surrogate is 'trust'"):
        build("ppo", surrogate="trust")


def test_every_value_of_a_successor_is_set():
    """Often wrong: what memory held where an episode terminated, which may be NaN, times zero."""
    agent = build("ppo")
    nothing = agent.rollout.get_state()
    held = Rollout(*(np.zeros((16, *column.shape[1:]), column.dtype) for column in nothing))
    held.cut_values[:] = np.nan
    agent.rollout.set_state(list(held))
    agent.rollout.set_state(nothing)
    Identity(2).play(agent, 10)
    assert all(np.isfinite(column).all() for column in agent.get_state()["rollout"])
    Identity(2).play(agent, 6)
    assert all(np.isfinite(variable).all() for variable in digest(agent))
