"""Decides whether two runs are the same experiment, whether gin or Python built them."""

from __future__ import annotations

import functools
import re
import types
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from dopamine_lite import configuration
from dopamine_lite.common.errors import UserError
from dopamine_lite.common.types import State
from dopamine_lite.configuration.history import argument_now
from dopamine_lite.environments.environment import EnvironmentSpec
from dopamine_lite.reporting import provenance
from dopamine_lite.runner.directory import CONFIG, is_run

_SHOWN = 5
_DEEPEST = 4  # levels of nesting beyond which only the kind is named
_LONGEST_NUMBER = 10  # digits of a plausible limit
_OF_VERSIONS = ("ale_py",)  # in a protocol; provenance reports changes, and the run goes on


def identity(
    config: str,
    make_agent: Callable[..., Any],
    agent_settings: Mapping[str, Any],
    make_environment: Callable[..., Any],
    spec: EnvironmentSpec,
    make_callbacks: Sequence[Callable[..., Any]],
) -> State:
    """The identity of its experiment that a checkpoint keeps.

    Args:
      config: the configuration in force, from `configuration.operative`.
      make_agent: the function that made the agent.
      agent_settings: keyword arguments of the agent that did not come from gin.
      make_environment: the function that made the environment.
      spec: the environment's specification.
      make_callbacks: the functions that made the callbacks that are part of the experiment.
    """
    callbacks = ", ".join(map(_named, make_callbacks))
    return {
        "config": configuration.with_header(configuration.without_what_may_change(config)),
        "agent": {"made by": _named(make_agent)}
        | {name: _named(value) for name, value in agent_settings.items()},
        "environment": environment_identity(make_environment, spec),
    } | ({"callbacks": {"made by": callbacks}} if callbacks else {})


def environment_identity(
    make_environment: Callable[..., Any], spec: EnvironmentSpec
) -> dict[str, str]:
    """The environment's part of `identity`."""
    environment = {"id": spec.id, **spec.protocol}
    return {"made by": _named(make_environment)} | {
        name: _named(value) for name, value in environment.items() if name not in _OF_VERSIONS
    }


def lower_limit(saved: State | None, base_dir: Path, asked: int | None) -> int | None:
    """The steps after which a run's episodes ended although its configuration `asked` for more.

    `Runner.max_steps_per_episode` could not always raise the limit that an environment is registered
    with. None for a run in which it held.

    Args:
      saved: the identity that a checkpoint keeps. Early checkpoints do not have it: for None, the run's
        config.gin and provenance are read.
      base_dir: the run's directory.
      asked: `Runner.max_steps_per_episode`.
    """
    if asked is None:
        return None
    if saved is not None:
        config, environment = saved["config"], saved["environment"]
    elif is_run(base_dir):
        config = configuration.config_text(base_dir / CONFIG)
        environment = (provenance.read(base_dir) or {}).get("protocol", {})
    else:
        return None
    limit = str(environment.get("max_steps_per_episode"))
    binding = f".max_steps_per_episode = {asked}"
    is_lower = limit.isdecimal() and len(limit) < _LONGEST_NUMBER and 0 < int(limit) < asked
    is_asked = any(line.endswith(binding) for line in config.splitlines())
    return int(limit) if is_lower and is_asked else None


def check_same_config(path: Path, config: str) -> list[str]:
    """Compares the config.gin of a run, if there is one, with the configuration in force.

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
        "give another `base_dir`, or resume the run as it is, with `base_dir` alone",
    )
    return [
        f"The setting {name} did not exist when this run began. It has its default, {value}."
        for name, value in configuration.new_settings(own, config).items()
    ]


def check_same_experiment(checkpoint: Path, saved: State | None, now: State) -> None:
    """Raises UserError if a checkpoint does not belong to the experiment `now`.

    An early checkpoint that does not keep its experiment, for which `saved` is None, passes.
    """
    if saved is None:
        return
    present, _ = configuration.translated(now["config"], "the configuration")
    different = _other_settings(checkpoint, saved, present)
    remedy = (
        _PUT_BACK
        if different
        else "build the same agent and environment, or give another `base_dir`"
    )
    for part in ("agent", "environment", "callbacks"):
        before, after = saved.get(part, {}), now.get(part, {})
        if part == "agent":  # its arguments, if Python and not gin gave them
            before = {argument_now(name): _in_names_of_now(before[name]) for name in before}
        # A later version may add to a protocol. Everything else is up to the environment's maker.
        of_protocol = part == "environment"
        names = before.keys() & after.keys() if of_protocol else before.keys() | after.keys()
        different += [
            f"{part} {name}: this run {before.get(name, 'without it')}, now "
            f"{after.get(name, 'without it')}"
            for name in sorted(names)
            if before.get(name) != after.get(name)
        ]
    _refuse(different, _OF_ANOTHER.format(checkpoint), remedy)


def _in_names_of_now(made: str) -> str:
    """The call that made an agent, such as "PPOAgent(clip=0.1)", or an argument, in present names."""
    return re.sub(r"\b\w+(?==)", lambda name: argument_now(name[0]), made)


def check_trained_by(checkpoint: Path, saved: State | None, config: str) -> None:
    """Raises UserError if a checkpoint was not trained with `config`, whatever its use now."""
    if saved is not None:
        different = _other_settings(checkpoint, saved, config)
        _refuse(different, _OF_ANOTHER.format(checkpoint), _PUT_BACK)


_OF_ANOTHER = "The checkpoint {} and the configuration belong to different experiments"
_PUT_BACK = "put back the config.gin that belongs to these checkpoints, or give another `base_dir`"


def _other_settings(checkpoint: Path, saved: State, config: str) -> list[str]:
    own, _ = configuration.translated(saved["config"], str(checkpoint))
    return configuration.differences(own, config)


def _refuse(different: list[str], what: str, remedy: str) -> None:
    if different:
        more = len(different) - _SHOWN
        shown = "; ".join(different[:_SHOWN]) + f"; and {more} more" * (more > 0)
        raise UserError(f"{what} ({shown}): {remedy}.")


def _named(value: object, depth: int = 0) -> str:
    """`value` in words that are the same in every process.

    Classes and functions of a module are identified by their names. A lambda, a function made in another
    function, and an object have no name of their own, so they are also identified by their contents.
    """
    if value is None or isinstance(value, bool | int | float | str):
        return repr(value)
    if depth == _DEEPEST:
        return type(value).__name__

    def inner(*values: object) -> list[str]:
        return [_named(each, depth + 1) for each in values]

    if isinstance(value, list | tuple):
        return f"{type(value).__name__}({', '.join(inner(*value))})"
    if isinstance(value, dict):
        return f"{{{', '.join(sorted(': '.join(inner(*item)) for item in value.items()))}}}"
    if isinstance(value, functools.partial):
        name = getattr(value.func, "__name__", "")
        of_experiment = {
            keyword: given
            for keyword, given in value.keywords.items()
            if not configuration.may_change(f"{name}.{keyword}")
        }
        given = inner(*value.args) + _by_name(of_experiment, inner)
        return f"{_named(value.func, depth)}({', '.join(given)})"
    if isinstance(value, types.MethodType):
        return f"{_named(value.__self__, depth)}.{value.__name__}"
    if isinstance(value, types.FunctionType):
        return value.__name__ + _without_name(value, inner)
    if callable(value) and hasattr(value, "__name__"):
        return str(value.__name__)
    held = {name: each for name, each in getattr(value, "__dict__", {}).items() if name[0] != "_"}
    return f"{type(value).__name__}({', '.join(_by_name(held, inner))})"


def _by_name(values: Mapping[str, Any], inner: Callable[..., list[str]]) -> list[str]:
    return [f"{name}={inner(values[name])[0]}" for name in sorted(values)]


def _without_name(function: types.FunctionType, inner: Callable[..., list[str]]) -> str:
    """The names and constants in a lambda, or in a function made in another function, and the values
    from around it. Empty for a function of a module."""
    if "<" not in function.__qualname__:
        return ""
    held = [cell.cell_contents for cell in function.__closure__ or ()]
    words = _words(function.__code__) + inner(*held, *(function.__defaults__ or ()))
    return f"({', '.join(words + _by_name(function.__kwdefaults__ or {}, inner))})"


def _words(code: types.CodeType) -> list[str]:
    """The names and constants of a function, and of functions that it makes."""
    words = list(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            words += _words(constant)
        elif isinstance(constant, bool | int | float | str):
            words.append(repr(constant))
    return words
