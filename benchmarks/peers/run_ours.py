"""dopamine_lite itself: a run as `dopamine-lite train` makes it, until `clock` has measured it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from clock import MORE_FRAMES, Clock
from workloads import Replayed, Rollouts, Workload

import dopamine_lite
from dopamine_lite import Experiment
from dopamine_lite.configuration.tensorflow_setup import import_quietly

tf = import_quietly("tensorflow")

_AGENTS = {
    "dqn": "DQNAgent",
    "c51": "C51Agent",
    "qr_dqn": "QRDQNAgent",
    "iqn": "IQNAgent",
    "rainbow": "RainbowAgent",
    "hessel": "RainbowAgent",
    "ppo": "PPOAgent",
}


def bindings(workload: Workload) -> dict[str, Any]:
    """What is bound beside the workload's config; nothing but its settings, and that it has no end."""
    agent, settings = _AGENTS.get(workload.agent), workload.settings
    bound: dict[str, Any] = {
        "Runner.num_envs": workload.num_envs,
        "Runner.schedule": '"continuous_train"',
        "Runner.evaluation_steps": None,
        "Runner.evaluation_episodes": None,
        "Runner.checkpoint_every_steps": None,
        "Runner.training_steps": workload.cycle * 10**7,
    }
    if workload.hidden_units:
        bound["MLP.hidden_units"] = workload.hidden_units
    if isinstance(settings, Replayed):
        named = (
            *("batch_size", "update_period", "updates_per_period", "target_update_period"),
            *("min_replay_history", "gamma", "update_horizon", "double", "max_gradient_norm"),
        )
        prioritized = workload.agent in ("rainbow", "hessel")
        replay = "PrioritizedReplay" if prioritized else "CircularReplay"
        bound |= {f"{agent}.{name}": getattr(settings, name) for name in named}
        bound |= {
            f"{agent}.replay": f"@{replay}",
            f"{replay}.replay_capacity": settings.replay_capacity,
            "EpsilonGreedy.epsilon_train": settings.epsilon,
            "EpsilonGreedy.epsilon_decay_period": 0,
            "Adam.learning_rate": settings.learning_rate,
            "Adam.decay_updates": None,
        }
    if isinstance(settings, Rollouts):
        bound |= {f"{agent}.{name}": value for name, value in vars(settings).items()}
        bound["Adam.learning_rate"] = bound.pop(f"{agent}.learning_rate")
        bound |= {f"{agent}.clip_decay_period": None, f"{agent}.learning_rate_decay_period": None}
    return bound


class Learned:
    """Counts what an agent has learned."""

    def __init__(self, agent: Any):
        self._agent = agent

    def count(self) -> int:
        learner = getattr(self._agent, "learner", None)
        if learner is None:
            return 0
        optimizer = learner.parts.optimizer if hasattr(learner, "parts") else learner.optimizer
        return optimizer.get_state()["updates"]

    def parameters(self) -> int:
        learner = getattr(self._agent, "learner", None)
        if learner is None:
            return 0
        network = learner.parts.network if hasattr(learner, "parts") else learner.online
        return network.num_parameters


def main() -> None:
    clock = Clock("dopamine_lite", version=dopamine_lite.__version__)
    bound = bindings(clock.workload)
    if clock.threads:
        bound["tensorflow_threads.intra_op"] = clock.threads
    if clock.frames:
        bound["Runner.checkpoint_every_steps"] = MORE_FRAMES // clock.workload.num_envs
    lines = [f"{name} = {value}" for name, value in bound.items()]
    runner = Experiment(clock.workload.config, lines).runner(clock.directory / "run")
    clock.threads = tf.config.threading.get_intra_op_parallelism_threads()
    make, save = runner.stage.create_environment, runner.training._save

    def make_watched(*arguments: Any) -> Any:
        environment = make(*arguments)
        clock.watch(environment, "step", Learned(runner.agent), save, saves_itself=True)
        return environment

    runner.stage.create_environment = make_watched
    if clock.frames:
        runner.training._save = lambda: clock.timed(save)
    runner.run()


if __name__ == "__main__":
    main()
