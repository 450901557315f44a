"""Q-learning, Sarsa and double Q-learning: updates worked by hand, values known exactly, resume."""

from __future__ import annotations

import functools
import subprocess
import sys
from typing import Any

import gymnasium
import numpy as np
import pytest

from dopamine_lite.acting.exploration import Boltzmann, EpsilonGreedy
from dopamine_lite.agents.agent import Transitions
from dopamine_lite.agents.double_q_learning_agent import DoubleQLearningAgent
from dopamine_lite.agents.q_learning_agent import QLearningAgent
from dopamine_lite.agents.sarsa_agent import SarsaAgent
from dopamine_lite.agents.tabular_agent import TabularAgent, step_sizes
from dopamine_lite.analysis.dynamic_programming import (
    Model,
    action_values,
    model_of,
    policy_evaluation,
    value_iteration,
)
from dopamine_lite.common.errors import UserError
from dopamine_lite.common.seeding import Seeds
from dopamine_lite.environments.environment import EnvironmentSpec
from dopamine_lite.environments.factory import create_environment
from dopamine_lite.spaces.packed_space import PackedSpace

AGENTS: dict[str, type[TabularAgent]] = {
    "q_learning": QLearningAgent,
    "sarsa": SarsaAgent,
    "double_q_learning": DoubleQLearningAgent,
}
EPSILON = 0.2
EXPLORING = functools.partial(
    EpsilonGreedy, epsilon_train=EPSILON, epsilon_eval=0.0, epsilon_decay_period=0
)
from tests.core import core


def spec(num_states: int, num_actions: int = 2, num_envs: int = 1, **starts: int):
    return EnvironmentSpec(
        "Tiny-v0",
        gymnasium.spaces.Discrete(num_states, start=starts.get("first_state", 0)),
        gymnasium.spaces.Discrete(num_actions, start=starts.get("first_action", 0)),
        num_envs,
    )


def build(kind: type[TabularAgent], tiny: EnvironmentSpec, seed: int = 0, **arguments: Any) -> Any:
    settings: dict[str, Any] = {"gamma": 0.5, "learning_rate": 0.5, "exploration": EXPLORING}
    return kind(tiny, Seeds(seed), **(settings | arguments))


def steps(*rows: tuple[int, int, float, str, int], masks: Any = None) -> Transitions:
    """One step of as many environments as there are rows (s, a, r, how it ends, s')."""
    states, actions, rewards, ends, following = zip(*rows, strict=True)
    return Transitions(
        np.array(states),
        np.array(actions),
        np.array(rewards, np.float64),
        np.array([end == "terminated" for end in ends]),
        np.array([end == "truncated" for end in ends]),
        np.array(following),
        None if masks is None else np.ones_like(masks, bool),
        None if masks is None else np.array(masks, bool),
    )


class Scripted:
    """Stands in for an exploration: takes the actions it was told, and notes what it was asked."""

    def __init__(self, num_actions: int, warmup: int, seeds: Seeds):
        self.actions: list[list[int]] = []
        self.asked: list[tuple[np.ndarray, int]] = []

    def choose(self, num_envs, values, step, evaluate, masks=None) -> np.ndarray:
        self.asked.append((values(), step))
        return np.array(self.actions.pop(0))

    def metrics(self, step: int) -> dict[str, float]:
        return {}


class Coins:
    """Stands in for the generator of double Q-learning: coins as told, ties to the first action."""

    def __init__(self, *coins: int):
        self._coins = list(coins)

    def integers(self, high: int, size: int) -> np.ndarray:
        return np.array([self._coins.pop(0) for _ in range(size)])

    def random(self, shape: tuple[int, ...]) -> np.ndarray:
        return np.ones(shape)


def test_q_learning_by_hand():
    """gamma = alpha = 1/2."""
    agent = build(QLearningAgent, spec(2))
    for transition, expected in [
        ((0, 1, 4.0, "", 1), [[0, 2], [0, 0]]),
        ((1, 0, 2.0, "", 0), [[0, 2], [1.5, 0]]),  # 2 + 2 / 2
        ((0, 1, 0.0, "", 1), [[0, 1.375], [1.5, 0]]),  # 1.5 / 2
        ((1, 0, 1.0, "terminated", 0), [[0, 1.375], [1.25, 0]]),  # no bootstrap
        ((1, 0, 1.0, "truncated", 0), [[0, 1.375], [1.46875, 0]]),  # 1 + 1.375 / 2
    ]:
        agent.observe(steps(transition))
        np.testing.assert_array_equal(agent._tables, [expected])


def test_the_first_update_comes_with_the_first_step_of_the_environments():
    agent = build(QLearningAgent, spec(2, num_envs=2))
    agent.observe(steps((0, 1, 4.0, "", 1), (1, 0, 4.0, "", 0)))
    np.testing.assert_array_equal(agent._tables, [[[0, 2], [2, 0]]])
    assert agent.first_update == agent._steps == 2


def test_sarsa_by_hand():
    """gamma = alpha = 1/2. The update of a step waits for the next action, not the best one."""
    agent = build(SarsaAgent, spec(2), exploration=Scripted)
    agent._tables[:] = [[[0, 2], [4, 8]]]
    for action, transition, acted, observed in [
        (1, (0, 1, 4.0, "", 1), [[0, 2], [4, 8]], [[0, 2], [4, 8]]),
        (0, (1, 0, 2.0, "", 0), [[0, 4], [4, 8]], [[0, 4], [4, 8]]),  # 4 + 4 / 2, not 4 + 8 / 2
        (1, (0, 1, 1.0, "terminated", 1), [[0, 4], [4, 8]], [[0, 2.5], [4, 8]]),  # 2 + 4 / 2; 1
        (1, (1, 1, 0.0, "", 0), [[0, 2.5], [4, 8]], [[0, 2.5], [4, 8]]),  # nothing waited
        (0, (0, 0, 3.0, "", 0), [[0, 2.5], [4, 4]], [[0, 2.5], [4, 4]]),  # 0 / 2
    ]:
        agent._exploration.actions = [[action]]
        agent.act(np.array([transition[0]]))
        np.testing.assert_array_equal(agent._tables, [acted])
        agent.observe(steps(transition))
        np.testing.assert_array_equal(agent._tables, [observed])


def test_sarsa_draws_the_action_of_a_truncated_state():
    agent = build(SarsaAgent, spec(2), exploration=Scripted)
    agent._tables[:] = [[[0, 2], [4, 8]]]
    agent._exploration.actions = [[1]]
    agent.observe(steps((0, 1, 4.0, "truncated", 1)))  # 4 + 8 / 2
    np.testing.assert_array_equal(agent._tables, [[[0, 5], [4, 8]]])
    (values, step), *others = agent._exploration.asked
    np.testing.assert_array_equal(values, [[4, 8]])
    assert step == 1 and not others  # as the next `act` would have asked
    assert agent._pending is None


def test_in_sarsa_each_environment_waits_for_itself():
    """One goes on, one terminates, one is truncated; the first is updated when it acts."""
    agent = build(SarsaAgent, spec(3, num_envs=3), exploration=Scripted)
    agent._tables[:] = [[[0, 2], [4, 8], [16, 32]]]
    agent._exploration.actions = [[0]]  # where the episode was truncated
    agent.observe(
        steps((0, 0, 1.0, "", 1), (1, 0, 2.0, "terminated", 2), (2, 1, 0.0, "truncated", 1))
    )
    np.testing.assert_array_equal(agent._tables, [[[0, 2], [3, 8], [16, 17]]])  # 2; 0 + 4 / 2
    agent._exploration.actions = [[1, 0, 0]]
    agent.act(np.array([1, 0, 0]))
    np.testing.assert_array_equal(agent._tables, [[[2.5, 2], [3, 8], [16, 17]]])  # 1 + 8 / 2


def test_double_q_learning_by_hand():
    """gamma = alpha = 1/2. One table chooses, the other values; the coin says which one learns."""
    agent = build(DoubleQLearningAgent, spec(2))
    first, second = [[0, 2], [4, 8]], [[6, 0], [2, 1]]
    agent._tables[:] = [first, second]
    agent._generator = Coins(0, 1, 1, 0)
    for transition, first, second in [
        ((0, 0, 1.0, "", 1), [[0.75, 2], [4, 8]], [[6, 0], [2, 1]]),  # 1 + 1 / 2
        ((0, 0, 1.0, "", 1), [[0.75, 2], [4, 8]], [[4.5, 0], [2, 1]]),  # 1 + 4 / 2
        ((1, 0, 0.0, "terminated", 0), [[0.75, 2], [4, 8]], [[4.5, 0], [1, 1]]),
        ((1, 1, 0.0, "truncated", 0), [[0.75, 2], [4, 4]], [[4.5, 0], [1, 1]]),  # 0 / 2
    ]:
        agent.observe(steps(transition))
        np.testing.assert_array_equal(agent._tables, [first, second])
    np.testing.assert_array_equal(agent._values(np.array([0, 1])), [[2.625, 1], [2.5, 2.5]])


def test_the_learning_rate_falls_linearly_to_zero():
    """Half of the way to 1 is left at the start; alpha is 3/8, 2/8, 1/8 and then 0."""
    agent = build(QLearningAgent, spec(1), gamma=0.0, learning_rate_decay_period=4)
    value = 0.0
    for alpha in (0.375, 0.25, 0.125, 0.0, 0.0):
        agent.observe(steps((0, 0, 1.0, "terminated", 0)))
        value += alpha * (1 - value)
        assert agent._tables[0, 0, 0] == value
        assert agent.metrics()["learning_rate"] == alpha
    assert "learning_rate" not in build(QLearningAgent, spec(1)).metrics()


def test_double_q_learning_tosses_a_coin_for_every_environment():
    agent = build(DoubleQLearningAgent, spec(1, num_envs=1000), gamma=0.0, learning_rate=1.0)
    agent.observe(steps(*[(0, 0, 1.0, "terminated", 0)] * 1000))
    assert (agent._tables[:, 0, 0] == 1).all()
    few = [build(DoubleQLearningAgent, spec(1), seed) for seed in range(200)]
    for one in few:
        one.observe(steps((0, 0, 1.0, "terminated", 0)))
        assert np.count_nonzero(one._tables) == 1
    learned = [int(np.flatnonzero(one._tables[:, 0, 0])[0]) for one in few]
    assert 70 < sum(learned) < 130


@pytest.mark.parametrize("name", AGENTS)
def test_environments_in_the_same_entry_update_it_one_after_the_other(name):
    """0 -> 1/2 (0 + 1) -> 1/2 (1/2 + 3), not 0 + 1/2 (1 + 3)."""
    agent = build(AGENTS[name], spec(2, num_envs=3))
    agent._generator = Coins(0, 0, 0)
    ends = "terminated"
    agent.observe(steps((0, 1, 1.0, ends, 1), (1, 1, 8.0, ends, 1), (0, 1, 3.0, ends, 1)))
    np.testing.assert_array_equal(agent._tables[0], [[0, 1.75], [0, 4]])


@pytest.mark.parametrize("learning_rate", [0.1, 0.5, 1.0])
def test_step_sizes_are_those_of_updates_in_a_loop(learning_rate):
    generator = np.random.default_rng(0)
    for _ in range(50):
        entries = generator.integers(6, size=generator.integers(1, 20))
        targets, values = generator.normal(size=len(entries)), generator.normal(size=6)
        expected = values.copy()
        for entry, target in zip(entries, targets, strict=True):
            expected[entry] += learning_rate * (target - expected[entry])
        errors = targets - values[entries]
        np.add.at(values, entries, step_sizes(entries, learning_rate) * errors)
        np.testing.assert_allclose(values, expected, atol=1e-12)


@pytest.mark.parametrize("name", AGENTS)
def test_illegal_actions_are_neither_taken_nor_bootstrapped_from(name):
    agent = build(AGENTS[name], spec(2, 3))
    agent._tables[:] = [0, 1, 9]
    mask = [[True, True, False]]
    for _ in range(50):
        assert agent.act(np.array([0]), False, np.array(mask))[0] < 2
        assert agent.act(np.array([0]), True, np.array(mask))[0] == 1
    agent._generator = Coins(0)
    agent.observe(steps((0, 0, 0.0, "truncated", 1), masks=mask))
    assert agent._tables[0, 0, 0] <= 0.25  # 1/2 (0 + 1/2 * 1), or Sarsa drew the other one
    agent._generator = Coins(0)
    agent.observe(steps((1, 0, 3.0, "terminated", 1), masks=[[False] * 3]))
    assert agent._tables[0, 1, 0] == 1.5


class Chain:
    """States 0 to 4; action 1 goes right and, from the last, ends with 1; 0 goes left, or stays for 0.1.

    Every seventh step of an episode truncates it. Each environment's episodes begin in all states by
    turns.
    """

    def __init__(self, num_envs: int = 1):
        self.states = np.zeros(num_envs, np.int64)
        self._beginnings = np.zeros(num_envs, np.int64)
        self._ages = np.zeros(num_envs, np.int64)

    def play(self, agent: TabularAgent, num_steps: int) -> None:
        for _ in range(num_steps):
            states, actions = self.states, agent.act(self.states)
            self._ages = self._ages + 1
            terminated = (states == 4) & (actions == 1)
            truncated = (self._ages == 7) & ~terminated
            rewards = terminated + 0.1 * ((states == 0) & (actions == 0))
            following = np.clip(states + 2 * actions - 1, 0, 4)
            ended = terminated | truncated
            self._beginnings = (self._beginnings + ended) % 5
            self.states = np.where(ended, self._beginnings, following)
            self._ages[ended] = 0
            agent.observe(Transitions(states, actions, rewards, terminated, truncated, following))


def values_of_chain(gamma: float, epsilon: float) -> np.ndarray:
    """Q [5, 2] of the best policy among those that take a uniform action with this probability."""
    q = np.zeros((5, 2))
    for _ in range(1000):
        v = (1 - epsilon) * q.max(axis=1) + epsilon * q.mean(axis=1)
        left, right = gamma * v[[0, 0, 1, 2, 3]], gamma * v[[1, 2, 3, 4, 4]]
        left[0] += 0.1
        right[4] = 1.0
        q = np.stack([left, right], axis=1)
    return q


@pytest.mark.parametrize("num_envs", core([1, 5], 5))
@pytest.mark.parametrize("name", ["q_learning", "double_q_learning"])
def test_learns_the_values_of_dynamic_programming(name, num_envs):
    exploration = functools.partial(EXPLORING, epsilon_train=0.5)
    agent = build(
        AGENTS[name], spec(5, num_envs=num_envs), gamma=0.8, exploration=exploration, seed=1
    )
    Chain(num_envs).play(agent, 8000)
    for table in agent._tables:
        np.testing.assert_allclose(table, values_of_chain(0.8, 0.0), atol=1e-6)


@pytest.mark.parametrize("num_envs", core([1, 5], 5))
def test_sarsa_learns_the_values_of_its_own_policy(num_envs):
    """Of the policy that explores, in truncated states too; they differ from the best ones."""
    agent = build(
        SarsaAgent,
        spec(5, num_envs=num_envs),
        gamma=0.8,
        learning_rate=0.01,
        exploration=functools.partial(EXPLORING, epsilon_train=0.5),
    )
    Chain(num_envs).play(agent, 60_000 // num_envs)
    expected = values_of_chain(0.8, 0.5)
    np.testing.assert_allclose(agent._tables[0], expected, atol=0.05)
    assert np.abs(values_of_chain(0.8, 0.0) - expected).max() > 0.15


@pytest.mark.parametrize("name", AGENTS)
def test_explores_by_any_exploration(name):
    agent = build(
        AGENTS[name],
        spec(5, num_envs=4),
        gamma=0.8,
        learning_rate=0.1,
        exploration=functools.partial(Boltzmann, temperature_train=0.1),
    )
    Chain(4).play(agent, 3000)
    assert agent.act(np.arange(1, 5), evaluate=True).tolist() == [1, 1, 1, 1]


def test_optimistic_values_have_everything_tried():
    greedy = functools.partial(EXPLORING, epsilon_train=0.0)
    tried = []
    for initial_value in (2.0, 0.0):
        agent = build(
            QLearningAgent, spec(5), gamma=0.8, initial_value=initial_value, exploration=greedy
        )
        assert (agent._tables == initial_value).all()
        Chain().play(agent, 500)
        tried.append((agent._tables != initial_value).mean())
    assert tried[0] == 1 > tried[1]


WORLDS: dict[str, dict[str, Any]] = {
    "GridWorld-v0": {"rows": 4, "columns": 5, "magic_squares": {5: 15, 12: 3}},
    "FrozenLake-v1": {"is_slippery": False},
    "CliffWalking-v1": {},
}


def trained(name: str, world: str, steps: int, **arguments: Any) -> tuple[Any, Model]:
    """An agent after so many steps of eight environments, all random, and the model of its world."""
    environment = create_environment(world, num_envs=8, kwargs=WORLDS[world])
    everywhere = functools.partial(EXPLORING, epsilon_train=1.0)
    agent = AGENTS[name](environment.spec, Seeds(0), exploration=everywhere, **arguments)
    observations = environment.reset()
    for _ in range(steps // 8):
        actions = agent.act(observations)
        step = environment.step(actions)
        agent.observe(
            Transitions(
                observations,
                actions,
                step.rewards,
                step.terminated,
                step.truncated,
                step.next_observations,
            )
        )
        observations = step.observations
    environment.close()
    return agent, model_of(gymnasium.make(world, **WORLDS[world]))


@pytest.mark.parametrize("world", core(WORLDS, "GridWorld-v0"))
@pytest.mark.parametrize("name", core(["q_learning", "double_q_learning"], "double_q_learning"))
def test_learns_what_value_iteration_computes(name, world):
    steps = 200_000 if world == "CliffWalking-v1" else 100_000
    agent, model = trained(name, world, steps, gamma=0.9, learning_rate=1.0)
    expected = action_values(model, value_iteration(model, 0.9), 0.9)
    reached = (agent._tables != 0).any(axis=(0, 2))
    assert reached.sum() > 8
    for table in agent._tables:
        np.testing.assert_allclose(table[reached], expected[reached], atol=1e-6)


@pytest.mark.exhaustive
def test_sarsa_learns_what_policy_evaluation_computes():
    agent, model = trained("sarsa", "GridWorld-v0", 800_000, gamma=0.8, learning_rate=0.005)
    randomly = np.full(model.rewards.shape, 1 / model.rewards.shape[1])
    expected = action_values(model, policy_evaluation(model, randomly, 0.8), 0.8)
    best = action_values(model, value_iteration(model, 0.8), 0.8)
    reached = (agent._tables[0] != 0).any(axis=1)  # a magic square is nobody's state
    assert reached.sum() > 8
    np.testing.assert_allclose(agent._tables[0][reached], expected[reached], atol=0.2)
    assert np.abs(best - expected).max() > 0.3


@pytest.mark.parametrize("name", AGENTS)
def test_ties_are_broken_at_random(name):
    """Often wrong: an untrained agent always takes the first action."""
    agent = build(AGENTS[name], spec(1, 3, num_envs=3000))
    chosen = agent.act(np.zeros(3000, np.int64), evaluate=True)
    assert np.bincount(chosen, minlength=3).min() > 900


@pytest.mark.parametrize("name", AGENTS)
def test_a_restored_agent_goes_on_bit_for_bit(name):
    """Taken in the middle of episodes, where Sarsa's updates wait."""
    whole, chain = build(AGENTS[name], spec(5, num_envs=3)), Chain(3)
    chain.play(whole, 201)
    resumed, again = build(AGENTS[name], spec(5, num_envs=3), seed=9), Chain(3)
    state = whole.get_state()
    if name == "sarsa":
        assert state["pending"]["streams"].size > 0
    resumed.set_state(state)
    again.states, again._ages = chain.states, chain._ages.copy()
    again._beginnings = chain._beginnings
    chain.play(whole, 100)
    again.play(resumed, 100)
    np.testing.assert_equal(resumed.get_state(), whole.get_state())
    assert (state["tables"] != whole._tables).any()  # a state is not written to later


@pytest.mark.parametrize("name", AGENTS)
def test_nothing_waits_between_segments(name):
    """The Runner ends every episode with a segment's last step."""
    agent = build(AGENTS[name], spec(5, num_envs=2))
    Chain(2).play(agent, 10)
    agent.act(np.array([0, 1]))
    agent.observe(steps((0, 1, 0.0, "truncated", 1), (1, 0, 0.0, "truncated", 0)))
    assert agent.get_state().get("pending") is None


@pytest.mark.parametrize("name", AGENTS)
def test_evaluation_changes_nothing_in_training(name):
    """Often wrong: evaluation draws from the training generator."""
    plain, evaluated = (build(AGENTS[name], spec(5, num_envs=2)) for _ in range(2))
    for agent in (plain, evaluated):
        chain = Chain(2)
        for _ in range(20):
            chain.play(agent, 5)
            if agent is evaluated:
                agent.act(np.array([0, 3]), evaluate=True)
                agent.observe(steps((0, 1, 5.0, "", 1), (3, 1, 5.0, "", 4)), evaluate=True)
    states = plain.get_state(), evaluated.get_state()
    for state in states:
        del state["exploration"]["eval"]
    np.testing.assert_equal(*states)


def test_spaces_may_begin_anywhere():
    for kind in AGENTS.values():
        agent = build(kind, spec(5, first_state=3, first_action=7))
        agent._generator = Coins(0)
        assert {int(agent.act(np.array([7]))[0]) for _ in range(50)} == {7, 8}
        agent.observe(steps((7, 8, 1.0, "terminated", 3)))
        assert agent._tables[0, 4, 1] == 0.5


@pytest.mark.parametrize("name", AGENTS)
def test_metrics_are_of_the_time_since_the_last_call(name):
    agent = build(AGENTS[name], spec(2, num_envs=2), initial_value=2.0)
    assert "td_error" not in agent.metrics()
    agent.observe(steps((0, 0, 1.0, "terminated", 0), (1, 1, 6.0, "terminated", 0)))
    metrics = agent.metrics()
    assert metrics["td_error"] == 2.5 and metrics["q_mean"] == 2.0
    assert metrics["epsilon"] == EPSILON
    assert metrics["q_values"].size == 4 * len(agent._tables)
    assert "td_error" not in agent.metrics()


def test_says_what_it_is():
    agent = build(DoubleQLearningAgent, spec(5, 3))
    assert agent.memory_bytes == 240
    assert agent.describe() == {
        "agent": "DoubleQLearningAgent",
        "exploration": "EpsilonGreedy",
        "tables": 2,
        "states": 5,
        "parameters": 30,
    }


@pytest.mark.parametrize("name", AGENTS)
def test_the_state_of_another_table_is_refused(name):
    state = build(AGENTS[name], spec(1)).get_state()
    with pytest.raises(ValueError, match="tables"):
        build(AGENTS[name], spec(5)).set_state(state)


BOX = gymnasium.spaces.Box(-1, 1, (3,), np.float32)
DISCRETE = gymnasium.spaces.Discrete(2)
SEVERAL = PackedSpace({"near": BOX, "far": BOX}, "Tiny-v0")
NUMBERS = gymnasium.spaces.MultiDiscrete([5, 5])


@pytest.mark.parametrize("name", AGENTS)
@pytest.mark.parametrize(
    ("spaces", "arguments", "sentence"),
    [
        ((BOX, DISCRETE), {}, r"needs discrete observations, but Tiny-v0 .*with .*\[@Discretise\]"),
        ((SEVERAL, DISCRETE), {}, r"Tiny-v0 has Packed.*wrappers = \[@Flatten, @Discretise\]"),
        ((NUMBERS, DISCRETE), {}, "has MultiDiscrete.*: let the environment number them from 0"),
        ((DISCRETE, BOX), {}, "needs a discrete action space, but Tiny-v0 has Box"),
        ((DISCRETE, DISCRETE), {"gamma": 1.5}, "gamma is 1.5: give a number from 0 to 1"),
        ((DISCRETE, DISCRETE), {"learning_rate": 0}, "learning_rate is 0: give a number above 0"),
        (
            (gymnasium.spaces.Discrete(10**15), DISCRETE),
            {},
            "table of 1,000,000,000,000,000 states needs .* GB .*: use fewer bins",
        ),
    ],
)
def test_what_has_no_table_is_refused(name, spaces, arguments, sentence):
    with pytest.raises(UserError, match=sentence):
        build(AGENTS[name], EnvironmentSpec("Tiny-v0", *spaces, 1), **arguments)


def test_tables_do_not_need_tensorflow():
    modules = ", ".join(kind.__module__ for kind in AGENTS.values())
    code = f"import sys, {modules}; print('tensorflow' in sys.modules)"
    output = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert output.stdout.strip() == "False"
