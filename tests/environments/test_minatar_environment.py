"""MinAtar: the package's own games, seeded from one seed, kept to the contract and drawn."""

from __future__ import annotations

import importlib.metadata
import sys

import gin
import numpy as np
import pytest

from dopamine_lite.common.errors import UserError
from dopamine_lite.environments.minatar_environment import (
    GAMES,
    MinAtarEnvironment,
    draw,
    find_game,
)
from tests.core import core

FREEWAY_STEPS = 2501  # in an episode: the package ends it when its count of 2,500 is below 0


@pytest.fixture
def minatar():
    return pytest.importorskip("minatar")


def play(environment: MinAtarEnvironment, steps: int, seed: int = 0) -> list[np.ndarray]:
    """Everything an environment returned during `steps` of random play."""
    generator = np.random.default_rng(seed)
    seen = [environment.reset()]
    for _ in range(steps):
        shape = environment.spec.num_envs
        result = environment.step(generator.integers(environment.spec.action_space.n, size=shape))
        seen += [part for part in result if part is not None]
    environment.close()
    return seen


@pytest.mark.parametrize("minimal", core([True, False], False))
@pytest.mark.parametrize("game", core(GAMES, "breakout", "seaquest"))
def test_an_environment_is_the_packages_own_game(minatar, game, minimal):
    """Driven by hand with the environment's seed: observations, rewards and ends are the same."""
    environment = MinAtarEnvironment(2, seed=5, game=game, minimal_action_set=minimal)
    observations = environment.reset()
    own = minatar.Environment(game)
    own.seed(int(environment._seeds[1]))
    own.reset()
    np.testing.assert_array_equal(observations[1], own.state())
    meanings = own.minimal_action_set() if minimal else range(6)
    assert environment.spec.action_space.n == len(meanings)
    generator = np.random.default_rng(0)
    ends, score = 0, 0.0
    for _ in range(3 * FREEWAY_STEPS):
        actions = generator.integers(len(meanings), size=2)
        result = environment.step(actions)
        reward, over = own.act(meanings[actions[1]])
        assert result.rewards[1] == reward
        assert result.terminated[1] == over and not result.truncated[1]
        np.testing.assert_array_equal(result.next_observations[1], own.state())
        if over:
            own.reset()
        np.testing.assert_array_equal(result.observations[1], own.state())
        ends, score = ends + over, score + reward
    assert ends >= 3
    assert score > 0 or (game == "freeway" and not minimal)  # seldom up among six actions


@pytest.mark.parametrize("game", GAMES)
def test_made_anew_it_repeats_bit_for_bit(minatar, game):
    first, second, other = (play(MinAtarEnvironment(2, seed, game=game), 600) for seed in (1, 1, 2))
    for one, two in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, two)
    assert any((one != two).any() for one, two in zip(first, other, strict=True))


@pytest.mark.parametrize("game", GAMES)
def test_environments_differ_and_do_not_depend_on_their_number(minatar, game):
    def observations(num_envs: int) -> np.ndarray:
        environment = MinAtarEnvironment(num_envs, seed=3, game=game)
        actions = np.random.default_rng(0).integers(environment.spec.action_space.n, size=300)
        environment.reset()
        return np.stack([environment.step(np.full(num_envs, a)).observations for a in actions])

    alone, together = observations(1), observations(3)  # [time, env, 10, 10, channels]
    np.testing.assert_array_equal(alone[:, 0], together[:, 0])
    for first, second in ((0, 1), (0, 2), (1, 2)):  # the same actions, but sticky each in its way
        assert (together[:, first] != together[:, second]).any()


@pytest.mark.parametrize("game", GAMES)
def test_what_it_returns_is_what_its_spec_says(minatar, game):
    environment = MinAtarEnvironment(3, game=game)
    observations = environment.reset()
    result = environment.step(np.zeros(3, int))
    space = environment.spec.observation_space
    channels = {"asterix": 4, "breakout": 4, "freeway": 7, "seaquest": 10, "space_invaders": 6}
    assert space.shape == (10, 10, channels[game])
    for array in (observations, result.observations, result.next_observations):
        assert array.shape == (3, *space.shape) and array.dtype == space.dtype == np.uint8
        assert set(np.unique(array)) == {0, 1}
    assert result.rewards.dtype == np.float64 and result.rewards.shape == (3,)
    assert result.terminated.dtype == result.truncated.dtype == bool
    assert environment.spec.stack_size == environment.spec.frame_skip == 1


def test_autoreset_happens_within_the_step(minatar):
    """Often wrong: bootstrapping across an autoreset. An array that was returned is not written to."""
    environment = MinAtarEnvironment(4, seed=3)
    generator = np.random.default_rng(0)
    environment.reset()
    results, copies = [], []
    for _ in range(200):
        results.append(environment.step(generator.integers(3, size=4)))
        copies.append([np.copy(part) for part in results[-1][:5]])
    ends = 0
    for result, copied in zip(results, copies, strict=True):
        for part, copy in zip(result, copied, strict=False):
            np.testing.assert_array_equal(part, copy)
        for index, over in enumerate(result.terminated):
            ball, new_ball = result.next_observations[index], result.observations[index]
            if over:
                ends += 1
                assert ball[9, :, 1].any()  # the ball is in the bottom row
                assert new_ball[3, [0, 9], 1].any() and new_ball[..., 3].sum() == 30
            else:
                np.testing.assert_array_equal(ball, new_ball)
        assert (result.next_observations is result.observations) == (not result.terminated.any())
    assert ends > 20


@pytest.mark.parametrize("game", GAMES)
def test_the_step_limit_truncates(minatar, game):
    environment = MinAtarEnvironment(2, max_steps_per_episode=5, game=game)
    environment.reset()
    for step in range(1, 16):
        result = environment.step(np.zeros(2, int))
        assert result.truncated.tolist() == [step % 5 == 0] * 2
        assert not result.terminated.any()
    assert environment.spec.max_steps_per_episode == 5


@pytest.mark.parametrize(
    "limit, truncated", [(FREEWAY_STEPS - 1, True), (FREEWAY_STEPS, False), (None, False)]
)
def test_a_game_that_is_over_at_the_limit_is_not_truncated(minatar, limit, truncated):
    """Often wrong: truncation treated as terminal, or terminal as truncation."""
    environment = MinAtarEnvironment(1, max_steps_per_episode=limit, game="freeway")
    environment.reset()
    length = FREEWAY_STEPS - truncated
    for _ in range(2):  # the second episode's steps are counted anew
        results = [environment.step(np.zeros(1, int)) for _ in range(length)]
        ends = [bool(result.terminated | result.truncated) for result in results]
        assert ends == [False] * (length - 1) + [True]
        assert results[-1].truncated[0] == truncated and results[-1].terminated[0] != truncated


def test_actions_stick_with_the_given_probability(minatar):
    """The paddle of Breakout goes back and forth: where it does not, the action was the last one."""

    def stuck(probability: float) -> float:
        environment = MinAtarEnvironment(1, seed=1, sticky_action_prob=probability)
        left_or_right = {"l": 1, "r": 2}
        place = environment.reset()[0, 9, :, 0].argmax()
        moves, repeated = 0, 0
        for step in range(20_000):
            way = "lr"[step % 2]
            result = environment.step(np.array([left_or_right[way]]))
            new = result.next_observations[0, 9, :, 0].argmax()
            if 0 < place < 9:
                moves += 1
                repeated += new - place != (-1 if way == "l" else 1)
            place = result.observations[0, 9, :, 0].argmax()
        return repeated / moves

    assert stuck(0.0) == 0
    # Wrong is what sticks to an action that was not wrong itself: w = 0.1 (1 - w).
    assert stuck(0.1) == pytest.approx(1 / 11, abs=0.01)


@pytest.mark.parametrize("game", ["asterix", "breakout"])
def test_difficulty_ramping_reaches_the_games_that_know_it(minatar, game):
    ramping, even = (
        play(MinAtarEnvironment(1, 0, game=game, difficulty_ramping=ramps), 1000)
        for ramps in (True, False)
    )
    same = all((one == two).all() for one, two in zip(ramping, even, strict=True))
    assert same == (game == "breakout")


def test_gin_binds_the_protocol(minatar):
    gin.parse_config(
        ["MinAtarEnvironment.game = 'SpaceInvaders'", "MinAtarEnvironment.sticky_action_prob = 0.0"]
    )
    environment = MinAtarEnvironment(
        num_envs=2, seed=0, max_steps_per_episode=50, render=False, evaluate=True
    )
    assert environment.spec.id == "MinAtar/SpaceInvaders"
    assert environment.spec.protocol == {
        "environment": "MinAtar SpaceInvaders",
        "sticky_action_prob": 0.0,
        "difficulty_ramping": True,
        "minimal_action_set": True,
        "max_steps_per_episode": 50,
        "minatar": importlib.metadata.version("MinAtar"),
    }


@pytest.mark.parametrize("action", [-1, 3])
def test_an_action_that_does_not_exist_is_an_error(minatar, action):
    environment = MinAtarEnvironment(2)
    environment.reset()
    with pytest.raises(ValueError, match=r"not all in Discrete\(3\)"):
        environment.step(np.array([0, action]))


@pytest.mark.parametrize("game", GAMES)
def test_pictures(minatar, game):
    """Of the first environment, a new array each; cells with an object differ from empty ones."""
    environment = MinAtarEnvironment(2, game=game, render=True)
    state = environment.reset()[0]
    for _ in range(30):
        picture = environment.render()
        assert picture.shape == (240, 240, 3) and picture.dtype == np.uint8
        cells = picture.reshape(10, 24, 10, 24, 3)
        empty = draw(np.zeros_like(state))[0, 0]
        drawn = (cells != empty).any(-1).any((1, 3))
        np.testing.assert_array_equal(drawn, state.any(-1))
        state = environment.step(np.full(2, 2)).observations[0]


def test_every_channel_has_a_color_of_its_own():
    state = np.zeros((10, 10, 10), np.uint8)
    for channel in range(10):
        state[0, channel, channel] = 1
    state[1, 0, [2, 7]] = 1
    picture = draw(state)
    colors = [picture[0, 24 * channel] for channel in range(10)] + [picture[-1, -1]]
    for index, color in enumerate(colors):
        for other in colors[:index]:
            assert np.abs(color.astype(int) - other).sum() > 60
    np.testing.assert_array_equal(picture[24 + 12, 12], colors[2])  # in the middle: the first
    np.testing.assert_array_equal(picture[24, 0], colors[7])  # around it: the last


def test_it_only_draws_where_that_was_asked_for(minatar):
    environment = MinAtarEnvironment()
    environment.reset()
    with pytest.raises(ValueError, match="render=True"):
        environment.render()


@pytest.mark.parametrize("name", ["space_invaders", "SpaceInvaders", "Space Invaders"])
def test_games_are_found_by_any_usual_name(name):
    assert find_game(name) == "space_invaders"


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"game": "braekout"}, "no MinAtar game 'braekout': did you mean breakout"),
        ({"game": "SpaceInvader"}, "did you mean space_invaders"),
        ({"game": "Pong"}, "no MinAtar game 'Pong': choose from asterix, breakout, freeway"),
        ({"num_envs": 0}, "num_envs is 0: give a whole number, 1 or more"),
        ({"sticky_action_prob": 10}, "sticky_action_prob is 10: give a number from 0 to 1"),
    ],
)
def test_a_mistake_is_told_in_a_sentence(options, sentence):
    with pytest.raises(UserError, match=sentence):
        MinAtarEnvironment(**options)


def test_a_missing_package_is_told_with_the_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "minatar", None)  # as if it were not installed
    with pytest.raises(UserError, match=r"pip install MinAtar"):
        MinAtarEnvironment()
