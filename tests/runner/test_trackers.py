"""Weights & Biases and MLflow have a run's settings, summary and curves, each point once."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest

from dopamine_lite.callbacks import wandb_callback
from dopamine_lite.callbacks.tracking import Tracker, row_of
from dopamine_lite.callbacks.wandb_file import history
from dopamine_lite.reporting.log_reader import read_iterations
from dopamine_lite.reporting.logbook import Logbook
from tests.processes import start
from tests.runner.test_callbacks import context, record
from tests.runner.test_runner_logs import points

KILLER = """
import os
import signal
from pathlib import Path

import gin

from dopamine_lite.callbacks import Callback


@gin.configurable
class Killer(Callback):
    \"\"\"Kills the run in the middle of a segment, once.\"\"\"

    part_of_experiment = False

    def on_metrics(self, agent_steps, metrics):
        if agent_steps == 700 and Path("kill").exists():
            Path("kill").unlink()
            os.kill(os.getpid(), signal.SIGKILL)
"""
BINDINGS = [
    "import killer",
    "Runner.num_iterations = 3",
    "Runner.training_steps = 400",
    "Runner.checkpoint_every_steps = 200",
    "Runner.log_every_steps = 100",
    "Runner.evaluation_episodes = 2",
    "Runner.max_steps_per_episode = 60",
]
STEPS = list(range(100, 1_300, 100))


@pytest.fixture
def begin(tmp_path, monkeypatch) -> Callable[..., BaseProcess]:
    """Starts a run in `tmp_path / "run"` and waits for its end: `begin(*bindings)`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WANDB_SILENT", "true")
    (tmp_path / "killer.py").write_text(KILLER)

    def call(*bindings: str) -> BaseProcess:
        arguments = ["train", "--base_dir=run", "--gin_files=classics/q_learning_cliff.gin"]
        given = [f"--gin_bindings={binding}" for binding in [*BINDINGS, *bindings]]
        process = start([*arguments, *given], tmp_path / "printed.txt")
        process.join(timeout=500)
        return process

    return call


def killed_and_resumed(begin: Callable[..., BaseProcess], tmp_path: Path, *bindings: str) -> Path:
    (tmp_path / "kill").touch()
    assert begin(*bindings).exitcode == -signal.SIGKILL, (tmp_path / "printed.txt").read_text()
    assert begin(*bindings).exitcode == 0, (tmp_path / "printed.txt").read_text()
    assert "Resuming at agent step 600" in (tmp_path / "printed.txt").read_text()
    return tmp_path / "run"


def drawn(run: Path, tag: str) -> list[tuple[int, float]]:
    return [(step, float(value)) for step, value in points(run, tag)]


@pytest.mark.extras
def test_weights_and_biases_has_a_killed_run_once(begin, tmp_path):
    run = killed_and_resumed(
        begin, tmp_path, "Runner.callbacks = [@WandB, @Killer]", "WandB.mode = 'offline'"
    )
    files = sorted(run.glob("wandb/offline-run-*/run-*.wandb"))
    assert len(files) == 2 and len({file.name for file in files}) == 1  # two starts of one run
    rows = [row for file in files for row in points_by_wandb(file)]
    assert rows == [row for file in files for row in history(file)]  # as a start reads them
    assert [row["_step"] for row in rows] == STEPS
    for tag in ("train/td_error", "train/epsilon"):
        curve = [(row["agent_steps"], pytest.approx(row[tag], rel=1e-6)) for row in rows]
        assert drawn(run, tag) == curve
    evaluations = [
        (row["agent_steps"], pytest.approx(row["eval/average_return"]))
        for row in rows
        if "iteration" in row
    ]
    assert drawn(run, "eval/average_return") == evaluations and len(evaluations) == 3
    shown = json.loads(read_by_wandb(files[-1], "--summary"))
    config, summary = shown["config"], shown["summary"]
    assert config["QLearningAgent.learning_rate"] == 0.5
    assert config["create_environment.id"] == "CliffWalking-v1"
    assert summary["iteration"] == 3 and summary["agent_steps"] == 1_200


def read_by_wandb(file: Path, *flags: str) -> str:
    """What W&B's own reader of its files prints."""
    command = [sys.executable, "-m", "wandb", "leet", "inspect", "--json", *flags, str(file)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def points_by_wandb(file: Path) -> list[dict[str, Any]]:
    records = [json.loads(line) for line in read_by_wandb(file).splitlines()]
    return [each["history"]["item"] for each in records if each["type"] == "history"]


@pytest.mark.extras
def test_mlflow_has_a_killed_run_once(begin, tmp_path):
    from mlflow import MlflowClient

    run = killed_and_resumed(begin, tmp_path, "Runner.callbacks = [@MLflow, @Killer]")
    client = MlflowClient(tracking_uri=f"sqlite:///{run / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("dopamine_lite")
    (there,) = client.search_runs([experiment.experiment_id])
    assert there.info.status == "FINISHED" and there.info.run_name == "run"
    assert there.data.params["QLearningAgent.learning_rate"] == "0.5"
    assert there.data.tags["Runner.num_iterations"] == "3"
    for tag in ("train/td_error", "train/epsilon", "eval/average_return"):
        kept = client.get_metric_history(there.info.run_id, tag)
        curve = sorted((point.step, pytest.approx(point.value, rel=1e-6)) for point in kept)
        assert drawn(run, tag) == curve
    returns = [point.value for point in client.get_metric_history(there.info.run_id, "iteration")]
    assert sorted(returns) == [1, 2, 3]


@pytest.mark.extras
def test_what_is_missed_without_a_server_is_told_and_made_up_for(begin, tmp_path):
    from mlflow import MlflowClient

    nowhere = 'MLflow.tracking_uri = "http://127.0.0.1:9"'
    assert begin("Runner.callbacks = [@MLflow]", nowhere).exitcode == 0
    printed = (tmp_path / "printed.txt").read_text()
    assert "MLflow failed (MlflowException: " in printed and "the run goes on without it" in printed
    assert len(read_iterations(tmp_path / "run")) == 3
    assert begin("Runner.callbacks = [@MLflow]").exitcode == 0
    client = MlflowClient(tracking_uri=f"sqlite:///{tmp_path / 'run' / 'mlflow.db'}")
    (there,) = client.search_runs([client.get_experiment_by_name("dopamine_lite").experiment_id])
    for tag in ("train/td_error", "eval/average_return"):
        kept = client.get_metric_history(there.info.run_id, tag)
        assert sorted((point.step, point.value) for point in kept) == drawn(tmp_path / "run", tag)


class Notebook(Tracker):
    """A tracker that is a list; it fails at the step `fails_at`."""

    name = "The notebook"

    def __init__(self, fails_at: int | None = None):
        super().__init__()
        self.fails_at = fails_at
        self.rows: list[tuple[int, dict[str, float]]] = []
        self.ended: list[object] = []

    def _open(self, run) -> None: ...

    def _log(self, agent_steps, row) -> None:
        if agent_steps == self.fails_at:
            raise ConnectionError("no route to host")
        self.rows.append((agent_steps, row))

    def _note_stop(self, sentence) -> None:
        self.ended.append(sentence)

    def _close(self, finished) -> None:
        self.ended.append(finished)


def test_rows_by_hand(tmp_path):
    tracker = Notebook()
    tracker.on_start(context(tmp_path, iterations=[record(0, 1.0)]))
    tracker.on_metrics(150, {"loss": 2.0})
    tracker.on_metrics(200, {"loss": 3.0})
    tracker.on_iteration(record(1, None))
    tracker.on_metrics(250, {"loss": 4.0})
    tracker.on_metrics(300, {"loss": 5.0})
    tracker.on_end(True)
    assert tracker.rows == [
        (100, {"eval/average_return": 1.0, "eval/loss": 1.0, "iteration": 1.0}),
        (150, {"train/loss": 2.0}),
        (200, {"eval/loss": 1.0, "iteration": 2.0, "train/loss": 3.0}),
        (250, {"train/loss": 4.0}),
        (300, {"train/loss": 5.0}),
    ]
    assert tracker.ended == [True]


def test_what_a_run_has_logged_is_given_first(tmp_path):
    logbook = Logbook(tmp_path / "logs")
    logbook.scalars(50, {"train/loss": 0.25, "at_a_glance/3_loss": 0.25})
    logbook.scalars(100, {"train/loss": 0.5})
    logbook.close()
    tracker = Notebook()
    tracker.on_start(context(tmp_path, iterations=[record(0, 1.0)]))
    assert tracker.rows == [
        (50, {"train/loss": 0.25}),
        (
            100,
            {"train/loss": 0.5, "eval/average_return": 1.0, "eval/loss": 1.0, "iteration": 1.0},
        ),
    ]


def test_an_error_of_a_tracker_is_told_and_the_run_goes_on(tmp_path):
    said: list[str] = []
    tracker = Notebook(fails_at=200)
    tracker.on_start(context(tmp_path, say=said.append))
    for step in (100, 200, 300):
        tracker.on_metrics(step, {"loss": 0.0})
    tracker.on_end(False)
    assert [step for step, _ in tracker.rows] == [100] and not tracker.ended
    assert said == [
        "The notebook failed (ConnectionError: no route to host): the run goes on without it. When "
        "the run is next started, The notebook receives what it missed."
    ]


def test_a_row_has_the_numbers_of_a_record():
    line = record(4, 2.5, "train") | {"time": {"train_steps_per_second": 100.0}}
    assert row_of(line) == {
        "train/average_return": 2.5,
        "train/loss": 1.0,
        "train/steps_per_second": 100.0,
        "iteration": 5.0,
    }


@pytest.mark.parametrize("name", ["WandB", "MLflow"])
def test_a_missing_package_is_named(tmp_path, cli, monkeypatch, name):
    monkeypatch.setattr(wandb_callback.importlib.util, "find_spec", lambda module: None)
    refused = cli(
        *("train", "--base_dir", tmp_path / "run", "--gin_files", "classics/q_learning_cliff.gin"),
        *("--gin_bindings", f"Runner.callbacks = [@{name}]"),
    )
    assert refused.status == 2
    assert f"pip install 'dopamine-lite[{name.lower()}]'" in refused.err
    assert not (tmp_path / "run" / "config.gin").exists()
