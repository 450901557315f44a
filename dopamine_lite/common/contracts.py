"""What a part needs in order to serve as a class or a protocol, whatever its own class is."""

from __future__ import annotations

import inspect
from typing import TypeVar

from dopamine_lite.common.errors import UserError

_Part = TypeVar("_Part")


def checked_part(owner: str, parameter: str, part: _Part, kind: type) -> _Part:
    """Returns `part`, which was made for a parameter that needs a `kind`.

    Raises:
      UserError: `part` lacks something that a `kind` must have.
    """
    asked = asked_methods(kind)
    if getattr(kind, "_is_protocol", False):
        asked |= {*inspect.get_annotations(kind), *_properties(kind)}
    lacking = sorted(name for name in asked if not hasattr(part, name))
    if lacking:
        raise UserError(
            f"{owner}.{parameter} makes an object of the class {type(part).__name__}, which has no "
            f"{', '.join(lacking)}: see the contract {kind.__name__} in {kind.__module__}."
        )
    return part


def asked_methods(kind: type) -> set[str]:
    """The public methods that a part of `kind` must have; of a class, only the abstract ones."""
    public = {name for name in methods(kind) if not name.startswith("_") or name == "__call__"}
    return public & set(getattr(kind, "__abstractmethods__", ())) if _is_abstract(kind) else public


def methods(kind: type) -> set[str]:
    """The methods of an object of the class `kind`, without the methods that every object has."""
    return {
        name
        for base in kind.__mro__
        if base is not object
        for name, member in vars(base).items()
        if callable(member) or isinstance(member, staticmethod | classmethod)
    }


def is_contract(kind: type) -> bool:
    """Whether `kind` makes demands on other classes: a protocol, or a class with abstract methods."""
    return _is_abstract(kind) or getattr(kind, "_is_protocol", False)


def _is_abstract(kind: type) -> bool:
    return inspect.isabstract(kind) and not getattr(kind, "_is_protocol", False)


def _properties(kind: type) -> set[str]:
    return {name for name, member in vars(kind).items() if isinstance(member, property)}
