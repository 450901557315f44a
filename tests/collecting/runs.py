"""Short runs with actors, and what is compared of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from dopamine_lite.experiment.experiment import Experiment
from dopamine_lite.runner.runner import Runner
from tests.equal_runs import in_common

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
    return in_common(base_dir, "experiment")  # which has the number of actors
