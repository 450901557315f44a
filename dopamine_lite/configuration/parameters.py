"""The kinds that a configurable declares for its parameters, and the values that fit them.

An annotation declares a kind. Annotations are understood if they are made of bool, int, float, str,
paths, None, literals, lists, dicts, callables and classes. For any other annotation, and without one,
every value is accepted.
"""

from __future__ import annotations

import collections.abc
import inspect
import math
import pathlib
import types
import typing
from collections.abc import Callable, Iterator
from typing import Any

from gin import config as gin_config

from dopamine_lite.common.contracts import asked_methods, is_contract, methods
from dopamine_lite.configuration import catalogue, gin_tables

Reference: Any = gin_config.ConfigurableReference
_EXAMPLES = 2  # number of parts that a sentence names
_LISTS = (
    list,
    tuple,
    collections.abc.Sequence,
    collections.abc.Iterable,
    collections.abc.Collection,
)
_DICTS = (dict, collections.abc.Mapping)
_BUILT_IN = (bool, int, float, str, bytes, list, tuple, dict, type(None))
_PLURALS = {
    bool: "True or False",
    int: "whole numbers",
    float: "numbers",
    str: "texts in quotes",
    type(None): "None",
}
_SINGULARS = {
    bool: "True or False",
    int: "a whole number",
    float: "a number",
    str: "text in quotes",
    type(None): "None",
}


def declared(configurable: Callable[..., Any]) -> dict[str, tuple[Any, Any]]:
    """The annotation and the default of each parameter; `Any` if no annotation can be read."""
    function = _constructor(configurable)
    return {
        name: (_annotation(function, name), parameter.default)
        for name, parameter in inspect.signature(configurable).parameters.items()
        if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    }


def is_of_kind(value: Any, kind: Any) -> bool:
    """Whether `value`, with its macros replaced, fits the annotation `kind`."""
    origin, arguments = typing.get_origin(kind) or kind, typing.get_args(kind)
    if origin is typing.Annotated:
        return is_of_kind(value, arguments[0])
    if origin in (typing.Union, types.UnionType):
        return any(is_of_kind(value, each) for each in arguments)
    if origin is typing.Literal:
        return any(value == each and type(value) is type(each) for each in arguments)
    if origin is collections.abc.Callable:
        return _makes_what_is_asked(value, arguments)
    if not _is_class(origin):
        return True
    if isinstance(value, Reference):
        made = _made_by(value.configurable.wrapped)
        return (made is None or _conforms(made, origin)) if value.evaluate else not _checks(origin)
    if origin is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if origin is float:
        return is_finite_number(value)
    if origin in _LISTS:
        return isinstance(value, list | tuple) and _elements_are_of_kind(value, origin, arguments)
    if origin in _DICTS:
        key, content = arguments or (Any, Any)
        return isinstance(value, dict) and all(
            is_of_kind(name, key) and is_of_kind(each, content) for name, each in value.items()
        )
    if issubclass(origin, pathlib.PurePath):
        return isinstance(value, str | origin)
    return not _checks(origin) or _conforms(type(value), origin)


def is_object(kind: Any) -> bool:
    """Whether an annotation is a class whose objects can only be made by code."""
    return _checks(kind) and kind not in _BUILT_IN


def is_finite_number(value: Any) -> bool:
    """Whether `value` is a number that a float can hold, and not a boolean."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number with hundreds of digits
        return False


def in_words(kind: Any, default: Any, examples: int = _EXAMPLES) -> str:
    """The values for a parameter of `kind`, in words, such as "a whole number or None".

    If the value is a reference, the words name at most `examples` parts.
    """
    words = list(dict.fromkeys(_in_words(each, default, examples) for each in _alternatives(kind)))
    if any("," in each or " or " in each for each in words):
        # The longest comes last, or it would run into the next.
        words.sort(key=len)
    if len(words) == 1:
        return words[0]
    comma = "," if " or " in words[-1] else ""
    return f"{', '.join(words[:-1])}{comma} or {words[-1]}"


def fitting(kind: Any, default: Any = None) -> list[str]:
    """The registered parts that a parameter of `kind` can refer to, each as "@name".

    The default comes first, then the package's parts. The list is empty if the value is not a reference,
    or if a reference to anything fits.
    """
    names: list[str] = []
    for each in _alternatives(kind):
        origin, arguments = typing.get_origin(each) or each, typing.get_args(each)
        if origin is collections.abc.Callable:
            names += _fitting(arguments, default)
        elif arguments and (origin in _LISTS or origin in _DICTS):
            names += fitting(arguments[-1] if origin in _DICTS else arguments[0], default)
    return list(dict.fromkeys(names))


def asked_classes(kind: Any) -> list[type]:
    """The classes and contracts that a reference of `kind` must make."""
    arguments = typing.get_args(kind)
    if typing.get_origin(kind) is collections.abc.Callable:
        return [arguments[1]] if _checks(arguments[1]) else []
    return [each for argument in arguments for each in asked_classes(argument)]


def makes(configurable: Callable[..., Any], kind: type) -> bool:
    """Whether a call of `configurable` is known to return an object of the class or contract `kind`."""
    made = _made_by(configurable)
    return made is not None and _conforms(made, kind)


def _constructor(configurable: Callable[..., Any]) -> Callable[..., Any]:
    if isinstance(configurable, type):
        configurable = gin_tables.constructor_of(configurable)
    return inspect.unwrap(configurable)


def _annotation(function: Callable[..., Any], name: str) -> Any:
    """The annotation of a parameter or of the return value."""
    written = getattr(function, "__annotations__", {}).get(name, Any)
    alone = types.SimpleNamespace(__annotations__={name: written})
    try:
        return typing.get_type_hints(alone, getattr(function, "__globals__", {}))[name]
    except Exception:  # a name imported only for type checkers, or no type at all
        return Any


def _alternatives(kind: Any) -> list[Any]:
    is_union = typing.get_origin(kind) in (typing.Union, types.UnionType)
    return list(typing.get_args(kind)) if is_union else [kind]


def _elements_are_of_kind(
    value: list[Any] | tuple[Any, ...], origin: Any, arguments: tuple[Any, ...]
) -> bool:
    if not arguments:
        return True
    if origin is tuple and arguments[-1] is not ...:
        return len(value) == len(arguments) and all(map(is_of_kind, value, arguments))
    return all(is_of_kind(each, arguments[0]) for each in value)


def _makes_what_is_asked(value: Any, arguments: tuple[Any, ...]) -> bool:
    """Whether `value` can be called and then makes the result of Callable[`arguments`]."""
    given, result = arguments or (..., Any)
    if not isinstance(value, Reference):
        return callable(value)
    made = _made_by(value.configurable.wrapped)
    if made is None:
        return True
    if value.evaluate:
        return "__call__" in methods(made) and not (_checks(result) and _conforms(made, result))
    return _conforms(made, result) and (given is ... or _takes(value.configurable.wrapped, given))


def _made_by(configurable: Callable[..., Any]) -> type | None:
    """The class of the object that a call of `configurable` returns, if that is known."""
    if isinstance(configurable, type):
        return configurable
    result = _annotation(_constructor(configurable), "return")
    made = typing.get_origin(result) or result
    return made if _is_class(made) else None


def _takes(configurable: Callable[..., Any], given: list[Any]) -> bool:
    """Whether the first parameters of `configurable` have the classes of the arguments `given`."""
    kinds = [kind for kind, _ in declared(configurable).values()]
    pairs = zip(given, kinds, strict=False)
    return all(
        issubclass(each, kind) for each, kind in pairs if _is_class(each) and _is_class(kind)
    )


def _conforms(made: type, kind: Any) -> bool:
    """Whether `made` is a `kind`, or is another class with the methods of a `kind`."""
    if not _checks(kind) or kind in made.__mro__ or (kind is float and issubclass(made, int)):
        return True
    asked, offered = asked_methods(kind), methods(made)
    return kind not in _BUILT_IN and (asked <= offered or "__getattr__" in offered)


def _is_class(kind: Any) -> bool:
    return isinstance(kind, type) and kind not in (Any, object, type)


def _checks(kind: Any) -> bool:
    """Whether values are checked against `kind`: a built-in class, one of this package, a contract.

    For other classes, it is not known which other objects could serve.
    """
    return _is_class(kind) and (
        kind in _BUILT_IN or kind.__module__.startswith("dopamine_lite.") or is_contract(kind)
    )


def _in_words(kind: Any, default: Any, most: int) -> str:
    origin, arguments = typing.get_origin(kind) or kind, typing.get_args(kind)
    if origin in _SINGULARS:
        return _SINGULARS[origin]
    if origin is typing.Literal:
        return f"one of {', '.join(map(repr, arguments))}"
    if origin in _LISTS:
        such = f", such as {default!r}" if default and isinstance(default, list | tuple) else ""
        return f"a list{_of_elements(arguments, most)}{such}"
    if origin in _DICTS:
        content = arguments[1] if arguments else Any
        if typing.get_origin(content) is not collections.abc.Callable:
            return 'a dict, such as {"name": 1}'
        such_as = _such_as(
            lambda names: f'{{"name": {names[0]}}}', typing.get_args(content), None, most
        )
        return f"a dict of {_plural(content, 0).partition(',')[0]}{such_as}"
    if origin is collections.abc.Callable:
        such_as = _such_as(_or, arguments, default, most)
        return f"a reference{_to_makers(arguments, 'a class or function that makes')}{such_as}"
    if isinstance(origin, type) and issubclass(origin, pathlib.PurePath):
        return "text in quotes"
    name = getattr(origin, "__name__", str(origin))
    return f"an object of the class {name}, made as @name() by code of your own"


def _of_elements(arguments: tuple[Any, ...], most: int) -> str:
    if not arguments:
        return ""
    words = [_plural(each, most) for each in _alternatives(arguments[0])]
    return f" of {' or '.join(words)}"


def _plural(kind: Any, most: int) -> str:
    origin, arguments = typing.get_origin(kind) or kind, typing.get_args(kind)
    if origin is tuple and arguments and set(arguments) == {arguments[0]}:
        return f"tuples of {len(arguments)} {_plural(arguments[0], most)}"
    if origin is collections.abc.Callable:
        such_as = _such_as(lambda names: f"[{', '.join(names)}]", arguments, None, most)
        return f"references{_to_makers(arguments, 'classes or functions that make')}{such_as}"
    return _PLURALS.get(origin, str(getattr(origin, "__name__", origin)))


def _to_makers(arguments: tuple[Any, ...], makers: str) -> str:
    """A clause for Callable[`arguments`]."""
    kind = arguments[-1] if arguments else Any
    return f" to {makers} {_article(kind.__name__)} {kind.__name__}" if _checks(kind) else ""


def _such_as(
    written: Callable[[list[str]], str],
    arguments: tuple[Any, ...],
    default: Any,
    most: int = _EXAMPLES,
) -> str:
    """A clause that names a few parts that Callable[`arguments`] can refer to."""
    if not _checks(arguments[1] if arguments else Any):
        return ", such as @name"
    names = _fitting(arguments, default)[:most]
    return f", such as {written(names)}" if names else ""


def _or(names: list[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} or {last}" if others else last


def _fitting(arguments: tuple[Any, ...], default: Any) -> list[str]:
    """The parts that Callable[`arguments`] can refer to.

    The default comes first, then what comes with the package.
    """
    given, result = arguments or (..., Any)
    if not _checks(result):
        return []
    fitting = [
        each
        for each in _registered()
        if _makes_what_is_asked(each, arguments)
        and (given is ... or _needed(each.configurable.wrapped) <= len(given))
        and _is_called_so(each.configurable.selector, given, result)
    ]

    def rank(reference: Any) -> tuple[bool, bool, str]:
        of_others = not reference.configurable.selector.startswith("dopamine_lite.")
        return reference.configurable.wrapped is not default, of_others, repr(reference)

    return [repr(each) for each in sorted(fitting, key=rank)]


def _is_called_so(selector: str, given: Any, result: type) -> bool:
    """Whether a part is meant for a call with the arguments `given`, as far as the catalogue knows.

    A wrapper is an environment, too, but it cannot be made without an environment.
    """
    part = next((each for each in catalogue.parts() if each.selector == selector), None)
    if part is None or part.kind is catalogue.OTHER:
        return True
    contract = f"{result.__module__}.{result.__qualname__}"
    if given is not ... and given:
        return len(part.kind.given) == len(given)
    if contract in catalogue.CONTRACTS and part.kind.contract != contract:
        return False
    return given is ... or not part.kind.given


def _needed(configurable: Callable[..., Any]) -> int:
    """The number of parameters without a default."""
    defaults = [default for _, default in declared(configurable).values()]
    return defaults.count(inspect.Parameter.empty)


def _registered() -> Iterator[Any]:
    for selector, configurable in gin_tables.REGISTRY.items():
        if not selector.startswith("gin.") and _made_by(configurable.wrapped) is not None:
            yield Reference(gin_tables.REGISTRY.minimal_selector(selector), False)


def _article(name: str) -> str:
    return "an" if name[0] in "AEIOU" else "a"
