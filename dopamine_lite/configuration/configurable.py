"""`configurable`: gin's decorator for classes whose constructors pass settings on to another class.

A constructor that ends in `**settings` and gives them to `super().__init__`, or to a part that it makes,
has the parameters of that class as well as its own. Python and gin do not see that: with gin's own
decorator, any name could be bound, and the defaults would be missing from config.gin. With this
decorator, the class has all of these parameters, and each default stays in the one place that declares
it. Bindings of its base class do not apply to the class, so every parameter has one name.
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
      part: the class or function; None: the call returns a decorator.
      without: parameters of the other classes that the class itself passes to them, so that nothing else
        can bind them.
      passes_to: the classes that get the settings; empty: the base class.
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
    """Lets gin supply the bindings of `part` to a `part`, but not to a subclass with its own name.

    Gin itself would supply them to both, and would write defaults of the subclass that were not in force
    into config.gin.
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
      passes_to: the classes that get the settings; empty: the base class.
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
    """`parameter` of `function`, with its annotation evaluated instead of as text."""
    written = parameter.annotation
    alone = types.SimpleNamespace(__annotations__={"annotation": written})
    known = getattr(inspect.unwrap(function), "__globals__", {})
    try:
        found = typing.get_type_hints(alone, known)["annotation"]
    except Exception:  # a name imported only for type checkers, or no type at all
        found = written
    return parameter.replace(annotation=found)


def divided(owner: str, settings: dict[str, Any], *parts: type) -> list[dict[str, Any]]:
    """Each part's share of the settings that a constructor passes on to several `parts`.

    A setting that two of the parts have goes to the first.

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
