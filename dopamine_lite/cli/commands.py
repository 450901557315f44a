"""The commands, and how the sentences of the rooms below are worded on the command line."""

from __future__ import annotations

import functools
import importlib
import re
from collections.abc import Callable
from typing import Protocol, cast

from absl import flags

COMMANDS = (
    *("train", "sweep", "evaluate", "record", "plot", "compare", "report", "export"),
    *("inspect", "list", "describe", "check-environment"),
)
# What these print is all they do; the others leave files.
PRINTING = ("inspect", "list", "describe", "check-environment")
_FLAGS = {"imports": "import"}  # by the parameter's name, where the flag has another


class Command(Protocol):
    """What a module in this package offers; `run` returns the exit status, None for 0.

    A module with `POSITIONAL` takes arguments without a flag: the text is their name and what they are,
    as in "NAME: the name of a part". Then `run(flag_values, arguments)` gets them as a list.
    """

    SUMMARY: str

    def define_flags(self, flag_values: flags.FlagValues) -> None: ...

    run: Callable[..., int | None]


def command_module(name: str) -> Command:
    """The module of the command `name`."""
    module = name.replace("-", "_")
    return cast(Command, importlib.import_module(f"dopamine_lite.cli.{module}"))


def as_on_the_command_line(sentence: str) -> str:
    """A sentence of the rooms below, which call parameters and functions by their names in Python.

    Flags and commands have the same names there, so `base_dir` becomes --base_dir.
    """

    def written(match: re.Match[str]) -> str:
        name = match[1]
        if name in COMMANDS:
            return f"`dopamine-lite {name}`"
        return (
            f"--{_FLAGS.get(name, name)}" if name in _flag_names() or name in _FLAGS else match[0]
        )

    return re.sub(r"`([a-z_]+)`", written, sentence)


@functools.cache
def _flag_names() -> frozenset[str]:
    """The flags of all commands."""
    names: set[str] = set()
    for name in COMMANDS:
        known = flags.FlagValues()
        command_module(name).define_flags(known)
        names |= set(known)
    return frozenset(names)
