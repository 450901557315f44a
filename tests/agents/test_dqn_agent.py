"""DQN on environments whose values are known, and the order and number of its updates."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import gymnasium
import numpy as np
import pytest
import tensorflow as tf

from dopamine_lite.acting.exploration import EpsilonGreedy
from dopamine_lite.agents.agent import Transitions
from dopamine_lite.agents.dqn_agent import DQNAgent
from dopamine_lite.common.errors import UserError
from dopamine_lite.common.seeding import Seeds
from dopamine_lite.environments.environment import EnvironmentSpec
from dopamine_lite.learning.learner import Learned
from dopamine_lite.networks.greedy import greedy
from dopamine_lite.networks.optimizers import Adam
from dopamine_lite.networks.torsos import MLP, NatureCNN, SmallCNN
from dopamine_lite.replay.circular_replay import CircularReplay
from dopamine_lite.replay.replay import Sample
from tests.agents.tiny import Identity, spec
from tests.core import core


def build(seed: int = 0, num_envs: int = 1, **arguments: Any) -> DQNAgent:
    settings: dict[str, Any] = {
        "torso": functools.partial(MLP, hidden_units=(16,)),
        "replay": functools.partial(CircularReplay, replay_capacity=1000),
        "exploration": functools.partial(
            EpsilonGreedy, epsilon_train=0.3, epsilon_eval=0.0, epsilon_decay_period=1
        ),
        "optimizer": functools.partial(Adam, learning_rate=0.01, epsilon=1e-8),
        "gamma": 0.5,
        "min_replay_history": 50,
        "update_period": 1,
        "target_update_period": 20,
    }
    settings |= arguments
    return DQNAgent(settings.pop("spec", spec(num_envs=num_envs)), Seeds(seed), **settings)


def values(agent: DQNAgent) -> np.ndarray:
    return agent.actor.inference(np.eye(3, dtype=np.float32))


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        pytest.param({"loss": "squared"}, marks=pytest.mark.exhaustive),
        pytest.param({"double": True}, marks=pytest.mark.exhaustive),
        pytest.param({"update_horizon": 3}, marks=pytest.mark.exhaustive),
        pytest.param({"update_period": 8, "updates_per_period": 8}, marks=pytest.mark.exhaustive),
    ],
    ids=["huber", "squared", "double", "three_steps", "eight_updates_a_call"],
)
def test_learns_the_identity(arguments):
    agent = build(**arguments)
    Identity().play(agent, 600)
    np.testing.assert_array_equal(agent.act(np.eye(3, dtype=np.float32), evaluate=True), [0, 1, 2])
    np.testing.assert_allclose(values(agent), np.eye(3), atol=0.15)


def test_learns_from_states_that_are_numbers():
    """Often wrong: the number of a state read as a quantity. Here the neighbors differ most."""
    states = gymnasium.spaces.Discrete(6, start=-2)
    tiny = dataclasses.replace(spec(num_actions=2, num_envs=2), observation_space=states)
    agent = build(spec=tiny, num_envs=2)
    generator = np.random.default_rng(0)
    ended = np.ones(2, bool)
    for _ in range(600):
        seen = generator.integers(-2, 4, size=2)
        actions = agent.act(seen)
        rewards = (actions == seen % 2).astype(float)
        agent.observe(Transitions(seen, actions, rewards, ended, ~ended, seen))
    every = np.arange(-2, 4)
    np.testing.assert_array_equal(agent.act(every, evaluate=True), every % 2)


@pytest.mark.exhaustive
def test_truncation_is_bootstrapped_and_termination_is_not():
    """One step of reward 1, again and again: worth 1 if it ends there, 1 / (1 - gamma) if it is cut."""
    ended, cut = build(), build()
    Identity(terminated=True).play(ended, 1000)
    Identity(terminated=False).play(cut, 1000)
    np.testing.assert_allclose(np.diag(values(ended)), 1.0, atol=0.1)
    np.testing.assert_allclose(np.diag(values(cut)), 2.0, atol=0.2)


@pytest.mark.parametrize("num_envs", core([1, 3, 4], 3))
def test_updates_are_counted_in_agent_steps(num_envs):
    agent = build(num_envs=num_envs, min_replay_history=12, update_period=4, updates_per_period=2)
    Identity(num_envs).play(agent, 60 // num_envs)
    assert agent.learner.updates == 2 * (60 // 4 - 12 // 4)


@pytest.mark.parametrize("num_envs", [1, 3, 4, 8])
@pytest.mark.parametrize("history", [8, 12, 13])
@pytest.mark.parametrize("period", [1, 4, 5, 30])
def test_the_first_update_comes_when_it_is_said(num_envs, history, period, monkeypatch):
    agent = build(num_envs=num_envs, min_replay_history=history, update_period=period)
    updates_at = []

    def learn(_: Sample) -> Learned:
        updates_at.append(agent.actor.steps)
        return Learned(agent.actor.inference.parameters(), tf.zeros([2]))

    monkeypatch.setattr(agent.learner, "compile", lambda *_: None)
    monkeypatch.setattr(agent.learner, "synchronize", lambda: None)
    monkeypatch.setattr(agent.learner, "learn", learn)
    Identity(num_envs).play(agent, 70 // num_envs)
    assert agent.first_update == updates_at[0]


def test_nothing_is_learned_before_the_replay_holds_enough():
    agent = build(min_replay_history=40)
    before = values(agent)
    Identity().play(agent, 40)
    np.testing.assert_array_equal(values(agent), before)


def test_the_target_follows_at_its_period():
    agent = build(min_replay_history=10, target_update_period=30)
    online, target = (
        network.flat_parameters for network in (agent.learner.online, agent.learner.target)
    )
    before = target().numpy()
    environment = Identity()
    environment.play(agent, 29)
    np.testing.assert_array_equal(target(), before)
    environment.play(agent, 1)
    np.testing.assert_array_equal(target(), online())
    environment.play(agent, 5)
    assert (target().numpy() != online().numpy()).any()


def test_a_restored_agent_goes_on_bit_for_bit():
    whole = build(double=True, update_horizon=2)
    environment = Identity()
    environment.play(whole, 200)
    resumed = build(seed=7, double=True, update_horizon=2)
    resumed.set_state(whole.get_state())
    again = Identity(seed=5)
    environment._generator, again._generator = np.random.default_rng(5), np.random.default_rng(5)
    environment.observations, again.observations = environment._draw(), again._draw()
    environment.play(whole, 150)
    again.play(resumed, 150)
    np.testing.assert_array_equal(values(whole), values(resumed))
    np.testing.assert_array_equal(
        whole.learner.target.flat_parameters(), resumed.learner.target.flat_parameters()
    )


def test_evaluation_changes_nothing_in_training():
    """Often wrong: evaluation draws from the training generator."""
    plain, evaluated = build(), build()
    for agent in (plain, evaluated):
        environment = Identity()
        for _ in range(10):
            environment.play(agent, 20)
            if agent is evaluated:
                agent.act(np.eye(3, dtype=np.float32), evaluate=True)
                agent.metrics()
    np.testing.assert_array_equal(values(plain), values(evaluated))


def test_metrics_are_of_the_time_since_the_last_call():
    agent = build()
    Identity().play(agent, 100)
    metrics = agent.metrics()
    assert metrics["epsilon"] == pytest.approx(0.3)
    assert metrics["loss"] > 0
    assert metrics["q_values"].ndim == 2
    assert "loss" not in agent.metrics()


def test_frames_are_learned_from_through_the_nature_network():
    """Two kinds of stack, told apart by their newest frame."""
    stacks = np.zeros((2, 4, 84, 84), np.uint8)
    stacks[1, -1] = 255
    environment = EnvironmentSpec(
        "Frames-v0",
        gymnasium.spaces.Box(0, 255, (4, 84, 84), np.uint8),
        gymnasium.spaces.Discrete(2),
        num_envs=2,
        stack_size=4,
    )
    agent = DQNAgent(
        environment,
        Seeds(0),
        torso=NatureCNN,
        replay=functools.partial(CircularReplay, replay_capacity=200),
        exploration=functools.partial(EpsilonGreedy, epsilon_decay_period=1, epsilon_train=0.3),
        optimizer=functools.partial(Adam, learning_rate=1e-3),
        min_replay_history=20,
        update_period=4,
    )

    ended = np.array([True, True])
    for _ in range(60):
        actions = agent.act(stacks)
        rewards = (actions == [0, 1]).astype(np.float64)
        agent.observe(Transitions(stacks, actions, rewards, ended, ~ended, stacks))
    np.testing.assert_array_equal(agent.act(stacks, evaluate=True), [0, 1])


def test_actions_may_begin_anywhere():
    shifted = EnvironmentSpec(
        "Shifted-v0",
        gymnasium.spaces.Box(0, 1, (3,), np.float32),
        gymnasium.spaces.Discrete(2, start=5),
        num_envs=1,
    )
    agent = DQNAgent(shifted, Seeds(0), torso=MLP)
    actions = {int(agent.act(np.zeros((1, 3), np.float32))[0]) for _ in range(50)}
    assert actions == {5, 6}


def test_says_which_parts_are_active():
    description = build(double=True).describe()
    assert description["double"] is True
    assert (description["torso"], description["replay"]) == ("MLP", "CircularReplay")
    assert description["parameters"] == 3 * 16 + 16 + 16 * 3 + 3
    assert description["head_hidden_units"] == 0  # and not the torso's 16


def test_continuous_actions_are_refused():
    pendulum = EnvironmentSpec(
        "Pendulum-v1",
        gymnasium.spaces.Box(-1, 1, (3,), np.float32),
        gymnasium.spaces.Box(-2, 2, (1,), np.float32),
        num_envs=1,
    )
    with pytest.raises(UserError, match="DQNAgent needs a discrete action space, but Pendulum-v1"):
        DQNAgent(pendulum, Seeds(0), torso=MLP)


def test_a_torso_that_nobody_chose_is_said_to_be_the_default():
    class Mine(DQNAgent):
        """A subclass, for which nothing counts that is bound to DQNAgent."""

    with pytest.raises(UserError, match=r"Nothing is bound to Mine\.torso, .* bind another torso"):
        Mine(spec(), Seeds(0))
    with pytest.raises(UserError, match=r"^SmallCNN reads pictures"):
        Mine(spec(), Seeds(0), torso=SmallCNN)


def test_an_unknown_loss_is_refused():
    with pytest.raises(UserError, match="'mse': choose one of huber, squared"):
        build(loss="mse")


def test_ties_are_broken_at_random():
    """Often wrong: argmax takes the first action on ties."""
    generator = np.random.default_rng(0)
    chosen = greedy(np.zeros((3000, 3)), generator)
    assert np.bincount(chosen, minlength=3).min() > 900
    np.testing.assert_array_equal(greedy(np.array([[0.0, 2.0, 1.0]]), generator), [1])
