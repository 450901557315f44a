"""Illegal actions: never taken, never bootstrapped from, stored with the transition, resumed."""

from __future__ import annotations

import functools
from typing import Any

import gymnasium
import numpy as np
import pytest
import tensorflow as tf

from dopamine_lite.acting.exploration import Boltzmann, EpsilonGreedy
from dopamine_lite.agents.agent import Agent, Transitions
from dopamine_lite.agents.c51_agent import C51Agent
from dopamine_lite.agents.dopamine_adapter import DopamineAdapter
from dopamine_lite.agents.dqn_agent import DQNAgent
from dopamine_lite.agents.iqn_agent import IQNAgent
from dopamine_lite.agents.munchausen import Munchausen
from dopamine_lite.agents.ppo_agent import PPOAgent
from dopamine_lite.agents.qr_dqn_agent import QRDQNAgent
from dopamine_lite.agents.rainbow_agent import RainbowAgent
from dopamine_lite.agents.random_agent import RandomAgent
from dopamine_lite.agents.reinforce_agent import ReinforceAgent
from dopamine_lite.agents.switching_agent import SwitchingAgent
from dopamine_lite.common.errors import UserError
from dopamine_lite.common.seeding import Seeds
from dopamine_lite.environments.gymnasium_environment import GymnasiumEnvironment
from dopamine_lite.learning.value_learner import Batch, NetworkSeeds
from dopamine_lite.networks.heads import CategoricalHead, ImplicitQuantileHead, QuantileHead
from dopamine_lite.networks.optimizers import Adam
from dopamine_lite.networks.torsos import MLP
from dopamine_lite.replay.circular_replay import CircularReplay
from dopamine_lite.replay.prioritized_replay import PrioritizedReplay
from tests.core import core
from tests.doors import Doors

UNIFORM = functools.partial(CircularReplay, replay_capacity=1000)
ATOMS = {"num_atoms": 21, "vmin": -1.0, "vmax": 3.0}
IQN = functools.partial(
    IQNAgent,
    replay=UNIFORM,
    head=functools.partial(ImplicitQuantileHead, num_cosines=8, num_quantile_samples=8),
    num_tau_samples=8,
    num_tau_prime_samples=8,
    num_quantile_samples=8,
)
AGENTS: dict[str, Any] = {
    "dqn": functools.partial(DQNAgent, replay=UNIFORM),
    "double_dqn": functools.partial(DQNAgent, replay=UNIFORM, double=True, update_horizon=2),
    "munchausen_dqn": functools.partial(DQNAgent, replay=UNIFORM, munchausen=Munchausen),
    "munchausen_iqn": functools.partial(IQN, munchausen=Munchausen),
    "c51": functools.partial(
        C51Agent, replay=UNIFORM, head=functools.partial(CategoricalHead, **ATOMS)
    ),
    "qr_dqn": functools.partial(
        QRDQNAgent, replay=UNIFORM, head=functools.partial(QuantileHead, num_quantiles=7)
    ),
    "iqn": IQN,
    "rainbow": functools.partial(
        RainbowAgent, replay=functools.partial(PrioritizedReplay, replay_capacity=1000), **ATOMS
    ),
}

POLICIES: dict[str, Any] = {
    "ppo": functools.partial(PPOAgent, rollout_length=16),
    "reinforce": functools.partial(ReinforceAgent, batch_episodes=4),
}


def make(num_envs: int = 2, seed: int = 0) -> GymnasiumEnvironment:
    return GymnasiumEnvironment("Doors-v0", num_envs, seed)


def build(name: str, environment: GymnasiumEnvironment, seed: int = 0, **arguments: Any) -> Any:
    settings: dict[str, Any] = {
        "torso": functools.partial(MLP, hidden_units=(32,)),
        "exploration": functools.partial(
            EpsilonGreedy, epsilon_train=0.2, epsilon_eval=0.0, epsilon_decay_period=1
        ),
        "optimizer": functools.partial(Adam, learning_rate=0.01, epsilon=1e-8),
        "gamma": 0.5,
        "min_replay_history": 50,
        "update_period": 8,
        "updates_per_period": 8,
        "target_update_period": 24,
    }
    return AGENTS[name](environment.spec, Seeds(seed), **(settings | arguments))


def build_policy(name: str, environment: GymnasiumEnvironment, **arguments: Any) -> Any:
    settings: dict[str, Any] = {
        "torso": functools.partial(MLP, hidden_units=(16,), activation="tanh"),
        "optimizer": functools.partial(Adam, learning_rate=0.02, epsilon=1e-5),
        "gamma": 0.5,
    }
    return POLICIES[name](environment.spec, Seeds(0), **(settings | arguments))


def play(agent: Agent, environment: GymnasiumEnvironment, steps: int, evaluate: bool = False):
    observations, masks = environment.reset(), environment.action_masks
    total = 0.0
    for _ in range(steps):
        actions = agent.act(observations, evaluate, masks)
        step = environment.step(actions)
        total += step.rewards.sum()
        agent.observe(
            Transitions(
                observations,
                actions,
                step.rewards,
                step.terminated,
                step.truncated,
                step.next_observations,
                masks,
                step.next_action_masks,
            ),
            evaluate,
        )
        observations, masks = step.observations, environment.action_masks
    return total / steps / len(observations)


@pytest.mark.parametrize("name", core(AGENTS, "dqn"))
def test_learns_among_legal_actions_and_takes_no_other(name):
    """An illegal action raises: in the warm-up, in the epsilon branch, in the greedy choice."""
    environment = make()
    agent = build(name, environment)
    play(agent, environment, 500)
    assert play(agent, make(seed=1), 60, evaluate=True) > 0.9


@pytest.mark.parametrize("sampled", core([False, True], True))
@pytest.mark.parametrize("name", POLICIES)
def test_policies_learn_among_legal_actions_and_take_no_other(name, sampled):
    environment = make()
    agent = build_policy(name, environment, sample_in_evaluation=sampled)
    play(agent, environment, 500)
    assert play(agent, make(seed=1), 60, evaluate=True) > 0.9


def test_ppo_compares_masked_policies_with_masked_ones():
    """Often wrong: the update forgets the mask, so that the policy seems to have moved already."""
    environment = make()
    agent = build_policy("ppo", environment, num_epochs=1, num_minibatches=1)
    play(agent, environment, 16)
    metrics = agent.metrics()
    assert metrics["kl"] == pytest.approx(0, abs=1e-6)
    assert metrics["clip_fraction"] == 0
    assert metrics["entropy"] == pytest.approx(np.log(2), rel=1e-2)  # two doors, about equal


def test_reinforce_weighs_masked_policies_by_masked_ones():
    environment = make()
    agent = build_policy("reinforce", environment, batch_episodes=2)
    play(agent, environment, 6)  # an episode of each environment
    assert agent.metrics()["entropy"] == pytest.approx(np.log(2), rel=1e-2)


@pytest.mark.parametrize("exploration", [EpsilonGreedy, Boltzmann])
def test_every_way_of_exploring_draws_all_legal_actions_and_no_other(exploration):
    explores = exploration(3, 0, Seeds(0))
    masks = np.tile([True, False, True], (2000, 1))
    values = np.where(masks, 0.0, -np.inf)
    for step in (0, 10**6):
        drawn = explores.choose(2000, lambda: values, step, False, masks)
        assert set(drawn.tolist()) == {0, 2}
        assert 0.4 < (drawn == 0).mean() < 0.6


def test_a_random_agent_draws_legal_actions():
    environment = make()
    agent = RandomAgent(environment.spec, Seeds(0))
    assert 0.3 < play(agent, environment, 200) < 0.7


BOOTSTRAPS = {name: (name, {}) for name in AGENTS} | {
    "rainbow": ("rainbow", {"noisy": False, "dueling": False}),
    "rainbow_of_values": ("rainbow", {"noisy": False, "dueling": False, "categorical": False}),
    "double_iqn": ("iqn", {"double": True}),
}


@pytest.mark.parametrize(("name", "arguments"), BOOTSTRAPS.values(), ids=BOOTSTRAPS)
def test_illegal_actions_are_not_bootstrapped_from(name, arguments):
    """Raising what an illegal action is worth changes no target; a legal one's does.

    Illegal in s too, for the policy there is what Munchausen rewards.
    """
    environment = make()
    agent = build(name, environment, **arguments)
    online, target = agent.learner.online, agent.learner.target
    last = online.head.layers[-1].trainable_variables[-1]
    states = tf.eye(3)
    masks = np.ones((3, 2, 3), bool)
    masks[:, :, 2] = False

    seeds = NetworkSeeds(*tf.constant([[1, 2], [3, 4], [5, 6], [7, 8]]))

    def losses(masks: np.ndarray) -> np.ndarray:
        scalars = [tf.constant([0, 0, 1]), tf.zeros([3]), tf.fill([3], 0.5)]
        batch = Batch(states, *scalars, states, seeds, tf.constant(masks))
        return agent.loss(online, target, batch).losses.numpy()

    before = losses(masks)
    outputs = last.shape[0] // 3
    bias = np.zeros((3, outputs), np.float32)
    if outputs > 1:  # atoms: all mass of the action on the greatest
        bias[2, -1] = 50.0
        if name == "qr_dqn":
            bias[2] = 50.0
    else:
        bias[2] = 50.0
    for network in (online, target):
        index = [v.ref() for v in online.variables].index(last.value.ref())
        network.variables[index].assign(bias.ravel())
    np.testing.assert_allclose(losses(masks), before, rtol=1e-4)
    assert (np.abs(losses(np.ones_like(masks)) - before) > 1e-2).any()


def test_masks_are_stored_with_both_states_of_a_transition():
    environment = make()
    agent = build("double_dqn", environment)
    play(agent, environment, 100)
    batch = agent.replay.sample(2, 16)
    locked = batch.frames[..., 0, :].argmax(-1), batch.frames[..., -1, :].argmax(-1)
    for index in range(2):
        expected = np.arange(3) != locked[index][..., None]
        np.testing.assert_array_equal(batch.masks[:, :, index], expected)


@pytest.mark.parametrize("name", core(["dqn", "rainbow"], "dqn"))
def test_a_restored_agent_goes_on_bit_for_bit(name):
    whole, resumed = build(name, make()), build(name, make(), seed=5)
    play(whole, make(seed=1), 60)
    # An episode may be in flight: as the Runner does, end it.
    resumed.set_state(whole.get_state())
    for agent in (whole, resumed):
        play(agent, make(seed=2), 60)
    np.testing.assert_array_equal(
        whole.learner.online.flat_parameters(), resumed.learner.online.flat_parameters()
    )


def test_dopamine_style_agents_are_told_that_they_cannot():
    with pytest.raises(UserError, match="cannot avoid illegal actions, but Doors-v0 has some"):
        DopamineAdapter(make(1).spec, Seeds(0), agent=SwitchingAgent)


def test_environments_without_masks_have_none():
    environment = GymnasiumEnvironment("CartPole-v1", 2, 0)
    environment.reset()
    assert environment.action_masks is None and not environment.spec.action_masks
    assert environment.step(np.array([0, 1])).next_action_masks is None


class OneArray(Doors):
    """Hands out the same array every time, and writes to it again at a reset."""

    def __init__(self):
        self._mask = np.ones(3, np.int8)

    def reset(self, *, seed: int | None = None, options: Any = None):
        self._left = 1
        self._mask[:] = [0, 1, 1]
        return np.zeros(3, np.float32), {"action_mask": self._mask}

    def step(self, action):
        self._mask[:] = [1, 1, 0]
        return np.zeros(3, np.float32), 0.0, True, False, {"action_mask": self._mask}


gymnasium.register("OneArray-v0", entry_point=OneArray)


def test_masks_are_copied_before_a_reset_writes_to_them():
    environment = GymnasiumEnvironment("OneArray-v0", 2, 0)
    environment.reset()
    step = environment.step(np.array([1, 1]))
    np.testing.assert_array_equal(step.next_action_masks, [[True, True, False]] * 2)
    np.testing.assert_array_equal(environment.action_masks, [[False, True, True]] * 2)
