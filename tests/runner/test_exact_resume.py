"""A run that is killed and started again is the run that was never stopped, bit for bit."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from dopamine_lite.common.checkpointing import Checkpointer, digest

Command = Callable[[Path], list[str]]

TABULAR = {
    "q_learning": "classics/q_learning_cliff.gin",
    "sarsa": "classics/sarsa_cliff.gin",
    "double_q_learning": "classics/double_q_cartpole.gin",  # in a wrapper
}


def command(agent: str, steps: int) -> Command:
    """Trains `agent` on CartPole in `steps` steps an iteration; the replay wraps round."""
    name = {"dqn": "DQNAgent", "c51": "C51Agent", "qr_dqn": "QRDQNAgent", "iqn": "IQNAgent"}
    replay = "PrioritizedReplay" if agent == "rainbow" else "CircularReplay"
    return training(
        f"{agent}/cartpole.gin",
        steps,
        f"{name.get(agent, 'RainbowAgent')}.min_replay_history = 500",
        f"{replay}.replay_capacity = {steps}",
    )


def training(config: str, steps: int, *own_bindings: str) -> Command:
    """Trains as `config` says, but in three iterations of four segments."""
    bindings = [
        "Runner.num_iterations = 3",
        f"Runner.training_steps = {steps}",
        f"Runner.checkpoint_every_steps = {steps // 4}",
        "Runner.evaluation_episodes = 3",
        "Runner.num_envs = 2",
        *own_bindings,
    ]
    return lambda base_dir: [
        *(sys.executable, "-m", "dopamine_lite", "train", f"--base_dir={base_dir}"),
        *(f"--gin_files={config}", "--seed=3"),
        *(f"--gin_bindings={binding}" for binding in bindings),
    ]


def run_killed_at_random(
    command: Command, base_dir: Path, kills: int, kill: signal.Signals, seed: int
) -> list[int]:
    """Starts the run until it ends by itself; kills it `kills` times on the way.

    Returns the exit statuses.
    """
    generator = random.Random(seed)
    statuses: list[int] = []
    while not statuses or statuses[-1] != 0:
        process = subprocess.Popen(
            command(base_dir), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        if len(statuses) < kills:
            begun = base_dir / "logs"
            while process.poll() is None and not begun.exists():
                time.sleep(0.05)
            time.sleep(generator.uniform(0, 4))
            process.send_signal(kill)
        _, errors = process.communicate(timeout=120)
        statuses.append(process.returncode)
        assert process.returncode in (0, -kill, 128 + kill), errors.decode()
        assert len(statuses) < kills + 2, errors.decode()
    return statuses


def digest_of(base_dir: Path) -> str:
    restored = Checkpointer(base_dir / "checkpoints").load(rings=True)
    state = dict(restored.state)
    for name in ("logs", "train_seconds"):  # event files and times differ from run to run
        del state[name]
    return digest(state)


def lines(base_dir: Path, name: str) -> list[dict]:
    found = [json.loads(line) for line in (base_dir / "logs" / name).read_text().splitlines()]
    return [{key: value for key, value in line.items() if key != "time"} for line in found]


def assert_equal_runs(first: Path, second: Path) -> None:
    for name in ("iterations.jsonl", "episodes.jsonl"):
        assert lines(first, name) == lines(second, name)
    assert len(lines(first, "iterations.jsonl")) == 3
    assert digest_of(first) == digest_of(second)


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    base_dir = tmp_path_factory.mktemp("whole") / "run"
    subprocess.run(command("dqn", 4000)(base_dir), check=True, capture_output=True)
    return base_dir


@pytest.mark.parametrize(
    ("kill", "kills"), [(signal.SIGKILL, 10), (signal.SIGTERM, 2)], ids=["SIGKILL", "SIGTERM"]
)
def test_a_killed_run_is_the_run_never_stopped(whole, tmp_path, kill, kills):
    statuses = run_killed_at_random(command("dqn", 4000), tmp_path / "run", kills, kill, seed=1)
    assert len(statuses) > 1
    assert_equal_runs(tmp_path / "run", whole)


@pytest.mark.parametrize("agent", ["c51", "qr_dqn", "iqn", "rainbow", *TABULAR])
def test_every_agent_resumes_exactly(agent, tmp_path):
    # A table's steps are so fast that a run needs more of them to be killed.
    train = training(TABULAR[agent], 20_000) if agent in TABULAR else command(agent, 1200)
    subprocess.run(train(tmp_path / "whole"), check=True, capture_output=True)
    killed = tmp_path / "run"
    process = subprocess.Popen(train(killed), stdout=subprocess.DEVNULL)
    while process.poll() is None and not list(killed.glob("checkpoints/checkpoint-*")):
        time.sleep(0.01)
    process.kill()  # after the first of twelve checkpoints
    assert process.wait() == -signal.SIGKILL
    subprocess.run(train(killed), check=True, capture_output=True)
    assert_equal_runs(killed, tmp_path / "whole")
