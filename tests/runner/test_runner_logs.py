"""What the Runner logs: each point once, histograms at a segment's end, true speeds and totals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import plugin_data_pb2
from tensorboard.plugins.hparams.metadata import SESSION_END_INFO_TAG, SESSION_START_INFO_TAG
from tensorboard.util.tensor_util import make_ndarray

from dopamine_lite.cli.main import main
from dopamine_lite.reporting.log_reader import read_iterations
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


def test_what_is_shown_first(run):
    events = EventAccumulator(str(run / "logs"), size_guidance={"tensors": 0})
    events.Reload()
    tags = sorted(tag for tag in events.Tags()["tensors"] if not tag.startswith("_"))
    assert tags[0] == "at_a_glance/1_evaluation_return"
    shown = {
        "1_evaluation_return": "eval/average_return",
        "2_training_return": "train/recent_return",
        "3_loss": "train/loss",
        "4_epsilon": "train/epsilon",
        "5_learning_rate": "train/learning_rate",
    }
    for name, tag in shown.items():
        assert points(run, f"at_a_glance/{name}") == points(run, tag)
    speeds = [float(speed) for _, speed in points(run, "at_a_glance/6_steps_per_second")]
    assert len(speeds) == 12 and min(speeds) > 0
    for tag in (*(f"at_a_glance/{name}" for name in shown), "train/loss", "eval/average_length"):
        assert events.SummaryMetadata(tag).summary_description.endswith(".")


def test_the_learning_rate_falls_as_it_is_told(run):
    """Adam's, 1e-3, falls to zero in 49,000 updates; here one is made every 50 steps from 100 on."""
    steps, rates = zip(*points(run, "train/learning_rate"), strict=True)
    updates = [(step - 50) // 50 for step in steps]
    expected = [1e-3 * (1 - number / 49_000) for number in updates]
    assert [float(rate) for rate in rates] == pytest.approx(expected, rel=1e-5)


def test_the_table_of_hyperparameters_has_the_run(run):
    events = EventAccumulator(str(run / "logs"))
    events.Reload()
    contents = events.PluginTagToContent("hparams")
    start = plugin_data_pb2.HParamsPluginData.FromString(contents[SESSION_START_INFO_TAG])
    values = start.session_start_info.hparams
    assert values["DQNAgent.gamma"].number_value == 0.99
    assert values["DQNAgent.torso"].string_value == "@MLP"
    assert values["DQNAgent.double"].bool_value is True
    assert values["create_environment.id"].string_value == "CartPole-v1"
    assert "Runner.seed" not in values  # the seeds of one configuration are a group
    assert SESSION_END_INFO_TAG in contents


def test_steps_that_environments_cannot_share_are_counted_as_taken(tmp_path, capfd):
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
