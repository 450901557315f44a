"""Dynamic programming: tables worked by hand and printed in the book, and walks along what is best."""

from __future__ import annotations

from collections import deque

import gymnasium
import numpy as np
import pytest

from dopamine_lite.analysis.dynamic_programming import (
    Model,
    action_values,
    greedy_policy,
    model_of,
    policy_evaluation,
    policy_iteration,
    value_iteration,
)
from dopamine_lite.environments import registration  # noqa: F401  # GridWorld-v0
from dopamine_lite.environments.grid_world import GridWorld
from tests.core import core

MAGIC = {18: 54, 63: 14}
TOY_TEXT = [
    ("FrozenLake-v1", {}),
    ("FrozenLake-v1", {"is_slippery": False}),
    ("FrozenLake8x8-v1", {}),
    ("CliffWalking-v1", {}),
    ("CliffWalkingSlippery-v1", {}),
    ("Taxi-v4", {}),
    ("Taxi-v4", {"is_rainy": True}),
]


def model_of_table(table: dict) -> Model:
    env = gymnasium.Env()
    env.P = table
    return model_of(env)


def uniform(model: Model) -> np.ndarray:
    return np.full(model.rewards.shape, 1 / model.rewards.shape[1])


def optimal(model: Model, gamma: float) -> np.ndarray:
    """Values, of both ways to them."""
    values = value_iteration(model, gamma)
    exact, policy = policy_iteration(model, gamma)
    np.testing.assert_allclose(values, exact, rtol=0, atol=1e-7)
    np.testing.assert_allclose(policy_evaluation(model, policy, gamma), exact, rtol=0, atol=1e-7)
    return exact


def random_model(seed: int) -> Model:
    """Of 12 states and 3 actions; every step ends an episode with some probability, state 11 surely."""
    generator = np.random.default_rng(seed)
    transitions = generator.dirichlet(np.full(13, 0.2), (12, 3))[..., :12]
    rewards = generator.normal(size=(12, 3))
    transitions[11], rewards[11] = 0, 0
    return Model(transitions, rewards, np.arange(12) == 11)


@pytest.mark.parametrize(
    ("rows", "columns", "table"),
    [
        (2, 2, [[-1, 0], [0, 0]]),
        (3, 3, [[-3, -2, -1], [-2, -1, 0], [-1, 0, 0]]),
        (1, 4, [[-2, -1, 0, 0]]),
    ],
)
def test_undiscounted_values_are_the_distances(rows, columns, table):
    """Less 1, for the step that reaches the goal costs nothing."""
    model = model_of(GridWorld(rows, columns))
    assert optimal(model, 1).reshape(rows, columns).tolist() == table
    assert model.terminal.tolist() == [False] * (rows * columns - 1) + [True]


def test_discounted_values():
    """-1 - 0.5 - 0.25 of three steps that cost, by hand."""
    values = optimal(model_of(GridWorld(3, 3)), 0.5)
    table = [[-1.75, -1.5, -1], [-1.5, -1, 0], [-1, 0, 0]]
    np.testing.assert_allclose(values.reshape(3, 3), table)


def test_the_greedy_policy_tells_every_tie():
    """3 x 3 cells: right or down wherever both lead nearer; at the goal all moves are equally good."""
    model = model_of(GridWorld(3, 3))
    values, policy = policy_iteration(model, 1)
    right, down, both, any_way = [0, 1, 0, 0], [0, 0, 1, 0], [0, 0.5, 0.5, 0], [0.25] * 4
    expected = [both, both, down, both, both, down, right, right, any_way]
    assert policy.tolist() == expected
    np.testing.assert_array_equal(greedy_policy(model, values + 1e-12, 1), policy)


def breadth_first(env: GridWorld) -> int:
    """The fewest steps from the start to the goal, by moves spelled out once more."""
    queue, seen = deque([(0, 0, 0)]), {(0, 0)}
    while queue:
        row, column, steps = queue.popleft()
        if (row, column) == (env.rows - 1, env.columns - 1):
            return steps
        for next_row, next_column in (
            (row - 1, column),
            (row + 1, column),
            (row, column - 1),
            (row, column + 1),
        ):
            if 0 <= next_row < env.rows and 0 <= next_column < env.columns:
                cell = next_row * env.columns + next_column
                place = divmod(env.magic_squares.get(cell, cell), env.columns)
                if place not in seen:
                    seen.add(place)
                    queue.append((*place, steps + 1))
    raise AssertionError("There is no way.")


@pytest.mark.parametrize(
    ("magic_squares", "optimal_return"),
    [({}, -15), (MAGIC, -11), ({1: 79}, -1), ({1: 80}, 0), ({9: 8, 1: 8}, -8)],
)
def test_the_optimal_return_is_that_of_the_shortest_way(magic_squares, optimal_return):
    """With {18: 54, 63: 14}: two steps down to 54 and ten to the goal, of which the last is free."""
    env = GridWorld(magic_squares=magic_squares)
    assert optimal(model_of(env), 1)[0] == optimal_return == 1 - breadth_first(env)


def test_the_random_policy_of_the_book():
    """Figure 4.1: 4 x 4 cells, ends in two corners, -1 a step."""

    def outcome(state, down, right):
        row, column = divmod(state, 4)
        successor = 4 * min(max(row + down, 0), 3) + min(max(column + right, 0), 3)
        return [(1.0, successor, -1.0, successor in (0, 15))]

    moves = ((-1, 0), (0, 1), (1, 0), (0, -1))
    model = model_of_table(
        {state: {a: outcome(state, *move) for a, move in enumerate(moves)} for state in range(16)}
    )
    table = [[0, -14, -20, -22], [-14, -18, -20, -20], [-20, -20, -18, -14], [-22, -20, -14, 0]]
    values = policy_evaluation(model, uniform(model), 1)
    np.testing.assert_allclose(values.reshape(4, 4), table)
    table = [[0, 0, -1, -2], [0, -1, -2, -1], [-1, -2, -1, 0], [-2, -1, 0, 0]]
    best = np.array(table) - (np.array(table) < 0)  # here the last step costs 1 too
    best[0, 1] = best[1, 0] = best[2, 3] = best[3, 2] = -1
    best[0, 2] = best[2, 0] = best[1, 1] = best[1, 3] = best[3, 1] = best[2, 2] = -2
    np.testing.assert_allclose(optimal(model, 1).reshape(4, 4), best)


def test_the_gambler_of_the_book():
    """Example 4.3: heads with probability 0.4, a reward of 1 for 100. Bold play is optimal, which
    stakes everything at 25 and 50; every stake of 0 < s < 100 that is not possible stands for 1."""

    def outcomes(capital, stake):
        stake = stake if 0 < stake <= min(capital, 100 - capital) else 1
        won, lost = capital + stake, capital - stake
        return [(0.4, won, float(won == 100), won == 100), (0.6, lost, 0.0, lost == 0)]

    table = {capital: {s: outcomes(capital, s) for s in range(51)} for capital in range(1, 100)}
    ends = {end: {s: [(1.0, end, 0.0, True)] for s in range(51)} for end in (0, 100)}
    values = optimal(model_of_table(table | ends), 1)
    np.testing.assert_allclose(values[[0, 25, 50, 75, 100]], [0, 0.16, 0.4, 0.64, 0], atol=1e-9)


@pytest.mark.parametrize(
    ("id", "options", "value"),
    [
        ("FrozenLake-v1", {}, 14 / 17),
        ("FrozenLake-v1", {"is_slippery": False}, 1),
        ("FrozenLake8x8-v1", {}, 1),
        ("CliffWalking-v1", {}, -13),
    ],
)
def test_known_values_of_toy_text(id, options, value):
    env = gymnasium.make(id, **options)
    start, _ = env.reset(seed=0)
    assert optimal(model_of(env), 1)[start] == pytest.approx(value, abs=1e-7)


@pytest.mark.parametrize("gamma", [0.0, 0.9, 1.0])
@pytest.mark.parametrize(("id", "options"), [*TOY_TEXT, ("GridWorld-v0", {"magic_squares": MAGIC})])
def test_optimal_values_satisfy_bellmans_equation(id, options, gamma):
    model = model_of(gymnasium.make(id, **options))
    values = optimal(model, gamma)
    best = action_values(model, values, gamma).max(1)
    np.testing.assert_allclose(best, values, rtol=0, atol=1e-8)
    assert (values[model.terminal] == 0).all()
    random = policy_evaluation(model, uniform(model), gamma)
    assert (random <= values + 1e-8).all()


@pytest.mark.parametrize("gamma", [0.9, 1.0])
@pytest.mark.parametrize(
    ("id", "options"),
    [("Taxi-v4", {}), ("CliffWalking-v1", {}), ("GridWorld-v0", {"magic_squares": MAGIC})],
)
def test_who_walks_greedily_earns_the_value(id, options, gamma):
    """By the environment's own steps, which know of no model."""
    env = gymnasium.make(id, **options)
    model = model_of(env)
    values, policy = policy_iteration(model, gamma)
    generator = np.random.default_rng(0)
    for seed in range(20):
        start, _ = env.reset(seed=seed)
        state, discount, earned, over = start, 1.0, 0.0, False
        while not over:
            action = generator.choice(len(policy[state]), p=policy[state])
            state, reward, over, truncated, _ = env.step(int(action))
            assert not truncated
            earned += discount * reward
            discount *= gamma
        assert earned == pytest.approx(values[start], abs=1e-9)


def test_an_end_is_not_bootstrapped_from():
    """Often wrong: Taxi's and CliffWalking's tables have rows of the states in which episodes end."""
    model = model_of(gymnasium.make("CliffWalking-v1"))
    assert model.terminal.nonzero()[0].tolist() == [47]
    assert not model.transitions[:, :, 47].any() and not model.transitions[47].any()
    assert not model.rewards[47].any() and model.rewards[35, 2] == -1
    lake = model_of(gymnasium.make("FrozenLake-v1"))
    assert lake.terminal.nonzero()[0].tolist() == [5, 7, 11, 12, 15]
    np.testing.assert_allclose(lake.rewards[14], [0, 1 / 3, 1 / 3, 1 / 3])
    taxi = model_of(gymnasium.make("Taxi-v4"))
    ends = taxi.transitions.sum(2) == 0
    assert ends.sum() == 4 and (taxi.rewards[ends] == 20).all()  # a passenger let out at each place


@pytest.mark.parametrize("seed", core(range(20), 0, 1, 2))
@pytest.mark.parametrize("gamma", [0.5, 0.99, 1.0])
def test_random_models(seed, gamma):
    """The values of a policy against sweeps of eq. 4.5, and the optimal ones against every policy
    that differs from it in one state."""
    model = random_model(seed)
    values = np.zeros(12)
    for _ in range(20_000):
        values = action_values(model, values, gamma).mean(1)
    np.testing.assert_allclose(policy_evaluation(model, uniform(model), gamma), values, atol=1e-6)
    best, policy = policy_iteration(model, gamma)
    np.testing.assert_allclose(value_iteration(model, gamma), best, atol=1e-5)
    for state in range(11):
        for action in range(3):
            other = policy.copy()
            other[state] = np.eye(3)[action]
            assert (policy_evaluation(model, other, gamma) <= best + 1e-9).all()


def test_one_state_by_hand():
    """Stay for 1 or leave for 5: v = max(1 / (1 - gamma), 5); both at gamma 0.8."""
    model = Model(np.array([[[1.0], [0.0]]]), np.array([[1.0, 5.0]]), np.array([False]))
    for gamma, value, policy in [
        (0.5, 5, [0, 1]),
        (0.8, 5, [0.5, 0.5]),
        (0.9, 10, [1, 0]),
    ]:
        values, greedy = policy_iteration(model, gamma)
        np.testing.assert_allclose(values, [value])
        assert greedy.tolist() == [policy]
        np.testing.assert_allclose(value_iteration(model, gamma), [value])
    np.testing.assert_allclose(policy_evaluation(model, np.array([[0.5, 0.5]]), 0.5), [4])


def test_rewards_without_end_have_no_value():
    model = Model(np.array([[[1.0], [0.0]]]), np.array([[1.0, 5.0]]), np.array([False]))
    with pytest.raises(ValueError, match="With gamma = 1, state 0 has no value"):
        policy_iteration(model, 1)
    with pytest.raises(
        ValueError, match="after 1,000 sweeps: raise max_sweeps or tolerance, or low"
    ):
        value_iteration(model, 1, max_sweeps=1000)


def test_a_policy_that_never_arrives_has_a_value_only_with_a_discount():
    model = model_of(GridWorld(2, 2))
    policy = np.tile([0.0, 0.0, 0.0, 1.0], (4, 1))  # always left
    with pytest.raises(ValueError, match="With gamma = 1, state 0 has no value"):
        policy_evaluation(model, policy, 1)
    np.testing.assert_allclose(policy_evaluation(model, policy, 0.5), [-2, -2, -2, 0])
    policy[1] = [0, 0, 1, 0]  # but for cell 1, from where it goes down
    with pytest.raises(ValueError, match="state 0 has no value"):
        policy_evaluation(model, policy, 1)


def test_endless_walks_without_rewards_are_worth_nothing():
    """With gamma 1 too: they are ends but in name. A frozen lake where one always goes left."""
    model = model_of(gymnasium.make("FrozenLake-v1", is_slippery=False))
    left = np.tile([1.0, 0.0, 0.0, 0.0], (16, 1))
    assert not policy_evaluation(model, left, 1).any()
    # The same end as an absorbing state: 0 leads to 1 for -3, and 1 to itself for nothing.
    absorbing = Model(np.array([[[0.0, 1.0]]] * 2), np.array([[-3.0], [0.0]]), np.zeros(2, bool))
    assert optimal(absorbing, 1).tolist() == [-3, 0]


def test_where_no_episode_ends_gamma_1_is_refused():
    never = Model(np.ones((1, 1, 1)), np.full((1, 1), -1.0), np.zeros(1, bool))
    for solve in (value_iteration, policy_iteration):
        with pytest.raises(ValueError, match="With gamma = 1, state 0 has no value"):
            solve(never, 1)
        with pytest.raises(ValueError, match=r"gamma is 1\.5: give a number from 0 to 1"):
            solve(never, 1.5)
    np.testing.assert_allclose(optimal(never, 0.9), [-10])


def test_what_has_no_table_is_told():
    with pytest.raises(ValueError, match="does not give its transition probabilities"):
        model_of(gymnasium.make("CartPole-v1"))
