"""Run directories as a stranger could send them: a config, a provenance and logs, made by hand."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def make_run(
    directory: Path,
    seed: int,
    returns: Sequence[float],
    environment: str = "CartPole-v1",
    agent: str = "DQNAgent",
    planned: int | None = None,
    protocol: dict[str, Any] | None = None,
    settings: dict[str, str] | None = None,
    commit: str = "0123456789abcdef",
    seconds: float = 60.0,
) -> Path:
    """A run that evaluated to `returns`, an iteration of 100 agent steps each.

    Training returns are half of these; an iteration takes `seconds`.
    """
    (directory / "logs").mkdir(parents=True)
    bound = {
        "Runner.agent": f"@{agent}",
        "Runner.num_iterations": str(len(returns) if planned is None else planned),
        "Runner.seed": str(seed),
        **(settings or {}),
    }
    config = "".join(f"{name} = {value}\n" for name, value in bound.items())
    (directory / "config.gin").write_text(config)
    provenance = {
        "schema": 1,
        "seed": seed,
        "environment": environment,
        "agent": {"agent": agent},
        "protocol": {"environment": environment, **(protocol or {})},
        "started": {
            "time": "2026-11-27T00:24:49+00:00",
            "commits": {"dopamine_lite": commit},
            "versions": {"tensorflow": "2.21.0"},
            "machine": {"processor": "A processor"},
        },
        "resumed": [],
    }
    (directory / "provenance.json").write_text(json.dumps(provenance))
    lines = [
        {
            "iteration": number,
            "agent_steps": 100 * (number + 1),
            "train": {"average_return": value / 2, "loss": 1 / (number + 1)},
            "eval": {"average_return": value},
            "time": {"train_seconds": seconds},
        }
        for number, value in enumerate(returns)
    ]
    text = "".join(f"{json.dumps(line)}\n" for line in lines)
    (directory / "logs" / "iterations.jsonl").write_text(text)
    return directory
