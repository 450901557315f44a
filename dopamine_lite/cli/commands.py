"""The commands, and how the command line rewords the sentences of other packages."""

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
# These only print; the other commands write files.
PRINTING = ("inspect", "list", "describe", "check-environment")
_FLAGS = {"imports": "import"}  # the key: a parameter's name that differs from its flag
_KINDS = {
    "bool": "",
    "int": "a whole number",
    "float": "a number",
}  # the key: absl's name of a kind
# The end of a flag's help if absl does not know the default.
_END = re.compile(r" (?:Default: (?P<default>.+)|(?P<required>Required))\.", re.DOTALL)
_OF_ABSL = re.compile(r"^<[\w|]+>: |;\s+repeat this option to specify a list of values$")


class Command(Protocol):
    """The contract of the modules in this package. `run` returns the exit status; None means 0.

    A module with `POSITIONAL` takes arguments without a flag. The text gives their name and meaning, as
    in "NAME: The name of a part." `run(flag_values, arguments)` then gets them as a list.

    The help of a flag consists of whole sentences. It ends with "Required." if the flag is required, and
    with a sentence like "Default: the newest." if words describe the default.
    """

    SUMMARY: str
    EXAMPLE: str

    def define_flags(self, flag_values: flags.FlagValues) -> None: ...

    run: Callable[..., int | None]


class Option(NamedTuple):
    """A flag in words.

    Attributes:
      name: the flag's name with the dashes.
      value: the kind of value: text, a number or one of some words; "": none, because the flag is a
        switch.
      meaning: the flag's meaning, in sentences.
      default: the default in words; "": the flag is required, or there is nothing to say.
      required: whether the flag is required.
      repeated: whether the flag may be given several times.
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
    """A command's text on its arguments without a flag; None: it takes none."""
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
    """A sentence of another package, which uses Python's names of parameters and functions.

    Flags and commands have the same names, so `base_dir` becomes --base_dir.
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
