"""What the Runner logs: each point once, histograms at a segment's end, true speeds and totals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.util.tensor_util import make_ndarray

from dopamine_lite.cli.main import main
from dopamine_lite.common.metrics.logbook import read_iterations
from tests.cli.conftest import RANDOM

BINDINGS = [
    "Runner.num_iterations = 2",
    "Runner.training_steps = 600",
    "Runner.checkpoint_every_steps = 300",
    "Runner.log_every_steps = 100",
    "Runner.evaluation_episodes = 1",
    "DQNAgent.min_replay_history = 50",
    "DQNAgent.update_period = 50",
    "DQNAgent.updates_per_period = 1",
    "CircularReplay.replay_capacity = 1000",
    "EpsilonGreedy.epsilon_decay_period = 10000",
]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    directory = tmp_path_factory.mktemp("runs") / "run"
    arguments = ["train", "--base_dir", str(directory), "--gin_files", "dqn/cartpole.gin"]
    assert main(arguments + [f"--gin_bindings={binding}" for binding in BINDINGS]) == 0
    return directory


def points(run: Path, tag: str) -> list[tuple[int, np.ndarray]]:
    """Agent steps and values of what TensorBoard shows under `tag`."""
    events = EventAccumulator(str(run / "logs"), size_guidance={"tensors": 0})
    events.Reload()
    return [(event.step, make_ndarray(event.tensor_proto)) for event in events.Tensors(tag)]


def test_each_point_is_logged_once(run):
    steps, values = zip(*points(run, "train/epsilon"), strict=True)
    assert steps == tuple(range(100, 1_300, 100))
    first = read_iterations(run)[0]["train"]
    assert first["epsilon"] == pytest.approx(np.mean(values[:6]), rel=1e-6)


def test_action_values_are_drawn_at_each_segments_end(run):
    assert [step for step, _ in points(run, "train/q_values")] == [300, 600, 900, 1_200]


def test_steps_that_streams_cannot_share_are_counted_as_taken(tmp_path, capfd):
    directory, config = tmp_path / "run", tmp_path / "random.gin"
    config.write_text(RANDOM)
    arguments = ["train", "--base_dir", str(directory), "--gin_files", str(config)]
    bindings = [
        "Runner.num_envs = 64",
        "Runner.num_iterations = 2",
        "Runner.training_steps = 250",
        "Runner.checkpoint_every_steps = 100",
        "Runner.evaluation_episodes = 1",
    ]
    assert main(arguments + [f"--gin_bindings={binding}" for binding in bindings]) == 0
    for number, line in enumerate(read_iterations(directory), start=1):
        assert line["train"]["steps"] == 4 * 64
        assert line["agent_steps"] == number * 256
        speed = line["train"]["steps"] / line["time"]["train_seconds"]
        assert line["time"]["train_steps_per_second"] == pytest.approx(speed, rel=0.15)
    assert "512 of 512 steps" in capfd.readouterr().err
