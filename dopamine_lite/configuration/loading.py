"""Reads gin files into gin and builds what they describe, with a message for every mistake."""

from __future__ import annotations

import contextlib
import functools
import io
import os
import tokenize
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TextIO, TypeVar

import gin
from gin import config as gin_config
from gin import config_parser

from dopamine_lite.common.errors import UserError
from dopamine_lite.common.memory import require_memory
from dopamine_lite.configuration import files, gin_tables, modules, sources
from dopamine_lite.configuration.bindings import Said, forget_replaced
from dopamine_lite.configuration.history import name_now, translated
from dopamine_lite.configuration.modules import ImportRule
from dopamine_lite.configuration.names import shortened
from dopamine_lite.configuration.sentences import (
    is_of_python,
    missing_sentence,
    not_built_sentence,
    original,
    parse_sentence,
    unreadable_sentence,
)
from dopamine_lite.configuration.values import check_values
from dopamine_lite.files.plain_files import open_to_read

_Result = TypeVar("_Result")


def load(
    gin_files: Iterable[str | Path],
    gin_bindings: Iterable[str] = (),
    rule: ImportRule | None = None,
) -> None:
    """Makes `gin_files` (paths or packaged names) and then `gin_bindings` gin's configuration.

    It forgets the configuration that was loaded before. It looks up included files in the current
    directory and then in `packaged_configs()`. If a file or a binding replaces one part by another, as
    `RainbowAgent.replay = @CircularReplay` does, it also forgets the old part's bindings in earlier and
    in included files.

    Bindings can only refer to parts that are registered with gin. Gin's dynamic registration, which
    reaches every function, is not available. `import` statements execute modules: installed modules or,
    if there is no such module, modules in the current directory.

    Args:
      gin_files: paths, or names of packaged configs.
      gin_bindings: bindings, such as "DQNAgent.gamma = 0.99".
      rule: the modules that may be imported; None: the files are the user's own and may import anything.

    Raises:
      UserError: a file, module, name or parameter does not exist, an import is not allowed, there is a
        syntax error, or a value does not fit its parameter.
    """
    names, gin_bindings = tuple(map(str, gin_files)), tuple(gin_bindings)
    paths = [str(files.find_config(name)) for name in names]
    with _begun(rule or ImportRule(), os.path.isfile) as dropped:
        for path in paths:
            _explained(gin.parse_config_file, path, f"in {path}")
        dropped += _add_bindings(gin_bindings)
    sources.put_in_force(sources.Sources(names, gin_bindings, tuple(dropped)))


def load_run(
    config: Path, gin_bindings: Iterable[str] = (), rule: ImportRule | None = None
) -> list[str]:
    """Loads a run's own config.gin, whatever version of dopamine_lite wrote it.

    Returns:
      A message for every setting that has a new name, has been removed, or has a new meaning.

    Raises:
      UserError: as in `load`; or the file is damaged, or this version cannot do what the file says.
    """
    text, sentences = translated(config_text(config), str(config))
    gin_bindings = tuple(gin_bindings)
    with _begun(rule or ImportRule(), functools.partial(_refuse_include, config)):
        _explained(gin.parse_config, _Text(text, str(config)), f"in {config}")
        _add_bindings(gin_bindings)
    sources.put_in_force(sources.Sources((config.name,), gin_bindings))
    return sentences


def load_text(text: str) -> None:
    """Loads a text from `operative` that another process of this run has sent."""
    with _begun(ImportRule(), functools.partial(_refuse_include, Path("the configuration"))):
        _explained(gin.parse_config, text, "in the configuration")


class _Text(io.StringIO):
    """A text with the name of its file, so that gin's errors name the file and the line."""

    def __init__(self, text: str, name: str):
        super().__init__(text)
        self.name = name


def config_text(path: Path) -> str:
    """The text of a run's config; raises UserError if it is damaged."""
    with open_to_read(path) as file:
        size = os.fstat(file.fileno()).st_size
        require_memory(size, f"reading {path}", "it is too large for this machine")
        content = file.read()
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path} is damaged, because it is not UTF-8 text ({error}): restore it from a copy."
        ) from error


def _add_bindings(gin_bindings: Iterable[str]) -> list[str]:
    """Adds bindings that replace bindings of the files; returns the bindings that are dropped."""
    said = Said.now()
    for binding in gin_bindings:
        _explained(gin.parse_config, binding, f"in the binding '{shortened(binding)}'")
    dropped = forget_replaced(said)
    check_values()
    return dropped


def construct(constructor: Callable[..., _Result], *arguments: Any, **keywords: Any) -> _Result:
    """Calls `constructor`, and turns missing or wrong bindings into messages.

    Raises:
      UserError: a parameter without a default was not bound, a part of this package cannot be built
        with what is bound to it, or the constructor raised a UserError.
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


class _Admitting(gin_config.ParseContext):
    """Gin's own context, which asks `modules` before each import and finds modules that were moved."""

    def process_import(self, statement: config_parser.ImportStatement) -> None:
        location = statement.location
        file = location.filename
        importer = f"{file}, line {location.line_num}," if file else "A binding"
        if statement.module.startswith("__gin__."):
            raise UserError(
                f"{importer} asks for gin's dynamic registration, which would let a configuration "
                "call any function: remove it, and mark what you refer to with @gin.configurable."
            )
        statement = statement._replace(module=name_now(statement.module) or statement.module)
        modules.admit(statement.module, importer)
        super().process_import(statement)


@contextlib.contextmanager
def _begun(rule: ImportRule, may_read: Callable[[str], bool]) -> Iterator[list[str]]:
    """Forgets the configuration; in this block, gin imports by `rule` and reads by `may_read`.

    After the block, gin reads files as before, for programs that also use gin by themselves.

    Yields:
      The dropped bindings of replaced parts. The list grows with each file that is read.
    """
    dropped: list[str] = []
    sources.put_in_force(sources.Sources())
    gin.clear_config()
    modules.begin(rule)
    prefixes = ["", str(files.packaged_configs())]
    readers = [(functools.partial(_opened, [], [], dropped), may_read)]
    with gin_tables.reading(prefixes, readers, _Admitting):
        yield dropped


def _refuse_include(config: Path, path: str) -> bool:
    """Raises UserError: gin asks whether it may read `path`, which a run's config includes."""
    raise UserError(
        f"{config} includes {path}, so it has been changed: a run's config states every value in "
        "force and includes no other file. Restore it from a copy."
    )


@contextlib.contextmanager
def _opened(
    including: list[str], said: list[Said], dropped: list[str], path: str
) -> Iterator[TextIO]:
    """`open` for gin; adds the file's name to mistakes that would come without it.

    At the end of a file, it drops the bindings of parts that this file has replaced, from earlier files
    and from included files.

    Args:
      including: the files being read, outer first.
      said: for each file that has been read, the contents up to its end.
      dropped: gets the bindings that are forgotten.
      path: the file.
    """
    if os.path.realpath(path) in map(os.path.realpath, including):
        raise UserError(
            f"{path} includes itself ({' -> '.join([*including, path])}): remove one of the includes."
        )
    with open(path, encoding="utf-8-sig") as file:
        including.append(path)
        try:
            yield file
            for earlier in said:
                dropped += forget_replaced(earlier)
            said.append(Said.now())
        except (tokenize.TokenError, IndentationError, UnicodeDecodeError) as error:
            if original(error) is not error or is_of_python(error):
                raise  # from a module that the file imports
            raise UserError(unreadable_sentence(error, f"in {path}")) from error
        finally:
            including.pop()


def _explained(parse: Callable[[Any], Any], source: str | _Text, where: str) -> None:
    """Parses `source` and turns every mistake that gin finds into a `UserError`."""
    try:
        parse(source)
    except Exception as error:
        sentence = parse_sentence(error, where)
        if sentence is None:
            raise
        raise UserError(sentence) from error
