"""`configurable`: gin's decorator for classes whose constructors pass settings on to a base class.

A constructor that ends in `**settings` and gives them to `super().__init__` has the parameters of the
base class as well as its own. Python and gin do not see that: with gin's own decorator any name could be
bound, and the defaults would be missing from config.gin. With this one the class has all of them, and
each default stays in the one place that declares it.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Collection
from typing import Any

import gin


def configurable(part: Any = None, /, *, without: Collection[str] = (), **options: Any) -> Any:
    """As `gin.configurable`, for a class or a function.

    Args:
      part: the class or function; None: a decorator is returned.
      without: parameters of the base class that the class itself gives to it, so that nobody else can.
      options: see `gin.configurable`.
    """
    if part is None:
        return functools.partial(configurable, without=without, **options)
    if isinstance(part, type) and "__init__" in vars(part):
        constructor: Any = vars(part)["__init__"]
        constructor.__signature__ = merged_signature(part, without)
    return gin.configurable(part, **options)


def merged_signature(part: type, without: Collection[str] = ()) -> inspect.Signature:
    """The signature of a class's constructor, with the parameters that it passes on by `**settings`.

    Args:
      part: the class.
      without: parameters of the base class that are left out.
    """
    owner = next(each for each in part.__mro__ if "__init__" in vars(each))
    own = inspect.signature(vars(owner)["__init__"])
    *declared, last = own.parameters.values()
    if last.kind is not last.VAR_KEYWORD:
        return own
    passed = [
        parameter
        for name, parameter in merged_signature(owner.__mro__[1]).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY and name not in {*own.parameters, *without}
    ]
    return own.replace(parameters=[*declared, *passed])
