"""Runs the command line in this process, so that TensorFlow is imported once, and tiny runs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from dopamine_lite.cli.main import main

ROOT = Path(__file__).parents[2]

RANDOM = """\
# A random agent on CartPole, small enough for a test.
import dopamine_lite.agents.random_agent
import dopamine_lite.environments.factory

Runner.agent = @RandomAgent
Runner.environment = @create_environment
Runner.num_iterations = 2
Runner.training_steps = 200
Runner.evaluation_episodes = 3
create_environment.id = "CartPole-v1"
"""

DQN = """\
# DQN on CartPole, small enough for a test.
include "dqn/cartpole.gin"

Runner.num_iterations = 2
Runner.training_steps = 200
Runner.evaluation_episodes = 2
DQNAgent.min_replay_history = 50
CircularReplay.replay_capacity = 1000
MLP.hidden_units = (8,)
"""


@dataclass(frozen=True)
class Outcome:
    """What a command did: its exit status and what it wrote."""

    status: int
    out: str
    err: str


@pytest.fixture(autouse=True)
def _a_wide_terminal(monkeypatch):
    """Lines break where they do in a terminal of 100 columns, wherever the tests run."""
    monkeypatch.setenv("COLUMNS", "100")


@pytest.fixture
def cli(capfd) -> Callable[..., Outcome]:
    """Calls the command line in this process: `cli("train", "--base_dir", path)`."""

    def call(*arguments: object) -> Outcome:
        capfd.readouterr()
        status = main([str(argument) for argument in arguments])
        sys.stderr.flush()
        return Outcome(status, *capfd.readouterr())

    return call


@pytest.fixture(scope="session")
def gin_files(tmp_path_factory) -> dict[str, Path]:
    """The two experiments as files."""
    directory = tmp_path_factory.mktemp("experiments")
    files = {"random": directory / "random.gin", "dqn": directory / "dqn.gin"}
    files["random"].write_text(RANDOM)
    files["dqn"].write_text(DQN)
    return files


@pytest.fixture(scope="session")
def runs(tmp_path_factory, gin_files) -> dict[str, Path]:
    """A finished run of each experiment; tests read them and write nothing there."""
    directory = tmp_path_factory.mktemp("runs")
    for name, file in gin_files.items():
        assert main(["train", "--base_dir", str(directory / name), "--gin_files", str(file)]) == 0
    return {name: directory / name for name in gin_files}


def start(*arguments: object, **options) -> subprocess.Popen:
    """Starts `python -m dopamine_lite` as a process of its own."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, "-m", "dopamine_lite", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        **options,
    )


def finish(process: subprocess.Popen, timeout: float = 60) -> Outcome:
    """Waits for a process that `start` started."""
    out, err = process.communicate(timeout=timeout)
    return Outcome(process.returncode, out, err)


def files_below(directory: Path) -> dict[str, bytes | None]:
    """Every path below `directory`, with its content if it is a file."""
    return {
        str(path.relative_to(directory)): path.read_bytes() if path.is_file() else None
        for path in directory.rglob("*")
    }
