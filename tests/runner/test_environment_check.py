"""The check of environments: what it finds in such that do not repeat, rewrite arrays or share draws."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import pytest

from dopamine_lite.common.errors import UserError
from dopamine_lite.environments.factory import create_environment
from dopamine_lite.runner.environment_check import EnvironmentCheck, first_difference
from tests.environments import peculiar
from tests.environments.peculiar import LENGTH, SOME, Plain, drawn, masked, paid, registered, seen


class Seeded(Plain):
    """Draws what it shows by Gymnasium's own generator."""

    def observation(self, step: int) -> Any:
        return self.np_random.random(3, np.float32)


class Unseeded(Plain):
    def observation(self, step: int) -> Any:
        return np.random.default_rng().random(3, np.float32)


class SlowlyUnseeded(Plain):
    """Repeats until its third step."""

    def reward(self, step: int) -> Any:
        return np.random.default_rng().random() if step == 3 else 1.0


class Worn(Plain):
    """Counts its episodes: a second one is not the first, whatever the seed."""

    def __init__(self) -> None:
        self.episodes = 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        self.episodes += 1
        return super().reset(seed=seed)

    def observation(self, step: int) -> Any:
        return np.full(3, 1 / self.episodes, np.float32)


class InPlace(Plain):
    """One array for all observations, written to from the second step on."""

    def __init__(self) -> None:
        self.array = np.zeros(3, np.float32)

    def observation(self, step: int) -> Any:
        if step > 1:
            self.array[:] = step / LENGTH
        return self.array


class Sharing(Plain):
    """All that exist at a time show the draws of the one that was seeded last."""

    seed: int | None = 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        if seed is not None:
            Sharing.seed = seed
        return super().reset(seed=seed)

    def observation(self, step: int) -> Any:
        number = 0 if step == 0 else step + (Sharing.seed or 0)
        return np.random.default_rng(number).random(3, np.float32)


class Single(Plain):
    """May exist once at a time."""

    exists = False

    def __init__(self) -> None:
        if Single.exists:
            raise RuntimeError("the port is taken")
        Single.exists = True

    def close(self) -> None:
        Single.exists = False


class Endless(Plain):
    def step(self, action: Any) -> Any:
        observation, reward, _, truncated, info = super().step(action)
        return observation, reward, False, truncated, info


@pytest.fixture
def check() -> Any:
    """Calls `what` with the check of an environment of this class."""

    def call(
        entry_point: Any, what: Callable[[EnvironmentCheck], Any], steps: int = 20, **settings: Any
    ) -> Any:
        with registered(Odd=entry_point):
            make = functools.partial(create_environment, id="Odd-v0")
            return what(
                EnvironmentCheck(make, settings.pop("num_envs", 1), steps, seed=0, **settings)
            )

    return call


def difference(checked: EnvironmentCheck) -> tuple[int, str] | None:
    return first_difference(checked.play(), checked.again())


def test_play_counts_whole_episodes(check):
    played = check(paid(5.0, at_step=2), lambda checked: checked.play(), num_envs=2, steps=26)
    # 13 steps of 2 environments: two episodes of six in each, worth 5 + 5 x 1, and a step.
    assert played.steps == 26 and len(played.trace) == 14
    assert [(each.episode_return, each.length) for each in played.episodes] == [(10.0, 6)] * 4
    assert (played.lowest, played.highest, played.legal) == (1.0, 5.0, 1.0)


def test_shares_of_legal_actions(check):
    played = check(masked(SOME, SOME), lambda checked: checked.play(), steps=LENGTH)
    assert played.spec.action_masks and played.legal == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("entry_point", "expected"),
    [
        (Plain, None),
        (Seeded, None),
        (Worn, None),  # a new one begins anew
        (Unseeded, (0, "observations")),
        (SlowlyUnseeded, (3, "rewards")),
    ],
)
def test_the_first_difference_between_two_plays_with_one_seed(check, entry_point, expected):
    assert check(entry_point, difference) == expected


@pytest.mark.parametrize(("entry_point", "draws"), [(Plain, False), (Seeded, True)])
def test_whether_the_seed_matters(check, entry_point, draws):
    def differs(checked: EnvironmentCheck) -> bool:
        return first_difference(checked.play(), checked.other_seed()) is not None

    assert check(entry_point, differs) is draws


@pytest.mark.parametrize(
    ("entry_point", "num_envs", "equal"),
    [(Seeded, 1, None), (Seeded, 3, None), (Plain, 3, (0, 1)), (Sharing, 2, (0, 1))],
)
def test_environments_that_repeat_each_other(check, entry_point, num_envs, equal):
    found = check(entry_point, lambda checked: checked.equal_environments(), num_envs=num_envs)
    assert found == equal


def test_a_second_one_that_cannot_be(check):
    with pytest.raises(RuntimeError, match="the port is taken"):
        check(Single, lambda checked: checked.equal_environments())
    assert not Single.exists  # the first was closed
    assert check(Single, difference) is None  # one after the other


@pytest.mark.parametrize(
    ("entry_point", "repeats", "rewritten"),
    [(Seeded, True, None), (Worn, False, None), (InPlace, False, 2), (Plain, True, None)],
)
def test_what_it_does_by_itself(check, entry_point, repeats, rewritten):
    found = check(entry_point, lambda checked: checked.alone())
    assert (found.repeats, found.rewritten) == (repeats, rewritten)


def test_whole_numbers_are_held_to_their_bounds_to_the_last_step(check):
    """A run looks at bounds in its first steps only."""
    late = seen(np.full((2, 2), 7, np.uint8), gymnasium.spaces.Box(0, 5, (2, 2), np.uint8), 5)

    class Late(late):  # type: ignore[misc, valid-type]
        def observation(self, step: int) -> Any:
            return super().observation(step if self.old else 0)

        def reset(self, **options: Any) -> Any:
            self.resets = getattr(self, "resets", 0) + 1
            self.old = self.resets > 10
            return super().reset(**options)

    with pytest.raises(UserError, match=r"returned an observation with 7 at \[0, 0\] in step 5"):
        check(Late, lambda checked: checked.play(), steps=100)
    check(Late, lambda checked: checked.again(), steps=100)


def test_what_a_run_would_say_is_a_warning(check):
    def warnings(checked: EnvironmentCheck) -> list[str]:
        checked.play()
        checked.again()
        return checked.warnings

    outside = seen(np.full(3, 2.0, np.float32))
    (bounds,) = check(outside, warnings)  # once, though it was played twice
    assert bounds.startswith("Odd-v0 returned an observation with 2 at [0], outside of")
    (endless,) = check(Endless, warnings)
    assert "No episode of Odd-v0 ended in 20 steps, and nothing limits" in endless
    assert check(Endless, warnings, max_steps_per_episode=500) == []


def test_pictures(check):
    assert check(drawn(peculiar.PICTURE), lambda checked: checked.picture()) == (10, 12, 3)
    for entry_point in (Plain, NoArguments):
        with pytest.raises(UserError, match="Odd-v0 does not draw"):
            check(entry_point, lambda checked: checked.picture())


class NoArguments(gymnasium.Env):
    """Has a constructor without arguments, as `object` has."""

    observation_space = Plain.observation_space
    action_space = Plain.action_space
    metadata: Any = {"render_modes": ["rgb_array"]}
    reset, step = Plain.reset, Plain.step
    observation, reward, info = Plain.observation, Plain.reward, Plain.info
