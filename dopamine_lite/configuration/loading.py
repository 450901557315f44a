"""Reading gin files into gin, and building what they describe, with a sentence for every mistake."""

from __future__ import annotations

import contextlib
import functools
import os
import tokenize
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TextIO, TypeVar

import gin
from gin import config as gin_config

from dopamine_lite.common.errors import UserError
from dopamine_lite.configuration import files
from dopamine_lite.configuration.bindings import forget_replaced, referred_keys
from dopamine_lite.configuration.names import one_line
from dopamine_lite.configuration.sentences import (
    is_of_python,
    missing_sentence,
    not_built_sentence,
    original,
    parse_sentence,
    unreadable_sentence,
)
from dopamine_lite.configuration.values import check_values

_Result = TypeVar("_Result")


def load(gin_files: Iterable[str | Path], gin_bindings: Iterable[str] = ()) -> None:
    """Makes `gin_files` (paths or packaged names) and then `gin_bindings` gin's configuration.

    Whatever was loaded before is forgotten. `include` statements are looked up in the current
    directory and then in `packaged_configs()`. Where a binding puts one part in another's place, as
    `RainbowAgent.replay = @CircularReplay` does, what the files say of the other is forgotten too.

    Raises:
      UserError: a file, module, name or parameter that does not exist, a syntax error, or a value that
        its parameter cannot be given.
    """
    paths = [str(files.find_config(str(name))) for name in gin_files]
    gin.clear_config()
    # Gin has no public way to set these two lists, only to add to them. Its second file reader
    # looks inside Python packages and logs an error for every file that it does not find there.
    gin_config._LOCATION_PREFIXES[:] = ["", str(files.packaged_configs())]
    gin_config._FILE_READERS[:] = [(functools.partial(_opened, []), os.path.isfile)]
    for path in paths:
        _explained(gin.parse_config_file, path, f"in {path}")
    from_files = {key: dict(values) for key, values in gin_config._CONFIG.items()}
    referred = referred_keys()
    for binding in gin_bindings:
        _explained(gin.parse_config, binding, f"in the binding '{one_line(binding)}'")
    forget_replaced(referred, from_files)
    check_values()


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


@contextlib.contextmanager
def _opened(including: list[str], path: str) -> Iterator[TextIO]:
    """`open` for gin; gives a file name to the mistakes that would come without one.

    `including` are the files being read, outer first.
    """
    if os.path.realpath(path) in map(os.path.realpath, including):
        raise UserError(
            f"{path} includes itself ({' -> '.join([*including, path])}): remove one of the includes."
        )
    with open(path, encoding="utf-8-sig") as file:
        including.append(path)
        try:
            yield file
        except (tokenize.TokenError, IndentationError, UnicodeDecodeError) as error:
            if original(error) is not error or is_of_python(error):
                raise  # from a module that the file imports
            raise UserError(unreadable_sentence(error, f"in {path}")) from error
        finally:
            including.pop()


def _explained(parse: Callable[[str], Any], source: str, where: str) -> None:
    """Parses `source` and turns every mistake that gin finds into a `UserError`."""
    try:
        parse(source)
    except Exception as error:
        sentence = parse_sentence(error, where)
        if sentence is None:
            raise
        raise UserError(sentence) from error
