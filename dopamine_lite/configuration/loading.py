"""Reading gin files into gin, and building what they describe, with a sentence for every mistake."""

from __future__ import annotations

import contextlib
import os
import tokenize
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TextIO, TypeVar

import gin
from gin import config as gin_config

from dopamine_lite.common.errors import UserError
from dopamine_lite.configuration import files
from dopamine_lite.configuration.bindings import MACRO, forget_replaced, referred_keys
from dopamine_lite.configuration.history import translated
from dopamine_lite.configuration.names import did_you_mean, one_line
from dopamine_lite.configuration.sentences import (
    is_of_python,
    missing_sentence,
    not_built_sentence,
    original,
    parse_sentence,
    unreadable_sentence,
)

_Result = TypeVar("_Result")


def load(gin_files: Iterable[str | Path], gin_bindings: Iterable[str] = ()) -> None:
    """Makes `gin_files` (paths or packaged names) and then `gin_bindings` gin's configuration.

    Whatever was loaded before is forgotten. `include` statements are looked up in the current
    directory and then in `packaged_configs()`. Where a binding puts one part in another's place, as
    `RainbowAgent.replay = @CircularReplay` does, what the files say of the other is forgotten too.

    Raises:
      UserError: a file, module, name or parameter that does not exist, or a syntax error.
    """
    paths = [str(files.find_config(str(name))) for name in gin_files]
    _begin()
    for path in paths:
        _explained(gin.parse_config_file, path, f"in {path}")
    _add_bindings(gin_bindings)


def load_run(config: Path, gin_bindings: Iterable[str] = ()) -> list[str]:
    """`load` of a run's own config.gin, whatever version of dopamine_lite wrote it.

    Returns:
      A sentence for every setting that is called otherwise now or means something else.

    Raises:
      UserError: as `load`; or the file is damaged, or this version cannot do what it says.
    """
    text, sentences = translated(config_text(config), str(config))
    _begin()
    _explained(gin.parse_config, text, f"in {config}")
    _add_bindings(gin_bindings)
    return sentences


def config_text(path: Path) -> str:
    """The text of a run's config; raises UserError where it is damaged."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path} is damaged, it is not UTF-8 text ({error}): restore it from a copy."
        ) from error


def _begin() -> None:
    gin.clear_config()
    # Gin has no public way to set these two lists, only to add to them. Its second file reader
    # looks inside Python packages and logs an error for every file that it does not find there.
    gin_config._LOCATION_PREFIXES[:] = ["", str(files.packaged_configs())]
    gin_config._FILE_READERS[:] = [(_opened, os.path.isfile)]


def _add_bindings(gin_bindings: Iterable[str]) -> None:
    """Puts bindings in the place of what files have said."""
    from_files = {key: dict(values) for key, values in gin_config._CONFIG.items()}
    referred = referred_keys()
    for binding in gin_bindings:
        _explained(gin.parse_config, binding, f"in the binding '{one_line(binding)}'")
    forget_replaced(referred, from_files)
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
        sentence = missing_sentence(str(error)) or not_built_sentence(error)
        if sentence is None:
            raise
        raise UserError(sentence) from error


def _check_macros() -> None:
    macros = sorted(scope for scope, selector in gin_config._CONFIG if selector == MACRO)
    for reference in gin_config.iterate_references(gin_config._CONFIG):
        scope, selector = reference.config_key
        if selector == MACRO and scope not in macros:
            raise UserError(
                f"The macro %{scope} is used but never given a value"
                f"{did_you_mean(scope, macros)}; add a line `{scope} = ...`."
            )


@contextlib.contextmanager
def _opened(path: str) -> Iterator[TextIO]:
    """`open` for gin; gives a file name to the mistakes that would come without one."""
    with open(path, encoding="utf-8") as file:
        try:
            yield file
        except (tokenize.TokenError, IndentationError, UnicodeDecodeError) as error:
            if original(error) is not error or is_of_python(error):
                raise  # from a module that the file imports
            raise UserError(unreadable_sentence(error, f"in {path}")) from error


def _explained(parse: Callable[[str], Any], source: str, where: str) -> None:
    """Parses `source` and turns every mistake that gin finds into a `UserError`."""
    try:
        parse(source)
    except Exception as error:
        sentence = parse_sentence(error, where)
        if sentence is None:
            raise
        raise UserError(sentence) from error
