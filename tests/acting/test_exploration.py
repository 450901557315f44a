"""Epsilons of single environments."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest

from dopamine_lite.acting.exploration import EpsilonGreedy, PerEnvironmentEpsilonGreedy
from dopamine_lite.agents.dqn_agent import DQNAgent
from dopamine_lite.common.errors import UserError
from dopamine_lite.common.seeding import Seeds
from dopamine_lite.environments.environment import EnvironmentSpec
from dopamine_lite.networks.torsos import MLP

ACTIONS = 4
STEPS = 4_000


def shares_of_other_actions(exploration, num_envs: int, evaluate: bool = False) -> np.ndarray:
    """How often each environment takes another action than the greedy action 2."""
    values = np.tile([0.0, 1.0, 2.0, 1.0], (num_envs, 1))
    taken = [exploration.choose(num_envs, lambda: values, step, evaluate) for step in range(STEPS)]
    return (np.array(taken) != 2).mean(axis=0)


def test_each_environment_explores_with_the_epsilon_of_ape_x():
    ladder = PerEnvironmentEpsilonGreedy(ACTIONS, 0, Seeds(0))
    ladder.act_in(0, 5)
    epsilons = np.array([0.4 ** (1 + 7 * i / 4) for i in range(5)])
    expected = epsilons * (ACTIONS - 1) / ACTIONS  # a random action may be the greedy one
    deviation = np.sqrt(expected * (1 - expected) / STEPS)
    assert (abs(shares_of_other_actions(ladder, 5) - expected) < 4 * deviation + 1e-3).all()
    assert ladder.metrics(0) == {"epsilon": pytest.approx(epsilons.mean())}


def test_a_group_has_the_epsilons_of_its_environments():
    ladder = PerEnvironmentEpsilonGreedy(ACTIONS, 0, Seeds(0), epsilon=0.5, alpha=1.0)
    ladder.act_in(3, 5)  # the last two of five: 0.5 ** 1.75 and 0.5 ** 2
    found = shares_of_other_actions(ladder, 2)
    np.testing.assert_allclose(found, [0.75 * 0.5**1.75, 0.75 * 0.25], atol=0.03)


def test_the_warm_up_is_random_and_evaluation_has_one_epsilon():
    ladder = PerEnvironmentEpsilonGreedy(ACTIONS, STEPS, Seeds(0), epsilon_eval=0.0)
    ladder.act_in(0, 3)
    np.testing.assert_allclose(shares_of_other_actions(ladder, 3), 0.75, atol=0.03)
    assert ladder.metrics(STEPS - 1) == {"epsilon": 1.0}
    assert ladder.metrics(STEPS)["epsilon"] < 0.4
    assert not shares_of_other_actions(ladder, 3, evaluate=True).any()


def test_one_environment_has_the_first_epsilon():
    ladder = PerEnvironmentEpsilonGreedy(ACTIONS, 0, Seeds(0), epsilon=0.3)
    ladder.act_in(0, 1)
    assert ladder.metrics(0) == {"epsilon": pytest.approx(0.3)}


def test_equal_epsilons_are_epsilon_greedy():
    ladder = PerEnvironmentEpsilonGreedy(ACTIONS, 100, Seeds(5), epsilon=0.2, alpha=1e-12)
    ladder.act_in(0, 3)
    plain = EpsilonGreedy(ACTIONS, 100, Seeds(5), epsilon_train=0.2, epsilon_decay_period=0)
    values = np.random.default_rng(0).random((3, ACTIONS))
    for step in range(0, 600, 3):
        np.testing.assert_array_equal(
            ladder.choose(3, lambda: values, step, False),
            plain.choose(3, lambda: values, step, False),
        )


def test_an_agent_says_where_it_acts_and_without_that_nothing_is_guessed():
    space = gymnasium.spaces.Box(-1, 1, (4,), np.float32)
    spec = EnvironmentSpec("own", space, gymnasium.spaces.Discrete(2), 8, first_env=4)
    agent = DQNAgent(spec, Seeds(0), torso=MLP, exploration=PerEnvironmentEpsilonGreedy)
    chances = agent.actor.exploration._chances(4, 1_000_000, False)
    np.testing.assert_allclose(chances, [0.4 ** (1 + i) for i in range(4, 8)])

    untold = PerEnvironmentEpsilonGreedy(ACTIONS, 0, Seeds(0))
    with pytest.raises(UserError, match=r"must call `act_in\(spec.first_env, spec.num_envs\)`"):
        untold.choose(2, lambda: np.zeros((2, ACTIONS)), 0, False)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epsilon": 1.5}, "PerEnvironmentEpsilonGreedy.epsilon is 1.5: give a number from 0 to 1"),
        ({"alpha": -1}, "PerEnvironmentEpsilonGreedy.alpha is -1: give a number above 0"),
        ({"epsilon_eval": "no"}, "PerEnvironmentEpsilonGreedy.epsilon_eval is 'no'"),
    ],
)
def test_refused(settings, message):
    with pytest.raises(UserError, match=message):
        PerEnvironmentEpsilonGreedy(ACTIONS, 0, Seeds(0), **settings)
