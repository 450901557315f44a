"""Config-driven reinforcement-learning experiments on TensorFlow 2 and Gymnasium.

    from dopamine_lite import Experiment

    run = Experiment("dqn/cartpole.gin", seed=1).run("runs/cartpole")
    print(run.evaluate(episodes=100).summary())

The names below are imported on first use, and TensorFlow when something is built.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dopamine_lite.agents.agent import Agent, Transitions
    from dopamine_lite.common.errors import UserError
    from dopamine_lite.common.seeding import Seeds
    from dopamine_lite.environments.environment import Environment, EnvironmentSpec, Step
    from dopamine_lite.experiment.evaluation import Evaluation
    from dopamine_lite.experiment.experiment import Experiment
    from dopamine_lite.experiment.run import Run

__version__ = "1.0.0rc1"

__all__ = [
    "Agent",
    "Environment",
    "EnvironmentSpec",
    "Evaluation",
    "Experiment",
    "Run",
    "Seeds",
    "Step",
    "Transitions",
    "UserError",
]

_MODULES = {
    "Agent": "agents.agent",
    "Environment": "environments.environment",
    "EnvironmentSpec": "environments.environment",
    "Evaluation": "experiment.evaluation",
    "Experiment": "experiment.experiment",
    "Run": "experiment.run",
    "Seeds": "common.seeding",
    "Step": "environments.environment",
    "Transitions": "agents.agent",
    "UserError": "common.errors",
}

# Before NumPy is imported, because its threads and TensorFlow's would compete for the cores (measured:
# two training processes side by side fall to a third of their speed). To override this, set it yourself.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
