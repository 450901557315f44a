"""What agents say they think: the numbers that they act by, without changing what they do."""

from __future__ import annotations

import functools
from typing import Any

import gymnasium
import numpy as np
import pytest

from dopamine_lite.acting.exploration import EpsilonGreedy
from dopamine_lite.agents.agent import Agent
from dopamine_lite.agents.double_q_learning_agent import DoubleQLearningAgent
from dopamine_lite.agents.dqn_agent import DQNAgent
from dopamine_lite.agents.explanation import Explanation, checked
from dopamine_lite.agents.ppo_agent import PPOAgent
from dopamine_lite.agents.q_learning_agent import QLearningAgent
from dopamine_lite.agents.random_agent import RandomAgent
from dopamine_lite.common.errors import UserError
from dopamine_lite.common.seeding import Seeds
from dopamine_lite.environments.environment import EnvironmentSpec
from dopamine_lite.networks.heads import QHead
from dopamine_lite.networks.policies import CategoricalPolicy, GaussianPolicy
from dopamine_lite.replay.episodes import EpisodeBuffer
from tests.agents import policies, test_value_family
from tests.agents.test_value_family import UNIFORM
from tests.agents.tiny import Identity, spec
from tests.core import core

THREE = np.eye(3, dtype=np.float32)
spaces = gymnasium.spaces


def value_agent(name: str) -> Any:
    if name != "dqn":
        return test_value_family.build(name)
    return test_value_family.build("prioritized_dqn", replay=UNIFORM)


VALUE_AGENTS = ("dqn", "c51", "qr_dqn", "iqn", "rainbow", "without_categorical")


@pytest.mark.parametrize("name", core(VALUE_AGENTS, "dqn", "c51", "qr_dqn", "iqn"))
def test_action_values_are_those_acted_by_and_the_means_of_their_distributions(name):
    agent = value_agent(name)
    said = checked(agent.explain(THREE), 3, spec(), name)
    assert said is not None and said.action_values is not None and said.policy is None
    assert np.ptp(said.action_values) > 0
    if name != "iqn":  # which acts by fractions that it draws
        np.testing.assert_allclose(
            said.action_values, agent.actor.inference(THREE), rtol=1e-4, atol=1e-5
        )
    if name in ("c51", "rainbow"):
        assert said.probabilities is not None
        np.testing.assert_allclose(said.probabilities.sum(axis=2), 1.0, rtol=1e-5)
        np.testing.assert_allclose(said.probabilities @ said.atoms, said.action_values, atol=1e-4)
    elif name in ("qr_dqn", "iqn"):
        assert said.quantiles is not None and said.quantiles.shape[:2] == (3, 3)
        np.testing.assert_allclose(said.quantiles.mean(axis=2), said.action_values, atol=1e-5)
    else:
        assert said.probabilities is None and said.quantiles is None
    np.testing.assert_array_equal(said.expected_returns(), said.action_values.max(axis=1))


def test_iqn_explains_itself_by_even_fractions():
    """They rise, the same each time; the mean of many draws comes to what they say."""
    agent = value_agent("iqn")
    said, again = agent.explain(THREE), agent.explain(THREE)
    np.testing.assert_array_equal(said.quantiles, again.quantiles)
    generator = np.random.default_rng(0)
    drawn = np.mean([agent.actor.inference(THREE, generator) for _ in range(400)], axis=0)
    np.testing.assert_allclose(said.action_values, drawn, atol=0.02)


@pytest.mark.parametrize("name", core([*VALUE_AGENTS, "ppo", "reinforce"], "iqn"))
def test_an_agent_that_explains_itself_does_what_it_would_have_done(name):
    """Often wrong: evaluation draws from the training generator and changes training."""
    silent, talking = (build_any(name) for _ in range(2))
    first, second = Identity(seed=1), Identity(seed=1)
    for step in range(40):
        evaluate = step % 3 == 0
        before = settled(talking)
        talking.explain(second.observations)
        np.testing.assert_equal(settled(talking), before)
        np.testing.assert_array_equal(
            silent.act(first.observations, evaluate), talking.act(second.observations, evaluate)
        )
        first.observations, second.observations = first._draw(), second._draw()
    first.play(silent, 80)
    second.play(talking, 80)
    np.testing.assert_equal(settled(talking), settled(silent))


def build_any(name: str) -> Any:
    return policies.build(name, num_envs=1) if name in policies.AGENTS else value_agent(name)


def settled(agent: Any) -> Any:
    """The state without what the replay holds, which cannot be compared as it is."""
    state = agent.get_state() if not hasattr(agent, "memory") else without_episodes(agent)
    return {name: value for name, value in state.items() if name != "replay"}


def without_episodes(agent: Any) -> dict[str, Any]:
    """REINFORCE's state, which it does not give in the middle of an episode."""
    memory, agent.memory = agent.memory, EpisodeBuffer(1, 1.0, False)
    state = agent.get_state()
    agent.memory = memory
    return state


def test_a_policy_says_its_probabilities_and_the_states_value():
    agent = policies.build("ppo", num_envs=1)
    said = checked(agent.explain(THREE), 3, spec(), "PPOAgent")
    assert said is not None and said.policy is not None and said.action_values is None
    outputs, values = agent.actor.policy_and_values(THREE)
    np.testing.assert_allclose(said.policy.sum(axis=1), 1.0)
    np.testing.assert_allclose(
        np.log(said.policy[:, 1] / said.policy[:, 0]), outputs[:, 1] - outputs[:, 0], atol=1e-5
    )
    np.testing.assert_array_equal(said.state_values, values)
    np.testing.assert_array_equal(said.expected_returns(), values)


@pytest.mark.parametrize(("name", "known"), [("reinforce", False), ("reinforce_baseline", True)])
def test_a_value_that_nothing_learns_is_not_told(name, known):
    said = policies.build(name).explain(THREE)
    assert (said.state_values is not None) == known


def test_illegal_actions_have_no_probability_and_are_not_expected():
    masks = np.array([[True, False, True]])
    said = policies.build("ppo", num_envs=1).explain(THREE[:1], masks)
    assert said.policy is not None and said.policy[0, 1] == 0
    assert said.policy[0].sum() == pytest.approx(1)
    values = Explanation(action_values=np.array([[1.0, 5.0, 2.0]]))
    assert values.expected_returns(masks).tolist() == [2.0]


def test_probabilities_worked_by_hand():
    """softmax(log 1, log 3) = 1/4, 3/4; of several actions each has its own."""
    one = CategoricalPolicy(Seeds(0), spaces.Discrete(2))
    np.testing.assert_allclose(one.explain(np.log([[1.0, 3.0]]))["policy"], [[0.25, 0.75]])
    two = CategoricalPolicy(Seeds(0), spaces.MultiDiscrete([2, 3]))
    logits = np.log([[1.0, 1.0, 1.0, 2.0, 5.0]]) + 100.0
    expected = [[0.5, 0.5, 0.125, 0.25, 0.625]]
    np.testing.assert_allclose(two.explain(logits)["policy"], expected)


def test_a_normal_policy_says_means_and_deviations():
    policy = GaussianPolicy(Seeds(0), spaces.Box(-1, 1, (2,), np.float32))
    said = policy.explain(np.array([[0.5, -3.0, 0.0, np.log(2.0)]], np.float32))
    np.testing.assert_allclose(said["means"], [[0.5, -3.0]])
    np.testing.assert_allclose(said["deviations"], [[1.0, 2.0]])
    box = EnvironmentSpec("Box-v0", spec().observation_space, spaces.Box(-1, 1, (2,)), 1)
    agent = PPOAgent(box, Seeds(0), rollout_length=4, num_minibatches=2)
    assert checked(agent.explain(THREE), 3, box, "PPOAgent") is not None


@pytest.mark.parametrize("kind", [QLearningAgent, DoubleQLearningAgent])
def test_tables_say_their_entries(kind):
    states = EnvironmentSpec("Table-v0", spaces.Discrete(4, start=1), spaces.Discrete(3), 1)
    agent = kind(states, Seeds(0))
    tables = agent._tables
    tables[:] = np.arange(tables.size).reshape(tables.shape)
    said = checked(agent.explain(np.array([1, 3])), 2, states, kind.__name__)
    rows = np.array([[0, 1, 2], [6, 7, 8]])
    shift = 6 if kind is DoubleQLearningAgent else 0  # the mean of an entry and the one 12 after it
    assert said is not None
    np.testing.assert_array_equal(said.action_values, rows + shift)


class Drawn(QHead):
    """A user's head whose values are drawn in evaluation, too."""

    random_in_evaluation = True

    def __init__(self, seeds: Seeds, num_actions: int):
        super().__init__(seeds, num_actions, noisy=True)


def test_a_head_that_draws_its_values_says_the_same_each_time():
    agent = test_value_family.build("prioritized_dqn", head=Drawn)
    first, again = agent.explain(THREE), agent.explain(THREE)
    np.testing.assert_array_equal(first.action_values, again.action_values)


def test_most_agents_have_nothing_to_explain():
    assert RandomAgent(spec(), Seeds(0)).explain(THREE) is None
    assert Agent.explain(RandomAgent(spec(), Seeds(0)), THREE) is None


def test_the_actions_of_a_space_that_does_not_begin_at_zero_are_counted_from_its_first():
    shifted = EnvironmentSpec("Tiny-v0", spec().observation_space, spaces.Discrete(3, start=-1), 1)
    agent = DQNAgent(
        shifted,
        Seeds(0),
        torso=test_value_family.MLP,
        replay=UNIFORM,
        exploration=functools.partial(EpsilonGreedy, epsilon_eval=0.0),
    )
    said = checked(agent.explain(THREE), 3, shifted, "DQNAgent")
    assert said is not None and said.action_values is not None
    chosen = np.argmax(said.action_values, axis=1) - 1
    np.testing.assert_array_equal(agent.act(THREE, evaluate=True), chosen)


ONES = functools.partial(np.ones, dtype=np.float32)


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ({"q": 1}, "Own.explain returned {'q': 1}: return an Explanation of"),
        (Explanation(action_values=ONES((3, 2))), r"as action_values: .* shape \(3, 3\)"),
        (Explanation(action_values=[[1.0]]), r"returned \[\[1.0\]\] as action_values"),
        (Explanation(policy=ONES((3, 3, 1))), r"as policy: return numbers of shape \(3, 3\)"),
        (Explanation(policy=-ONES((3, 3))), "negative numbers as policy"),
        (Explanation(quantiles=ONES((3, 3))), r"as quantiles: .* shape \(3, 3, any\)"),
        (
            Explanation(atoms=ONES(5), probabilities=ONES((3, 3, 4))),
            r"as probabilities: .* shape \(3, 3, 5\)",
        ),
        (Explanation(atoms=ONES(5)), "only one of atoms and probabilities: return both"),
        (Explanation(means=ONES((3, 3)), deviations=ONES((3, 3))), r"as means: .* \(3, 0\)"),
        (Explanation(state_values=ONES((3, 1))), r"as state_values: .* shape \(3\)"),
        (Explanation(state_values=ONES(3) * np.nan), "infinity or NaN as state_values"),
        (Explanation(action_values=np.full((3, 3), "a")), "as action_values: return numbers"),
    ],
)
def test_an_explanation_that_cannot_be_drawn_has_its_sentence(said, sentence):
    with pytest.raises(UserError, match=sentence):
        checked(said, 3, spec(), "Own")
