"""The page of commands, from what `--help` shows."""

from __future__ import annotations

import re

from absl import flags
from markdown_text import capitalized, code, lookup, prose

from dopamine_lite.cli.commands import COMMANDS, Option, command_module, options, positional

_HEAD = """\
# Commands

Every command with its flags, as `dopamine-lite COMMAND --help` shows them.

Write a flag as `--flag=value` or `--flag value`, and a switch as `--flag`. Quote a value that your shell
would change, such as a binding with spaces. [Errors and exit statuses](errors.md) explains what a
command says when it refuses.

"""


# What a user would type, in the sentences of `--help`: flags, bindings, settings, files.
_TYPED = re.compile(
    r"(?<![\w`'])(--[a-z_]+|'[A-Z][^']+'|[A-Za-z]\w*\.[a-z]\w*=(?:\{[^}]*\}|[^\s,;]*[^\s,;.])"
    r"|[A-Z]\w+\.[a-z]\w+|tensorflow_devices\.device|[\w/]+\.gin|D@400)(?![\w`])"
)
_CODE = re.compile(r"[\d:.]+|[a-z_]+")  # a default that one could type


def page() -> str:
    overview = [(f"[`{name}`](#{name})", _prose(command_module(name).SUMMARY)) for name in COMMANDS]
    parts = [_HEAD, lookup(("command", "what it does"), overview)]
    return "\n".join([*parts, *map(_section, COMMANDS)])


def _section(name: str) -> str:
    command = command_module(name)
    argument, _, meaning = (positional(command) or "").partition(": ")
    usage = " ".join(["dopamine-lite", name, *argument.split(), "[--flag=value ...]"])
    known = flags.FlagValues()
    command.define_flags(known)
    rows = [_row(name, option) for option in options(known)]
    if argument:
        optional = argument.startswith("[")
        required = "" if optional else "required"
        rows.insert(0, (code(argument.strip("[]")), required, _prose(meaning)))
    return (
        f"## {name} {{ #{name} }}\n\n{_prose(command.SUMMARY)}\n\n"
        f"```text\n{usage}\n```\n\n"
        f"{lookup(('flag', 'default', 'meaning'), rows)}\n"
        f"For example:\n\n```sh\n{command.EXAMPLE}\n```\n"
    )


def _row(command: str, option: Option) -> tuple[str, ...]:
    anchor = f"{command}{option.name}"
    sentences = [_prose(option.meaning)]
    if option.value != "text":
        sentences.insert(0, f"{capitalized(option.value or 'a switch')}.")
    if option.repeated:
        sentences.append("May be repeated.")
    default = code(option.default) if _CODE.fullmatch(option.default) else _prose(option.default)
    return (
        f"[`{option.name}`](#{anchor}){{ #{anchor} }}",
        "required" if option.required else default,
        " ".join(sentences),
    )


def _prose(text: str) -> str:
    """A sentence of `--help`, what one would type in it as code."""
    return prose(_TYPED.sub(r"`\1`", text))
