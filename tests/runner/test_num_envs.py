"""What a run reports does not depend on the number of environments; episodes of every length count."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dopamine_lite.agents.random_agent import RandomAgent
from dopamine_lite.collecting import shares
from dopamine_lite.common.errors import UserError
from dopamine_lite.environments.environment import Environment, Step
from dopamine_lite.reporting.log_reader import read_episodes, read_iterations
from dopamine_lite.runner.runner import Runner
from tests.agents.tiny import spec
from tests.core import core


class TwoLengths(Environment):
    """Episodes of 10 or of 200 steps with equal chance, a reward of 1 for each: 105 on average."""

    limit: int | None = 200

    def __init__(self, num_envs: int, seed: int, **_: object):
        self.spec = spec(num_envs=num_envs)
        object.__setattr__(self.spec, "max_steps_per_episode", self.limit)
        self._generators = [np.random.default_rng([seed, index]) for index in range(num_envs)]
        self._left = np.array([self._length(index) for index in range(num_envs)])
        self._observations = np.zeros((num_envs, 3), np.float32)

    def _length(self, index: int) -> int:
        return int(self._generators[index].choice([10, 200]))

    def reset(self) -> np.ndarray:
        return self._observations

    def step(self, actions: np.ndarray) -> Step:
        self._left -= 1
        over = self._left == 0
        self._left[over] = [self._length(index) for index in over.nonzero()[0]]
        nothing = np.zeros_like(over)
        return Step(self._observations, np.ones(len(over)), over, nothing, self._observations)

    def close(self) -> None:
        pass


class TwoAndFive(TwoLengths):
    """Lengths that can be followed by hand: 2, 5, 2 ... in even environments, 5, 2, 5 ... in odd."""

    limit = 5

    def __init__(self, num_envs: int, seed: int, **_: object):
        self._lengths = [itertools.cycle([(2, 5), (5, 2)][n % 2]) for n in range(num_envs)]
        super().__init__(num_envs, seed)

    def _length(self, index: int) -> int:
        return next(self._lengths[index])


class Endless(TwoLengths):
    limit = None

    def _length(self, index: int) -> int:
        return 10**9


def build(base_dir: Path, environment: type[Environment], **settings: Any) -> Runner:
    own = {"num_iterations": 1, "evaluation_episodes": 1} | settings
    return Runner(base_dir, agent=RandomAgent, environment=environment, **own)


@pytest.mark.parametrize(
    ("num_envs", "steps", "lengths"),
    [
        (1, 1, [2]),
        (1, 2, [2]),  # the next would begin after the second step
        (1, 3, [2, 5]),
        (1, 6, [2, 5]),
        (1, 7, [2, 5]),
        (1, 8, [2, 5, 2]),
        (2, 12, [2, 5, 5, 2]),  # six steps each
        (2, 11, [2, 5, 5, 2]),
        (4, 4, [2, 2, 5, 5]),
    ],
)
def test_an_evaluation_plays_what_has_begun_to_its_end(tmp_path, num_envs, steps, lengths):
    """Often wrong: what is in flight at the last step is dropped, which favors short episodes."""
    settings = {"evaluation_episodes": None, "evaluation_steps": steps, "num_envs": num_envs}
    build(tmp_path, TwoAndFive, training_steps=40, **settings).run()
    played = [line["length"] for line in read_episodes(tmp_path) if line["phase"] == "eval"]
    assert sorted(played) == sorted(lengths)
    (line,) = read_iterations(tmp_path)
    assert line["eval"]["episodes"] == len(lengths)
    assert line["eval"]["average_return"] == pytest.approx(np.mean(lengths))


@pytest.mark.parametrize("num_envs", core([1, 8, 32], 8))
def test_evaluation_and_training_agree_for_any_number_of_environments(tmp_path, num_envs):
    """By steps and by episodes, 105 within three standard errors; nothing but short ones was 10."""
    settings = {"num_envs": num_envs, "training_steps": 6_400 * num_envs}
    by_steps = {"evaluation_episodes": None, "evaluation_steps": 64_000}
    build(tmp_path, TwoLengths, **settings, **by_steps).run()
    (line,) = read_iterations(tmp_path)
    for count, mean in (
        (line["eval"]["episodes"], line["eval"]["average_return"]),
        (episodes := 600, np.mean(returns(tmp_path / "other", episodes, num_envs))),
    ):
        assert abs(mean - 105) < 3 * 95 / np.sqrt(count)
    # Of 64 episodes in each environment of a segment the last is cut.
    assert line["train"]["cut_episodes"] <= num_envs
    assert abs(line["train"]["average_return"] - 105) < 3 + 3 * 95 / np.sqrt(
        line["train"]["episodes"]
    )


def returns(base_dir: Path, episodes: int, num_envs: int) -> list[float]:
    runner = build(base_dir, TwoLengths, num_envs=num_envs, training_steps=10)
    return [record.episode_return for record in runner.evaluate(episodes, seed=3)]


@pytest.mark.parametrize("num_envs", [1, 8])
def test_a_segment_is_as_long_for_each_environment_as_it_is_for_one(tmp_path, num_envs):
    """Often wrong: steps are counted over all environments, and episodes are cut the sooner for it."""
    made = []

    def environment(**arguments: Any) -> TwoLengths:
        made.append(arguments["evaluate"])
        return TwoLengths(**arguments)

    runner = build(
        tmp_path,
        environment,
        num_envs=num_envs,
        training_steps=1_000 * num_envs,
        checkpoint_every_steps=300,
        schedule="continuous_train",
        evaluation_episodes=None,
    )
    runner.run()
    (line,) = read_iterations(tmp_path)
    assert line["train"]["steps"] == 1_000 * num_envs
    assert len(made) == 1 + 3  # segments of 300, 300 and 400 steps; the first tells the spec
    assert line["train"]["max_return"] == 200


@pytest.mark.parametrize(
    ("settings", "remedy"),
    [
        ({"training_steps": 300}, None),
        ({"training_steps": 299}, "Raise Runner.training_steps to cut fewer."),
        (
            {"training_steps": 2_399, "num_envs": 8},
            None,
        ),
        (
            {"training_steps": 2_392, "num_envs": 8},
            "Raise Runner.training_steps or lower Runner.num_envs to cut fewer.",
        ),
        (
            {"training_steps": 8_000, "num_envs": 8, "checkpoint_every_steps": 250},
            "Raise Runner.checkpoint_every_steps to cut fewer.",
        ),
    ],
)
def test_segments_that_are_short_beside_the_longest_episode_are_said(
    tmp_path, capsys, settings, remedy
):
    build(tmp_path, TwoLengths, **settings).run()
    said = capsys.readouterr().err
    assert ("Training is cut into segments in which" in said) == bool(remedy)
    assert (remedy or "") in said


def test_what_is_cut_is_shown(tmp_path, capsys):
    build(tmp_path, TwoAndFive, num_envs=2, training_steps=12).run()
    assert "(2 episodes, 2 cut)" in capsys.readouterr().err


def test_an_evaluation_that_would_never_end_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(shares, "_ENDLESS", 50)
    runner = build(tmp_path, Endless, training_steps=10, num_envs=2)
    with pytest.raises(UserError) as refused:
        runner.evaluate(3, seed=0)
    assert str(refused.value) == (
        "An episode of Tiny-v0 has not ended in evaluation after 50 steps, and nothing limits its "
        "length: set Runner.max_steps_per_episode."
    )


class LearnsLate(RandomAgent):
    first_update = 31


@pytest.mark.parametrize(("steps", "said"), [(14, True), (16, False)])
def test_a_run_that_ends_before_the_first_update_is_told_so(tmp_path, capsys, steps, said):
    Runner(
        tmp_path,
        agent=LearnsLate,
        environment=TwoAndFive,
        num_iterations=2,
        training_steps=steps - 1,  # two environments take one more
        num_envs=2,
        evaluation_episodes=1,
    ).run()
    sentence = "Nothing will be learned: the run has 28 agent steps, and the first update comes at "
    assert (f"{sentence}step 31." in capsys.readouterr().err) == said
