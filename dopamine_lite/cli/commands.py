"""The commands, and how the sentences of the rooms below are worded on the command line."""

from __future__ import annotations

import functools
import importlib
import re
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol, cast

from absl import flags

COMMANDS = (
    *("train", "sweep", "evaluate", "record", "plot", "compare", "report", "export"),
    *("inspect", "list", "describe", "check-environment"),
)
# What these print is all they do; the others leave files.
PRINTING = ("inspect", "list", "describe", "check-environment")
_FLAGS = {"imports": "import"}  # by the parameter's name, where the flag has another
_KINDS = {"bool": "", "int": "a whole number", "float": "a number"}  # of values, by absl's names
# What a flag's help ends with, where absl does not know the default.
_END = re.compile(r" (?:Default: (?P<default>.+)|(?P<required>Required))\.", re.DOTALL)
_OF_ABSL = re.compile(r"^<[\w|]+>: |;\s+repeat this option to specify a list of values$")


class Command(Protocol):
    """What a module in this package offers; `run` returns the exit status, None for 0.

    A module with `POSITIONAL` takes arguments without a flag: the text is their name and what they are,
    as in "NAME: The name of a part." Then `run(flag_values, arguments)` gets them as a list.

    The help of a flag is whole sentences. It ends with "Required." if the flag has to be given, and with
    "Default: the newest." if words say what holds without the flag.
    """

    SUMMARY: str
    EXAMPLE: str

    def define_flags(self, flag_values: flags.FlagValues) -> None: ...

    run: Callable[..., int | None]


class Option(NamedTuple):
    """A flag, in words.

    Attributes:
      name: its name with the dashes.
      value: what to give: text, a number or one of some words; "": nothing, for the flag is a switch.
      meaning: what it does, in sentences.
      default: what holds without it; "": it is required, or there is nothing to say.
      required: whether it has to be given.
      repeated: whether it may be given several times.
    """

    name: str
    value: str
    meaning: str
    default: str
    required: bool
    repeated: bool


def command_module(name: str) -> Command:
    """The module of the command `name`."""
    module = name.replace("-", "_")
    return cast(Command, importlib.import_module(f"dopamine_lite.cli.{module}"))


def positional(command: Command) -> str | None:
    """What a command says of the arguments that it takes without a flag; None: it takes none."""
    return getattr(command, "POSITIONAL", None)


def options(flag_values: flags.FlagValues) -> list[Option]:
    """The flags that a command has defined, sorted as `--help` shows them."""
    return [_option(flag_values[name]) for name in flag_values]


def _option(flag: flags.Flag) -> Option:
    meaning = " ".join(_OF_ABSL.sub("", _OF_ABSL.sub("", str(flag.help))).split())
    end = _END.search(meaning)
    known = flag.default is not None and flag.default is not False and flag.default != []
    default = str(flag.default) if known else ""
    if end is not None:
        meaning, default = meaning[: end.start()], end["default"] or ""
    choices = getattr(flag.parser, "enum_values", None) or ()
    return Option(
        name=f"--{flag.name}",
        value=_one_of(choices) if choices else _KINDS.get(flag.flag_type(), "text"),
        meaning=meaning,
        default=default,
        required=end is not None and end["required"] is not None,
        repeated=isinstance(flag, flags.MultiFlag),
    )


def _one_of(choices: Sequence[str]) -> str:
    """ "local or ray", "eval, train or evaluations"."""
    *others, last = choices
    return f"{', '.join(others)} or {last}"


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
