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


VALUE_AGENTS = {
    "dqn": "DQNAgent",
    "c51": "C51Agent",
    "qr_dqn": "QRDQNAgent",
    "iqn": "IQNAgent",
    "rainbow": "RainbowAgent",
}
CONFIGS = {
    **{agent: f"{agent}/cartpole.gin" for agent in VALUE_AGENTS},
    "ppo": "ppo/acrobot.gin",  # with both normalisers
    "reinforce": "classics/reinforce_lunar_lander.gin",
    "q_learning": "classics/q_learning_cliff.gin",
    "sarsa": "classics/sarsa_cliff.gin",
    "double_q_learning": "classics/double_q_cartpole.gin",  # in a wrapper
}
FAST = {"ppo": 6_000, "reinforce": 6_000}  # a run needs more steps to be killed; tables the most


def command(agent: str, steps: int) -> Command:
    """Trains `agent` in `steps` steps an iteration; a replay wraps round."""
    bindings = [
        "Runner.num_iterations = 3",
        f"Runner.training_steps = {steps}",
        f"Runner.checkpoint_every_steps = {steps // 4}",
        "Runner.evaluation_episodes = 3",
        "Runner.num_envs = 2",
    ]
    if agent in VALUE_AGENTS:
        replay = "PrioritizedReplay" if agent == "rainbow" else "CircularReplay"
        bindings += [
            f"{VALUE_AGENTS[agent]}.min_replay_history = 500",
            f"{replay}.replay_capacity = {steps}",
        ]
    return lambda base_dir: [
        *(sys.executable, "-m", "dopamine_lite", "train", f"--base_dir={base_dir}"),
        *(f"--gin_files={CONFIGS[agent]}", "--seed=3"),
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


@pytest.mark.parametrize("agent", [agent for agent in CONFIGS if agent != "dqn"])
def test_every_agent_resumes_exactly(agent, tmp_path):
    train = command(agent, 1_200 if agent in VALUE_AGENTS else FAST.get(agent, 20_000))
    subprocess.run(train(tmp_path / "whole"), check=True, capture_output=True)
    killed = tmp_path / "run"
    process = subprocess.Popen(train(killed), stdout=subprocess.DEVNULL)
    while process.poll() is None and not list(killed.glob("checkpoints/checkpoint-*")):
        time.sleep(0.01)
    process.kill()  # after the first of twelve checkpoints
    assert process.wait() == -signal.SIGKILL
    subprocess.run(train(killed), check=True, capture_output=True)
    assert_equal_runs(killed, tmp_path / "whole")
