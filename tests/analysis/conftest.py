"""Run directories made by hand, with what `load_runs` reads of one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ITERATIONS = ((100, 1.0, 2.0), (200, 3.0, 4.0))  # agent steps, training and evaluation return


@pytest.fixture
def make_run(tmp_path) -> Callable[..., Path]:
    """Makes a run; `name` may have directories above it, `settings` join its config."""

    def make(
        name: str,
        seed: int = 0,
        *,
        agent: str = "DQNAgent",
        environment: str = "CartPole-v1",
        config: str = "dqn/cartpole.gin",
        protocol: dict[str, Any] | None = None,
        iterations: tuple[tuple[int, float | None, float | None], ...] = ITERATIONS,
        planned: int | None = None,
        stopped: str | None = None,
        commit: str = "1234567890abcdef",
        **settings: object,
    ) -> Path:
        directory = tmp_path / name
        (directory / "logs").mkdir(parents=True)
        bindings = {
            "Runner.agent": f"@{agent}",
            "Runner.num_iterations": len(iterations) if planned is None else planned,
            "Runner.seed": seed,
            "Runner.evaluation_episodes": 5,
        } | {key.replace("__", "."): value for key, value in settings.items()}
        lines = ["# The configuration in force.", "import dopamine_lite.agents.dqn_agent"]
        lines += [f"{key} = {value}" for key, value in bindings.items()]
        (directory / "config.gin").write_text("\n".join(lines) + "\n")
        about = {
            "schema": 1,
            "seed": seed,
            "environment": environment,
            "agent": {"agent": agent},
            "protocol": {"environment": environment} | (protocol or {}),
            "started": {
                "time": "2026-01-01T00:00:00+00:00",
                "command": f"dopamine-lite train --base_dir {name} --gin_files {config}",
                "commits": {"dopamine_lite": commit},
                "machine": {"processor": "a processor"},
            },
            "resumed": [],
        }
        (directory / "provenance.json").write_text(json.dumps(about))
        logged: list[dict[str, Any]] = [
            {
                "iteration": index,
                "agent_steps": steps,
                "train": {"average_return": train, "loss": 0.5},
                "eval": {"average_return": evaluation},
                "time": {"train_seconds": 10.0},
            }
            for index, (steps, train, evaluation) in enumerate(iterations)
        ]
        if stopped is not None:
            logged[-1]["stopped"] = stopped
        (directory / "logs" / "iterations.jsonl").write_text(
            "".join(json.dumps(line) + "\n" for line in logged)
        )
        return directory

    return make
