"""A run that is killed and started again is the run that was never stopped, bit for bit."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from dopamine_lite.reporting import provenance
from dopamine_lite.reporting.log_reader import read_iterations
from tests.equal_runs import in_common
from tests.processes import start

pytestmark = pytest.mark.exhaustive

Command = Callable[[Path], list[str]]


VALUE_AGENTS = {
    "dqn": "DQNAgent",
    "c51": "C51Agent",
    "qr_dqn": "QRDQNAgent",
    "iqn": "IQNAgent",
    "rainbow": "RainbowAgent",
    "minatar": "DQNAgent",
    "sac": "SACAgent",
}
CONFIGS = {
    **{agent: f"{agent}/cartpole.gin" for agent in VALUE_AGENTS},
    "minatar": "dqn/minatar.gin",
    "pqn": "pqn/cartpole.gin",
    "sac": "sac/pendulum.gin",
    "ppo": "ppo/acrobot.gin",  # with both normalizers
    "reinforce": "classics/reinforce_lunar_lander.gin",
    "q_learning": "classics/q_learning_cliff.gin",
    "sarsa": "classics/sarsa_cliff.gin",
    "double_q_learning": "classics/double_q_cartpole.gin",  # in a wrapper
    "dopamine_style": "classics/switching_asterix.gin",  # in the adapter, on Atari
}
STEPS = {  # of an iteration: enough for a run to be killed on its way
    **dict.fromkeys(VALUE_AGENTS, 1_200),
    "pqn": 4_000,
    "ppo": 4_000,
    "reinforce": 4_000,
    "dopamine_style": 1_200,
}
TABLE_STEPS = 6_000


def command(agent: str, steps: int, evaluation_episodes: int = 3) -> Command:
    """Trains `agent` in `steps` steps an iteration, four segments; a replay wraps round."""
    num_envs = 1 if agent == "dopamine_style" else 2
    bindings = [
        "Runner.num_iterations = 3",
        f"Runner.training_steps = {steps}",
        f"Runner.checkpoint_every_steps = {steps // 4 // num_envs}",
        f"Runner.evaluation_episodes = {evaluation_episodes}",
        f"Runner.num_envs = {num_envs}",
    ]
    if agent in VALUE_AGENTS:
        replay = "PrioritizedReplay" if agent == "rainbow" else "CircularReplay"
        bindings += [
            f"{VALUE_AGENTS[agent]}.min_replay_history = 500",
            f"{VALUE_AGENTS[agent]}.batch_size = 8",
            f"{replay}.replay_capacity = {steps}",
            f"{replay}.compress = {agent == 'minatar'}",
        ]
    return lambda base_dir: [
        *("train", f"--base_dir={base_dir}", f"--gin_files={CONFIGS[agent]}", "--seed=3"),
        *(f"--gin_bindings={binding}" for binding in bindings),
    ]


def begin(command: Command, base_dir: Path) -> BaseProcess:
    return start(command(base_dir), printed(base_dir))


def printed(base_dir: Path) -> Path:
    return base_dir.with_suffix(".txt")


def finish(process: BaseProcess, base_dir: Path, *statuses: int) -> int:
    """Waits for the process, whose exit status must be among `statuses`; returns it."""
    process.join(timeout=180)
    assert process.exitcode in statuses, printed(base_dir).read_text()
    return process.exitcode


def starts(base_dir: Path) -> int:
    """How many starts of the run have come as far as their first step."""
    known = provenance.read(base_dir)
    return 0 if known is None else 1 + len(known["resumed"])


def newest_checkpoint(base_dir: Path) -> int:
    paths = base_dir.glob("checkpoints/checkpoint-*")
    return max((int(path.name[-12:]) for path in paths), default=-1)


def wait(process: BaseProcess, sign: Callable[[], bool], seconds: float | None = None) -> None:
    """Returns at the sign, after `seconds`, or when the process has ended.

    Without `seconds` the sign must come.
    """
    end = time.monotonic() + (120 if seconds is None else seconds)
    while process.is_alive() and not sign():
        if time.monotonic() > end:
            assert seconds is not None, "the sign has not come"
            return
        time.sleep(0.005)


DQN = command("dqn", 2_000, evaluation_episodes=30)  # which last about as long as a segment
LAST_SEGMENTS = (1_500, 3_500, 5_500)  # where that of each iteration begins


def run_killed_at_random(
    base_dir: Path, kills: int, kill: signal.Signals, segment_seconds: float
) -> int:
    """Starts DQN until it ends by itself; kills it `kills` times on the way.

    Every other start is killed between its first step and its first checkpoint, while it compiles
    and begins to train; the others in the last segment of an iteration, the evaluation, or soon
    after it.

    Returns how many starts had saved a checkpoint when they were killed.
    """
    generator = random.Random(1)
    trained = 0
    for number in range(kills + 1):
        started, saved = starts(base_dir), newest_checkpoint(base_dir)
        process = begin(DQN, base_dir)
        if number < kills:
            wait(process, lambda before=started: starts(base_dir) > before)
            if number % 2:
                lasts = {last for last in LAST_SEGMENTS if last > saved}
                wait(process, lambda steps=lasts: newest_checkpoint(base_dir) in steps)
                time.sleep(generator.uniform(0, 2 * segment_seconds))
            else:
                seconds = generator.uniform(0, 4)
                wait(process, lambda before=saved: newest_checkpoint(base_dir) > before, seconds)
            with contextlib.suppress(ProcessLookupError):  # it has ended before
                os.kill(process.pid, kill)
        if finish(process, base_dir, 0, -kill, 128 + kill) == 0:
            return trained
        trained += newest_checkpoint(base_dir) > saved
    raise AssertionError(printed(base_dir).read_text())


def assert_equal_runs(first: Path, second: Path) -> None:
    found = in_common(first)
    assert len(found["iterations"]) == 3
    assert found == in_common(second)


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    base_dir = tmp_path_factory.mktemp("whole") / "run"
    finish(begin(DQN, base_dir), base_dir, 0)
    return base_dir


@pytest.mark.xdist_group("of the whole run")
@pytest.mark.parametrize(
    ("kill", "kills"), [(signal.SIGKILL, 4), (signal.SIGTERM, 2)], ids=["SIGKILL", "SIGTERM"]
)
def test_a_killed_run_is_the_run_never_stopped(whole, tmp_path, kill, kills):
    seconds = read_iterations(whole)[-1]["time"]
    segment_seconds = (seconds["train_seconds"] + seconds["eval_seconds"]) / 4
    trained = run_killed_at_random(tmp_path / "run", kills, kill, segment_seconds)
    assert trained >= kills // 2
    assert_equal_runs(tmp_path / "run", whole)


@pytest.mark.parametrize("agent", [agent for agent in CONFIGS if agent != "dqn"])
def test_every_agent_resumes_exactly(agent, tmp_path):
    train = command(agent, STEPS.get(agent, TABLE_STEPS))
    whole, killed = tmp_path / "whole", tmp_path / "run"
    never_stopped, process = begin(train, whole), begin(train, killed)
    # The first of twelve checkpoints, or one after updates and in a replay that has wrapped round.
    wait(process, lambda: newest_checkpoint(killed) >= (1_500 if agent in VALUE_AGENTS else 1))
    process.kill()
    finish(process, killed, -signal.SIGKILL)
    finish(begin(train, killed), killed, 0)
    assert "Resuming at agent step" in printed(killed).read_text()
    finish(never_stopped, whole, 0)
    assert_equal_runs(killed, whole)
