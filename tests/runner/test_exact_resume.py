"""A run that is killed and started again is the run that was never stopped, bit for bit."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dopamine_lite.common.checkpointing import Checkpointer, digest

BINDINGS = [
    "Runner.num_iterations = 3",
    "Runner.training_steps = 4000",
    "Runner.checkpoint_every_steps = 1000",
    "Runner.evaluation_episodes = 3",
    "Runner.num_envs = 2",
    "DQNAgent.min_replay_history = 500",
    "CircularReplay.replay_capacity = 3000",  # wraps round
]


def command(base_dir: Path) -> list[str]:
    bindings = [f"--gin_bindings={binding}" for binding in BINDINGS]
    return [
        *(sys.executable, "-m", "dopamine_lite", "train", f"--base_dir={base_dir}"),
        *("--gin_files=dqn/cartpole.gin", "--seed=3", *bindings),
    ]


def run_killed_at_random(base_dir: Path, kills: int, kill: signal.Signals, seed: int) -> list[int]:
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


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    base_dir = tmp_path_factory.mktemp("whole") / "run"
    subprocess.run(command(base_dir), check=True, capture_output=True, env=os.environ)
    return base_dir


@pytest.mark.parametrize(
    ("kill", "kills"), [(signal.SIGKILL, 4), (signal.SIGTERM, 2)], ids=["SIGKILL", "SIGTERM"]
)
def test_a_killed_run_is_the_run_never_stopped(whole, tmp_path, kill, kills):
    killed = tmp_path / "run"
    statuses = run_killed_at_random(killed, kills, kill, seed=1)
    assert len(statuses) > 1
    assert lines(killed, "iterations.jsonl") == lines(whole, "iterations.jsonl")
    assert lines(killed, "episodes.jsonl") == lines(whole, "episodes.jsonl")
    assert len(lines(whole, "iterations.jsonl")) == 3
    assert digest_of(killed) == digest_of(whole)
