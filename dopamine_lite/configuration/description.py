"""The parameters of a part that can be bound: kind, default and help, from the part itself."""

from __future__ import annotations

import inspect
import itertools
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gin

from dopamine_lite.configuration import catalogue, gin_tables
from dopamine_lite.configuration.bindings import registered_names
from dopamine_lite.configuration.catalogue import Kind, Part
from dopamine_lite.configuration.files import all_configs, packaged_configs
from dopamine_lite.configuration.parameters import asked_classes, declared, fitting, in_words, makes
from dopamine_lite.configuration.tensorflow_setup import import_quietly


@dataclass(frozen=True)
class Parameter:
    """A parameter that gin can bind.

    Attributes:
      name: the name in a binding, without the part's name.
      kind: the kind of value, in words.
      default: the default as gin text; None: there is no default, so it must be bound.
      help: the docstring's description; "": no docstring describes the parameter.
      fits: the parts that the value can refer to, each as "@name"; empty if the value is not a
        reference.
    """

    name: str
    kind: str
    default: str | None
    help: str
    fits: tuple[str, ...]


@dataclass(frozen=True)
class Description:
    """The description of a part.

    Attributes:
      text: the docstring up to the arguments.
      given: the parameters that the code passes when it creates the part.
    """

    part: Part
    text: str
    parameters: tuple[Parameter, ...]
    given: tuple[str, ...]


def described(part: Part) -> Description:
    """Everything about `part`. Imports its module, and those of the parts that fit its parameters."""
    import_quietly(part.module)
    configurable = gin_tables.REGISTRY.get_match(part.selector)
    wrapped, helped = configurable.wrapped, argument_help(configurable.wrapped)
    bindable = declared_parameters(part, wrapped)
    parameters = []
    for name, (kind, default) in bindable.items():
        for asked in asked_classes(kind):
            _import_parts_like(asked)
        parameters.append(
            Parameter(
                name,
                "any value" if kind is Any else in_words(kind, default, examples=0),
                as_gin_text(default),
                helped.get(name, ""),
                tuple(fitting(kind, default)),
            )
        )
    text, _ = _taken_apart(inspect.getdoc(wrapped) or "")
    given = tuple(name for name in _with_inherited(wrapped) if name not in bindable)
    return Description(part, text, tuple(parameters), given)


def declared_parameters(part: Part, wrapped: Callable[..., Any]) -> dict[str, tuple[Any, Any]]:
    """The annotation and the default of each parameter of `part` that gin can bind.

    `wrapped` is the class or function that gin knows by the part's name.
    """
    configurable = gin_tables.REGISTRY.get_match(part.selector)
    known = _with_inherited(wrapped)
    denied = {*part.kind.given, *(configurable.denylist or ())}
    return {
        name: known[name]
        for name in known
        if name not in denied and name in (configurable.allowlist or known)
    }


def part_of(name: str) -> Part:
    """The part that gin knows by `name`, of the package or of a module that has been imported."""
    configurable = gin_tables.REGISTRY.get_match(name)
    wrapped = configurable.wrapped
    for part in catalogue.parts():
        if part.selector == configurable.selector:
            return part
    summary = (inspect.getdoc(wrapped) or "").partition("\n")[0]
    return Part(configurable.name, configurable.module, _kind_of(wrapped), summary)


def own_names() -> list[str]:
    """The parts that gin knows and that are not the package's: after imports, the user's parts."""
    known = {part.name for part in catalogue.parts()}
    return [name for name in registered_names() if name.rpartition(".")[2] not in known]


def bound_as(part: Part) -> str | None:
    """A line of gin that refers to `part`; None: nothing in the package can refer to it.

    No agent takes every head, so a head is shown with an agent that takes it.
    """
    usual = part.kind.bound.replace("...", part.name)
    if usual and part.kind is not catalogue.HEAD:
        return usual
    for agent in catalogue.parts():
        if agent.kind is catalogue.AGENT:
            for each in described(agent).parameters:
                if f"@{part.name}" in each.fits and each.name in ("head", part.name.lower()):
                    return f"{agent.name}.{each.name} = @{part.name}"
    return None


def configs_that_name(name: str) -> list[str]:
    """The packaged configs that refer to or bind the part `name`, themselves or in included files."""
    return [path for path, text in _texts().items() if re.search(rf"(^|@|/){name}\b", text, re.M)]


def owners_in_configs(parameter: str) -> list[str]:
    """At most three parts whose `parameter` packaged configs bind; the most frequent comes first."""
    bindings = re.compile(rf"^(?:\w+/)?(\w+)\.{re.escape(parameter)} =", re.MULTILINE)
    owners = Counter(part for text in _texts().values() for part in bindings.findall(text))
    return [part for part, _ in owners.most_common(3)]


def argument_help(wrapped: Callable[..., Any]) -> dict[str, str]:
    """Descriptions of each parameter, from the part's own docstring, then from its base classes and the
    classes to which it passes settings.

    If an entry only says where to look, as in "see `CircularReplay`", the base class's entry counts.
    """
    found: dict[str, str] = {}
    owners: list[Any] = [*getattr(wrapped, "__mro__", (wrapped,))]
    for owner in [*owners, *getattr(wrapped, "passes_settings_to", ())]:
        _, arguments = _taken_apart(inspect.cleandoc(owner.__doc__ or ""))
        for name, said in arguments.items():
            if name not in found or found[name].startswith("see `"):
                found[name] = said
    return found


def _taken_apart(docstring: str) -> tuple[str, dict[str, str]]:
    """The text before a docstring's sections, and the entries of its "Args:" by name."""
    text, *sections = re.split(
        r"^(Args|Attributes|Raises|Returns|Yields):\n", docstring, flags=re.M
    )
    arguments = dict(zip(sections[::2], sections[1::2], strict=True)).get("Args", "")
    helped = {}
    # A line that is indented by two begins an entry, and lines that are indented more continue it.
    for entry in re.split(r"^  (?=\S)", arguments, flags=re.M)[1:]:
        names, _, said = " ".join(entry.split()).partition(": ")
        helped.update(dict.fromkeys(names.split(", "), said))
    return text.strip(), helped


def _with_inherited(wrapped: Callable[..., Any]) -> dict[str, tuple[Any, Any]]:
    """`declared`, and the parameters of further classes that get the remaining keywords."""
    known = declared(wrapped)
    owners = [each for each in getattr(wrapped, "__mro__", ()) if "__init__" in vars(each)]
    for owner, inherited in itertools.pairwise(owners):
        if not _takes_keywords(owner.__init__) or inherited is object:
            break
        known |= {name: value for name, value in declared(inherited).items() if name not in known}
    return known


def _takes_keywords(function: Callable[..., Any]) -> bool:
    parameters = inspect.signature(function).parameters.values()
    return any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters)


def _import_parts_like(asked: type) -> None:
    """Imports the parts of the package that are a kind of `asked`, so that they are registered."""
    contract = f"{asked.__module__}.{asked.__qualname__}"
    for part in catalogue.parts():
        if part.kind.contract == contract or part.selector == contract:
            import_quietly(part.module)


def _kind_of(wrapped: Callable[..., Any]) -> Kind:
    for kind in catalogue.KINDS:
        module, _, name = kind.contract.rpartition(".")
        if name and makes(wrapped, getattr(import_quietly(module), name)):
            return kind
    return catalogue.OTHER


def as_gin_text(default: Any) -> str | None:
    """A default as one would bind it; None if there is none."""
    if default is inspect.Parameter.empty or default is gin.REQUIRED:
        return None
    if isinstance(default, type) or inspect.isroutine(default):
        return f"@{default.__name__}"
    return repr(default)


def _texts() -> dict[str, str]:
    """The text of every packaged config by its name, with the texts that it includes."""
    alone = {_name(path): path.read_text(encoding="utf-8") for path in all_configs()}

    def whole(name: str) -> Iterator[str]:
        yield re.sub(r"^\s*#.*", "", alone[name], flags=re.M)
        for included in re.findall(r"""^include ["'](.*)["']""", alone[name], flags=re.M):
            yield from whole(included)

    return {name: "\n".join(whole(name)) for name in alone}


def _name(path: Path) -> str:
    return path.relative_to(packaged_configs()).as_posix()
