"""PPO and REINFORCE on values that are known, their options, and their resume."""

from __future__ import annotations

import functools
from typing import Any

import gymnasium
import numpy as np
import pytest
import tensorflow as tf

from dopamine_lite.agents.agent import Transitions
from dopamine_lite.agents.policy_agent import PolicyAgent
from dopamine_lite.agents.ppo_agent import PPOAgent
from dopamine_lite.agents.reinforce_agent import ReinforceAgent, Steps
from dopamine_lite.common.errors import UserError
from dopamine_lite.common.seeding import Seeds
from dopamine_lite.environments.environment import EnvironmentSpec
from dopamine_lite.networks.optimizers import Adam
from dopamine_lite.networks.torsos import MLP, NatureCNN
from tests.agents.tiny import Identity, spec

AGENTS: dict[str, Any] = {
    "ppo": functools.partial(PPOAgent, rollout_length=16, num_epochs=4, num_minibatches=2),
    "ppo_kl": functools.partial(
        PPOAgent, rollout_length=16, num_epochs=4, num_minibatches=2, surrogate="kl"
    ),
    "ppo_everything": functools.partial(
        PPOAgent,
        rollout_length=16,
        num_epochs=4,
        num_minibatches=2,
        shared_torso=True,
        value_clip=0.2,
        clip_decay_period=10_000,
        entropy_coefficient=0.01,
        stop_at_kl=0.02,
        normalise_observations=True,
        normalise_rewards=True,
    ),
    "reinforce": functools.partial(ReinforceAgent, batch_episodes=8, chunk_size=5),
    "reinforce_baseline": functools.partial(
        ReinforceAgent,
        batch_episodes=8,
        chunk_size=5,
        learned_baseline=True,
        baseline_updates=3,
        normalise_advantages=False,
        entropy_coefficient=0.01,
        max_gradient_norm=10.0,
    ),
}


def build(name: str, seed: int = 0, num_envs: int = 2, **arguments: Any) -> PolicyAgent:
    settings: dict[str, Any] = {
        "torso": functools.partial(MLP, hidden_units=(16,), activation="tanh"),
        "optimizer": functools.partial(Adam, learning_rate=0.003, epsilon=1e-5),
        "gamma": 0.5,
    } | arguments
    agent_spec = settings.pop("spec", spec(num_envs=num_envs))
    return AGENTS[name](agent_spec, Seeds(seed), **settings)


def digest(agent: PolicyAgent) -> list[np.ndarray]:
    return [variable.numpy() for variable in agent._network.variables]


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
def test_evaluation_changes_nothing_in_training(name):
    undisturbed, disturbed = build(name), build(name)
    for agent in (undisturbed, disturbed):
        environment = Identity(2)
        for _ in range(40):
            environment.play(agent, 1)
            if agent is disturbed:
                agent.act(np.eye(3, dtype=np.float32)[:2], evaluate=True)
    for first, second in zip(digest(undisturbed), digest(disturbed), strict=True):
        np.testing.assert_array_equal(first, second)


def transitions(terminated: bool, truncated: bool, reward: float = 1.0) -> Transitions:
    ones, final = np.ones((1, 3), np.float32), np.full((1, 3), 2.0, np.float32)
    return Transitions(
        ones,
        np.zeros(1, int),
        np.array([reward]),
        np.array([terminated]),
        np.array([truncated]),
        final,
    )


def test_truncation_is_bootstrapped_from_the_final_observation():
    """Often wrong: the value of the next episode's first observation, or nothing at all."""
    agent = build("ppo", num_envs=1)
    assert isinstance(agent, PPOAgent)
    final = agent._policy_and_values(np.full((1, 3), 2.0, np.float32))[1]
    first = agent._policy_and_values(np.ones((1, 3), np.float32))[1]
    for terminated, truncated in ((False, False), (False, True), (False, False)):
        agent.act(np.ones((1, 3), np.float32))
        agent.observe(transitions(terminated, truncated))
    np.testing.assert_allclose(agent._rollout.next_values[:2, 0], [first[0], final[0]], rtol=1e-6)


def test_every_value_of_a_successor_is_set():
    """Often wrong: what memory held where an episode terminated, which may be NaN, times zero."""
    agent = build("ppo")
    assert isinstance(agent, PPOAgent)
    agent._rollout.next_values[:] = np.nan
    Identity(2).play(agent, 16)
    assert all(np.isfinite(variable).all() for variable in digest(agent))


def test_the_returns_of_reinforce():
    """A terminated episode ends with its reward; a cut one, with a baseline, with a value."""
    for name, expected in (("reinforce", 1.0), ("reinforce_baseline", None)):
        agent = build(name, num_envs=1)
        assert isinstance(agent, ReinforceAgent)
        value = agent._policy_and_values(np.full((1, 3), 2.0, np.float32))[1][0]
        for terminated, truncated in ((False, False), (True, False), (False, True)):
            agent.act(np.ones((1, 3), np.float32))
            agent.observe(transitions(terminated, truncated))
        np.testing.assert_allclose(agent._batch[0].returns, [1.5, 1.0])
        cut = 1.0 + 0.5 * value if expected is None else expected
        np.testing.assert_allclose(agent._batch[1].returns, [cut], rtol=1e-6)


def test_minibatches_share_every_step_of_a_pass_and_differ_between_passes():
    """Often wrong: blocks of neighbouring steps shuffled as such, one order for all passes."""
    agent = build("ppo", num_envs=2)
    assert isinstance(agent, PPOAgent)
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


def test_what_an_older_policy_drew_counts_by_how_much_likelier_it_is_now():
    agent = build("reinforce")
    assert isinstance(agent, ReinforceAgent)
    observations = np.eye(3, dtype=np.float32)
    outputs, _ = agent._policy_and_values(observations)
    logs = tf.nn.log_softmax(outputs).numpy()
    older = np.log(
        np.array([[0.1, 0.6, 0.3]] * 3, np.float32)
    )  # the same action, 0, from another policy
    advantages = np.array([1.0, -2.0, 0.5], np.float32)

    def gradients(drawn: np.ndarray, advantages: np.ndarray) -> list[np.ndarray]:
        thirds = np.full(3, 1 / 3, np.float32)
        steps = Steps(
            *map(tf.constant, (observations, np.zeros((3, 1), np.int32), drawn)),
            *map(tf.constant, (advantages, advantages, thirds)),
        )
        variables = agent._network.variables
        found, _ = agent._chunk_gradients(steps, variables, (1.0, 0.0, 0.0))
        return [gradient.numpy() for gradient in found]

    by_hand = gradients(outputs, np.exp(logs[:, 0]) / np.float32(0.1) * advantages)
    for found, expected in zip(gradients(older, advantages), by_hand, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_updates_of_the_baseline_fit_it_and_leave_the_policy_alone():
    adam = functools.partial(Adam, learning_rate=0.01, epsilon=1e-5)
    policies, losses = [], []
    for updates in (0, 100):
        arguments = {"baseline_updates": updates, "baseline_optimizer": adam, "batch_episodes": 99}
        agent = build("reinforce_baseline", **arguments)
        assert isinstance(agent, ReinforceAgent)
        Identity(2).play(agent, 16)  # 32 episodes of a step
        agent._learn()
        policies.append(agent._policy_and_values(np.eye(3, dtype=np.float32))[0])
        agent.metrics()
        agent._learn()  # from the same episodes
        losses.append(agent.metrics()["value_loss"])
    np.testing.assert_allclose(*policies, atol=1e-5)
    assert losses[1] < 0.9 * losses[0]


def test_a_baseline_without_a_torso_of_its_own_takes_no_updates():
    with pytest.raises(UserError, match="there is no baseline with a torso of its own"):
        build("reinforce", baseline_updates=3)


def test_clip_falls_to_zero():
    agent = build("ppo", clip_decay_period=64)
    Identity(2).play(agent, 16)
    assert agent.metrics()["clip"] == pytest.approx(0.1)


def test_uneven_minibatches_are_refused():
    with pytest.raises(UserError, match="3 minibatches cannot share evenly"):
        build("ppo", num_minibatches=3)
    with pytest.raises(UserError, match=r"PPOAgent\.surrogate is 'trust'"):
        build("ppo", surrogate="trust")


def test_the_first_gradient_step_is_the_policy_gradient():
    """At the old policy the ratio is 1: PPO's gradient is that of -A log pi."""
    agent = build("ppo", num_epochs=1, num_minibatches=1, normalise_advantages=False)
    assert isinstance(agent, PPOAgent)
    Identity(2).play(agent, 16)
    values = agent.metrics()
    assert values["kl"] == pytest.approx(0, abs=1e-6)
    assert values["clip_fraction"] == 0


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
