"""Wrappers: what they make of observations, across the end of an episode, and what passes through."""

from __future__ import annotations

import functools
from typing import Any

import gin
import gymnasium
import numpy as np
import pytest

from dopamine_lite.common.errors import UserError
from dopamine_lite.environments.atari_environment import AtariEnvironment
from dopamine_lite.environments.environment import Environment, EnvironmentSpec, Step
from dopamine_lite.environments.factory import create_environment
from dopamine_lite.environments.wrappers import (
    Binarise,
    Crop,
    DifferenceFrame,
    Discretise,
    wrapped_environment,
)


class Told(Environment):
    """Observes what it is told: [T, N, ...] at each time, and True in `ends` [T, N] where one ended.

    The step to time t of a stream whose episode ends there shows `finals[t]` as its true successor.
    """

    def __init__(
        self, space: gymnasium.Space, told: Any = (), finals: Any = None, ends: Any = None
    ):
        self._told = [np.array(one, space.dtype) for one in told]
        self._finals = (
            self._told if finals is None else [np.array(one, space.dtype) for one in finals]
        )
        self._ends = np.zeros((len(self._told), 2), bool) if ends is None else np.array(ends, bool)
        self.closed = False
        self.spec = EnvironmentSpec(
            "Told-v0",
            space,
            gymnasium.spaces.Discrete(2),
            num_envs=2,
            action_masks=True,
            protocol={"environment": "Told"},
        )

    def reset(self) -> np.ndarray:
        self._time = 0
        self._show_masks()
        return self._told[0]

    def step(self, actions: np.ndarray) -> Step:
        self._time += 1
        self._show_masks()
        ended = self._ends[self._time]
        observations = following = self._told[self._time]
        if ended.any():
            following = np.array(
                [
                    (final if end else one)
                    for one, final, end in zip(
                        observations, self._finals[self._time], ended, strict=True
                    )
                ]
            )
        return Step(
            observations,
            np.array([1.0, 2.0]),
            ended,
            np.zeros(2, bool),
            following,
            game_over=np.array([True, False]),
            next_action_masks=np.array([[False, True], [True, True]]),
        )

    def _show_masks(self) -> None:
        self.action_masks = np.full((2, 2), self._time % 2 == 0)

    def render(self) -> np.ndarray:
        return np.full((2, 2, 3), 7, np.uint8)

    def close(self) -> None:
        self.closed = True


LINE = gymnasium.spaces.Box(-1, 1, (2,), np.float32)
PICTURE = gymnasium.spaces.Box(0, 255, (2, 3), np.uint8)


def actions() -> np.ndarray:
    return np.zeros(2, np.int64)


@pytest.mark.parametrize(
    ("observation", "expected"),
    [
        ((-1.0, 0.0), (0, 0)),
        ((-0.51, 0.9), (0, 0)),
        ((-0.49, 1.1), (1, 0)),
        ((0.0, 2.0), (2, 1)),
        ((0.99, 5.9), (3, 2)),
        ((1.0, 6.0), (3, 2)),  # the end of the last bin is in it
        ((-9.0, 7.0), (0, 2)),  # outside: the outer bins
        ((np.inf, -np.inf), (3, 0)),
    ],
)
def test_bins_by_hand(observation, expected):
    """Four bins of width 0.5 from -1, and three of width 2 from 0: the last dimension counts fastest."""
    space = gymnasium.spaces.Box(-np.inf, np.inf, (2,), np.float32)
    told = Told(space, [[observation, (-1, 0)]])
    found = Discretise(told, bins=(4, 3), low=(-1, 0), high=(1, 6)).reset()
    assert found.tolist() == [expected[0] * 3 + expected[1], 0] and found.dtype == np.int64


def test_bins_are_those_of_digitize():
    generator = np.random.default_rng(0)
    values = generator.normal(size=(40, 2, 2)).astype(np.float32)
    environment = Discretise(Told(LINE, values), bins=7)
    edges = np.linspace(-1, 1, 8)[1:-1]
    expected = np.digitize(values, edges) @ [7, 1]
    found = [environment.reset(), *(environment.step(actions()).observations for _ in range(39))]
    np.testing.assert_array_equal(found, expected)


def test_ranges_are_those_of_the_space_where_it_has_them():
    cart_pole = functools.partial(create_environment, "CartPole-v1", num_envs=2)
    environment = Discretise(
        cart_pole(), bins=10, low=(None, -3, None, -3.5), high=(2.4, 3, None, 3.5)
    )
    assert environment.spec.observation_space == gymnasium.spaces.Discrete(10**4)
    (written,) = environment.spec.protocol["wrappers"]
    assert written.startswith("Discretise(bins=[10, 10, 10, 10], low=[-4.8")
    observations = environment.reset()
    for _ in range(100):
        assert observations.shape == (2,) and (observations >= 0).all()
        result = environment.step(actions())
        same = result.observations is result.next_observations
        assert same == (not result.terminated.any())
        observations = result.observations
    with pytest.raises(UserError, match="CartPole-v1's .* no finite low in dimension 1 of 4"):
        Discretise(cart_pole(), high=2.0)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"bins": (3, 3, 3)}, "Discretise.bins has 3 numbers, but Told-v0's observations have 2"),
        ({"bins": 0}, "Discretise.bins is 0: give whole numbers, 1 or more"),
        ({"bins": 2.5}, "Discretise.bins is 2.5: give whole numbers"),
        ({"low": 1.0}, r"low is \[1.0, 1.0\] and Discretise.high \[1.0, 1.0\]: give .* low below"),
        ({"bins": 10**10}, r"makes 1.0e\+20 states of Told-v0's 2 dimensions, .*: use fewer bins"),
    ],
)
def test_bins_that_are_none_are_refused(arguments, sentence):
    with pytest.raises(UserError, match=sentence):
        Discretise(Told(LINE), **arguments)


@pytest.mark.parametrize("wrapper", [Discretise, DifferenceFrame, Crop, Binarise])
def test_observations_that_are_no_numbers_in_a_box_are_refused(wrapper):
    told = Told(gymnasium.spaces.Discrete(3))
    with pytest.raises(UserError, match=f"{wrapper.__name__} needs observations in a box"):
        wrapper(told)


def test_differences_by_hand():
    """Often wrong: a difference between two episodes. The first stream's ends at time 2."""
    space = gymnasium.spaces.Box(0, 255, (1,), np.uint8)
    environment = DifferenceFrame(
        Told(
            space,
            told=[[[200], [10]], [[190], [13]], [[50], [11]], [[51], [11]]],
            finals=[[[0], [0]], [[0], [0]], [[255], [0]], [[0], [0]]],
            ends=[[0, 0], [0, 0], [1, 0], [0, 0]],
        )
    )
    assert environment.spec.observation_space == gymnasium.spaces.Box(-255, 255, (1,), np.int16)
    assert environment.reset().tolist() == [[0], [0]]
    for observations, following in [
        ([[-10], [3]], [[-10], [3]]),
        ([[0], [-2]], [[65], [-2]]),  # 255 - 190 is the ended episode's; 50 begins the next
        ([[1], [0]], [[1], [0]]),
    ]:
        result = environment.step(actions())
        assert result.observations.tolist() == observations
        assert result.next_observations.tolist() == following
        assert result.observations.dtype == result.next_observations.dtype == np.int16


def test_differences_of_real_numbers():
    environment = DifferenceFrame(Told(LINE, [[[0.5, 1], [0, 0]], [[1, 0], [0, 0.25]]]))
    assert environment.spec.observation_space == gymnasium.spaces.Box(-2, 2, (2,), np.float32)
    assert not environment.reset().any()
    assert environment.step(actions()).observations.tolist() == [[0.5, -1], [0, 0.25]]


def test_a_life_begins_without_difference():
    environment = DifferenceFrame(
        AtariEnvironment(2, seed=5, game="Breakout", stack_size=1, episodic_life=True)
    )
    environment.reset()
    generator, lives = np.random.default_rng(0), 0
    while lives < 3:
        result = environment.step(generator.integers(4, size=2))
        lives += np.count_nonzero(result.terminated)
        assert not result.observations[result.terminated].any()
    environment.close()


def test_stacks_have_no_difference():
    with pytest.raises(UserError, match="single frames, but Pong's .* stacks of 4: set AtariEnv"):
        DifferenceFrame(AtariEnvironment(game="Pong"))


def test_crop_by_hand():
    picture = [[1, 2, 3], [4, 5, 6]]
    environment = Crop(Told(PICTURE, [[picture, picture]] * 2), top=1, right=1)
    assert environment.reset().tolist() == [[[4, 5]]] * 2
    assert environment.step(actions()).next_observations.tolist() == [[[4, 5]]] * 2
    assert environment.spec.observation_space == gymnasium.spaces.Box(0, 255, (1, 2), np.uint8)


def test_stacks_are_cropped_as_single_pictures_are():
    plain = AtariEnvironment(2, seed=1, game="Pong")
    cropped = Crop(AtariEnvironment(2, seed=1, game="Pong"), bottom=4, left=2, right=2)
    assert cropped.spec.stack_size == 4
    np.testing.assert_array_equal(cropped.reset(), plain.reset()[:, :, :80, 2:82])
    np.testing.assert_array_equal(
        cropped.step(actions()).observations, plain.step(actions()).observations[:, :, :80, 2:82]
    )


@pytest.mark.parametrize(
    ("space", "arguments", "sentence"),
    [
        (
            PICTURE,
            {"top": 1, "bottom": 1},
            "top 1, bottom 1, .* cut away from 2 rows and 3 columns",
        ),
        (PICTURE, {"left": -1}, "left -1"),
        (LINE, {"top": 1}, "Crop needs pictures, but Told-v0"),
    ],
)
def test_nothing_to_crop_is_refused(space, arguments, sentence):
    with pytest.raises(UserError, match=sentence):
        Crop(Told(space), **arguments)


def test_binarise_by_hand():
    picture = [[0, 87, 86], [88, 255, 144]]
    environment = Binarise(Told(PICTURE, [[picture, picture]]), background=(87, 144))
    assert environment.reset().tolist() == [[[0, 0, 1], [1, 1, 0]]] * 2
    assert environment.spec.observation_space == gymnasium.spaces.Box(0, 1, (2, 3), np.uint8)
    with pytest.raises(UserError, match="Binarise needs grey pictures of bytes, but Told-v0"):
        Binarise(Told(LINE))


def test_pong_from_pixels():
    """80 x 80 differences of two levels: nothing but the paddles and the ball moves."""
    gin.parse_config(
        """
        wrapped_environment.environment = @AtariEnvironment
        wrapped_environment.wrappers = [@Crop, @Binarise, @DifferenceFrame]
        AtariEnvironment.game = "Pong"
        AtariEnvironment.stack_size = 1
        Crop.bottom = 4
        Crop.left = 2
        Crop.right = 2
        """
    )
    environment = wrapped_environment(num_envs=2, seed=3, max_steps_per_episode=60)
    assert environment.spec.observation_space.shape == (1, 80, 80)
    assert environment.spec.max_steps_per_episode == 60
    assert environment.spec.protocol["wrappers"] == [
        "Crop(top=0, bottom=4, left=2, right=2)",
        "Binarise(background=[87])",
        "DifferenceFrame()",
    ]
    seen = [environment.reset()]
    for step in range(1, 121):
        result = environment.step(np.array([2, 3]))
        seen.append(result.observations)
        assert result.truncated.tolist() == [step % 60 == 0] * 2
        assert not result.observations[result.truncated].any()
        assert result.next_observations.shape == (2, 1, 80, 80)
    values, numbers = np.unique(seen, return_counts=True)
    assert values.tolist() == [-1, 0, 1]
    assert numbers[1] / numbers.sum() > 0.98
    environment.close()


@pytest.mark.parametrize(
    "wrapper", [Crop, Binarise, DifferenceFrame, functools.partial(Discretise, bins=2)]
)
def test_everything_else_passes_through(wrapper):
    picture = np.arange(6).reshape(2, 3)
    told = Told(PICTURE, [[picture, picture]] * 2)
    environment = wrapper(told)
    environment.reset()
    np.testing.assert_array_equal(environment.action_masks, np.full((2, 2), True))
    result = environment.step(actions())
    np.testing.assert_array_equal(environment.action_masks, np.full((2, 2), False))
    assert result.rewards.tolist() == [1.0, 2.0]
    assert result.game_over.tolist() == [True, False]
    assert result.next_action_masks.tolist() == [[False, True], [True, True]]
    assert environment.render().tolist() == told.render().tolist()
    assert environment.spec.action_masks and environment.spec.num_envs == 2
    assert environment.spec.protocol["environment"] == "Told"
    assert told.spec.protocol == {"environment": "Told"}
    environment.close()
    assert told.closed


@pytest.mark.parametrize(
    "wrapper", [DifferenceFrame, functools.partial(Discretise, low=-3, high=3)]
)
def test_what_was_returned_is_not_written_to_later(wrapper):
    environment = wrapper(create_environment("CartPole-v1", num_envs=2))
    returned = [environment.reset()]
    copies = [returned[0].copy()]
    for _ in range(60):
        result = environment.step(actions())
        returned += [result.observations, result.next_observations]
        copies += [returned[-2].copy(), returned[-1].copy()]
    for array, copy in zip(returned, copies, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_the_arguments_of_a_run_go_to_the_environment():
    asked: dict[str, Any] = {}

    def environment(**arguments: Any) -> Environment:
        asked.update(arguments)
        return Told(LINE)

    run = {"num_envs": 2, "seed": 3, "max_steps_per_episode": 4, "render": True, "evaluate": True}
    wrapped = wrapped_environment(environment, [Discretise], **run)
    assert asked == run
    assert isinstance(wrapped, Discretise)
