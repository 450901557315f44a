"""Sweeps of tables, whose trials last seconds, and what two equal runs have in common."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.equal_runs import in_common

ROOT = Path(__file__).parents[2]
SMALL = {
    "Runner.num_iterations": 2,
    "Runner.training_steps": 400,
    "Runner.checkpoint_every_steps": 200,
    "Runner.evaluation_episodes": 2,
    "Runner.max_steps_per_episode": 100,
}
LONG = SMALL | {  # enough to be killed on the way
    "Runner.num_iterations": 10,
    "Runner.training_steps": 2000,
    "Runner.checkpoint_every_steps": 500,
}


def bindings(settings: dict[str, object]) -> list[str]:
    return [f"--gin_bindings={name}={value}" for name, value in settings.items()]


def start(*arguments: object, **options) -> subprocess.Popen[str]:
    """Starts `python -m dopamine_lite` as a process of its own."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)} | options.pop("variables", {})
    return subprocess.Popen(
        [sys.executable, "-m", "dopamine_lite", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        **options,
    )


def result(run: Path) -> dict[str, object]:
    """What equal runs have in common, to the last bit."""
    return in_common(run) | {"config": (run / "config.gin").read_text()}


def results(study: Path, *names: str) -> dict[str, dict[str, object]]:
    return {name: result(study / name) for name in names}
