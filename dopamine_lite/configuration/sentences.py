"""Messages for errors of gin, Python and the operating system about mistakes in a configuration."""

from __future__ import annotations

import difflib
import re
import tokenize
from typing import Any

from gin import config as gin_config

from dopamine_lite.common.errors import UserError, is_of_users_code
from dopamine_lite.configuration import files, gin_tables
from dopamine_lite.configuration.bindings import (
    all_bindings,
    as_written,
    parameters_of,
    registered_names,
)
from dopamine_lite.configuration.history import name_now
from dopamine_lite.configuration.names import did_you_mean, one_line, shortened


def original(error: BaseException) -> BaseException:
    """`error` as it was raised, without the text that gin adds at every call."""
    while error.__context__ and "ExceptionProxy" in type(error).__init__.__qualname__:
        error = error.__context__
    return error


def parse_sentence(error: Exception, where: str) -> str | None:
    """What is wrong, where, and what to do; None if the mistake is not in a config."""
    cause = original(error)
    location = re.search(r'\n  In (?:file "(.*)",|bindings string) line (\d+)', str(error))
    if location and location[1]:
        where = f"in {location[1]}, line {location[2]}"
    message = str(cause.args[0]) if cause.args else str(cause)
    if isinstance(cause, UserError):
        return str(cause)
    if isinstance(cause, tokenize.TokenError | IndentationError) and not is_of_python(cause):
        return unreadable_sentence(cause, where)
    if isinstance(cause, SyntaxError):
        return _syntax_sentence(cause, where)
    if isinstance(cause, ImportError):
        return _import_sentence(cause, error, where)
    if is_of_users_code(error):
        return None
    if isinstance(cause, OSError) and message.startswith("Unable to open file"):
        name = message.removeprefix("Unable to open file: ").split(". Searched", 1)[0]
        names = [
            path.relative_to(files.packaged_configs()).as_posix() for path in files.all_configs()
        ]
        return f"There is no gin file '{name}' to include {where}{did_you_mean(name, names)}."
    if isinstance(cause, RecursionError):
        return f"Brackets are nested too deeply {where}."
    if isinstance(cause, TypeError) and message.startswith("unhashable type"):
        return f"A list or a dict cannot be the key of a dict {where}."
    if isinstance(cause, KeyError | ValueError) and "\n  In " in str(error):
        return _name_sentence(message, where)
    return None


def is_of_python(error: Exception) -> bool:
    return isinstance(error, SyntaxError) and error.filename != "<tokenize>"


def unreadable_sentence(error: Exception, where: str) -> str:
    if isinstance(error, IndentationError):
        return f"The indentation is uneven {where}, line {error.lineno}."
    if isinstance(error, UnicodeDecodeError):
        return f"There is something other than text {where}."
    return f"A bracket or string is opened but never closed {where}."


def _syntax_sentence(error: SyntaxError, where: str) -> str:
    if error.filename:
        where = f"in {error.filename}, line {error.lineno}"
    token = re.search(r"Failed to parse token '(.*)'", error.msg)
    if token:
        return (
            f"Cannot read the value {shortened(token[1])} {where}: put text in quotes, and @ before the "
            "name of a class or function."
        )
    if error.msg.startswith("Expected newline") and "=" in (error.text or ""):
        return (
            f"Syntax error {where}: more follows the value. Put several values in parentheses, and "
            "write a decimal point and not a comma."
        )
    written = f" at `{shortened(error.text)}`" if error.text and error.text.strip() else ""
    return f"Syntax error {where}{written}: {error.msg.strip().rstrip('.')}."


def _import_sentence(cause: ImportError, error: Exception, where: str) -> str:
    statement = re.search(r"^\s*(?:import|from) +(\S+)", str(error), flags=re.MULTILINE)
    module = statement[1] if statement else "a module"
    if cause.name and (module == cause.name or module.startswith(cause.name + ".")):
        return (
            f"There is no module {cause.name} to import {where}; check its name, and that it is "
            "installed or in the current directory."
        )
    return f"The module {module}, imported {where}, cannot be imported: {cause}."


def _name_sentence(message: str, where: str) -> str | None:
    """Sentences for refusals of gin's registry: names, parameters and ambiguities."""
    if match := re.match(r"No configurable matching (?:reference )?'@?([^'()]*)", message):
        name = match[1].rsplit("/", 1)[-1]
        return (
            f"Nothing is called {name} {where}{did_you_mean(name, registered_names())}; if the "
            "name is right, import the module that defines it first."
        )
    if match := re.match(r"Configurable '(.*)' .*(?:parameter named|kwarg) '(\w*)'", message):
        name, parameter = match.groups()
        for known in _with_bases(name):
            now = name_now(f"{known}.{parameter}")
            if now is None:
                continue
            if known != name:
                now = f"{name}.{now.rpartition('.')[2]}"
            return f"{name}.{parameter} is now called {now}; it is bound {where}."
        own = parameters_of(name)
        nearest = did_you_mean(parameter, own) or _of_another(parameter)
        if not nearest and own:
            nearest = f": its parameters are {', '.join(sorted(own))}"
        return f"{name} has no parameter {parameter} that can be bound {where}{nearest}."
    if match := re.match(r"Ambiguous (?:constant )?selector '(.*)', matches \[(.*)\]", message):
        choices = match[2].replace("'", "").replace(", ", " or ")
        return f"The name {match[1]} is ambiguous {where}: write {choices}."
    if "A different configurable matching" in message:
        return None  # a mistake in the imported code, where a traceback helps more
    return f"Cannot read the configuration {where}: {one_line(message).rstrip('.')}."


def _with_bases(name: str) -> list[str]:
    """A configurable's name, then the names of the classes that it extends."""
    configurable = gin_tables.REGISTRY.get_match(name)
    bases = getattr(configurable and configurable.wrapped, "__mro__", ())[1:]
    return [name, *(base.__name__ for base in bases)]


def missing_sentence(message: str) -> str | None:
    """A sentence if `message` says that a configurable was called without its parameters."""
    called = re.search(r"\n  In call to configurable '([^']*)'", message)
    if not called:
        return None
    if made := re.match(r"'(\w+)' object is not callable|(\w+)\.__call__\(\) missing", message):
        early = made[1] or made[2]
        if gin_tables.REGISTRY.get_match(early):
            return f"@{early}() calls {early} too early: write @{early}, without the parentheses."
    name = called[1]
    if required := re.match(r"Required bindings for `(.*?)` not provided in config: \[", message):
        name = required[1]  # gin has not called it yet
    listed = required or re.match(
        rf"{name}(?:\.__init__)?\(\) missing \d+ required [^:]*:", message
    )
    missing = re.findall(r"'(\w+)'", message[listed.end() :].split("\n")[0]) if listed else []
    if not missing:
        return None
    references = gin_config.iterate_references(gin_tables.BOUND)
    if any(reference.evaluate and reference.configurable.name == name for reference in references):
        return f"@{name}() calls {name} too early: write @{name}, without the parentheses."
    bindings = ", ".join(f"{name}.{parameter} = ..." for parameter in missing)
    return f"{name} has no value for {', '.join(missing)}: bind {bindings}"


def not_built_sentence(error: Exception) -> str | None:
    """A sentence if `error` comes from a configurable of this package that has bindings.

    An error from a user's own code keeps its traceback.
    """
    if is_of_users_code(error):
        return None
    called = re.search(r"\n  In call to configurable '([^']*)'", str(error))
    configurable = gin_tables.REGISTRY.get_match(called[1]) if called else None
    if configurable is None or not configurable.module.startswith("dopamine_lite"):
        return None
    what = one_line(str(error).split("\n  ", 1)[0]).rstrip(".")
    if abstract := re.match(r"Can't instantiate abstract class (\w+) .* methods? (.*)", what):
        return (
            f"{abstract[1]} is not complete: define {abstract[2]} in it "
            "(docs/how_to/your_own_agent.md)."
        )
    unexpected = re.fullmatch(
        rf"{configurable.name}(?:\.__init__)?\(\) (got an unexpected .*|takes .* but .*)", what
    )
    if unexpected:
        places = [
            as_written(*binding) for binding in all_bindings() if _refers(binding, configurable)
        ]
        return (
            f"{configurable.name} does not fit where it is bound ({', '.join(sorted(places))}): it "
            f"{unexpected[1]}. Bind something else there."
        )
    bound = [
        as_written(*binding) for binding in all_bindings() if binding[1] == configurable.selector
    ]
    if not bound:
        return None
    return (
        f"{configurable.name} cannot be built with its bindings ({type(original(error)).__name__}: "
        f"{what}): check {', '.join(sorted(bound))}."
    )


def _refers(binding: tuple[str, str, str], configurable: Any) -> bool:
    """Whether the bound value refers to `configurable`."""
    scope, selector, parameter = binding
    references = gin_config.iterate_references([gin_tables.BOUND[scope, selector][parameter]])
    return any(reference.configurable is configurable for reference in references)


def _of_another(parameter: str) -> str:
    """A clause with a configurable that has `parameter`, or one with a similar name.

    Configurables that the configuration binds have precedence, and the Runner has precedence over them.
    """
    bound = {selector.rpartition(".")[2] for _, selector in gin_tables.BOUND}
    names = sorted(registered_names(), key=lambda name: (name == "Runner", name in bound))
    owners = {known: name for name in names for known in parameters_of(name)}
    words = set(parameter.split("_"))
    nearest = difflib.get_close_matches(parameter, owners, n=1, cutoff=0.8) or [
        known for known in owners if len(words) > 1 and words < set(known.split("_"))
    ]
    return f" (did you mean {owners[nearest[0]]}.{nearest[0]}?)" if nearest else ""
