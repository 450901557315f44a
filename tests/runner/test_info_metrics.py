"""Numbers in the infos of episodes' ends: read, averaged, logged, and part of what is resumed."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from dopamine_lite.checkpointing import Checkpointer, digest
from dopamine_lite.common.errors import UserError
from dopamine_lite.environments.environment import EnvironmentSpec
from dopamine_lite.environments.gymnasium_environment import GymnasiumEnvironment
from dopamine_lite.environments.vector_environment import VectorEnvironment
from dopamine_lite.reporting.info_metrics import InfoMetrics
from dopamine_lite.reporting.iteration_statistics import (
    EpisodeRecord,
    IterationStatistics,
    summarize,
)
from dopamine_lite.reporting.log_reader import read_episodes, read_iterations
from tests.runner.test_runner_logs import points

ENVIRONMENT = """
import gin
import gymnasium
import numpy as np


class Corridor(gymnasium.Env):
    \"\"\"Ends after three steps; a success where the last action was 1. A blunder is told on one.\"\"\"

    observation_space = gymnasium.spaces.Discrete(4)
    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self, word=None):
        self.word = word

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.step_number = 0
        return 0, {}

    def step(self, action):
        self.step_number += 1
        over = self.step_number == 3
        info = {"distance": float(self.step_number)}
        if over:
            info["success"] = bool(action == 1)
            if action == 0:
                info["blunder"] = np.float32(2.5)
            if self.word is not None:
                info["word"] = self.word
        return self.step_number, float(action), over, False, info


gymnasium.register("Corridor-v0", Corridor)
"""
BINDINGS = [
    "import corridor",
    "Runner.num_iterations = 2",
    "Runner.training_steps = 40",
    "Runner.checkpoint_every_steps = 20",
    "Runner.evaluation_episodes = 3",
    'create_environment.id = "Corridor-v0"',
]


@pytest.fixture
def train(cli, tmp_path, monkeypatch):
    (tmp_path / "corridor.py").write_text(ENVIRONMENT)
    monkeypatch.chdir(tmp_path)

    def call(base_dir: Path, *bindings: str) -> Any:
        files = ["--gin_files", "classics/q_learning_cliff.gin"]
        given = [f"--gin_bindings={binding}" for binding in [*BINDINGS, *bindings]]
        return cli("train", "--base_dir", base_dir, *files, *given)

    return call


NAMED = 'Runner.info_metrics = ["success", "distance", "blunder"]'


def mean(values: list[float | None]) -> float | None:
    told = [value for value in values if value is not None]
    return sum(told) / len(told) if told else None


def test_they_are_in_every_log(tmp_path, train, cli):
    run = tmp_path / "run"
    ended = train(run, NAMED, "Runner.num_envs = 2")
    assert ended.status == 0, ended.err
    episodes = read_episodes(run)
    for line in episodes:
        assert line["info_success"] in (0.0, 1.0) and line["info_distance"] == 3.0
        assert line["info_blunder"] == (None if line["info_success"] else 2.5)
    lines = read_iterations(run)
    for line in lines:
        for phase in ("train", "eval"):
            of_phase = [
                each
                for each in episodes
                if (each["iteration"], each["phase"]) == (line["iteration"], phase)
            ]
            for name in ("info_success", "info_distance", "info_blunder"):
                expected = mean([each[name] for each in of_phase])
                assert line[phase][name] == pytest.approx(expected)
    drawn = [float(value) for _, value in points(run, "eval/info_success")]
    assert drawn == pytest.approx([line["eval"]["info_success"] for line in lines])
    sentence = "Corridor-v0 returned an info without 'blunder' (it has distance, success)"
    assert ended.err.count(sentence) == 1
    evaluated = cli(
        *("evaluate", "--base_dir", run, "--episodes", 4, "--import", "corridor"),
        *("--output", tmp_path / "result.json"),
    )
    assert evaluated.status == 0, evaluated.err
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["infos"]["distance"] == [3.0] * 4
    assert "info distance: mean 3 (in 4 of 4 episodes)" in evaluated.out


def test_a_run_killed_in_between_goes_on_with_them(tmp_path, train):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    train(whole, NAMED)
    (tmp_path / "stop.py").write_text(
        "import gin\n"
        "from dopamine_lite.callbacks import Callback\n"
        "@gin.configurable\n"
        "class Kill(Callback):\n"
        "    part_of_experiment = False\n"
        "    def on_metrics(self, agent_steps, metrics):\n"
        "        if agent_steps == 40:\n"
        "            raise KeyboardInterrupt\n"
    )
    assert train(killed, NAMED, "import stop", "Runner.callbacks = [@Kill]").status == 130
    assert Checkpointer(killed / "checkpoints").numbers() == [20]
    saved = Checkpointer(killed / "checkpoints").load().state["statistics"]["infos"]
    assert set(saved) == {"success", "distance", "blunder"} and len(saved["success"]) == 6
    assert train(killed, NAMED).status == 0
    assert read_episodes(killed) == read_episodes(whole)
    states = [Checkpointer(run / "checkpoints").load().state for run in (whole, killed)]
    assert digest(states[0]["agent"]) == digest(states[1]["agent"])
    for one, other in zip(read_iterations(whole), read_iterations(killed), strict=True):
        assert {**one, "time": None} == {**other, "time": None}


def test_they_are_part_of_the_experiment(tmp_path, train):
    run = tmp_path / "run"
    train(run, NAMED)
    other = train(run, 'Runner.info_metrics = ["success"]')
    assert other.status == 2 and "Runner.info_metrics: this run ['success', 'distance'" in other.err


@pytest.mark.parametrize(
    ("bindings", "sentence"),
    [
        (['Runner.info_metrics = "success"'], "Runner.info_metrics is 'success': give a list of"),
        (['Runner.info_metrics = ["a", "a"]'], "give a list of different keys of infos"),
        (['Runner.info_metrics = [""]'], "give a list of different keys of infos"),
        (
            ['Runner.info_metrics = ["word"]', 'create_environment.kwargs = {"word": "won"}'],
            "returned 'won' as info['word'] at an episode's end, but Runner.info_metrics takes only",
        ),
        (
            ['Runner.info_metrics = ["word"]', 'create_environment.kwargs = {"word": [1, 2]}'],
            "returned [1, 2] as info['word']",
        ),
    ],
)
def test_a_sentence_for_what_is_no_number(tmp_path, train, bindings, sentence):
    refused = train(tmp_path / "run", *bindings)
    assert refused.status == 2 and sentence in refused.err


def test_values_by_hand():
    said: list[str] = []
    read = InfoMetrics(["x"], "Maze-v0", lambda about, sentence: said.append(sentence)).read
    for given, value in ((True, 1.0), (np.bool_(0), 0.0), (np.array([[7]]), 7.0), (3, 3.0)):
        assert read({"x": given}) == {"x": value}
    assert not said
    for given, words in (
        (math.nan, "returned nan as info['x']"),
        (None, "returned an info without 'x'"),
    ):
        assert read({"x": given}) == {"x": None}
        assert words in said[-1]
    assert read(None) == {"x": None} and "(it has nothing)" in said[-1]
    with pytest.raises(UserError, match="takes only numbers"):
        read({"x": np.array(["a"])})


def test_means_by_hand_and_through_a_state():
    infos = InfoMetrics(["x"], "Maze-v0", lambda about, sentence: None)
    statistics = IterationStatistics(infos)
    statistics.begin_segment(2)
    ended = np.array([True, True])
    first = statistics.step(np.ones(2), ended, {0: {"x": 1.0}, 1: {}})
    assert [each.infos for each in first] == [{"x": 1.0}, {"x": None}]
    statistics.step(np.ones(2), np.array([True, False]), {0: {"x": 4}})
    statistics.end_segment()
    assert statistics.summary()["info_x"] == 2.5
    again = IterationStatistics(infos)
    again.set_state(statistics.get_state())
    assert again.summary() == statistics.summary()
    assert digest(again.get_state()) == digest(statistics.get_state())
    assert summarize([], ["x"])["info_x"] is None
    assert summarize([EpisodeRecord(1.0, 1, 0, {"x": None})], ["x"])["info_x"] is None
    with pytest.raises(UserError, match="is called 'info_x'"):
        statistics.log({"info_x": 1.0})


class Ending(gymnasium.Env):
    """Ends after `length` steps, with the length in its info, and a surprise on even ones."""

    observation_space = gymnasium.spaces.Discrete(9)
    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self, length: int):
        self.length = length

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.steps = 0
        return 0, {}

    def step(self, action):
        self.steps += 1
        info = {"length": self.steps} | ({"surprise": 1.0} if self.length % 2 == 0 else {})
        return self.steps, 0.0, self.steps == self.length, False, info


def test_a_vector_of_environments_tells_the_same():
    gymnasium.register("Ending-v0", Ending)
    one = GymnasiumEnvironment("Ending-v0", kwargs={"length": 2})
    one.reset()
    assert not one.step(np.zeros(1, int)).final_infos
    assert one.step(np.zeros(1, int)).final_infos == {0: {"length": 2, "surprise": 1.0}}
    makers = [lambda: Ending(2), lambda: Ending(3), lambda: Ending(2)]
    vector = SyncVectorEnv(makers, autoreset_mode=AutoresetMode.SAME_STEP)
    spec = EnvironmentSpec("Ending-v0", Ending.observation_space, Ending.action_space, 3)
    environment = VectorEnvironment(vector, spec, 0)
    environment.reset()
    steps = [environment.step(np.zeros(3, int)).final_infos for _ in range(3)]
    assert steps[0] == {}
    both = {"length": 2, "surprise": 1.0}
    assert steps[1] == {0: both, 2: both}
    assert steps[2] == {1: {"length": 3}}
