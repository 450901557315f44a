"""The loop on an environment whose every reward is known."""

from __future__ import annotations

from pathlib import Path

import gin
import numpy as np
import pytest

from dopamine_lite.agents.agent import Transitions
from dopamine_lite.agents.random_agent import RandomAgent
from dopamine_lite.common.metrics.logbook import read_episodes, read_iterations
from dopamine_lite.environments.environment import Environment, Step
from dopamine_lite.runner.runner import Runner
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


class Recorder(RandomAgent):
    """Keeps the rewards it was given, [steps][N], of training and of evaluation."""

    def __init__(self, *arguments: object):
        super().__init__(*arguments)
        self.rewards: dict[bool, list[np.ndarray]] = {False: [], True: []}

    def observe(self, transitions: Transitions, evaluate: bool = False) -> None:
        self.rewards[evaluate].append(transitions.rewards)


@pytest.fixture(autouse=True)
def nothing_bound():
    """Bindings that other tests have loaded would be this Runner's too."""
    gin.clear_config()


@pytest.mark.parametrize(("clip", "given"), [(False, REWARDS), (True, (-1.0, 0.5, 1.0))])
def test_the_agent_is_given_clipped_rewards_and_statistics_stay_raw(tmp_path: Path, clip, given):
    runner = Runner(
        tmp_path,
        agent=Recorder,
        environment=ThreeSteps,
        clip_rewards=clip,
        num_iterations=1,
        training_steps=12,
        evaluation_episodes=4,
        num_envs=2,
    )
    runner.run()
    for evaluate in (False, True):
        np.testing.assert_array_equal(runner.agent.rewards[evaluate], np.transpose([given * 2] * 2))
    (line,) = read_iterations(tmp_path)
    assert line["train"]["average_return"] == line["eval"]["average_return"] == sum(REWARDS)
    assert [episode["return"] for episode in read_episodes(tmp_path)] == [sum(REWARDS)] * 8
