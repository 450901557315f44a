"""Bindings that make a packaged experiment last seconds."""

from __future__ import annotations

from dopamine_lite.common.configuration import find_config

_RUNNER = {
    "Runner.num_iterations": 2,
    "Runner.training_steps": 320,
    "Runner.checkpoint_every_steps": 160,
    "Runner.log_every_steps": 100,
}
_DQN = {
    "DQNAgent.min_replay_history": 40,
    "DQNAgent.update_period": 16,
    "DQNAgent.updates_per_period": 2,
    "CircularReplay.replay_capacity": 1000,
}


def shrunk(config: str) -> list[str]:
    """Flags for `train` that shorten the packaged experiment `config`."""
    text = find_config(config).read_text(encoding="utf-8")
    bindings = dict(_RUNNER)
    if "Runner.evaluation_episodes" in text:
        bindings["Runner.evaluation_episodes"] = 1
    else:
        bindings["Runner.evaluation_steps"] = 160
    if "Runner.agent = @DQNAgent" in text:
        bindings |= _DQN
    return [f"--gin_bindings={name} = {value}" for name, value in bindings.items()]
