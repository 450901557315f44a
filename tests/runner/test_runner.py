"""The loop on an environment whose every reward is known."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest

from dopamine_lite.agents.agent import Transitions
from dopamine_lite.agents.random_agent import RandomAgent
from dopamine_lite.common.errors import UserError
from dopamine_lite.environments.environment import Environment, Step
from dopamine_lite.environments.factory import create_environment
from dopamine_lite.reporting.log_reader import read_episodes, read_iterations
from dopamine_lite.runner.runner import Runner, Stopped
from tests.agents.tiny import spec

REWARDS = (-3.0, 0.5, 2.0)


class ThreeSteps(Environment):
    """Every episode has three steps, which are worth `REWARDS` whatever the actions."""

    def __init__(self, num_envs: int, **_: object):
        self.spec = spec(num_envs=num_envs)
        self._steps = 0

    def reset(self) -> np.ndarray:
        return np.zeros((self.spec.num_envs, 3), np.float32)

    def step(self, actions: np.ndarray) -> Step:
        rewards = np.full(len(actions), REWARDS[self._steps % 3])
        self._steps += 1
        over = np.full(len(actions), self._steps % 3 == 0)
        return Step(self.reset(), rewards, over, np.zeros_like(over), self.reset())

    def close(self) -> None:
        pass


class Lives(ThreeSteps):
    """A life every three steps, a game every six. Observations count the steps, last ones down."""

    def step(self, actions: np.ndarray) -> Step:
        step, taken = super().step(actions), self._steps
        return step._replace(
            observations=step.observations + taken,
            next_observations=step.next_observations + (taken if taken % 3 else -taken),
            game_over=np.full(len(actions), taken % 6 == 0),
        )


class Masked(ThreeSteps):
    """One action is legal in each step: the one whose number is that of the step, modulo three."""

    def __init__(self, num_envs: int, **_: object):
        super().__init__(num_envs)
        self.spec = dataclasses.replace(self.spec, action_masks=True)

    def reset(self) -> np.ndarray:
        self.action_masks = self._legal(self._steps)
        return super().reset()

    def step(self, actions: np.ndarray) -> Step:
        return super().step(actions)._replace(next_action_masks=self._legal(-self._steps))

    def _legal(self, step: int) -> np.ndarray:
        return np.tile(np.arange(3) == step % 3, (self.spec.num_envs, 1))


class OneAndFive(ThreeSteps):
    """Episodes of a step in the first environment, of five in the second."""

    def step(self, actions: np.ndarray) -> Step:
        step = super().step(actions)
        return step._replace(terminated=np.array([True, self._steps % 5 == 0]))


class Recorder(RandomAgent):
    """Keeps what it was asked and given, in training and in evaluation."""

    def __init__(self, *arguments: object):
        super().__init__(*arguments)
        self.asked: dict[bool, list[np.ndarray | None]] = {False: [], True: []}  # masks
        self.seen: dict[bool, list[Transitions]] = {False: [], True: []}

    def act(
        self,
        observations: np.ndarray,
        evaluate: bool = False,
        action_masks: np.ndarray | None = None,
    ) -> np.ndarray:
        self.asked[evaluate].append(action_masks)
        return super().act(observations, evaluate, action_masks)

    def observe(self, transitions: Transitions, evaluate: bool = False) -> None:
        self.seen[evaluate].append(transitions)


def build(base_dir: Path, environment: Callable[..., Environment], **settings: Any) -> Runner:
    own = {"num_iterations": 1, "evaluation_episodes": 1} | settings
    return Runner(base_dir, agent=Recorder, environment=environment, **own)


@pytest.mark.parametrize(("clip", "given"), [(False, REWARDS), (True, (-1.0, 0.5, 1.0))])
def test_the_agent_is_given_clipped_rewards_and_statistics_stay_raw(tmp_path: Path, clip, given):
    runner = build(
        tmp_path,
        ThreeSteps,
        clip_rewards=clip,
        training_steps=12,
        evaluation_episodes=4,
        num_envs=2,
    )
    runner.run()
    for evaluate in (False, True):
        rewards = [transitions.rewards for transitions in runner.agent.seen[evaluate]]
        np.testing.assert_array_equal(rewards, np.transpose([given * 2] * 2))
        assert len(runner.agent.asked[evaluate]) == 6
    (line,) = read_iterations(tmp_path)
    assert line["train"]["average_return"] == line["eval"]["average_return"] == sum(REWARDS)
    assert [episode["return"] for episode in read_episodes(tmp_path)] == [sum(REWARDS)] * 8


def test_the_agent_is_given_true_successors_and_games_count_as_episodes(tmp_path: Path):
    """Often wrong: bootstrapping across an autoreset, a cut that terminates, the score of a life."""
    runner = build(tmp_path, Lives, training_steps=8)
    runner.run()
    seen = runner.agent.seen[False]
    assert [step.observations[0, 0] for step in seen] == list(range(8))
    assert [step.next_observations[0, 0] for step in seen] == [1, 2, -3, 4, 5, -6, 7, 8]
    assert [bool(step.terminated[0]) for step in seen] == [n % 3 == 0 for n in range(1, 9)]
    assert [bool(step.truncated[0]) for step in seen] == [False] * 7 + [True]
    episodes = [episode["return"] for episode in read_episodes(tmp_path)]
    assert episodes == [2 * sum(REWARDS)] * 2  # a game of training, one of evaluation


def test_masks_reach_the_agent_before_and_after_each_step(tmp_path: Path):
    runner = build(tmp_path, Masked, training_steps=8, evaluation_episodes=2, num_envs=2)
    runner.run()
    for evaluate, length in ((False, 4), (True, 3)):
        asked, seen = runner.agent.asked[evaluate], runner.agent.seen[evaluate]
        assert [mask[0].argmax() for mask in asked] == [n % 3 for n in range(length)]
        assert [step.action_masks[0].argmax() for step in seen] == [n % 3 for n in range(length)]
        following = [step.next_action_masks[0].argmax() for step in seen]
        assert following == [-n % 3 for n in range(1, length + 1)]
        for mask, step in zip(asked, seen, strict=True):
            assert mask[[0, 1], step.actions].all()


def test_every_segment_and_every_evaluation_has_a_seed_of_its_own(tmp_path: Path):
    """Often wrong: the same episodes in every iteration, or in evaluation those of training."""
    seeds = []

    def environment(seed: int, **arguments: object) -> ThreeSteps:
        seeds.append(seed)
        return ThreeSteps(**arguments)

    build(tmp_path, environment, num_iterations=2, training_steps=6, checkpoint_every_steps=3).run()
    phases = seeds[1:]  # the first environment only tells its spec
    assert len(phases) == len(set(phases)) == 2 * (2 + 1)


def test_each_environment_plays_its_share_of_an_evaluation(tmp_path: Path):
    """Often wrong: the first episodes to finish are kept, which are the short ones."""
    runner = build(tmp_path, OneAndFive, training_steps=10, evaluation_episodes=4, num_envs=2)
    lengths = [record.length for record in runner.evaluate(4, seed=0)]
    assert sorted(lengths) == [1, 1, 5, 5]


def test_a_run_without_a_checkpoint_says_that_it_begins_anew(tmp_path: Path, capsys):
    for _ in range(2):
        build(tmp_path, ThreeSteps, training_steps=6).run()
        said = capsys.readouterr().err
        shutil.rmtree(tmp_path / "checkpoints")
    assert "There is no checkpoint yet, so the run and its logs start over." in said
    assert len(read_episodes(tmp_path)) == 3


class Terminated(ThreeSteps):
    """Gets SIGTERM in its step number `at`, counted over all of a run's environments."""

    def __init__(self, count: Iterator[int], at: int, **arguments: Any):
        super().__init__(**arguments)
        self._count, self._at = count, at

    def step(self, actions: np.ndarray) -> Step:
        if next(self._count) == self._at:
            os.kill(os.getpid(), signal.SIGTERM)
        return super().step(actions)


@pytest.mark.parametrize(("at", "in_vain"), [(4, True), (10, False)])
def test_a_start_that_sigterm_ends_says_if_it_has_saved_nothing(tmp_path: Path, at, in_vain):
    environment = functools.partial(Terminated, itertools.count(1), at)
    runner = build(tmp_path, environment, training_steps=18, checkpoint_every_steps=6)
    with pytest.raises(Stopped) as stopped:
        runner.run()
    assert ("This start has saved nothing" in str(stopped.value)) == in_vain


class Forgetful(RandomAgent):
    """Forgets to return what it was asked for."""

    def get_state(self):
        super().get_state()


class Unmeasured(RandomAgent):
    def metrics(self):
        return None


@pytest.mark.parametrize(
    ("agent", "sentence"),
    [
        (Forgetful, "Forgetful.get_state returned None: return a dictionary"),
        (Unmeasured, "Unmeasured.metrics returned None: return a dictionary"),
    ],
)
def test_what_an_agent_forgets_to_return_is_noticed_at_once(tmp_path: Path, agent, sentence):
    run = Runner(
        tmp_path,
        agent=agent,
        environment=functools.partial(create_environment, "CartPole-v1"),
        num_iterations=1,
        training_steps=20,
        evaluation_episodes=1,
    )
    with pytest.raises(UserError, match=sentence):
        run.run()


def test_a_class_of_gymnasiums_is_no_environment(tmp_path: Path):
    with pytest.raises(UserError, match="register it with gymnasium.register"):
        Runner(tmp_path, agent=RandomAgent, environment=gymnasium.Env)


def test_a_run_stays_where_it_was_begun(tmp_path: Path, monkeypatch):
    class Wandering(gymnasium.Wrapper):
        def reset(self, **options):
            os.chdir(tmp_path / "elsewhere")
            return super().reset(**options)

    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    gymnasium.register("Wandering-v0", lambda **_: Wandering(gymnasium.make("CartPole-v1")))
    Runner(
        "run",
        agent=RandomAgent,
        environment=functools.partial(create_environment, "Wandering-v0"),
        num_iterations=1,
        training_steps=20,
        evaluation_episodes=1,
    ).run()
    del gymnasium.registry["Wandering-v0"]
    assert (tmp_path / "run" / "config.gin").is_file()
    assert list((tmp_path / "elsewhere").iterdir()) == []
