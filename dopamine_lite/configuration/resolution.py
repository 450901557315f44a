"""Everything that a config sets: each value in force, and the file and line that it comes from."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gin import config as gin_config
from gin import config_parser

from dopamine_lite.configuration import files, gin_tables
from dopamine_lite.configuration.bindings import MACRO, as_written
from dopamine_lite.configuration.description import as_gin_text, declared_parameters, part_of

_Key = tuple[str, str, str]  # scope, complete selector, parameter
_FIRST = "dopamine_lite.runner.runner.Runner"
_LAST = (  # every run calls these
    "dopamine_lite.configuration.devices.tensorflow_devices",
    "dopamine_lite.configuration.tensorflow_setup.tensorflow_threads",
)


@dataclass(frozen=True)
class Setting:
    """One value in force.

    Attributes:
      name: the left side of its binding.
      value: the right side; None: the parameter must be bound but is not.
      place: the place of the binding, such as "dqn/cartpole.gin, line 20"; None: it is the default.
    """

    name: str
    value: str | None
    place: str | None


def resolved(path: Path) -> list[list[Setting]]:
    """The values in force after `loading.load` has loaded `path`, by part, with the Runner first.

    The result includes parts that are in force by default, as far as gin knows them.
    """
    places = dict(_places(path))
    groups: list[list[Setting]] = []
    seen: set[tuple[str, str]] = set()
    waiting = [("", _FIRST)]
    rest = [key for key in gin_tables.BOUND if key[1] not in (MACRO, *_LAST)]
    rest += [("", selector) for selector in _LAST]
    while waiting or rest:
        scope, selector = waiting.pop(0) if waiting else rest.pop(0)
        if (scope, selector) in seen or gin_tables.REGISTRY.get_match(selector) is None:
            continue
        seen.add((scope, selector))
        settings = list(_settings(scope, selector, places, waiting))
        if settings:
            groups.append(settings)
    macros = [
        Setting(name, repr(values["value"]), places.get((name, MACRO, "value")))
        for (name, selector), values in gin_tables.BOUND.items()
        if selector == MACRO
    ]
    return [macros, *groups] if macros else groups


def _settings(
    scope: str, selector: str, places: dict[_Key, str], waiting: list[tuple[str, str]]
) -> Iterator[Setting]:
    """The settings of one part. Adds the parts that they refer to, with their scopes, to `waiting`."""
    part, wrapped = part_of(selector), gin_tables.REGISTRY.get_match(selector).wrapped
    for parameter, (_, default) in declared_parameters(part, wrapped).items():
        owner = next(
            (
                outer
                for outer in _outward(scope)
                if parameter in gin_tables.BOUND.get((outer, selector), {})
            ),
            None,
        )
        if owner is None:
            value, place = as_gin_text(default), None
            inner = _registered_as(default)
            waiting += [("", inner)] if inner else []
        else:
            written = gin_tables.BOUND[owner, selector][parameter]
            value, place = repr(written), places.get((owner, selector, parameter))
            references = gin_config.iterate_references([written])
            waiting += [each.config_key for each in references if each.config_key[1] != MACRO]
        yield Setting(as_written(scope, selector, parameter), value, place)


def _outward(scope: str) -> Iterator[str]:
    """A scope and the scopes around it, down to none: "a/b", "a", ""."""
    while scope:
        yield scope
        scope = scope.rpartition("/")[0]
    yield ""


def _registered_as(default: Any) -> str | None:
    """The complete selector of a default that is a part."""
    if not isinstance(default, type) and not inspect.isroutine(default):
        return None
    selectors = (
        selector
        for selector, configurable in gin_tables.REGISTRY.items()
        if configurable.wrapped is inspect.unwrap(default)
    )
    return next(selectors, None)


def _places(path: Path) -> Iterator[tuple[_Key, str]]:
    """The place of each binding, in the order of reading; later bindings win."""
    delegate = gin_config.ParserDelegate()
    with path.open(encoding="utf-8-sig") as file:
        for statement in config_parser.ConfigParser(file, delegate):
            if isinstance(statement, config_parser.IncludeStatement):
                inner = Path(statement.filename)
                yield from _places(inner if inner.is_file() else files.packaged_configs() / inner)
            elif isinstance(statement, config_parser.BindingStatement):
                yield _key(statement), f"{_shown(path)}, line {statement.location.line_num}"


def _key(statement: config_parser.BindingStatement) -> _Key:
    if not statement.arg_name:
        names = [statement.scope, statement.selector]
        return "/".join(filter(None, names)), MACRO, "value"
    configurable = gin_tables.REGISTRY.get_match(statement.selector)
    return statement.scope, configurable.selector, statement.arg_name


def _shown(path: Path) -> str:
    """The name of a packaged config, or another path as it was given."""
    packaged = files.packaged_configs()
    return path.relative_to(packaged).as_posix() if path.is_relative_to(packaged) else str(path)
