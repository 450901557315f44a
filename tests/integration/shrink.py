"""Bindings that make a packaged experiment last seconds."""

from __future__ import annotations

import re

from dopamine_lite.configuration import find_config

_RUNNER = {
    "Runner.num_iterations": 2,
    "Runner.training_steps": 320,
    "Runner.log_every_steps": 100,
    "Runner.max_steps_per_episode": 40,  # an agent that has learned nothing may play for ever
}
_VALUE_AGENT = {"min_replay_history": 40, "update_period": 80, "updates_per_period": 2}
_AGENTS: dict[str, dict[str, object]] = {
    **dict.fromkeys(
        ("DQNAgent", "C51Agent", "QRDQNAgent", "IQNAgent", "RainbowAgent"), _VALUE_AGENT
    ),
    "PQNAgent": {"rollout_length": 8, "num_epochs": 2, "num_minibatches": 2},
    "SACAgent": {"min_replay_history": 40, "update_period": 80, "updates_per_period": 2},
    "PPOAgent": {"rollout_length": 8, "num_epochs": 2, "num_minibatches": 2},
    "ReinforceAgent": {"batch_episodes": 1},
}


def shrunk(config: str) -> list[str]:
    """Flags for `train` that shorten the packaged experiment `config`."""
    text = _with_includes(config)
    bindings: dict[str, object] = dict(_RUNNER)
    num_envs = [1, *map(int, re.findall(r"^Runner.num_envs = (\d+)", text, re.MULTILINE))][-1]
    bindings["Runner.num_envs"] = min(num_envs, 2)
    bindings["Runner.checkpoint_every_steps"] = 160 // min(num_envs, 2)  # two segments
    if "Runner.evaluation_episodes" in text:
        bindings["Runner.evaluation_episodes"] = 1
    else:
        bindings["Runner.evaluation_steps"] = 160
    agent = re.search(r"^Runner.agent = @(\w+)", text, re.MULTILINE)
    if agent:
        smaller = _AGENTS.get(agent[1], {})
        bindings |= {f"{agent[1]}.{name}": value for name, value in smaller.items()}
    replay = re.search(r"^\w+\.replay = @(\w+)", text, re.MULTILINE)
    if replay:
        bindings[f"{replay[1]}.replay_capacity"] = 1000
    return [f"--gin_bindings={name} = {value}" for name, value in bindings.items()]


def _with_includes(config: str) -> str:
    """The text of `config` after that of the files it includes."""
    text = find_config(config).read_text(encoding="utf-8")
    included = re.findall(r'^include "(.+)"', text, re.MULTILINE)
    return "".join(_with_includes(name) for name in included) + text
