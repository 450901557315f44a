"""Which parameters are bound, and which of these bindings were used.

Gin keeps both in private tables, `_CONFIG` and `_OPERATIVE_CONFIG`, each {(scope, complete selector):
{parameter: value}}. Its table `_REGISTRY` has everything that can be bound. gin-config is pinned to 0.5,
and tests/configuration/test_configuration.py fails if these tables change.
"""

from __future__ import annotations

import inspect
import pprint
import re
import tokenize
from collections import Counter
from collections.abc import Iterable
from typing import Any, NamedTuple

from gin import config as gin_config

from dopamine_lite.common.errors import UserError
from dopamine_lite.configuration import gin_tables, modules
from dopamine_lite.configuration.names import nearest_parameter

_Key = tuple[str, str]  # scope, complete selector; for a macro: its name, MACRO
_Binding = tuple[str, str, str]  # scope, complete selector, parameter
MACRO = "gin.macro"


def unused_bindings() -> list[str]:
    """Bindings and macros that nothing constructed so far has used, as written in gin."""
    used = _used_bindings()
    return sorted(as_written(*binding) for binding in all_bindings() if binding not in used)


def reject_unused_bindings() -> None:
    """Call once everything is constructed.

    Raises:
      UserError: there are bindings that nothing used. The message names each, with the nearest used
        name.
    """
    unused = unused_bindings()
    if not unused:
        return
    operative_names = [
        as_written(scope, selector, parameter)
        for (scope, selector), parameters in gin_tables.USED.items()
        for parameter in parameters
    ]
    unused.sort(key=lambda name: "." not in name)  # a macro is often unused because of a binding
    named = ", ".join(f"{name}{nearest_parameter(name, operative_names)}" for name in unused)
    raise UserError(
        f"Nothing in this experiment uses {named}: remove the binding, or use the part that it is "
        "meant for."
    )


def reject_lost_bindings() -> None:
    """Call once everything is constructed.

    Raises:
      UserError: there are bindings that would change if the text of `operative` were loaded. The message
        names each.
    """
    lost = [
        as_written(*key, parameter)
        for key, values in _in_force().items()
        for parameter, value in values.items()
        if not _is_read_as_written(value)
    ]
    if lost:
        raise UserError(
            f"A config cannot hold the value bound to {', '.join(sorted(lost))}: bind numbers, "
            "text, lists and dicts of these, or references such as @name."
        )


def operative() -> str:
    """The configuration in force, with defaults: gin text with one import or binding per line.

    Equal experiments have equal texts. The text includes bindings of parts that are referred to but
    have not been called yet.
    """
    # Gin rules off each part with a comment as long as a line may be, a megabyte each.
    text = gin_tables.config_text(_in_force(), max_line_length=10**6)
    # Without gin's dynamic registration, a module's alias means nothing. Gin invents an alias for every
    # second module of the same package.
    groups = [
        [
            re.sub(r"^(import \S+) as \w+$", r"\1", line)
            for line in group.splitlines()
            if line and not line.startswith("#")
        ]
        for group in text.split("\n\n")
    ]
    return "\n\n".join("\n".join(group) for group in groups if group) + "\n"


def imported_modules() -> list[str]:
    """The modules that the loaded configuration imports, environment ids included, sorted."""
    return sorted({statement.module for statement in gin_tables.IMPORTS} | modules.imported())


def parts_by_module() -> dict[str, list[str]]:
    """The names of the configurables that the configuration calls or refers to, by module."""
    parts: dict[str, list[str]] = {}
    for selector in {selector for _, selector in {*_in_force(), *referred_keys()}} - {MACRO}:
        module = gin_tables.REGISTRY[selector].wrapped.__module__
        parts.setdefault(module, []).append(gin_tables.REGISTRY.minimal_selector(selector))
    return parts


def bound(name: str, parameter: str) -> Any:
    """The value bound to a parameter, or the target of a bound reference; None if nothing is bound."""
    return gin_config.get_bindings(name).get(parameter)


def all_bindings() -> list[_Binding]:
    return [
        (scope, selector, parameter)
        for (scope, selector), parameters in gin_tables.BOUND.items()
        for parameter in parameters
    ]


def referred_keys() -> set[_Key]:
    """The targets of bindings: configurables, in any scope, and macros."""
    references = gin_config.iterate_references(gin_tables.BOUND)
    return {_without_scope(reference.config_key) for reference in references}


def _without_scope(key: _Key) -> _Key:
    return key if key[1] == MACRO else ("", key[1])


class Said(NamedTuple):
    """What the files read so far contain."""

    referred: set[_Key]  # `referred_keys`
    times_bound: Counter[_Binding]  # how often each parameter has been bound

    @classmethod
    def now(cls) -> Said:
        return cls(referred_keys(), gin_tables.TIMES_BOUND.copy())


def forget_replaced(said: Said) -> list[str]:
    """Drops the bindings of parts that files referred to and that nothing refers to any more.

    Bindings that were made after `said` stay, even if they bind the same value. If nothing uses them, a
    later check finds that.

    Returns:
      The dropped bindings, as written in gin.
    """
    left, dropped = set(said.referred), []
    while replaced := left - referred_keys():
        for binding in all_bindings():
            scope, selector, parameter = binding
            is_older = said.times_bound[binding] == gin_tables.TIMES_BOUND[binding]
            if is_older and _without_scope((scope, selector)) in replaced:
                dropped.append(as_written(*binding))
                del gin_tables.BOUND[scope, selector][parameter]
                if not gin_tables.BOUND[scope, selector]:
                    del gin_tables.BOUND[scope, selector]
        left -= replaced
    return dropped


def _in_force() -> dict[_Key, dict[str, Any]]:
    """The values that were used, with defaults, and the values that wait to be used."""
    in_force = {key: dict(values) for key, values in gin_tables.USED.items()}
    for key, values in gin_tables.BOUND.items():
        in_force.setdefault(key, {}).update(
            {name: value for name, value in values.items() if name not in in_force[key]}
        )
    return in_force


def _is_read_as_written(value: Any) -> bool:
    """Whether gin can read `value` back from the text that it writes for it."""
    written = pprint.pformat(value)
    try:
        return pprint.pformat(gin_config.parse_value(written)) == written
    except (SyntaxError, ValueError, tokenize.TokenError):
        return False


def _used_bindings() -> set[_Binding]:
    """Bindings that gave a value to a called configurable, or wait for a call of one."""
    used: set[_Binding] = set()
    for (scope, selector), parameters in gin_tables.USED.items():
        used |= suppliers(scope, selector, parameters)
    waiting = list(used)
    while waiting:
        scope, selector, parameter = waiting.pop()
        value = gin_tables.BOUND[scope, selector][parameter]
        for reference in gin_config.iterate_references([value]):
            if reference.config_key not in gin_tables.USED:
                inner_scope, inner_selector = reference.config_key
                new = suppliers(inner_scope, inner_selector, None) - used
                used |= new
                waiting.extend(new)
    return used


def suppliers(scope: str, selector: str, parameters: Iterable[str] | None) -> set[_Binding]:
    """The bindings that a call of `selector` in `scope` takes for `parameters` (None: for all)."""
    names = scope.split("/") if scope else []
    outer_to_inner = ["/".join(names[:depth]) for depth in range(len(names) + 1)]
    supplier = {
        parameter: (outer, selector, parameter)
        for outer in outer_to_inner  # an inner scope's binding replaces an outer one's
        for parameter in gin_tables.BOUND.get((outer, selector), {})
    }
    return {
        binding
        for parameter, binding in supplier.items()
        if parameters is None or parameter in parameters
    }


def as_written(scope: str, selector: str, parameter: str) -> str:
    """A binding's left side, as written in gin."""
    if selector == MACRO:
        return scope
    name = gin_tables.REGISTRY.minimal_selector(selector)
    return f"{scope}/{name}.{parameter}" if scope else f"{name}.{parameter}"


def registered_names() -> list[str]:
    """Every configurable by its shortest name, without gin's own."""
    selectors = (selector for selector, _ in gin_tables.REGISTRY.items())
    own = [selector for selector in selectors if not selector.startswith("gin.")]
    return sorted(gin_tables.REGISTRY.minimal_selector(selector) for selector in own)


def parameters_of(name: str) -> list[str]:
    """The parameters of the configurable called `name` that gin can bind."""
    configurable = gin_tables.REGISTRY.get_match(name)
    if configurable is None:
        return []
    denied = {"self", *(configurable.denylist or ())}
    names = inspect.signature(configurable.wrapped).parameters
    return [name for name in configurable.allowlist or names if name not in denied]
