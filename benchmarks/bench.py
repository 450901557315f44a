"""Speed of DQN and PPO beside their floors, and the size and cost of a million frames of replay.

`python benchmarks/bench.py speed` runs framework and floor in alternation, each as a process of its
own, and prints the median of the ratios. `python benchmarks/bench.py updates` compares the updates of
the value-based agents. `python benchmarks/bench.py replay` fills a replay of a million frames with real
Pong frames and saves it. Run all of them on a quiet machine (`make bench`).
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import psutil
from rich.console import Console
from rich.table import Table

from dopamine_lite.common.types import Transitions
from dopamine_lite.replay.block import Block

HERE = Path(__file__).parent
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


def framework(agent: str, game: str, num_envs: int, steps: int) -> float:
    """Agent steps per second of the Runner's training loop: the second of two iterations.

    That includes what a floor does before its clock starts: making environments, for eight Pongs a
    second.
    """
    bindings = {
        "Runner.num_envs": num_envs,
        "Runner.schedule": '"continuous_train"',
        "Runner.evaluation_steps": None,
        "Runner.evaluation_episodes": None,
        "Runner.num_iterations": 2,
        "Runner.checkpoint_every_steps": None,
        "Runner.training_steps": steps,
        **BINDINGS[agent],
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


def speed(rounds: int, agents: list[str], games: list[str]) -> None:
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
    print("Agent steps per second, medians:")
    Console(width=100).print(table)


def updates(rounds: int) -> None:
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
    observations, rewards, ends = pong_frames(1_000)
    generator = np.random.default_rng(0)
    plain = CircularReplay(agent.replay.ring.spec, generator, replay_capacity=10_000)
    for at in range(len(rewards) - 1):
        actions = generator.integers(6, size=8)
        step = one_step(observations, at, actions, rewards, ends)
        agent.replay.add(step)
        plain.add(step)
    learner = agent.learner
    network, target, optimizer = learner.online, learner.target, learner.optimizer
    frames, seed = tf.constant(observations[:4].reshape(32, 4, 84, 84)), tf.constant([1, 2])
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


def pong_frames(steps: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Real play: observations [steps, 8, 4, 84, 84], rewards and ends of a random agent in 8 Pongs."""
    from dopamine_lite.environments.atari_environment import AtariEnvironment

    environment = AtariEnvironment(game="Pong", num_envs=8, seed=0)
    generator = np.random.default_rng(0)
    observations, rewards, ends = [environment.reset()], [], []
    for _ in range(steps):
        result = environment.step(generator.integers(6, size=8))
        observations.append(result.observations)
        rewards.append(result.rewards)
        ends.append(result.terminated)
    environment.close()
    return np.array(observations[:-1]), np.array(rewards), np.array(ends)


def one_step(
    observations: np.ndarray, at: int, actions: np.ndarray, rewards: np.ndarray, ends: np.ndarray
) -> Block:
    """The block of the step at `at` of real play."""
    after, never = observations[at + 1], np.zeros(8, bool)
    step = Transitions(observations[at], actions, rewards[at], ends[at], never, after)
    return Block.of([step], (after, None), [None])


def replay(frames: int) -> None:
    """Fills a replay, saves it whole and after another 50,000 frames; prints sizes and seconds."""
    from dopamine_lite.checkpointing import Checkpointer
    from dopamine_lite.replay.circular_replay import CircularReplay
    from dopamine_lite.replay.replay import ReplaySpec

    process = psutil.Process()
    observations, rewards, ends = pong_frames(1_500)
    before = process.memory_info().rss
    spec = ReplaySpec((84, 84), np.dtype(np.uint8), num_envs=8, stack_size=4)
    buffer = CircularReplay(spec, np.random.default_rng(0), replay_capacity=frames)
    actions = np.zeros(8, np.int64)

    def fill(count: int) -> None:
        for step in range(count // 8):
            at = step % (len(rewards) - 1)
            buffer.add(one_step(observations, at, actions, rewards, ends))

    fill(frames)
    print(f"{len(buffer):,} frames of Pong in {process.memory_info().rss / 1e9:.2f} GB resident")
    print(f"  of which the buffer {(process.memory_info().rss - before) / 1e9:.2f} GB")
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
    print(f"peak {process.memory_info().rss / 1e9:.2f} GB resident at the end")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["speed", "updates", "replay"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--agents", nargs="+", default=list(BINDINGS))
    parser.add_argument("--games", nargs="+", default=list(CONFIGS))
    parser.add_argument("--frames", type=int, default=1_000_000)
    arguments = parser.parse_args()
    if arguments.what == "speed":
        speed(arguments.rounds, arguments.agents, arguments.games)
    elif arguments.what == "updates":
        updates(arguments.rounds)
    else:
        replay(arguments.frames)
