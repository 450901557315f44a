"""`configurable`: gin's decorator for classes whose constructors pass settings on to another class.

A constructor that ends in `**settings` and gives them to `super().__init__`, or to a part that it makes,
has the parameters of that class as well as its own. Python and gin do not see that: with gin's own
decorator any name could be bound, and the defaults would be missing from config.gin. With this one the
class has all of them, and each default stays in the one place that declares it. What is bound to its
base class is not in force for the class, so every parameter has one name.
"""

from __future__ import annotations

import functools
import inspect
import types
import typing
from collections.abc import Collection, Sequence
from typing import Any

import gin

_HAS_A_NAME = "_is_configurable_by_its_own_name"


def configurable(
    part: Any = None,
    /,
    *,
    without: Collection[str] = (),
    passes_to: Sequence[type] = (),
    **options: Any,
) -> Any:
    """As `gin.configurable`, for a class or a function.

    Args:
      part: the class or function; None: a decorator is returned.
      without: parameters of the other classes that the class itself gives to them, so that nobody else
        can.
      passes_to: the classes that get the settings; empty: the base class does.
      options: see `gin.configurable`.
    """
    if part is None:
        return functools.partial(configurable, without=without, passes_to=passes_to, **options)
    if isinstance(part, type) and "__init__" in vars(part):
        constructor: Any = vars(part)["__init__"]
        signature = merged_signature(part, without, passes_to)
        constructor.__signature__ = signature
        constructor.__annotations__ |= {
            name: parameter.annotation
            for name, parameter in signature.parameters.items()
            if parameter.annotation is not inspect.Parameter.empty
        }
        part.passes_settings_to = tuple(passes_to)  # type: ignore[attr-defined]
    if not isinstance(part, type):
        return gin.configurable(part, **options)
    constructor = part.__init__  # type: ignore[misc]
    registered = gin.configurable(part, **options)
    _supply_by_one_name(registered, constructor)
    return registered


def _supply_by_one_name(part: Any, constructor: Any) -> None:
    """Lets gin supply what is bound to `part` to a `part`, and not to a subclass with a name of its own.

    Gin would supply it to both, and write the defaults of the subclass, which were not in force, into
    config.gin.
    """
    supplied = part.__init__

    @functools.wraps(supplied)
    def construct(self: Any, *arguments: Any, **settings: Any) -> None:
        named = next(each for each in type(self).__mro__ if _has_all_settings(each))
        (supplied if named is part else constructor)(self, *arguments, **settings)

    part.__init__ = construct
    setattr(part, _HAS_A_NAME, True)


def _has_all_settings(part: type) -> bool:
    """Whether gin knows all settings of a class by the name of the class, and their defaults."""
    if _HAS_A_NAME in vars(part):
        return True
    # Gin's own decorator wraps a constructor that is inherited, too.
    wrapped, inherited = vars(part).get("__init__"), getattr(part.__base__, "__init__", None)
    return wrapped is not None and inspect.unwrap(wrapped) is inspect.unwrap(inherited)  # type: ignore[arg-type]


def merged_signature(
    part: type, without: Collection[str] = (), passes_to: Sequence[type] = ()
) -> inspect.Signature:
    """The signature of a class's constructor, with the parameters that it passes on by `**settings`.

    Args:
      part: the class.
      without: parameters of the other classes that are left out.
      passes_to: the classes that get the settings; empty: the base class does.
    """
    owner = next(each for each in part.__mro__ if "__init__" in vars(each))
    constructor = vars(owner)["__init__"]
    own = inspect.signature(constructor)
    declared = [_with_annotation(each, constructor) for each in own.parameters.values()]
    if declared[-1].kind is not inspect.Parameter.VAR_KEYWORD:
        return own.replace(parameters=declared)
    passed = {
        name: parameter
        for other in passes_to or owner.__mro__[1:2]
        for name, parameter in merged_signature(other).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY and name not in {*own.parameters, *without}
    }
    return own.replace(parameters=[*declared[:-1], *passed.values()])


def _with_annotation(parameter: inspect.Parameter, function: Any) -> inspect.Parameter:
    """`parameter` of `function`, its annotation no longer text that only its module can read."""
    written = parameter.annotation
    alone = types.SimpleNamespace(__annotations__={"annotation": written})
    known = getattr(inspect.unwrap(function), "__globals__", {})
    try:
        found = typing.get_type_hints(alone, known)["annotation"]
    except Exception:  # of a name that is imported for type checkers only, or no type at all
        found = written
    return parameter.replace(annotation=found)


def divided(owner: str, settings: dict[str, Any], *parts: type) -> list[dict[str, Any]]:
    """What each of the `parts` gets of the settings of a constructor that passes them on to several.

    A setting that two of them have goes to the first.

    Raises:
      TypeError: none of them has one of the settings.
    """
    left, shares = dict(settings), []
    for part in parts:
        known = merged_signature(part).parameters
        shares.append({name: left.pop(name) for name in settings if name in known and name in left})
    for name in left:
        raise TypeError(f"{owner}.__init__() got an unexpected keyword argument '{name}'")
    return shares
