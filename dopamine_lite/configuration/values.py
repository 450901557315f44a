"""Checks bound values: do they fit their parameters, and can a config hold them?"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

from gin import config as gin_config

from dopamine_lite.common.errors import UserError
from dopamine_lite.configuration import gin_tables
from dopamine_lite.configuration.bindings import MACRO, all_bindings, as_written, suppliers
from dopamine_lite.configuration.names import did_you_mean, shortened
from dopamine_lite.configuration.parameters import (
    Reference,
    declared,
    in_words,
    is_finite_number,
    is_object,
    is_of_kind,
)

_CONSTANT = "gin.constant"
_MOST_VALUES = 100_000  # in the value bound to one parameter


def check_values() -> None:
    """Checks all bound values against the parameters' declarations.

    Raises:
      UserError: a macro has no value, macros or references depend on themselves, a number is not finite,
        or a value does not fit the annotation of its parameter.
    """
    _check_macros()
    _check_circles()
    _check_sizes()
    for scope, selector, parameter in all_bindings():
        name = as_written(scope, selector, parameter)
        if not name:
            raise UserError(
                f"{selector} is gin's own and holds no value: write a macro's name instead."
            )
        value = gin_tables.BOUND[scope, selector][parameter]
        for number in _numbers(value):
            if not is_finite_number(number):
                what = "is" if number is value else "holds"
                raise UserError(f"{name} {what} {shortened(repr(number))}: give a finite number.")
        if selector != MACRO:
            wrapped = gin_tables.REGISTRY[selector].wrapped
            kind, default = declared(wrapped).get(parameter, (Any, inspect.Parameter.empty))
            _check_kind(name, value, kind, default)


def _check_macros() -> None:
    macros = sorted(scope for scope, selector in gin_tables.BOUND if selector == MACRO)
    for reference in gin_config.iterate_references(gin_tables.BOUND):
        scope, selector = reference.config_key
        if selector == MACRO and scope not in macros:
            raise UserError(
                f"The macro %{scope} is used but never given a value"
                f"{did_you_mean(scope, macros)}; add a line `{scope} = ...`."
            )


def _check_circles() -> None:
    """Raises UserError if a macro or a reference with parentheses depends on itself."""
    done: set[tuple[str, str]] = set()

    def follow(key: tuple[str, str], way: list[tuple[str, str]]) -> None:
        if key in way:
            circle = [*way[way.index(key) :], key]
            raise UserError(
                f"{_key_as_written(key)} depends on itself "
                f"({' -> '.join(map(_key_as_written, circle))}): give one of them another value."
            )
        if key in done:
            return
        for binding in sorted(suppliers(*key, None)):
            scope, selector, parameter = binding
            value = gin_tables.BOUND[scope, selector][parameter]
            for reference in gin_config.iterate_references([value]):
                if reference.evaluate:
                    follow(reference.config_key, [*way, key])
        done.add(key)

    for key in list(gin_tables.BOUND):
        follow(key, [])


def _check_sizes() -> None:
    """Raises UserError if nested macros stand for more values than anyone would write."""
    sizes: dict[str, int] = {}

    def size(value: Any) -> int:
        if isinstance(value, Reference) and value.evaluate and value.config_key[1] == MACRO:
            name = value.config_key[0]
            if name not in sizes:
                sizes[name] = size(gin_tables.BOUND[name, MACRO]["value"])
            return sizes[name]
        if isinstance(value, dict):
            return size([*value.keys(), *value.values()])
        return sum(map(size, value)) if isinstance(value, list | tuple) else 1

    for scope, selector, parameter in all_bindings():
        if size(gin_tables.BOUND[scope, selector][parameter]) > _MOST_VALUES:
            raise UserError(
                f"{as_written(scope, selector, parameter)} stands for more than {_MOST_VALUES:,} "
                "values because of its macros: write fewer."
            )


def _key_as_written(key: tuple[str, str]) -> str:
    scope, selector = key
    if selector == MACRO:
        return f"%{scope}"
    name = gin_tables.REGISTRY.minimal_selector(selector)
    return f"@{scope}/{name}()" if scope else f"@{name}()"


def _check_kind(name: str, value: Any, kind: Any, default: Any) -> None:
    if default is inspect.Parameter.empty and is_object(kind):
        return  # the caller passes it, so nothing uses the binding, which another check reports
    meant = _without_macros(value)
    as_default = isinstance(meant, bool | int | float | str) and type(meant) is type(default)
    if is_of_kind(meant, kind) or as_default:
        return
    if isinstance(meant, Reference) and meant.evaluate:
        uncalled = Reference(meant.scoped_selector, False)
        if is_of_kind(uncalled, kind):
            raise UserError(
                f"{name} is {value!r}, which calls {meant.configurable.name} too early: write "
                f"{uncalled!r}, without the parentheses."
            )
    written = shortened(repr(value))
    if repr(meant) != repr(value) and " object at 0x" not in repr(meant):
        written += f", which is {shortened(repr(meant))}"
    if isinstance(meant, float) and meant.is_integer() and is_of_kind(int(meant), kind):
        raise UserError(f"{name} is {written}: write {int(meant)}, a whole number.")
    raise UserError(f"{name} is {written}: give {in_words(kind, default)}.")


def _without_macros(value: Any) -> Any:
    """`value` with its macros and constants replaced by their values."""
    if isinstance(value, Reference):
        scope, selector = value.config_key
        if selector == MACRO and value.evaluate:
            return _without_macros(gin_tables.BOUND[scope, MACRO]["value"])
        if selector == _CONSTANT and value.evaluate:
            return gin_tables.CONSTANTS[scope]
        return value
    if isinstance(value, list | tuple):
        return type(value)(map(_without_macros, value))
    if isinstance(value, dict):
        return {key: _without_macros(each) for key, each in value.items()}
    return value


def _numbers(value: Any) -> Iterator[int | float]:
    """The numbers in `value`, at any depth."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        yield value
    elif isinstance(value, dict):
        yield from _numbers([*value.keys(), *value.values()])
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _numbers(each)
