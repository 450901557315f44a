"""REINFORCE's updates: what they are given, their weights, the baseline's own."""

from __future__ import annotations

import functools
from typing import Any

import gymnasium
import numpy as np
import pytest
import tensorflow as tf

from dopamine_lite.agents.agent import Transitions
from dopamine_lite.agents.reinforce_agent import ReinforceAgent
from dopamine_lite.common.errors import UserError
from dopamine_lite.environments.environment import EnvironmentSpec
from dopamine_lite.networks.optimizers import Adam
from dopamine_lite.replay.episodes import Episode
from tests.agents import policies
from tests.agents.policies import (
    Recorder,
    collected,
    digest,
    learn_from,
    script,
    updates_of,
)
from tests.agents.tiny import Identity
from tests.core import core


def build(name: str, **arguments: Any) -> ReinforceAgent:
    agent = policies.build(name, **arguments)
    assert isinstance(agent, ReinforceAgent)
    return agent


@pytest.mark.parametrize("name", ["reinforce", "reinforce_baseline"])
def test_an_update_is_given_returns_and_what_they_are_above_the_baseline(name):
    """A terminated episode ends with its reward; a cut one, with a baseline, with a value."""
    agent = build(name, gamma=0.5, batch_episodes=2, normalize_advantages=False)
    updates, steps = updates_of(agent), script(steps=3)
    baseline = name == "reinforce_baseline"

    def values(observations: np.ndarray) -> np.ndarray:
        return np.stack([agent.actor.policy_and_values(row)[1] for row in observations]) * baseline

    now, following = values(steps.observations), values(steps.next_observations)
    outputs = np.stack([agent.actor.policy_and_values(row)[0] for row in steps.observations])
    steps.play(agent)
    r = steps.rewards
    first = [r[0, 0] + 0.5 * r[1, 0], r[1, 0]]
    last = r[2, 1] + 0.5 * following[2, 1]
    second = [r[0, 1] + 0.5 * (r[1, 1] + 0.5 * last), r[1, 1] + 0.5 * last, last]
    ((observations, _, drawn_by, advantages, returns, weights),) = updates

    def of_both(grid: np.ndarray) -> np.ndarray:
        return np.concatenate([grid[:2, 0], grid[:, 1]])

    assert advantages.shape == (5, 1)  # in one chunk of five
    np.testing.assert_array_equal(observations[:, 0], of_both(steps.observations))
    np.testing.assert_allclose(drawn_by[:, 0], of_both(outputs), rtol=1e-5)
    np.testing.assert_allclose(returns[:, 0], first + second, rtol=1e-5)
    np.testing.assert_allclose(advantages[:, 0], first + second - of_both(now), rtol=1e-4)
    np.testing.assert_allclose(weights[:, 0], 0.2)


def test_advantages_are_normalized_over_the_batch_where_they_should():
    plain = build("reinforce", batch_episodes=2, normalize_advantages=False)
    normal = build("reinforce", batch_episodes=2)
    given = []
    for agent in (plain, normal):
        updates = updates_of(agent)
        script(steps=3).play(agent)
        given.append(updates[0][3][:, 0])
    np.testing.assert_allclose(
        given[1], (given[0] - given[0].mean()) / given[0].std(), rtol=1e-4, atol=1e-5
    )


def test_the_entropy_is_a_gain():
    """Often wrong: its sign. Its weight alone makes a decided policy less so."""
    agent = build("reinforce", entropy_coefficient=100.0, batch_episodes=8)
    bias = agent.learner.parts.policy.layers[-1].bias
    bias.assign([3.0, 0.0, 0.0])
    agent.actor.inference.load(agent.actor.inference.parameters())
    Identity(2).play(agent, 4)
    before = agent.metrics()["entropy"]
    Identity(2).play(agent, 100)
    assert agent.metrics()["entropy"] > before + 0.05


def test_an_episode_in_flight_during_an_update_keeps_the_outputs_that_drew_it():
    agent = build(
        "reinforce", batch_episodes=1, optimizer=functools.partial(Adam, learning_rate=0.1)
    )
    updates, steps = updates_of(agent), script(steps=3)
    before = agent.actor.policy_and_values(steps.observations[1])[0][1]
    steps.play(agent)  # the first environment ends after two steps, the second after three
    after = agent.actor.policy_and_values(steps.observations[1])[0][1]
    assert np.abs(after - before).max() > 0.05
    np.testing.assert_allclose(updates[1][2][1, 0], before, rtol=1e-5)


class Descent:
    """Plain gradient descent at rate 1."""

    def build(self, variables: Any) -> None:
        self._variables = variables

    def apply(self, gradients: Any) -> None:
        for variable, gradient in zip(self._variables, gradients, strict=True):
            variable.assign_sub(gradient)


def test_the_baselines_own_steps_are_clipped_too():
    agent = build(
        "reinforce_baseline",
        optimizer=Recorder,
        baseline_optimizer=Descent,
        baseline_updates=1,
        batch_episodes=2,
        max_gradient_norm=1e-3,
    )
    before = digest(agent)
    script(steps=3).play(agent)
    moved = [now - then for now, then in zip(digest(agent), before, strict=True)]
    assert float(tf.linalg.global_norm(moved)) == pytest.approx(1e-3, rel=1e-2)


def test_returns_begin_anew_at_each_reward_where_they_should():
    agent = build(
        "reinforce", batch_episodes=2, reset_return_at_reward=True, normalize_advantages=False
    )
    updates, steps = updates_of(agent), script(steps=3)
    steps.rewards[:] = [[0, 0], [1, 1], [0, -1]]
    steps.play(agent)
    np.testing.assert_allclose(updates[0][4][:, 0], [0.5, 1, 0.5, 1, -1])


@pytest.mark.parametrize("name", core(["reinforce", "reinforce_baseline"], "reinforce_baseline"))
def test_the_size_of_a_chunk_changes_no_update(name):
    """What fills up the last chunk counts for nothing."""
    agents = [build(name, chunk_size=size) for size in (5, 512)]
    for agent in agents:
        script(steps=4).play(agent)
        learn_from(agent, 3 * collected(agent))
    for first, second in zip(*map(digest, agents), strict=True):
        np.testing.assert_allclose(first, second, rtol=1e-4, atol=1e-6)


def test_what_an_older_policy_drew_counts_by_how_much_likelier_it_is_now():
    agent = build("reinforce", optimizer=Recorder, normalize_advantages=False)
    observations = np.eye(3, dtype=np.float32)
    outputs, _ = agent.actor.policy_and_values(observations)
    logs = tf.nn.log_softmax(outputs).numpy()
    older = np.log(
        np.array([[0.1, 0.6, 0.3]] * 3, np.float32)
    )  # the same action, 0, from another policy
    advantages = np.array([1.0, -2.0, 0.5], np.float32)

    def gradients(drawn: np.ndarray, advantages: np.ndarray) -> list[np.ndarray]:
        actions, no_values = np.zeros((3, 1), np.int32), np.zeros(3, np.float32)
        learn_from(agent, [Episode(observations, actions, drawn, no_values, advantages)])
        return [gradient.numpy() for gradient in agent.learner.parts.optimizer.gradients]

    by_hand = gradients(outputs, np.exp(logs[:, 0]) / np.float32(0.1) * advantages)
    for found, expected in zip(gradients(older, advantages), by_hand, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_what_fills_up_a_chunk_makes_no_infinity():
    """Rows of zeros are absurdly unlikely under a policy of many certain actions."""
    box = EnvironmentSpec(
        "Tiny-v0",
        gymnasium.spaces.Box(0, 1, (1,), np.float32),
        gymnasium.spaces.Box(-1, 1, (40,), np.float32),
        1,
    )
    agent = build("reinforce", spec=box, batch_episodes=1, chunk_size=16)
    log_stds = agent.learner.parts.policy.layers[-1].log_stds
    log_stds.assign(-3.0 * np.ones(40))
    agent.actor.inference.load(agent.actor.inference.parameters())
    one, ended = np.ones((1, 1), np.float32), np.ones(1, bool)
    actions = agent.act(one)
    agent.observe(Transitions(one, actions, np.ones(1), ended, ~ended, one))
    assert all(np.isfinite(variable).all() for variable in digest(agent))
    assert np.isfinite(list(agent.metrics().values())).all()


def test_updates_of_the_baseline_fit_it_and_leave_the_policy_alone():
    adam = functools.partial(Adam, learning_rate=0.01, epsilon=1e-5)
    policies, losses = [], []
    for updates in (0, 100):
        arguments = {"baseline_updates": updates, "baseline_optimizer": adam, "batch_episodes": 99}
        agent = build("reinforce_baseline", **arguments)
        Identity(2).play(agent, 16)  # 32 episodes of a step
        episodes = collected(agent)
        learn_from(agent, episodes)
        policies.append(agent.actor.policy_and_values(np.eye(3, dtype=np.float32))[0])
        losses.append(learn_from(agent, episodes)["value_loss"])
    np.testing.assert_allclose(*policies, atol=1e-5)
    assert losses[1] < 0.9 * losses[0]


def test_a_baseline_without_a_torso_of_its_own_takes_no_updates():
    with pytest.raises(UserError, match="there is no baseline with a torso of its own"):
        build("reinforce", baseline_updates=3)
