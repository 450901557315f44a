"""What PPO and REINFORCE share: they learn, evaluate, resume and export."""

from __future__ import annotations

import dataclasses
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
from tests.agents.policies import AGENTS, build, digest, script, updates_of
from tests.agents.tiny import Identity, spec
from tests.core import core


@pytest.mark.parametrize("name", core(AGENTS, "ppo"))
def test_learns_the_identity(name):
    agent = build(name)
    Identity(2).play(agent, 1_200)
    for index, row in enumerate(np.eye(3, dtype=np.float32)):
        chosen = agent.act(np.stack([row, row]), evaluate=True)
        np.testing.assert_array_equal(chosen, [index, index])


@pytest.mark.parametrize("name", core(AGENTS, "ppo_everything", "reinforce_baseline"))
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


@pytest.mark.parametrize("name", core(AGENTS, "ppo"))
def test_ties_are_broken_at_random(name):
    """Often wrong: argmax takes the first action. Without features all logits are the same."""
    chosen = build(name).act(np.zeros((300, 3), np.float32), evaluate=True)
    assert np.bincount(chosen, minlength=3).min() > 60


@pytest.mark.parametrize("sampled", [False, True])
@pytest.mark.parametrize("name", core(AGENTS, "reinforce_baseline"))
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


@pytest.mark.parametrize("name", core(["ppo", "reinforce_baseline"], "ppo"))
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


class TwoLamps:
    """Shows one of six states by its number, from -3 on: the right pair of switches is worth 2."""

    spec = EnvironmentSpec(
        "TwoLamps-v0",
        gymnasium.spaces.Discrete(6, start=-3),
        gymnasium.spaces.MultiDiscrete([2, 3], start=[5, -1]),
        8,
    )

    def __init__(self) -> None:
        self._generator = np.random.default_rng(0)

    @staticmethod
    def right(states: np.ndarray) -> np.ndarray:
        """[N] -> [N, 2]"""
        return np.stack([5 + (states + 3) % 2, (states + 3) // 2 - 1], axis=1)

    def play(self, agent: PolicyAgent, steps: int) -> None:
        ended = np.ones(8, bool)
        for _ in range(steps):
            states = self._generator.integers(-3, 3, size=8)
            actions = agent.act(states)
            rewards = (actions == self.right(states)).sum(axis=1).astype(float)
            agent.observe(Transitions(states, actions, rewards, ended, ~ended, states))


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", ["ppo", "reinforce_baseline"])
def test_several_actions_are_learned_from_states_that_are_numbers(name, tmp_path):
    """Often wrong: the number of a state read as a quantity; actions shifted by where they start."""
    agent = build(name, spec=TwoLamps.spec, optimizer=functools.partial(Adam, learning_rate=0.02))
    environment = TwoLamps()
    environment.play(agent, 400)
    states = np.arange(-3, 3)
    np.testing.assert_array_equal(agent.act(states, evaluate=True), TwoLamps.right(states))
    resumed = build(name, spec=TwoLamps.spec, seed=3)
    resumed.set_state(agent.get_state())
    np.testing.assert_array_equal(resumed.act(states, evaluate=True), TwoLamps.right(states))
    agent.export(tmp_path / "policy")
    model = tf.saved_model.load(str(tmp_path / "policy"))
    np.testing.assert_array_equal(
        model.policy(tf.constant(states))["actions"], TwoLamps.right(states)
    )


def test_states_that_are_numbers_are_not_normalized():
    with pytest.raises(UserError, match=r"MultiBinary space, but \S+ has Discrete\(6, start=-3\)"):
        build("ppo", spec=TwoLamps.spec, normalize_observations=True)


@pytest.mark.parametrize("name", core(["ppo", "reinforce"], "reinforce"))
@pytest.mark.parametrize(
    "space",
    [gymnasium.spaces.Discrete(3, start=5), gymnasium.spaces.Box(-0.2, 0.2, (2,), np.float32)],
    ids=["discrete", "box"],
)
def test_an_update_is_given_actions_as_they_were_drawn(name, space):
    """Often wrong: as the environment took them, shifted by where they start or clipped."""
    own = dataclasses.replace(spec(num_envs=2), action_space=space)
    agent = build(
        name, spec=own, **({"rollout_length": 4} if name == "ppo" else {"batch_episodes": 2})
    )
    updates, steps, taken = updates_of(agent), script(steps=4), []
    act = agent.act
    agent.act = lambda observations: taken.append(act(observations)) or taken[-1]
    steps.play(agent)
    stored = updates[0][1].reshape(-1, agent.learner.parts.policy.action_size)
    if name == "ppo":
        environment = np.concatenate(taken).reshape(len(stored), -1)
    else:  # by episode: two steps of the first environment, three of the second
        environment = np.stack([taken[t][n] for t, n in ((0, 0), (1, 0), (0, 1), (1, 1), (2, 1))])
        environment = environment.reshape(5, -1)
    if isinstance(space, gymnasium.spaces.Discrete):
        np.testing.assert_array_equal(stored + 5, environment)
    else:
        assert np.abs(stored).max() > 0.2
        np.testing.assert_allclose(np.clip(stored, -0.2, 0.2), environment)


@pytest.mark.parametrize("name", core(["ppo", "reinforce"], "ppo"))
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


@pytest.mark.exhaustive
def test_tensors_are_never_turned_into_text(monkeypatch):
    def refuse(tensor: tf.Tensor) -> str:
        raise AssertionError("a tensor was turned into text")

    monkeypatch.setattr(type(tf.constant(0)), "__repr__", refuse)
    for name in AGENTS:
        Identity(2).play(build(name), 20)


@pytest.mark.parametrize("name", core(["ppo_everything", "reinforce_baseline"], "ppo_everything"))
def test_an_exported_policy_acts_as_the_agent_does(name, tmp_path):
    agent = build(name)
    Identity(2).play(agent, 40)
    agent.export(tmp_path / "policy")
    observations = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
    model = tf.saved_model.load(str(tmp_path / "policy"))  # must outlive its function
    exported = model.policy(tf.constant(observations))
    for row, action in zip(observations, exported["actions"].numpy(), strict=True):
        assert agent.act(np.stack([row, row]), evaluate=True)[0] == action
    with pytest.raises(UserError, match="two heads"):
        agent.export(tmp_path / "policy.keras", format="keras")
