"""Wrappers: what they make of observations, across the end of an episode, and what passes through."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import gin
import gymnasium
import numpy as np
import pytest
from PIL import Image

from dopamine_lite.common.errors import UserError
from dopamine_lite.common.types import Transitions
from dopamine_lite.environments.atari_environment import AtariEnvironment
from dopamine_lite.environments.checked import checked
from dopamine_lite.environments.environment import Environment, EnvironmentSpec, Step
from dopamine_lite.environments.factory import create_environment
from dopamine_lite.environments.wrappers import (
    Binarise,
    Crop,
    DifferenceFrame,
    Discretise,
    Flatten,
    Grey,
    Resize,
    SelectActions,
    StackFrames,
    wrapped_environment,
)
from dopamine_lite.replay.circular_replay import CircularReplay
from dopamine_lite.spaces.packed_space import PackedSpace
from tests.replay import episodes


class Told(Environment):
    """Observes what it is told: [T, N, ...] at each time, and True in `ends` [T, N] where one ended.

    A step to time t that ends an episode shows `finals[t]` as its true successor.
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


def told_once(space: gymnasium.Space, *observations: Any, stack_size: int = 1) -> Told:
    """Shows these, one for each of two environments, and says that they are stacks if they are."""
    told = Told(space, [observations])
    told.spec = dataclasses.replace(told.spec, stack_size=stack_size)
    return told


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


@pytest.mark.parametrize("wrapper", [Discretise, DifferenceFrame, Crop, Binarise, Grey, Resize])
def test_observations_that_are_no_numbers_in_a_box_are_refused(wrapper):
    told = Told(gymnasium.spaces.Discrete(3))
    with pytest.raises(UserError, match=f"{wrapper.__name__} needs observations in a Box"):
        wrapper(told)


def test_differences_by_hand():
    """Often wrong: a difference between two episodes. The first environment's ends at time 2."""
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


@pytest.mark.parametrize(
    ("shape", "stack_size", "kept"),
    [
        ((5, 6, 3), 1, np.s_[:, 1:4, 1:]),  # channels last
        ((3, 5, 6), 1, np.s_[:, :, 1:4, 1:]),
        ((2, 5, 6, 3), 2, np.s_[:, :, 1:4, 1:]),
    ],
)
def test_the_channels_of_a_picture_are_not_cropped(shape, stack_size, kept):
    """Often wrong: the last two axes taken for rows and columns."""
    space = gymnasium.spaces.Box(0, 255, shape, np.uint8)
    told = np.array([space.sample(), space.sample()])
    cropped = Crop(told_once(space, *told, stack_size=stack_size), top=1, bottom=1, left=1)
    np.testing.assert_array_equal(cropped.reset(), told[kept])
    assert cropped.spec.observation_space.shape == told[kept].shape[1:]


COLORS = gymnasium.spaces.Box(0, 255, (2, 3, 3), np.uint8)


def pillow(picture: np.ndarray) -> np.ndarray:
    return np.asarray(Image.fromarray(picture).convert("L"))


def test_grey_is_pillows():
    generator = np.random.default_rng(0)
    space = gymnasium.spaces.Box(0, 255, (50, 40, 3), np.uint8)
    told = generator.integers(0, 256, (2, 50, 40, 3), dtype=np.uint8)
    gray = Grey(told_once(space, *told))
    assert gray.spec.observation_space == gymnasium.spaces.Box(0, 255, (50, 40), np.uint8)
    found = gray.reset()
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, [pillow(picture) for picture in told])
    first = np.moveaxis(told, -1, 1)
    channels_first = gymnasium.spaces.Box(0, 255, (3, 50, 40), np.uint8)
    np.testing.assert_array_equal(Grey(told_once(channels_first, *first)).reset(), found)
    stacks = gymnasium.spaces.Box(0, 255, (2, 50, 40, 3), np.uint8)
    both = Grey(told_once(stacks, told, told, stack_size=2)).reset()
    np.testing.assert_array_equal(both, [found, found])


def test_grey_of_real_numbers():
    space = gymnasium.spaces.Box(0, 1, (5, 5, 3), np.float32)
    picture = np.zeros((5, 5, 3), np.float32)
    picture[0, :4] = [[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 1]]
    found = Grey(told_once(space, picture, picture)).reset()
    np.testing.assert_allclose(found[0, 0], [0.299, 0.587, 0.114, 1, 0], rtol=1e-6)
    assert found.dtype == np.float32


def test_a_smaller_picture_averages_what_it_covers():
    """4 x 4 to 2 x 2: weights 3/8, 3/8, 1/8 along a side, over seven eighths, rounded."""
    picture = np.zeros((8, 4, 4), np.uint8)[0]
    picture[:2, :2] = 245
    space = gymnasium.spaces.Box(0, 255, (4, 4), np.uint8)
    resized = Resize(told_once(space, picture, picture), height=2, width=2)
    found = resized.reset()
    near, far = 6 / 7, 1 / 7
    expected = 245 * np.outer([near, far], [near, far])
    np.testing.assert_array_equal(found[0], expected.round())
    assert resized.spec.observation_space == gymnasium.spaces.Box(0, 255, (2, 2), np.uint8)
    assert found.dtype == np.uint8


@pytest.mark.parametrize(
    ("shape", "stack_size", "expected"),
    [
        ((12, 10, 3), 1, (6, 8, 3)),
        ((3, 12, 10), 1, (3, 6, 8)),
        ((12, 10), 1, (6, 8)),
        ((2, 12, 10), 2, (2, 6, 8)),
        ((2, 12, 10, 3), 2, (2, 6, 8, 3)),
    ],
)
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_every_plane_of_a_picture_is_resized_alone(shape, stack_size, expected, dtype):
    space = gymnasium.spaces.Box(0, 255, shape, dtype)
    told = np.array([space.sample(), space.sample()])
    resized = Resize(told_once(space, *told, stack_size=stack_size), height=6, width=8)
    found = resized.reset()
    assert found.shape == (2, *expected) and found.dtype == dtype
    assert resized.spec.observation_space.shape == expected
    assert all(resized.spec.observation_space.contains(one) for one in found)
    if len(shape) > 2 and shape[-1] == 3:
        told, found = np.moveaxis(told, -1, 1), np.moveaxis(found, -1, 1)
    for before, after in zip(told.reshape(-1, 12, 10), found.reshape(-1, 6, 8), strict=True):
        by_pillow = Image.fromarray(before).resize((8, 6), Image.Resampling.BILINEAR)
        np.testing.assert_array_equal(after, by_pillow)


@pytest.mark.parametrize(
    ("wrapper", "space", "sentence"),
    [
        (Grey, PICTURE, "Grey needs pictures of red, green and blue, but Told-v0"),
        (Grey, gymnasium.spaces.Box(0, 1, (9, 9, 4)), "Grey needs pictures of red"),
        (Grey, LINE, "Grey needs pictures, but Told-v0 .* leave Grey out"),
        (Resize, LINE, "Resize needs pictures, but Told-v0"),
        (
            Crop,
            gymnasium.spaces.Box(0, 1, (9, 8, 7)),
            r"the shape \(9, 8, 7\) of Told-v0's observations does not",
        ),
        (functools.partial(Resize, height=0), PICTURE, "Resize.height is 0: give a whole number"),
    ],
)
def test_what_is_no_such_picture_is_refused(wrapper, space, sentence):
    with pytest.raises(UserError, match=sentence):
        wrapper(Told(space))


def test_stacks_by_hand():
    """Often wrong: a stack that reaches into the episode before. The first of two ends at time 3."""
    environment = StackFrames(
        Told(
            gymnasium.spaces.Box(5, 255, (1,), np.uint8),
            told=[[[10], [20]], [[11], [21]], [[12], [22]], [[50], [23]], [[51], [24]]],
            finals=[[[0], [0]]] * 3 + [[[13], [0]], [[0], [0]]],
            ends=[[0, 0], [0, 0], [0, 0], [1, 0], [0, 0]],
        ),
        size=3,
    )
    assert environment.spec.stack_size == 3
    assert environment.spec.observation_space == gymnasium.spaces.Box(0, 255, (3, 1), np.uint8)
    assert environment.spec.protocol["wrappers"] == ["StackFrames(size=3)"]
    seen = [environment.reset()]
    assert seen[0][..., 0].tolist() == [[0, 0, 10], [0, 0, 20]]
    for observations, following in [
        ([[0, 10, 11], [0, 20, 21]], None),
        ([[10, 11, 12], [20, 21, 22]], None),
        ([[0, 0, 50], [21, 22, 23]], [[11, 12, 13], [21, 22, 23]]),
        ([[0, 50, 51], [22, 23, 24]], None),
    ]:
        result = environment.step(actions())
        assert result.observations[..., 0].tolist() == observations
        assert result.next_observations[..., 0].tolist() == (following or observations)
        seen.append(result.observations)
    assert seen[0][..., 0].tolist() == [[0, 0, 10], [0, 0, 20]]  # not written to since


def test_stacks_are_those_of_atari():
    plain = AtariEnvironment(2, seed=5, game="Breakout", episodic_life=True)
    stacks = StackFrames(
        AtariEnvironment(2, seed=5, game="Breakout", stack_size=1, episodic_life=True), 4
    )
    generator, ended = np.random.default_rng(0), 0
    np.testing.assert_array_equal(stacks.reset()[:, :, 0], plain.reset())
    while ended < 2:
        chosen = generator.integers(4, size=2)
        expected, found = plain.step(chosen), stacks.step(chosen)
        ended += np.count_nonzero(expected.terminated)
        np.testing.assert_array_equal(found.observations[:, :, 0], expected.observations)
        np.testing.assert_array_equal(found.next_observations[:, :, 0], expected.next_observations)


def test_a_replay_holds_each_frame_of_a_stack_once_and_makes_the_stacks_again():
    stacks = StackFrames(create_environment("CartPole-v1", num_envs=2, seed=1), 3)
    shape = stacks.spec.observation_space.shape
    frames = episodes.spec(2, shape[1:], stack_size=stacks.spec.stack_size)
    replay = CircularReplay(frames, np.random.default_rng(0), replay_capacity=400)
    assert replay.memory_bytes < 400 * 2 * np.prod(shape[1:]) * 4
    observations, seen = stacks.reset(), []
    for number in range(150):
        result = stacks.step(np.full(2, number // 3 % 2))
        step = Transitions(
            observations,
            np.full(2, number),
            result.rewards,
            result.terminated,
            result.truncated,
            result.next_observations,
        )
        replay.add(episodes.block(step))
        seen.append(step)
        observations = result.observations
    assert sum(int(step.terminated.sum()) for step in seen) > 4
    batch = replay.sample(1, 500)
    for frames, action, index in zip(
        batch.frames[0], batch.actions[0], batch.environments[0], strict=True
    ):
        np.testing.assert_array_equal(frames[:3], seen[action].observations[index])
        np.testing.assert_array_equal(frames[-3:], seen[action].next_observations[index])


def test_what_cannot_be_stacked_is_refused():
    with pytest.raises(UserError, match="Pong's observations are stacks of 4 already"):
        StackFrames(AtariEnvironment(game="Pong"))
    with pytest.raises(
        UserError, match="StackFrames.size is 1: give a whole number, from 2 to 1,000"
    ):
        StackFrames(Told(LINE), 1)
    with pytest.raises(
        UserError, match="those of Told-v0 have Discrete.3., whose values are names"
    ):
        StackFrames(Told(gymnasium.spaces.Discrete(3)))
    entries = {"speed": LINE, "gear": gymnasium.spaces.Discrete(3)}
    with pytest.raises(UserError, match="have Discrete.3. at 'gear', whose values are names"):
        StackFrames(Told(PackedSpace(entries, "Told-v0")))


FLAT = {
    "names": gymnasium.spaces.Discrete(3, start=2),
    "several names": gymnasium.spaces.MultiDiscrete([2, 3]),
    "bits": gymnasium.spaces.MultiBinary((2, 2)),
    "picture": COLORS,
    "numbers": gymnasium.spaces.Box(-1, 1, (2, 2), np.float32),
    "entries": gymnasium.spaces.Dict(
        {
            "where": gymnasium.spaces.Box(-1, 1, (2,), np.float64),
            "who": gymnasium.spaces.Discrete(3),
            "inner": gymnasium.spaces.Tuple([COLORS, gymnasium.spaces.MultiDiscrete([2, 3])]),
        }
    ),
}


@pytest.mark.parametrize("kind", FLAT)
def test_flat_observations_are_gymnasiums(kind):
    space = FLAT[kind]
    space.seed(0)
    drawn = [space.sample(), space.sample()]
    told_space, told = space, drawn
    if kind == "entries":
        told_space = PackedSpace.of(space, "Told-v0")
        told = [told_space.pack(one) for one in drawn]
    environment = Flatten(told_once(told_space, *told))
    found = environment.reset()
    expected = np.array([gymnasium.spaces.flatten(space, one) for one in drawn])
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    flat = gymnasium.spaces.flatten_space(space)
    assert found.dtype == (np.float32 if flat.dtype == np.float64 else flat.dtype)
    declared = environment.spec.observation_space
    np.testing.assert_array_equal(declared.low, flat.low)
    np.testing.assert_array_equal(declared.high, flat.high)
    assert declared.dtype == found.dtype and environment.spec.stack_size == 1


def test_the_frames_of_stacks_are_flattened_each():
    environment = Flatten(StackFrames(Told(PICTURE, [np.arange(12).reshape(2, 2, 3)]), 2))
    assert environment.spec.stack_size == 2
    assert environment.reset().tolist() == [
        [[0] * 6, [0, 1, 2, 3, 4, 5]],
        [[0] * 6, [6, 7, 8, 9, 10, 11]],
    ]
    entries = {"speed": LINE, "lamps": gymnasium.spaces.MultiBinary(2)}
    space = PackedSpace(entries, "Told-v0")
    environment = Flatten(StackFrames(told_once(space, space.sample(), space.sample()), 2))
    assert environment.reset().shape == (2, 2, 4)


def test_binarize_by_hand():
    picture = [[0, 87, 86], [88, 255, 144]]
    environment = Binarise(Told(PICTURE, [[picture, picture]]), background=(87, 144))
    assert environment.reset().tolist() == [[[0, 0, 1], [1, 1, 0]]] * 2
    assert environment.spec.observation_space == gymnasium.spaces.Box(0, 1, (2, 3), np.uint8)
    with pytest.raises(UserError, match="Binarise needs gray pictures of bytes, but Told-v0"):
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


def test_selected_actions_are_the_environments():
    """ "LEFT" and 0 of three actions that begin with 4, and their columns of the masks."""
    taken = []

    class Three(Told):
        def step(self, actions: np.ndarray) -> Step:
            taken.append(actions.tolist())
            masks = np.array([[False, True, True], [True, False, False]])
            return super().step(actions)._replace(next_action_masks=masks)

        def _show_masks(self) -> None:
            self.action_masks = np.array([[True, False, True], [True, True, False]])

    three = Three(LINE, [[[0, 0], [0, 0]]] * 3)
    three.spec = dataclasses.replace(
        three.spec,
        action_space=gymnasium.spaces.Discrete(3, start=4),
        action_names=("NOOP", "RIGHT", "LEFT"),
    )
    environment = SelectActions(three, actions=["LEFT", 4])
    assert environment.spec.action_space == gymnasium.spaces.Discrete(2)
    assert environment.spec.action_names == ("LEFT", "NOOP")
    assert environment.spec.protocol["wrappers"] == ["SelectActions(actions=['LEFT', 4])"]
    environment.reset()
    assert environment.action_masks.tolist() == [[True, True], [False, True]]
    result = environment.step(np.array([0, 1]))
    assert taken == [[6, 4]]
    assert result.next_action_masks.tolist() == [[True, False], [False, True]]
    assert environment.action_masks.tolist() == [[True, True], [False, True]]


def test_without_names_and_masks_actions_have_numbers_only():
    environment = SelectActions(create_environment("CartPole-v1", num_envs=2), actions=(1, 0))
    assert environment.spec.action_names == ("push right", "push left")
    assert environment.reset().shape == (2, 4)
    result = environment.step(np.array([0, 1]))
    assert environment.action_masks is None and result.next_action_masks is None
    velocities = result.observations[:, 1]
    assert velocities[0] > 0.1 and velocities[1] < -0.1


@pytest.mark.parametrize(
    ("selected", "message"),
    [
        (
            ("UP", 0),
            r"has 'UP', but the actions of CartPole-v1 are 0 to 1, with the names push left, ",
        ),
        ((0, 2), "has 2, but the actions of CartPole-v1 are 0 to 1"),
        ((0, True), "has True, but"),
        ((0, 1.0), "has 1.0, but"),
        ((0, None), "has None, but"),
        ((0, "push left"), "at least two actions, and none of them twice"),
        ((1,), "at least two actions"),
        ((), "at least two actions"),
        ("push left", "SelectActions.actions is 'push left': it must be a list"),
        (3, "SelectActions.actions is 3: it must be a list"),
    ],
)
def test_actions_that_cannot_be_selected(selected, message):
    with pytest.raises(UserError, match=message):
        SelectActions(create_environment("CartPole-v1"), actions=selected)


def test_actions_of_real_numbers_cannot_be_selected():
    with pytest.raises(
        UserError, match="SelectActions needs a Discrete action space, but Pendulum"
    ):
        SelectActions(create_environment("Pendulum-v1"), actions=(0, 1))


def test_a_selection_without_a_legal_action_is_an_error():
    told = Told(LINE, [[[0, 0], [0, 0]]] * 2)
    told.spec = dataclasses.replace(told.spec, action_space=gymnasium.spaces.Discrete(3))
    told._show_masks = lambda: setattr(told, "action_masks", np.array([[True, False, False]] * 2))
    with pytest.raises(UserError, match="no legal action"):
        checked(SelectActions(told, actions=(1, 2))).reset()


@pytest.mark.parametrize(
    "wrapper",
    [
        Crop,
        Binarise,
        DifferenceFrame,
        functools.partial(Discretise, bins=2),
        functools.partial(Resize, height=1, width=1),
        StackFrames,
        Flatten,
        functools.partial(SelectActions, actions=(0, 1)),
    ],
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
    "wrapper", [DifferenceFrame, functools.partial(Discretise, low=-3, high=3), StackFrames]
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


def test_bounds_that_are_none_are_not_taken_for_bins():
    """Of old versions of Gymnasium: the greatest number in single precision, for no bound."""
    space = gymnasium.spaces.Box(
        -np.finfo(np.float32).max, np.finfo(np.float32).max, (2,), np.float32
    )

    class Wide(gymnasium.Env):
        observation_space, action_space = space, gymnasium.spaces.Discrete(2)

        def reset(self, *, seed=None, options=None):
            return np.zeros(2, np.float32), {}

    gymnasium.register("Wide-v0", Wide)
    with pytest.raises(UserError, match="have no finite low in dimension 0"):
        Discretise(create_environment("Wide-v0"))
    with pytest.raises(UserError, match=r"Discretise.low is -inf"):
        Discretise(create_environment("Wide-v0"), low=-np.inf, high=1.0)
    del gymnasium.registry["Wide-v0"]


def test_entries_of_one_name_are_refused():
    spaces = gymnasium.spaces
    inner = spaces.Dict({"b": spaces.Discrete(2)})
    with pytest.raises(UserError, match="two entries that are called 'a/b'"):
        PackedSpace.of(spaces.Dict({"a/b": spaces.Discrete(3), "a": inner}), "Own-v0")
