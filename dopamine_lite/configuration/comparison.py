"""Whether two configurations describe the same experiment, apart from settings that came later."""

from __future__ import annotations

import ast
import inspect
import re
from typing import Any

from dopamine_lite.configuration import gin_tables

_MAY_CHANGE = (  # a run's length, and settings that do not change a bit of it
    "Runner.num_iterations",
    "Runner.actor_backend",
    "tensorflow_devices.device",  # it may change bits, but provenance records it
    "CircularReplay.compress",
    "PrioritizedReplay.compress",
)
_FIRST = ("Runner.agent", "Runner.environment", "create_environment.id")  # say most of a difference
_ACTORS = "Runner.actors"  # their existence is part of an experiment, but their number is not
_CALLBACKS = "Runner.callbacks"
_REFERENCE = re.compile(r"@([\w./]+)")


def statements(text: str) -> dict[str, str]:
    """A text from `operative` as a dict from binding to value; imports have the value ""."""
    lines = (line.strip() for line in text.splitlines())
    pairs = (line.partition(" = ") for line in lines if line and not line.startswith("#"))
    return {key: value for key, _, value in pairs}


def may_change(setting: str) -> bool:
    """Whether a run may be resumed with another value of a setting, such as "Runner.num_iterations"."""
    return setting.rpartition("/")[2] in _MAY_CHANGE


def without_what_may_change(text: str) -> str:
    """A text from `operative` without the settings that a run may change."""
    lines = text.splitlines(keepends=True)
    return "".join(line for line in lines if not may_change(line.partition(" = ")[0]))


def changes(old: str, new: str) -> dict[str, tuple[str, str]]:
    """The settings in which two texts from `operative` differ, with both values.

    The result leaves out `new_settings`, settings that a run may change, and callbacks that are not part
    of an experiment. A setting that one text lacks has the value "without it", and an import has the
    value "".
    """
    then, now = _of_experiment(old), _of_experiment(new)
    added, absent = new_settings(old, new), "without it"
    return {
        key: (then.get(key, absent), now.get(key, absent))
        for key in sorted(
            then.keys() | now.keys(),
            key=lambda key: (key.startswith("import "), key not in _FIRST, key),
        )
        if then.get(key) != now.get(key) and key not in added
    }


def differences(old: str, new: str) -> list[str]:
    """How two texts from `operative` differ, such as "DQNAgent.gamma: this run 0.99, now 0.95".

    It leaves out the same settings as `changes`.
    """
    lines = []
    for key, (then, now) in changes(old, new).items():
        if "" in (then, now):  # it is an import
            lines.append(f"{key}: {'only in this run' if then == '' else 'only now'}")
        else:
            lines.append(f"{key}: this run {then}, now {now}")
    return lines


def new_settings(old: str, new: str) -> dict[str, str]:
    """Settings that only the `new` text has, and that have default values.

    A text lists every value in force, so the old text comes from a version without these settings.
    """
    then = _of_experiment(old)
    return {
        key: value
        for key, value in _of_experiment(new).items()
        if key not in then and value and _is_default(key, value)
    }


def _of_experiment(text: str) -> dict[str, str]:
    """`statements` without settings that may change, and without anything of optional callbacks."""
    kept = {}
    for key, value in statements(without_what_may_change(text)).items():
        if key == _CALLBACKS and "%" not in value:  # a macro is compared as it is
            names = _REFERENCE.findall(value)
            left = [f"@{name}" for name in names if not _may_come_and_go(_configurable(name))]
            if left:
                kept[key] = f"[{', '.join(left)}]"
        elif not _is_of_such_callbacks(key):
            kept[key] = compared(key, value)
    return kept


def compared(setting: str, value: str) -> str:
    """The value to compare for a setting. For the number of actors, it is whether there are any."""
    return "a number" if setting == _ACTORS and value != "None" else value


def _is_of_such_callbacks(key: str) -> bool:
    """Whether `key` is a setting of an optional callback, or imports a module with only such parts."""
    if not key.startswith("import "):
        return "." in key and _may_come_and_go(_configurable(key.rpartition(".")[0]))
    module = key.removeprefix("import ")
    held = [each for _, each in gin_tables.REGISTRY.items() if each.wrapped.__module__ == module]
    return bool(held) and all(map(_may_come_and_go, held))


def _configurable(name: str) -> Any:
    """The configurable that gin knows by `name`, with or without a scope; None if there is none."""
    return gin_tables.REGISTRY.get_match(name.rpartition("/")[2])


def _may_come_and_go(configurable: Any) -> bool:
    """Whether it is an optional callback: one that declares that it is not part of an experiment."""
    return getattr(getattr(configurable, "wrapped", None), "part_of_experiment", True) is False


def _is_default(key: str, value: str) -> bool:
    """Whether `value`, as gin text, is the default of the parameter `key`."""
    name, _, parameter = key.rpartition(".")
    configurable = _configurable(name) if name else None
    if configurable is None:
        return False
    known = inspect.signature(configurable.wrapped).parameters.get(parameter)
    if known is None or known.default is inspect.Parameter.empty:
        return False
    try:
        return repr(ast.literal_eval(value)) == repr(known.default)
    except (ValueError, SyntaxError):  # a reference
        return False
