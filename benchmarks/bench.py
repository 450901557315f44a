"""Speed of DQN and PPO beside their floors, and the size and cost of a million frames of replay.

`python benchmarks/bench.py speed` runs framework and floor in alternation, each as a process of its
own, and prints the median of the ratios. `python benchmarks/bench.py updates` compares the updates of
the value-based agents. `python benchmarks/bench.py replay` fills a replay with a million real frames,
no two of them from the same moment of a game, samples from it and saves it; with `--compress`, they are
compressed. `python benchmarks/bench.py options` trains DQN on Pong plain, with a compressed replay, in
bfloat16, and with an actor in a thread or a process that steps environments while the agent learns, in
alternation. With `--save`, `speed` and `updates` keep what they find in floor.csv and updates.csv, which
docs/results/speed.md is made from. Run all of them on a quiet machine (`make bench`).
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import psutil
from rich.console import Console
from rich.table import Table
from rows import FLOOR, MACHINE, UPDATES, Row, machine, replace

from dopamine_lite.common.machine import processor, usable_cores
from dopamine_lite.replay.block import Block

if TYPE_CHECKING:
    from dopamine_lite.replay.circular_replay import CircularReplay

HERE = Path(__file__).parent
CASE = ("agent", "game", "num_envs")
VALUE_AGENTS = ("dqn", "c51", "qr_dqn", "iqn", "rainbow")
CONFIGS = {"cartpole": "cartpole.gin", "pong": "atari.gin"}
STEPS = {  # agent steps timed, by agent, game and number of environments
    ("dqn", "cartpole", 1): 12_800,
    ("dqn", "cartpole", 8): 12_800,
    ("dqn", "pong", 1): 4_800,
    ("dqn", "pong", 8): 8_000,
    ("ppo", "cartpole", 8): 102_400,
    ("ppo", "pong", 8): 16_384,
}
OPTION_STEPS = 5_000  # of an iteration, to compare options
_LAG = {"Runner.actors": 1, "Runner.policy_lag": 1}
OPTIONS: dict[str, dict[str, Any]] = {  # bindings
    "compress": {"CircularReplay.compress": True},
    "bfloat16": {"NatureCNN.precision": '"bfloat16"'},
    "thread": _LAG | {"Runner.actor_backend": '"threads"'},
    "process": _LAG | {"Runner.actor_backend": '"processes"'},
}
BINDINGS = {  # what a floor leaves out, or what would not come to pass in so few steps
    "dqn": {
        "DQNAgent.min_replay_history": 1_000,
        "EpsilonGreedy.epsilon_decay_period": 1,
        "EpsilonGreedy.epsilon_train": 0.05,
        "CircularReplay.replay_capacity": 30_000,
    },
    "ppo": {},
}


def floor(agent: str, game: str, num_envs: int, steps: int) -> float:
    """Agent steps per second of the floor."""
    command = [sys.executable, HERE / f"floor_{agent}.py", game, str(num_envs), str(steps)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(done.stdout.split()[-1])


def framework(
    agent: str, game: str, num_envs: int, steps: int, own: Mapping[str, Any] | None = None
) -> float:
    """Agent steps per second of the Runner's training loop: the second of two iterations.

    That includes what a floor does before its clock starts: making environments, for eight Pongs a
    second. `own` has bindings in place of those in BINDINGS.
    """
    bindings = {
        "Runner.num_envs": num_envs,
        "Runner.schedule": '"continuous_train"',
        "Runner.evaluation_steps": None,
        "Runner.evaluation_episodes": None,
        "Runner.num_iterations": 2,
        "Runner.checkpoint_every_steps": None,
        "Runner.training_steps": steps,
        **(BINDINGS[agent] if own is None else own),
    }
    with tempfile.TemporaryDirectory() as directory:
        command = [
            *(sys.executable, "-m", "dopamine_lite", "train", f"--base_dir={directory}/run"),
            f"--gin_files={agent}/{CONFIGS[game]}",
            *(f"--gin_bindings={name} = {value}" for name, value in bindings.items()),
        ]
        subprocess.run(command, check=True, capture_output=True, text=True)
        lines = Path(directory, "run", "logs", "iterations.jsonl").read_text().splitlines()
        return json.loads(lines[-1])["time"]["train_steps_per_second"]


def speed(rounds: int, agents: list[str], games: list[str], save: bool) -> None:
    """Prints a table of agent steps per second and the ratio to the floor, medians of `rounds`."""
    table = Table("agent", "game", "num_envs", "floor", "dopamine_lite", "ratio", "ratios")
    for case, steps in STEPS.items():
        agent, game, num_envs = case
        if agent not in agents or game not in games:
            continue
        pairs = [(floor(*case, steps), framework(*case, steps)) for _ in range(rounds)]
        ratios = sorted(ours / theirs for theirs, ours in pairs)
        table.add_row(
            agent,
            game,
            str(num_envs),
            f"{statistics.median(theirs for theirs, _ in pairs):,.0f}",
            f"{statistics.median(ours for _, ours in pairs):,.0f}",
            f"{statistics.median(ratios):.2f}",
            " ".join(f"{ratio:.2f}" for ratio in ratios),
        )
        if save:
            found = [
                machine()
                | dict(zip(CASE, case, strict=True))
                | {"round": number, "floor": round(theirs, 1), "framework": round(ours, 1)}
                for number, (theirs, ours) in enumerate(pairs, 1)
            ]
            replace(FLOOR, (*MACHINE, *CASE, "round", "floor", "framework"), CASE, found)
    print("Agent steps per second, medians:")
    Console(width=100).print(table)


def options(rounds: int, names: list[str], num_envs: int) -> None:
    """Prints agent steps per second of DQN on Pong with each option, and ratios to those without any.

    In the iteration that is timed, the replay holds more frames than any cache does.
    """
    case = ("dqn", "pong", num_envs, OPTION_STEPS)
    own = {"DQNAgent.min_replay_history": OPTION_STEPS}
    found: dict[str, list[float]] = {name: [] for name in ("plain", *names)}
    for _ in range(rounds):
        for name, speeds in found.items():
            speeds.append(framework(*case, own | OPTIONS.get(name, {})))
    table = Table("option", "steps/s", "ratio", "ratios")
    for name, speeds in found.items():
        ratios = sorted(one / plain for one, plain in zip(speeds, found["plain"], strict=True))
        table.add_row(
            name,
            f"{statistics.median(speeds):,.0f}",
            f"{statistics.median(ratios):.2f}",
            " ".join(f"{ratio:.2f}" for ratio in ratios),
        )
    print(f"DQN on Pong, {num_envs} environments, {processor()}, {usable_cores()} cores, medians:")
    Console(width=100).print(table)


def updates(rounds: int, save: bool) -> None:
    """Prints milliseconds of an update by each agent's `atari.gin`, and of its parts.

    "bare" is what the network itself costs: both networks forward, the online one backward from the
    mean square of its outputs, Adam. "replay" is sampling and setting priorities; "priorities" what
    that takes more than a uniform replay's sampling, as a share of the update.
    """
    table = Table(
        "agent", "update", "beside DQN", "bare", "update / bare", "replay", "share", "priorities"
    )
    costs = {agent: _update_costs(f"{agent}/atari.gin", rounds) for agent in VALUE_AGENTS}
    for agent, (update, bare, replay, uniform) in costs.items():
        table.add_row(
            agent,
            f"{update * 1e3:.1f} ms",
            f"{update / costs['dqn'][0]:.2f}",
            f"{bare * 1e3:.1f} ms",
            f"{update / bare:.2f}",
            f"{replay * 1e3:.2f} ms",
            f"{replay / update:.1%}",
            f"{(replay - uniform) / update:.1%}",
        )
    Console(width=100).print(table)
    if save:
        parts = ("update", "bare", "replay", "uniform_replay")
        found: list[Row] = [
            machine() | {"agent": agent} | dict(zip(parts, map(_rounded, seconds), strict=True))
            for agent, seconds in costs.items()
        ]
        replace(UPDATES, (*MACHINE, "agent", *parts), ("agent",), found)


def _rounded(seconds: float) -> float:
    return float(f"{seconds:.3g}")


def _update_costs(config: str, rounds: int) -> tuple[float, float, float, float]:
    """Seconds, medians: a whole update, the bare network, the replay's part, a uniform replay's."""
    from dopamine_lite import configuration
    from dopamine_lite.runner.runner import Runner  # silences TensorFlow's banner

    # ruff: isort: split
    import tensorflow as tf

    from dopamine_lite.replay.circular_replay import CircularReplay

    configuration.load([config], ["Runner.num_envs = 8"])
    with tempfile.TemporaryDirectory() as directory:
        agent = Runner(directory).agent
    generator = np.random.default_rng(0)
    plain = CircularReplay(agent.replay.ring.spec, generator, replay_capacity=10_000)
    for block in itertools.islice(blocks("Pong"), 1_000):
        agent.replay.add(block)
        plain.add(block)
    learner = agent.learner
    network, target, optimizer = learner.online, learner.target, learner.optimizer
    states = plain.sample(1, 32).frames[0, :, :4]
    frames, seed = tf.constant(states), tf.constant([1, 2])
    prepare = tf.function(network.prepare, jit_compile=True)

    @tf.function
    def bare() -> tf.Tensor:
        prepared = prepare(frames)
        outputs = target(prepared, seed)
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(network(prepared, seed)))
        optimizer.apply(tape.gradient(loss, network.variables))
        return loss + tf.reduce_mean(outputs)

    def replay() -> None:
        batch = agent.replay.sample(1, 32)
        if batch.weights is not None:
            agent.replay.feedback(batch, np.ones((1, 32)))

    def update() -> None:
        sample = agent.replay.sample(1, 32)
        learned = learner.learn(sample)
        agent.actor.load(learned.parameters)
        if learned.priorities is not None:
            agent.replay.feedback(sample, learned.priorities.numpy())
        learned.metrics.numpy()  # waits for it

    def seconds(call) -> float:
        start = time.perf_counter()
        call()
        return time.perf_counter() - start

    def network_alone() -> None:
        bare().numpy()

    # The network runs before either replay: both find the caches as it leaves them.
    calls = (update, network_alone, replay, network_alone, lambda: plain.sample(1, 32))
    for call in calls:
        call()
    times = [[seconds(call) for call in calls] for _ in range(rounds * 30)]
    medians = [statistics.median(column) for column in zip(*times, strict=True)]
    return medians[0], medians[1], medians[2], medians[4]


def blocks(game: str) -> Iterator[Block]:
    """Blocks of one step of eight games, without end."""
    from games import play

    for step in play(game):
        yield Block.of([step], (step.next_observations, None), [None])


def replay(frames: int, game: str, compressed: bool) -> None:
    """Fills a replay, samples, saves it, adds 50,000 frames and saves again; prints sizes and times."""
    from dopamine_lite.checkpointing import Checkpointer
    from dopamine_lite.replay.circular_replay import CircularReplay
    from dopamine_lite.replay.replay import ReplaySpec

    process, played = psutil.Process(), blocks(game)
    next(played)
    before = process.memory_info().rss
    spec = ReplaySpec((84, 84), np.dtype(np.uint8), num_envs=8, stack_size=4)
    buffer = CircularReplay(
        spec, np.random.default_rng(0), replay_capacity=frames, compress=compressed
    )

    def fill(count: int) -> float:
        """Adds frames; returns the seconds that an agent step took on average."""
        seconds = 0.0
        for block in itertools.islice(played, count // 8):
            start = time.perf_counter()
            buffer.add(block)
            seconds += time.perf_counter() - start
        return seconds / count

    adding = fill(frames)
    print(f"{len(buffer):,} frames of {game}: the buffer takes", end=" ")
    print(
        f"{(process.memory_info().rss - before) / 1e9:.3f} GB, expected {buffer.memory_bytes / 1e9:.3f}"
    )
    print(f"adding an agent step: {adding * 1e6:.0f} us")
    for cached, name in ((True, "alone"), (False, "after 64 MB of other memory have been used")):
        print(f"sampling 32 transitions, {name}: {sampling(buffer, cached) * 1e6:.0f} us")
    with tempfile.TemporaryDirectory() as directory:
        checkpointer = Checkpointer(Path(directory))
        for number, name in ((1, "first"), (2, "incremental, 50,000 frames later")):
            start = time.perf_counter()
            checkpointer.save(number, {"replay": buffer.get_state()})
            seconds = time.perf_counter() - start
            size = sum(path.stat().st_size for path in Path(directory).rglob("*") if path.is_file())
            print(f"checkpoint, {name}: {seconds:.2f} s, {size / 1e6:.0f} MB on disk in all")
            fill(50_000)
        start = time.perf_counter()
        buffer.set_state(checkpointer.load(rings=True).state["replay"])
        print(f"restored in {time.perf_counter() - start:.2f} s")
    print(f"{process.memory_info().rss / 1e9:.2f} GB resident at the end, with everything else")


def sampling(buffer: CircularReplay, cached: bool) -> float:
    """Seconds of a sample of 32 transitions, the median of 300."""
    other, times = np.zeros(64_000_000, np.uint8), []
    for _ in range(300):
        if not cached:
            other += 1
        start = time.perf_counter()
        buffer.sample(1, 32)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["speed", "updates", "replay", "options"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--agents", nargs="+", default=list(BINDINGS))
    parser.add_argument("--games", nargs="+", default=list(CONFIGS))
    parser.add_argument("--frames", type=int, default=1_000_000)
    parser.add_argument("--game", default="Pong", help="whose frames fill the replay")
    parser.add_argument("--options", nargs="+", choices=OPTIONS, default=list(OPTIONS))
    parser.add_argument("--num_envs", type=int, default=8, help="of the options")
    parser.add_argument("--save", action="store_true", help="keep speed and updates as data")
    parser.add_argument("--compress", action="store_true", help="compress the replay's frames")
    arguments = parser.parse_args()
    if arguments.what == "speed":
        speed(arguments.rounds, arguments.agents, arguments.games, arguments.save)
    elif arguments.what == "updates":
        updates(arguments.rounds, arguments.save)
    elif arguments.what == "options":
        options(arguments.rounds, arguments.options, arguments.num_envs)
    else:
        replay(arguments.frames, arguments.game, arguments.compress)
