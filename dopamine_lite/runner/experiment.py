"""What makes two runs the same experiment, whether gin or Python built them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from dopamine_lite import configuration
from dopamine_lite.common.errors import UserError
from dopamine_lite.common.types import State
from dopamine_lite.environments.environment import EnvironmentSpec

_SHOWN = 5
_OF_VERSIONS = ("ale_py",)  # in a protocol; provenance tells when one changes, and the run goes on


def identity(
    config: str,
    make_agent: Callable[..., Any],
    agent_settings: Mapping[str, Any],
    make_environment: Callable[..., Any],
    spec: EnvironmentSpec,
) -> State:
    """What a checkpoint keeps of its experiment.

    Args:
      config: the configuration in force, from `configuration.operative`.
      make_agent: what made the agent.
      agent_settings: what the agent was given by name, beyond what gin gave it.
      make_environment: what made the environment.
      spec: of the environment.
    """
    environment = {"id": spec.id, **spec.protocol}
    return {
        "config": configuration.with_header(configuration.without_length(config)),
        "agent": {"made by": _named(make_agent)}
        | {name: _named(value) for name, value in agent_settings.items()},
        "environment": {"made by": _named(make_environment)}
        | {name: _named(value) for name, value in environment.items() if name not in _OF_VERSIONS},
    }


def check_same_config(path: Path, config: str) -> list[str]:
    """Holds the config.gin of a run, where there is one, against the configuration in force.

    Returns:
      A sentence for each setting that the run's version did not have.

    Raises:
      UserError: they describe different experiments.
    """
    if not path.is_file():
        return []
    own, _ = configuration.translated(configuration.config_text(path), str(path))
    _refuse(
        configuration.differences(own, config),
        f"{path.parent} holds another experiment",
        "give another --base_dir, or the same configuration to resume it",
    )
    return [
        f"{name} is new since this run began, and has its default, {value}."
        for name, value in configuration.new_settings(own, config).items()
    ]


def check_same_experiment(checkpoint: Path, saved: State | None, now: State) -> None:
    """Raises UserError where a checkpoint is of another experiment than `now`.

    One that was written before checkpoints kept their experiment, None, passes.
    """
    if saved is None:
        return
    own, _ = configuration.translated(saved["config"], str(checkpoint))
    present, _ = configuration.translated(now["config"], "the configuration")
    different = configuration.differences(own, present)
    for part in ("agent", "environment"):
        before, after = saved[part], now[part]
        # A later version may say more of a protocol; what an agent is given is the maker's affair.
        names = before.keys() | after.keys() if part == "agent" else before.keys() & after.keys()
        different += [
            f"{part} {name}: this run {before.get(name, 'without it')}, "
            f"now {after.get(name, 'without it')}"
            for name in sorted(names)
            if before.get(name) != after.get(name)
        ]
    _refuse(
        different,
        f"The checkpoint {checkpoint} is of another experiment than the configuration",
        "put back the config.gin that belongs to these checkpoints, or give another --base_dir",
    )


def _refuse(different: list[str], what: str, remedy: str) -> None:
    if different:
        more = len(different) - _SHOWN
        shown = "; ".join(different[:_SHOWN]) + f"; and {more} more" * (more > 0)
        raise UserError(f"{what} ({shown}): {remedy}.")


def _named(value: object) -> str:
    """`value` in words that are the same in every process."""
    if isinstance(value, functools.partial):
        given = [_named(argument) for argument in value.args]
        given += [f"{name}={_named(argument)}" for name, argument in value.keywords.items()]
        return f"{_named(value.func)}({', '.join(given)})"
    if callable(value):
        return str(getattr(value, "__name__", type(value).__name__))
    if value is None or isinstance(value, bool | int | float | str | list | tuple | dict):
        return repr(value)
    return type(value).__name__
