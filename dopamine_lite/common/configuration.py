"""Gin configs: finding and loading them, sentences for every mistake, and what was really used."""

from __future__ import annotations

import contextlib
import difflib
import inspect
import os
import re
import tokenize
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TextIO, TypeVar

import gin
from gin import config as gin_config

from dopamine_lite.common.errors import UserError

_Result = TypeVar("_Result")
_Key = tuple[str, str]  # scope, complete selector; of a macro: its name, _MACRO
_Binding = tuple[str, str, str]  # scope, complete selector, parameter
_MACRO = "gin.macro"


def packaged_configs() -> Path:
    """The directory of the configs that come with the package."""
    package = Path(__file__).resolve().parent.parent
    installed = package / "configs"
    return installed if installed.is_dir() else package.parent / "configs"


def find_config(name: str) -> Path:
    """The gin file that `name` means: a path, or a name under `packaged_configs()`.

    Raises:
      UserError: there is no such file; names the nearest ones.
    """
    candidates = [
        Path(name).expanduser(),
        packaged_configs() / name,
        packaged_configs() / f"{name}.gin",
    ]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    names = [path.relative_to(packaged_configs()).as_posix() for path in all_configs()]
    raise UserError(
        f"There is no gin file '{name}', neither at this path nor among the packaged configs"
        f"{_did_you_mean(name, names)}; `dopamine-lite list` shows them all."
    )


def all_configs() -> list[Path]:
    """Every packaged gin file, sorted."""
    return sorted(packaged_configs().rglob("*.gin"))


def load(gin_files: Iterable[str | Path], gin_bindings: Iterable[str] = ()) -> None:
    """Makes `gin_files` (paths or packaged names) and then `gin_bindings` gin's configuration.

    Whatever was loaded before is forgotten. `include` statements are looked up in the current
    directory and then in `packaged_configs()`. Where a binding puts one part in another's place, as
    `RainbowAgent.replay = @CircularReplay` does, what the files say of the other is forgotten too.

    Raises:
      UserError: a file, module, name or parameter that does not exist, or a syntax error.
    """
    files = [str(find_config(str(name))) for name in gin_files]
    gin.clear_config()
    # Gin has no public way to set these two lists, only to add to them. Its second file reader
    # looks inside Python packages and logs an error for every file that it does not find there.
    gin_config._LOCATION_PREFIXES[:] = ["", str(packaged_configs())]
    gin_config._FILE_READERS[:] = [(_opened, os.path.isfile)]
    for path in files:
        _explained(gin.parse_config_file, path, f"in {path}")
    from_files = {key: dict(values) for key, values in gin_config._CONFIG.items()}
    referred = _referred_to()
    for binding in gin_bindings:
        _explained(gin.parse_config, binding, f"in the binding '{_one_line(binding)}'")
    _forget_replaced(referred, from_files)
    _check_macros()


def construct(constructor: Callable[..., _Result], *arguments: Any, **keywords: Any) -> _Result:
    """Calls `constructor` and turns what is missing or wrong in the bindings into sentences.

    Raises:
      UserError: a parameter without default was not bound, a part of this package cannot be built
        with what is bound to it, or the constructor raised it.
    """
    try:
        return constructor(*arguments, **keywords)
    except UserError as error:
        raise UserError(str(original(error))) from error
    except Exception as error:
        sentence = _missing_parameters(str(error)) or _not_built(error)
        if sentence is None:
            raise
        raise UserError(sentence) from error


def original(error: BaseException) -> BaseException:
    """`error` as it was raised, without the text that gin adds at every call it passes through."""
    while error.__context__ and "ExceptionProxy" in type(error).__init__.__qualname__:
        error = error.__context__
    return error


# What was bound and what was used. Gin keeps both in private tables, `_CONFIG` and
# `_OPERATIVE_CONFIG`, each {(scope, complete selector): {parameter: value}}; gin-config is pinned
# to 0.5, and tests/common/test_configuration.py fails if they change.


def unused_bindings() -> list[str]:
    """Bindings and macros that took no part in anything constructed so far, as written in gin."""
    used = _used_bindings()
    return sorted(_written(*binding) for binding in _bound() if binding not in used)


def reject_unused_bindings() -> None:
    """Call once everything is constructed.

    Raises:
      UserError: names every binding that nothing used, and the nearest right one.
    """
    unused = unused_bindings()
    if not unused:
        return
    operative_names = [
        _written(scope, selector, parameter)
        for (scope, selector), parameters in gin_config._OPERATIVE_CONFIG.items()
        for parameter in parameters
    ]
    unused.sort(key=lambda name: "." not in name)  # a macro is often unused because of a binding
    named = ", ".join(f"{name}{_nearest_parameter(name, operative_names)}" for name in unused)
    raise UserError(
        f"Nothing in this experiment uses {named}: remove the binding, or refer to what it was "
        "meant for."
    )


def operative() -> str:
    """The configuration in force, defaults included: gin text, one import or binding a line.

    Equal experiments have equal text. What is bound for something that is referred to but not yet
    called is part of it.
    """
    in_force = {key: dict(values) for key, values in gin_config._OPERATIVE_CONFIG.items()}
    for key, values in gin_config._CONFIG.items():
        in_force.setdefault(key, {}).update(
            {name: value for name, value in values.items() if name not in in_force[key]}
        )
    text = gin_config._config_str(in_force, max_line_length=10**6)
    if "__gin__" not in text:
        # Without gin's dynamic registration a module's alias means nothing; gin invents one for
        # every second module of the same package.
        text = re.sub(r"^(import \S+) as \w+$", r"\1", text, flags=re.MULTILINE)
    groups = [
        [line for line in group.splitlines() if line and not line.startswith("#")]
        for group in text.split("\n\n")
    ]
    return "\n\n".join("\n".join(group) for group in groups if group) + "\n"


def differences(old: str, new: str) -> list[str]:
    """How two texts from `operative` differ, such as "DQNAgent.gamma: this run 0.99, now 0.95".

    `Runner.num_iterations` is left out: a run may be made longer.
    """
    then, now = statements(old), statements(new)
    lines = []
    for key in sorted(then.keys() | now.keys(), key=lambda key: (key.startswith("import "), key)):
        if then.get(key) == now.get(key) or key == "Runner.num_iterations":
            continue
        if "" in (then.get(key), now.get(key)):  # an import
            lines.append(f"{key}: {'only in this run' if key in then else 'only now'}")
        else:
            absent = "without it"
            lines.append(f"{key}: this run {then.get(key, absent)}, now {now.get(key, absent)}")
    return lines


def statements(text: str) -> dict[str, str]:
    """A text from `operative` as a dict from binding to value; imports have the value ""."""
    lines = (line.strip() for line in text.splitlines())
    pairs = (line.partition(" = ") for line in lines if line and not line.startswith("#"))
    return {key: value for key, _, value in pairs}


def imported_modules() -> list[str]:
    """The modules that the loaded gin files import, sorted."""
    return sorted({statement.module for statement in gin_config._IMPORTS})


def _bound() -> list[_Binding]:
    return [
        (scope, selector, parameter)
        for (scope, selector), parameters in gin_config._CONFIG.items()
        for parameter in parameters
    ]


def _referred_to() -> set[_Key]:
    """What bindings refer to: configurables, in whatever scope, and macros."""
    references = gin_config.iterate_references(gin_config._CONFIG)
    return {_without_scope(reference.config_key) for reference in references}


def _without_scope(key: _Key) -> _Key:
    return key if key[1] == _MACRO else ("", key[1])


def _forget_replaced(referred: set[_Key], from_files: dict[_Key, dict[str, Any]]) -> None:
    """Drops the files' bindings of what was `referred` to and is no longer, and so on from there."""
    while replaced := referred - _referred_to():
        for key in [key for key in gin_config._CONFIG if _without_scope(key) in replaced]:
            left = {
                name: value
                for name, value in gin_config._CONFIG[key].items()
                if from_files.get(key, {}).get(name) is not value
            }
            if left:  # bound on the command line: whether anything uses it is checked later
                gin_config._CONFIG[key] = left
            else:
                del gin_config._CONFIG[key]
        referred -= replaced


def _used_bindings() -> set[_Binding]:
    """Bindings that gave a called configurable a value, or wait for one that is referred to."""
    used: set[_Binding] = set()
    for (scope, selector), parameters in gin_config._OPERATIVE_CONFIG.items():
        used |= _suppliers(scope, selector, parameters)
    waiting = list(used)
    while waiting:
        scope, selector, parameter = waiting.pop()
        value = gin_config._CONFIG[scope, selector][parameter]
        for reference in gin_config.iterate_references([value]):
            if reference.config_key not in gin_config._OPERATIVE_CONFIG:
                inner_scope, inner_selector = reference.config_key
                new = _suppliers(inner_scope, inner_selector, None) - used
                used |= new
                waiting.extend(new)
    return used


def _suppliers(scope: str, selector: str, parameters: Iterable[str] | None) -> set[_Binding]:
    """The bindings that a call of `selector` in `scope` takes for `parameters` (None: for all)."""
    names = scope.split("/") if scope else []
    outer_to_inner = ["/".join(names[:depth]) for depth in range(len(names) + 1)]
    supplier = {
        parameter: (outer, selector, parameter)
        for outer in outer_to_inner  # an inner scope's binding replaces an outer one's
        for parameter in gin_config._CONFIG.get((outer, selector), {})
    }
    return {
        binding
        for parameter, binding in supplier.items()
        if parameters is None or parameter in parameters
    }


def _written(scope: str, selector: str, parameter: str) -> str:
    """A binding's left side as one writes it in gin."""
    if selector == _MACRO:
        return scope
    name = gin_config._REGISTRY.minimal_selector(selector)
    return f"{scope}/{name}.{parameter}" if scope else f"{name}.{parameter}"


def _check_macros() -> None:
    macros = sorted(scope for scope, selector in gin_config._CONFIG if selector == _MACRO)
    for reference in gin_config.iterate_references(gin_config._CONFIG):
        scope, selector = reference.config_key
        if selector == _MACRO and scope not in macros:
            raise UserError(
                f"The macro %{scope} is used but never given a value"
                f"{_did_you_mean(scope, macros)}; add a line `{scope} = ...`."
            )


@contextlib.contextmanager
def _opened(path: str) -> Iterator[TextIO]:
    """`open` for gin; gives a file name to the mistakes that would come without one."""
    with open(path, encoding="utf-8") as file:
        try:
            yield file
        except (tokenize.TokenError, IndentationError, UnicodeDecodeError) as error:
            if original(error) is not error or _is_of_python(error):
                raise  # from a module that the file imports
            raise UserError(_unreadable(error, f"in {path}")) from error


def _explained(parse: Callable[[str], Any], source: str, where: str) -> None:
    """Parses `source` and turns every mistake that gin finds into a `UserError`."""
    try:
        parse(source)
    except Exception as error:
        sentence = _parse_sentence(error, where)
        if sentence is None:
            raise
        raise UserError(sentence) from error


def _parse_sentence(error: Exception, where: str) -> str | None:
    """What was wrong, where and what to do; None if the mistake is not in a config."""
    cause = original(error)
    location = re.search(r'\n  In (?:file "(.*)",|bindings string) line (\d+)', str(error))
    if location and location[1]:
        where = f"in {location[1]}, line {location[2]}"
    message = str(cause.args[0]) if cause.args else str(cause)
    if isinstance(cause, UserError):
        return str(cause)
    if isinstance(cause, tokenize.TokenError | IndentationError) and not _is_of_python(cause):
        return _unreadable(cause, where)
    if isinstance(cause, SyntaxError):
        return _syntax_sentence(cause, where)
    if isinstance(cause, ImportError):
        return _import_sentence(cause, error, where)
    if isinstance(cause, OSError) and message.startswith("Unable to open file"):
        name = message.removeprefix("Unable to open file: ").split(". Searched", 1)[0]
        names = [path.relative_to(packaged_configs()).as_posix() for path in all_configs()]
        return f"There is no gin file '{name}' to include {where}{_did_you_mean(name, names)}."
    if isinstance(cause, KeyError | ValueError) and "\n  In " in str(error):
        return _name_sentence(message, where)
    return None


def _is_of_python(error: Exception) -> bool:
    return isinstance(error, SyntaxError) and error.filename != "<tokenize>"


def _unreadable(error: Exception, where: str) -> str:
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
            f"Cannot read the value {token[1]} {where}: put text in quotes, and @ before the "
            "name of a class or function."
        )
    written = f" at `{error.text.strip()}`" if error.text and error.text.strip() else ""
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
    """Sentences for what gin's registry refuses: names, parameters and ambiguities."""
    if match := re.match(r"No configurable matching (?:reference )?'@?([^'()]*)", message):
        name = match[1].rsplit("/", 1)[-1]
        return (
            f"Nothing is called {name} {where}{_did_you_mean(name, _registered_names())}; if the "
            "name is right, import the module that defines it first."
        )
    if match := re.match(r"Configurable '(.*)' .*(?:parameter named|kwarg) '(\w*)'", message):
        name, parameter = match.groups()
        nearest = _did_you_mean(parameter, _parameters(name)) or _of_another(parameter)
        return f"{name} has no parameter {parameter} that can be bound {where}{nearest}."
    if match := re.match(r"Ambiguous (?:constant )?selector '(.*)', matches \[(.*)\]", message):
        choices = match[2].replace("'", "").replace(", ", " or ")
        return f"The name {match[1]} is ambiguous {where}: write {choices}."
    if "A different configurable matching" in message:
        return None  # a mistake in the code that is imported, which a traceback serves better
    return f"Cannot read the configuration {where}: {_one_line(message).rstrip('.')}."


def _missing_parameters(message: str) -> str | None:
    """A sentence if `message` tells that a configurable was called without its parameters."""
    called = re.search(r"\n  In call to configurable '([^']*)'", message)
    if not called:
        return None
    if made := re.match(r"'(\w+)' object is not callable|(\w+)\.__call__\(\) missing", message):
        early = made[1] or made[2]
        if gin_config._REGISTRY.get_match(early):
            return f"@{early}() calls {early} too early: write @{early}, without the brackets."
    name = called[1]
    listed = re.match(
        r"Required bindings for `.*` not provided in config: \[(.*?)\]", message
    ) or re.match(rf"{name}(?:\.__init__)?\(\) missing \d+ required [^:]*: (.*)", message)
    missing = re.findall(r"'(\w+)'", listed[1]) if listed else []
    if not missing:
        return None
    references = gin_config.iterate_references(gin_config._CONFIG)
    if any(reference.evaluate and reference.configurable.name == name for reference in references):
        return f"@{name}() calls {name} too early: write @{name}, without the brackets."
    bindings = ", ".join(f"{name}.{parameter} = ..." for parameter in missing)
    return f"{name} is not told its {', '.join(missing)}: bind {bindings}"


def _not_built(error: Exception) -> str | None:
    """A sentence if `error` comes from a configurable of this package that has bindings.

    What a user's own class raises keeps its traceback.
    """
    called = re.search(r"\n  In call to configurable '([^']*)'", str(error))
    configurable = gin_config._REGISTRY.get_match(called[1]) if called else None
    if configurable is None or not configurable.module.startswith("dopamine_lite"):
        return None
    bound = [_written(*binding) for binding in _bound() if binding[1] == configurable.selector]
    if not bound:
        return None
    what = _one_line(str(error).split("\n  In call to", 1)[0]).rstrip(".")
    return (
        f"{configurable.name} cannot be built with what is bound to it "
        f"({type(original(error)).__name__}: {what}): check {', '.join(sorted(bound))}."
    )


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _registered_names() -> list[str]:
    """Every configurable by its shortest name, without what gin registers of itself."""
    selectors = (selector for selector, _ in gin_config._REGISTRY.items())
    own = [selector for selector in selectors if not selector.startswith("gin.")]
    return sorted(gin_config._REGISTRY.minimal_selector(selector) for selector in own)


def _parameters(name: str) -> list[str]:
    """The parameters of the configurable called `name` that gin can bind."""
    configurable = gin_config._REGISTRY.get_match(name)
    if configurable is None:
        return []
    denied = {"self", *(configurable.denylist or ())}
    names = inspect.signature(configurable.wrapped).parameters
    return [name for name in configurable.allowlist or names if name not in denied]


def _of_another(parameter: str) -> str:
    """A clause with a configurable that does have `parameter`, or nearly."""
    owners = {known: name for name in _registered_names() for known in _parameters(name)}
    nearest = difflib.get_close_matches(parameter, owners, n=1, cutoff=0.8)
    return f" (did you mean {owners[nearest[0]]}.{nearest[0]}?)" if nearest else ""


def _nearest_parameter(name: str, candidates: list[str]) -> str:
    """The candidate most like `name`; the same parameter of something else before all others."""
    same = [other for other in candidates if other.rpartition(".")[2] == name.rpartition(".")[2]]
    return _did_you_mean(name, same or candidates, cutoff=0.0 if same else 0.6)


def _did_you_mean(name: str, candidates: Iterable[str], cutoff: float = 0.6) -> str:
    """A clause with the candidate nearest to `name`, or nothing."""
    nearest = difflib.get_close_matches(name, list(candidates), n=1, cutoff=cutoff)
    return f" (did you mean {nearest[0]}?)" if nearest else ""
