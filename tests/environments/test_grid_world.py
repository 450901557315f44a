"""The grid world: walks worked by hand, the vector version beside the single one, gin and pictures."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings

import gin
import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from dopamine_lite.common.errors import UserError
from dopamine_lite.environments.factory import create_environment
from dopamine_lite.environments.grid_world import GridWorld, GridWorldVector
from dopamine_lite.environments.gymnasium_environment import GymnasiumEnvironment
from dopamine_lite.environments.vector_environment import VectorEnvironment
from tests.core import core

UP, RIGHT, DOWN, LEFT = range(4)
MAGIC = {18: 54, 63: 14}


class MaskedGridWorld(GridWorld):
    """Forbids moves off the grid where it is told to."""

    def __init__(self, masked=False, **options):
        super().__init__(**options)
        self._masked = masked

    def reset(self, **arguments):
        return self._told(super().reset(**arguments))

    def step(self, action):
        return self._told(super().step(action))

    def _told(self, result):
        if self._masked:
            row, column = divmod(result[0], self.columns)
            mask = [row > 0, column < self.columns - 1, row < self.rows - 1, column > 0]
            result[-1]["action_mask"] = np.array(mask, np.int8)
        return result


@pytest.mark.parametrize(
    ("options", "walk"),
    [
        (  # 0 1
            {"rows": 2, "columns": 2},  # 2 3
            [
                (UP, 0, -1.0),
                (LEFT, 0, -1.0),
                (DOWN, 2, -1.0),
                (UP, 0, -1.0),
                (RIGHT, 1, -1.0),
                (RIGHT, 1, -1.0),
                (DOWN, 3, 0.0),
            ],
        ),
        (  # 0 1 2
            {"rows": 2, "columns": 3},  # 3 4 5
            [(DOWN, 3, -1.0), (DOWN, 3, -1.0), (RIGHT, 4, -1.0), (RIGHT, 5, 0.0)],
        ),
        (  # From 1 to 6, onto 4 and so to 2, which is no magic square, and down to the goal.
            {"rows": 3, "columns": 3, "magic_squares": {1: 6, 4: 2}},
            [(RIGHT, 6, -1.0), (UP, 3, -1.0), (RIGHT, 2, -1.0), (DOWN, 5, -1.0), (DOWN, 8, 0.0)],
        ),
        (  # A magic square can lead to the goal, or back to the start.
            {"rows": 1, "columns": 5, "magic_squares": {2: 4}},
            [(RIGHT, 1, -1.0), (RIGHT, 4, 0.0)],
        ),
        (
            {"rows": 2, "columns": 2, "magic_squares": {1: 0}},
            [(RIGHT, 0, -1.0), (DOWN, 2, -1.0), (RIGHT, 3, 0.0)],
        ),
    ],
)
def test_walks_worked_by_hand(options, walk):
    env = gymnasium.make("GridWorld-v0", **options)
    for _ in range(2):
        assert env.reset(seed=1) == (0, {})
        for action, cell, reward in walk:
            ended = (action, cell, reward) == walk[-1]
            assert env.step(action) == (cell, reward, ended, False, {})
    env.close()


def test_matrices_worked_by_hand():
    """2 x 2 cells; 1 leads to 2, so nothing leads to 1; the goal, 3, is absorbing."""
    env = GridWorld(2, 2, {1: 2})
    successors = [[0, 2, 2, 0], [2, 2, 3, 0], [0, 3, 2, 2], [3, 3, 3, 3]]
    rewards = [[-1, -1, -1, -1], [-1, -1, 0, -1], [-1, 0, -1, -1], [0, 0, 0, 0]]
    transitions = env.transition_matrix()
    assert transitions.shape == (4, 4, 4) and transitions.dtype == np.float64
    assert transitions.argmax(2).tolist() == successors
    assert set(transitions.flat) == {0, 1} and (transitions.sum(2) == 1).all()
    assert env.reward_matrix().tolist() == rewards and env.reward_matrix().dtype == np.float64


@pytest.mark.parametrize("magic_squares", [{}, MAGIC, {10: 80, 70: 0}])
def test_the_matrices_are_what_steps_do(magic_squares):
    env = GridWorld(magic_squares=magic_squares)
    transitions, rewards = env.transition_matrix(), env.reward_matrix()
    env.reset()
    generator = np.random.default_rng(0)
    cell, seen = 0, set()
    for action in generator.integers(4, size=20_000):
        successor, reward, terminated, _, _ = env.step(action)
        assert transitions[cell, action, successor] == 1 and rewards[cell, action] == reward
        seen.add((cell, int(action)))
        cell = env.reset()[0] if terminated else successor
    assert len(seen) == 4 * (80 - len(magic_squares))  # not from the goal, never on a magic square


@pytest.mark.parametrize("render_mode", core([None, "human", "rgb_array", "ansi"], "rgb_array"))
def test_gymnasiums_checker_has_no_complaint(render_mode, monkeypatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(gymnasium.make("GridWorld-v0", render_mode=render_mode).unwrapped)


@pytest.mark.parametrize("limit", core([None, 13], 13))
@pytest.mark.parametrize(
    "options", [{}, {"magic_squares": MAGIC}, {"rows": 2, "columns": 3}, {"rows": 1, "columns": 14}]
)
def test_the_vector_version_is_the_single_one_many_times(options, limit):
    own = gymnasium.make_vec("GridWorld-v0", 5, max_episode_steps=limit, **options)
    assert type(own) is GridWorldVector
    reference = SyncVectorEnv(
        [lambda: gymnasium.make("GridWorld-v0", limit, **options)] * 5,
        autoreset_mode=AutoresetMode.SAME_STEP,
    )
    assert own.observation_space == reference.observation_space
    assert own.action_space == reference.action_space
    np.testing.assert_array_equal(own.reset(seed=1)[0], reference.reset(seed=1)[0])
    generator = np.random.default_rng(0)
    ends = 0
    for _ in range(3000):
        actions = generator.integers(4, size=5)
        *result, infos = own.step(actions)
        *expected, expected_infos = reference.step(actions)
        for one, two in zip(result, expected, strict=True):
            np.testing.assert_array_equal(one, two)
            assert one.dtype == two.dtype
        ended = result[2] | result[3]
        assert ("final_obs" in infos) == ended.any()
        if ended.any():
            ends += ended.sum()
            np.testing.assert_array_equal(infos["_final_obs"], expected_infos["_final_obs"])
            final, expected_final = infos["final_obs"], expected_infos["final_obs"]
            assert final[ended].tolist() == expected_final[ended].tolist()
    assert ends > 10


def test_the_registered_limit_reaches_both_versions():
    limit = gymnasium.spec("GridWorld-v0").max_episode_steps
    for envs in (
        gymnasium.make_vec("GridWorld-v0", 2),
        SyncVectorEnv([lambda: gymnasium.make("GridWorld-v0")] * 2),
    ):
        envs.reset(seed=1)
        for step in range(1, limit + 1):
            _, _, terminated, truncated, _ = envs.step(np.array([UP, LEFT]))
            assert truncated.tolist() == [step == limit] * 2 and not terminated.any()


def test_the_vector_version_does_not_write_to_what_it_returned():
    """Nor does it see what is written there."""
    envs = GridWorldVector(3, max_episode_steps=7, rows=2, columns=2)
    arrays = [envs.reset()[0]]
    generator = np.random.default_rng(0)
    copies = [arrays[0].copy()]
    for _ in range(100):
        *result, infos = envs.step(generator.integers(4, size=3))
        arrays += [*result, *infos.values()]
        copies += [array.copy() for array in (*result, *infos.values())]
    for array, copy in zip(arrays, copies, strict=True):
        np.testing.assert_array_equal(array, copy)
    observations, _ = envs.reset()
    observations[:] = 2
    assert envs.step(np.array([UP, UP, UP]))[0].tolist() == [0, 0, 0]


@pytest.mark.parametrize("action", [-1, 4])
def test_an_action_that_does_not_exist_is_an_error(action):
    env, envs = GridWorld(), GridWorldVector(2)
    env.reset(), envs.reset()
    with pytest.raises(ValueError, match=r"not in Discrete\(4\)"):
        env.step(action)
    with pytest.raises(ValueError, match=r"not all in Discrete\(4\)"):
        envs.step(np.array([0, action]))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"rows": 0}, "rows is 0: give a whole number, 1 or more"),
        ({"columns": 2.5}, "columns is 2.5"),
        ({"rows": 1, "columns": 1}, "begins at its goal"),
        ({"magic_squares": [18, 54]}, r"magic_squares is \[18, 54\]: give a dictionary"),
        ({"magic_squares": {81: 3}}, "has cell 81: give whole numbers from 0 to 80"),
        ({"magic_squares": {3: -1}}, "has cell -1"),
        ({"magic_squares": {3: 4.5}}, "has cell 4.5"),
        ({"magic_squares": {"three": 4}}, "has cell 'three'"),
        ({"magic_squares": {0: 4}}, "has cell 0, the start"),
        ({"magic_squares": {80: 4}}, "has cell 80, the goal"),
        ({"magic_squares": {3: 3}}, "leads from 3 to 3, which is a magic square"),
        ({"magic_squares": {3: 4, 4: 5}}, "leads from 3 to 4, which is a magic square"),
        ({"magic_squares": {79: 1, 71: 1}}, "no way from cell 0 to the goal"),
        ({"magic_squares": {7: 8, 17: 8}}, "no way from cell 8 to the goal"),
    ],
)
@pytest.mark.parametrize("constructor", [GridWorld, GridWorldVector])
def test_a_mistake_is_told_in_a_sentence(constructor, options, sentence):
    with pytest.raises(UserError, match=sentence):
        constructor(**options)


def test_only_whole_environments_and_limits():
    with pytest.raises(UserError, match="num_envs is 0"):
        GridWorldVector(0)
    with pytest.raises(UserError, match="max_episode_steps is 0"):
        GridWorldVector(1, 0)


def test_magic_squares_come_back_from_json():
    squares = json.loads(json.dumps(MAGIC))
    assert GridWorld(magic_squares=squares).magic_squares == MAGIC


def test_text():
    env = gymnasium.make("GridWorld-v0", rows=2, columns=3, render_mode="ansi")
    env.reset()
    assert env.render() == "@ . .\n. . G\n"
    env.step(RIGHT)
    assert env.render() == "S @ .\n. . G\n"
    squares = {1: 6, 2: 8, 3: 6, 4: 0}
    env = gymnasium.make(
        "GridWorld-v0", rows=2, columns=5, magic_squares=squares, render_mode="ansi"
    )
    env.reset()
    assert env.render() == "@>3 1>  2>  1>  3>\n.   >1  .   >2  G\n"
    env.step(DOWN), env.step(RIGHT)
    assert env.render() == "S>3 1>  2>  1>  3>\n.   @>1 .   >2  G\n"


def test_pictures():
    """An array of its own each; the agent's cell alone changes; pairs share a color."""
    env = gymnasium.make("GridWorld-v0", magic_squares=MAGIC, render_mode="rgb_array")
    env.reset()
    first = env.render()
    kept = first.copy()
    assert first.shape == (576, 576, 3) and first.dtype == np.uint8
    env.step(RIGHT)
    second = env.render()
    np.testing.assert_array_equal(first, kept)
    changed = (first != second).any(-1).reshape(9, 64, 9, 64).any((1, 3))
    assert changed.nonzero()[0].tolist() == [0, 0] and changed.nonzero()[1].tolist() == [0, 1]

    def cell(number):
        row, column = divmod(number, 9)
        return second[64 * row : 64 * (row + 1), 64 * column : 64 * (column + 1)]

    colors = [cell(source)[12, 32] for source in MAGIC]  # filled
    assert np.abs(colors[0].astype(int) - colors[1]).sum() > 100
    for color, destination in zip(colors, MAGIC.values(), strict=True):  # framed
        assert (cell(destination) == color).all(-1).sum() > 200
    assert (
        (cell(18) != cell(2)).any() and (cell(0) != cell(2)).any() and (cell(80) != cell(2)).any()
    )
    np.testing.assert_array_equal(cell(2), cell(24))  # ordinary cells look the same


@pytest.mark.parametrize("rows, columns, shape", [(2, 30, (50, 750, 3)), (300, 1, (1200, 4, 3))])
def test_cells_shrink_where_there_are_many(rows, columns, shape):
    env = GridWorld(rows, columns, render_mode="rgb_array")
    env.reset()
    assert env.render().shape == shape


def test_a_window(monkeypatch):
    """Drawn without being asked, as in Gymnasium's own; its picture is the one of `rgb_array`."""
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    import pygame

    env = gymnasium.make("GridWorld-v0", rows=2, columns=3, render_mode="human")
    picture = gymnasium.make("GridWorld-v0", rows=2, columns=3, render_mode="rgb_array")
    for each in (env, picture):
        each.reset()
        each.step(RIGHT)
    assert env.render() is None
    shown = pygame.surfarray.array3d(pygame.display.get_surface()).swapaxes(0, 1)
    np.testing.assert_array_equal(shown, picture.render())
    env.close()
    assert pygame.display.get_surface() is None


@pytest.mark.parametrize("num_envs, kind", [(1, GymnasiumEnvironment), (3, VectorEnvironment)])
def test_from_gin(num_envs, kind):
    gin.parse_config(
        [
            'create_environment.id = "GridWorld-v0"',
            'create_environment.kwargs = {"rows": 3, "columns": 3, "magic_squares": {1: 5}}',
        ]
    )
    environment = create_environment(num_envs=num_envs, seed=0, max_steps_per_episode=4)
    assert type(environment) is kind
    spec = environment.spec
    assert spec.observation_space == gymnasium.spaces.Discrete(9) and not spec.action_masks
    assert spec.protocol == {
        "environment": "GridWorld-v0",
        "max_steps_per_episode": 4,
        "kwargs": {"rows": 3, "columns": 3, "magic_squares": {1: 5}},
    }
    assert environment.reset().tolist() == [0] * num_envs
    # Over 1 to 5 and then to the goal; then four times against the wall.
    steps = [environment.step(np.full(num_envs, action)) for action in [RIGHT, DOWN] + [UP] * 4]
    assert [step.next_observations.tolist() for step in steps] == [
        [cell] * num_envs for cell in (5, 8, 0, 0, 0, 0)
    ]
    assert [step.observations[0] for step in steps] == [5, 0, 0, 0, 0, 0]
    assert [step.rewards[0] for step in steps] == [-1, 0, -1, -1, -1, -1]
    assert [bool(step.terminated.all()) for step in steps] == [False, True] + [False] * 4
    assert [bool(step.truncated.all()) for step in steps] == [False] * 5 + [True]
    environment.close()


def test_without_options_the_protocol_names_none():
    environment = create_environment("GridWorld-v0", num_envs=2)
    limit = gymnasium.spec("GridWorld-v0").max_episode_steps
    assert environment.spec.protocol == {
        "environment": "GridWorld-v0",
        "max_steps_per_episode": limit,
    }


def test_the_drawn_environment_has_the_options_too():
    environment = create_environment(
        "GridWorld-v0", num_envs=2, render=True, kwargs={"rows": 2, "columns": 3}
    )
    environment.reset()
    assert environment.render().shape == (128, 192, 3)


def test_options_reach_gymnasiums_own_environments():
    environment = create_environment("FrozenLake-v1", kwargs={"is_slippery": False})
    environment.reset()
    assert [environment.step(np.array([2])).observations[0] for _ in range(3)] == [1, 2, 3]


@pytest.mark.parametrize("num_envs", [1, 2])
def test_options_decide_whether_there_are_action_masks(num_envs):
    gymnasium.register("MaskedGridWorld-v0", MaskedGridWorld, vector_entry_point=GridWorldVector)
    try:
        for masked in (False, True, False):
            kwargs = {"masked": True, "rows": 2} if masked else {"rows": 2}
            environment = create_environment("MaskedGridWorld-v0", num_envs, kwargs=kwargs)
            environment.reset()
            assert environment.spec.action_masks == masked
            masks = environment.action_masks
            assert masks is None or masks.tolist() == [[False, True, True, False]] * num_envs
    finally:
        del gymnasium.registry["MaskedGridWorld-v0"]


@pytest.mark.parametrize("num_envs, render", [(1, False), (1, True), (2, False)])
@pytest.mark.parametrize(
    ("id", "kwargs", "sentence"),
    [
        (
            "GridWorld-v0",
            {"rowz": 3},
            "GridWorld-v0 has no option 'rowz' .* its options: rows, columns, magic_squares.",
        ),
        ("GridWorld-v0", {"rows": 0}, "^GridWorld.rows is 0"),
        ("CartPole-v1", {"rows": 3}, "CartPole-v1 has no option 'rows'"),
        ("CartPole-v1", {"max_episode_steps": 3}, "not an option of the environment"),
        ("CartPole-v1", {"render_mode": "human"}, "not an option of the environment"),
        ("GridWorld-v0", {18: 54}, r"kwargs is {18: 54}: give a dictionary of options by name"),
        ("GridWorld-v0", "rows", "kwargs is 'rows': give a dictionary of options by name"),
        ("GridWorld-v0", {"rows": np.int64(3)}, "cannot be stored with results as JSON"),
        (
            "ALE/Pong-v5",
            {"game": "breakout"},
            "ALE/Pong-v5 takes none: bind the parameters of Atari",
        ),
    ],
)
def test_options_that_do_not_exist_are_told(id, kwargs, sentence, num_envs, render):
    with pytest.raises(UserError, match=sentence):
        create_environment(id, num_envs, render=render, kwargs=kwargs)


def test_gymnasium_alone_finds_it_by_its_module():
    """And nothing of it is imported before one is made."""
    code = (
        "import sys, gymnasium, dopamine_lite.environments.registration as registration; "
        "registration.register(); "
        "print('dopamine_lite.environments.grid_world' in sys.modules); "
        "print(gymnasium.make('dopamine_lite.environments.registration:GridWorld-v0'))"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.split("\n", 1)[0] == "False" and "GridWorld-v0" in done.stdout
    assert done.stderr == ""
