"""What PPO and REINFORCE share: they learn, evaluate, resume and export."""

from __future__ import annotations

import functools

import gymnasium
import numpy as np
import pytest
import tensorflow as tf

from dopamine_lite.agents.agent import Transitions
from dopamine_lite.agents.policy_agent import PolicyAgent
from dopamine_lite.common.errors import UserError
from dopamine_lite.environments.environment import EnvironmentSpec
from dopamine_lite.networks.optimizers import Adam
from dopamine_lite.networks.torsos import NatureCNN
from tests.agents.policies import AGENTS, build, digest
from tests.agents.tiny import Identity


@pytest.mark.parametrize("name", AGENTS)
def test_learns_the_identity(name):
    agent = build(name)
    Identity(2).play(agent, 1_200)
    for index, row in enumerate(np.eye(3, dtype=np.float32)):
        chosen = agent.act(np.stack([row, row]), evaluate=True)
        np.testing.assert_array_equal(chosen, [index, index])


@pytest.mark.parametrize("name", AGENTS)
def test_a_restored_agent_goes_on_bit_for_bit(name):
    def play(agent: PolicyAgent, seed: int, steps: int) -> None:
        Identity(2, terminated=False, seed=seed).play(agent, steps)

    whole, resumed = build(name), build(name, seed=9)
    play(whole, 1, 45)  # within a rollout and within a batch of episodes
    resumed.set_state(whole.get_state())
    for agent in (whole, resumed):
        play(agent, 2, 45)
    for first, second in zip(digest(whole), digest(resumed), strict=True):
        np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("name", AGENTS)
def test_ties_are_broken_at_random(name):
    """Often wrong: argmax takes the first action. Without features all logits are the same."""
    chosen = build(name).act(np.zeros((300, 3), np.float32), evaluate=True)
    assert np.bincount(chosen, minlength=3).min() > 60


@pytest.mark.parametrize("sampled", [False, True])
@pytest.mark.parametrize("name", AGENTS)
def test_evaluation_changes_nothing_in_training(name, sampled):
    """Often wrong: evaluation draws from training's generator, or is learned from."""
    undisturbed = build(name, sample_in_evaluation=sampled)
    disturbed = build(name, sample_in_evaluation=sampled)
    seen = np.eye(3, dtype=np.float32)[:2]
    chosen = []
    for agent in (undisturbed, disturbed):
        environment = Identity(2)
        for _ in range(40):
            environment.play(agent, 1)
            if agent is disturbed:
                actions = agent.act(seen, evaluate=True)
                chosen.append(actions[0])
                ended = np.ones(2, bool)
                step = Transitions(seen, actions, np.full(2, 9.0), ended, ~ended, seen)
                agent.observe(step, evaluate=True)
    for first, second in zip(digest(undisturbed), digest(disturbed), strict=True):
        np.testing.assert_array_equal(first, second)
    if sampled:
        assert len(set(chosen[:10])) > 1  # while it has hardly learned anything


@pytest.mark.parametrize("name", ["ppo", "reinforce_baseline"])
def test_continuous_actions_are_learned(name):
    """The nearer the action to 0.5, the better; every step is an episode."""
    box = EnvironmentSpec(
        "Tiny-v0",
        gymnasium.spaces.Box(0, 1, (1,), np.float32),
        gymnasium.spaces.Box(-1, 1, (1,), np.float32),
        8,
    )
    agent = build(name, spec=box, optimizer=functools.partial(Adam, learning_rate=0.02))
    observations, ended = np.ones((8, 1), np.float32), np.ones(8, bool)
    for _ in range(1_500):
        actions = agent.act(observations)
        assert actions.shape == (8, 1) and (np.abs(actions) <= 1).all()
        rewards = -np.abs(actions[:, 0] - 0.5).astype(float)
        agent.observe(Transitions(observations, actions, rewards, ended, ~ended, observations))
    assert agent.act(observations, evaluate=True)[0, 0] == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("name", ["ppo", "reinforce"])
def test_frames_are_learned_from_through_the_nature_network(name):
    frames = EnvironmentSpec(
        "Frames-v0",
        gymnasium.spaces.Box(0, 255, (4, 84, 84), np.uint8),
        gymnasium.spaces.Discrete(4),
        2,
        stack_size=4,
    )
    shared = {"shared_torso": True} if name == "ppo" else {}
    agent = build(name, spec=frames, torso=NatureCNN, **shared)
    before = digest(agent)
    generator = np.random.default_rng(0)
    ended = np.ones(2, bool)
    for _ in range(16):
        observations = generator.integers(256, size=(2, 4, 84, 84), dtype=np.uint8)
        actions = agent.act(observations)
        rewards = generator.random(2)
        agent.observe(Transitions(observations, actions, rewards, ended, ~ended, observations))
    assert agent.describe()["acting"] == "TensorFlow"
    assert any((old != new).any() for old, new in zip(before, digest(agent), strict=True))


def test_tensors_are_never_turned_into_text(monkeypatch):
    def refuse(tensor: tf.Tensor) -> str:
        raise AssertionError("a tensor was turned into text")

    monkeypatch.setattr(type(tf.constant(0)), "__repr__", refuse)
    for name in AGENTS:
        Identity(2).play(build(name), 20)


@pytest.mark.parametrize("name", ["ppo_everything", "reinforce_baseline"])
def test_an_exported_policy_acts_as_the_agent_does(name, tmp_path):
    agent = build(name)
    Identity(2).play(agent, 40)
    agent.export(tmp_path / "policy", as_keras=False)
    observations = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
    model = tf.saved_model.load(str(tmp_path / "policy"))  # must outlive its function
    exported = model.policy(tf.constant(observations))
    for row, action in zip(observations, exported["actions"].numpy(), strict=True):
        assert agent.act(np.stack([row, row]), evaluate=True)[0] == action
    with pytest.raises(UserError, match="two heads"):
        agent.export(tmp_path / "policy.keras", as_keras=True)
