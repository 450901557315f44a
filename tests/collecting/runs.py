"""Short runs with actors, and what is compared of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from dopamine_lite.checkpointing import Checkpointer, digest
from dopamine_lite.experiment.experiment import Experiment
from dopamine_lite.runner.runner import Runner

CARTPOLE = (
    "Runner.num_envs = 5",
    "Runner.group_size = 2",
    "Runner.num_iterations = 2",
    "Runner.training_steps = 300",
    "Runner.checkpoint_every_steps = 25",
    "Runner.log_every_steps = 90",
    "Runner.evaluation_episodes = 1",
    "Runner.max_steps_per_episode = 20",
    "tensorflow_threads.intra_op = 1",
)
DQN = (
    "dqn/cartpole.gin",
    *CARTPOLE,
    "DQNAgent.min_replay_history = 50",
    "DQNAgent.update_period = 7",
    "DQNAgent.updates_per_period = 1",
    "DQNAgent.batch_size = 8",
    "EpsilonGreedy.epsilon_decay_period = 50",
    "CircularReplay.replay_capacity = 200",
)


def runner(base_dir: Path, experiment: Sequence[str], actors: int | None, backend: str) -> Runner:
    config, *bindings = experiment
    bindings += [f"Runner.actors = {actors}", f'Runner.actor_backend = "{backend}"']
    return Experiment(config, bindings).runner(base_dir)


def run(
    base_dir: Path,
    experiment: Sequence[str],
    actors: int,
    backend: str = "threads",
    on_step: Callable[[Runner], None] | None = None,
) -> dict[str, Any]:
    """Trains to the end; returns what equal runs have in common."""
    made = runner(base_dir, experiment, actors, backend)
    if on_step is not None:
        stop_if_signaled = made.stage.after_step

        def after_step() -> None:
            stop_if_signaled()
            on_step(made)

        made.stage.after_step = after_step
    made.run()
    return result(base_dir)


def result(base_dir: Path) -> dict[str, Any]:
    """The logs and the digest of everything that a run is."""
    state = dict(Checkpointer(base_dir / "checkpoints").load(rings=True).state)
    for name in (
        "logs",
        "train_seconds",
        "time_parts",
        "experiment",
    ):  # files, times, and the number of actors
        del state[name]
    logs = {name: lines(base_dir / "logs" / f"{name}.jsonl") for name in ("iterations", "episodes")}
    return {"state": digest(state), **logs}


def lines(path: Path) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in path.read_text().splitlines()]
    return [{key: value for key, value in line.items() if key != "time"} for line in found]
