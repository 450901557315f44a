"""`dopamine-lite <command>`: finds the command, parses its flags, turns mistakes into sentences.

Nothing here imports TensorFlow, so help and mistakes in flags are answered at once.
"""

from __future__ import annotations

import contextlib
import difflib
import errno
import io
import os
import re
import shutil
import sys
import textwrap
import traceback
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TextIO, cast

from absl import flags

import dopamine_lite
from dopamine_lite.cli.commands import (
    COMMANDS,
    PRINTING,
    Command,
    Option,
    as_on_the_command_line,
    command_module,
    options,
    positional,
)
from dopamine_lite.common.errors import UserError, is_of_users_code
from dopamine_lite.common.printable import printable

_HELP = ("--help", "-help", "-h")
_USER_ERROR = 2  # the exit status of a mistake that the user can mend
_SIGINT, _SIGPIPE = 128 + 2, 128 + 13  # a shell reports these if a signal ended a process

_ADVICE = {  # for errors of the operating system
    errno.ENOSPC: "make room on the disk and run the same command again",
    errno.EDQUOT: "make room within the quota and run the same command again",
    errno.EFBIG: "raise the limit on the size of files and run the same command again",
    errno.EROFS: "choose a directory that can be written to",
    errno.EACCES: "check its permissions",
    errno.EPERM: "check its permissions",
    errno.ENAMETOOLONG: "give a shorter name",
    errno.ENOTDIR: "a part of this path is not a directory",
    errno.ELOOP: "the links in this path lead in a circle",
    errno.EMFILE: "allow more open files (`ulimit -n`) and run the same command again",
    errno.ENFILE: "close some programs and run the same command again",
    errno.ENOMEM: "free some memory and run the same command again",
    errno.EIO: "the disk reports a fault; the last checkpoint is unchanged",
    errno.ESTALE: "the file server no longer knows it; run the same command again",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command in `argv` (without the program's name); returns the exit status."""
    arguments = sys.argv[1:] if argv is None else list(argv)
    _occupy_closed_descriptors()
    output = _Output(sys.stdout)
    with contextlib.redirect_stdout(cast(TextIO, output)):
        status = _sentences(arguments)
        output.flush()
    if output.error is None or status:
        return status
    if arguments and arguments[0] in COMMANDS and arguments[0] not in PRINTING:
        _say(f"Standard output was lost ({output.error.strerror}), but the work is done.")
        return status
    if isinstance(output.error, BrokenPipeError):
        return _SIGPIPE
    return _refuse(f"Cannot write to standard output ({output.error.strerror}): send it elsewhere.")


def _sentences(arguments: list[str]) -> int:
    """Runs the command and prints mistakes as sentences. Returns the exit status."""
    try:
        return _dispatch(arguments)
    except UserError as error:
        return _refuse(as_on_the_command_line(str(_original(error))))
    except KeyboardInterrupt:
        _say("Interrupted.")
        return _SIGINT
    except SystemExit as error:  # from somebody else's code: nothing here raises it
        traceback.print_exc()
        _say(
            f"The code in the traceback above called exit({error.code!r}), which ended the command "
            "before it was done."
        )
        return error.code if isinstance(error.code, int) and 0 < error.code < 256 else 1
    except OSError as error:
        cause = _original(error)
        if "No usable temporary directory" in str(cause):
            return _refuse(
                "There is no directory for temporary files: set TMPDIR to a directory that can be "
                "written to."
            )
        if not isinstance(cause, OSError) or cause.errno not in _ADVICE or is_of_users_code(error):
            raise
        what = f"{cause.strerror}: {cause.filename}" if cause.filename else cause.strerror
        return _refuse(f"{what}; {_ADVICE[cause.errno]}.")


class _Output:
    """Standard output. If nobody can read it any more, the work still goes on to its end."""

    def __init__(self, stream: TextIO):
        self._stream = stream
        self.error: OSError | None = None  # the first error in writing
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")  # for letters that it cannot encode

    def write(self, text: str) -> int:
        with self._unless_lost():
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with self._unless_lost():
            self._stream.flush()

    @contextlib.contextmanager
    def _unless_lost(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self.error = self.error or error
            # The interpreter tries to write the rest once more when it ends.
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _occupy_closed_descriptors() -> None:
    """Keeps the next opened files from being mistaken for standard output."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDONLY)
    if sys.stdout is None:
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115 (open as long as the process)


def _dispatch(arguments: list[str]) -> int:
    if not arguments:
        raise UserError(f"A command is missing: {_the_commands()}; see `dopamine-lite --help`.")
    name, *rest = arguments
    if name in _HELP or name == "help":
        print(_overview())
        return 0
    if name == "--version":
        print(f"dopamine-lite {dopamine_lite.__version__}")
        return 0
    if name not in COMMANDS:
        nearest = _did_you_mean(name, COMMANDS)
        raise UserError(f"There is no command {name}{nearest}: {_the_commands()}.")
    command = command_module(name)
    flag_values = flags.FlagValues()
    command.define_flags(flag_values)
    if any(argument in _HELP for argument in rest):
        print(_help(name, command, flag_values))
        return 0
    arguments = _parse(name, command, flag_values, rest)
    given = (flag_values, arguments) if positional(command) else (flag_values,)
    return command.run(*given) or 0


def _parse(
    name: str, command: Command, flag_values: flags.FlagValues, arguments: list[str]
) -> list[str]:
    """Sets the flags; returns the arguments that belong to no flag."""
    flag_values.set_gnu_getopt(bool(positional(command)))  # flags may follow other arguments
    for flag in flag_values:
        flag_values[flag].allow_overwrite = False  # flags that may be repeated extend a list
    try:
        _, *others = flag_values([name, *arguments])
    except flags.UnrecognizedFlagError as error:
        nearest = _did_you_mean(error.flagname, list(flag_values), prefix="--")
        raise UserError(
            f"{name} has no flag --{error.flagname}{nearest}; "
            f"`dopamine-lite {name} --help` shows its flags."
        ) from error
    except (flags.Error, ValueError) as error:
        raise UserError(_in_our_words(str(error))) from error
    if others and not positional(command):
        raise UserError(
            f"{name} takes flags only, not '{others[0]}': write --flag=value, and repeat a "
            "flag for each further value."
        )
    return [str(argument) for argument in others]


def _in_our_words(message: str) -> str:
    """absl's message as a sentence."""
    message = message.removeprefix("ERROR:: ").replace("flag --", "--", 1).rstrip(".")
    message = re.sub(r"\('(.*)', '.*'\)", r"\1", message)
    return f"{message if len(message) < 300 else f'{message[:100]} ... {message[-100:]}'}."


def _overview() -> str:
    lines = _explained([(name, command_module(name).SUMMARY) for name in COMMANDS])
    return "\n".join(
        [
            "usage: dopamine-lite <command> [--flag=value ...]",
            "",
            _filled(
                "Trains and evaluates reinforcement-learning agents. A gin file describes an "
                "experiment, and a directory holds a run."
            ),
            "",
            "commands:",
            *lines,
            "",
            "`dopamine-lite <command> --help` shows a command's flags, --version the version.",
        ]
    )


def _help(name: str, command: Command, flag_values: flags.FlagValues) -> str:
    argument, _, meaning = (positional(command) or "").partition(": ")
    arguments = ["", "arguments:", *_explained([(argument, meaning)])] if argument else []
    known = [(option.name, _in_words(option)) for option in options(flag_values)]
    usage = " ".join(["usage: dopamine-lite", name, *argument.split(), "[--flag=value ...]"])
    summary = _filled(command.SUMMARY)
    example = ["", "example:", f"  {command.EXAMPLE}"]
    return "\n".join([usage, "", summary, *arguments, "", "flags:", *_explained(known), *example])


def _in_words(option: Option) -> str:
    """The whole description of a flag, in sentences."""
    sentences = [option.meaning]
    if " or " in option.value:
        sentences.append(f"Give {option.value}.")
    if option.repeated:
        sentences.append("May be repeated.")
    if option.default:
        sentences.append(f"Default: {option.default}.")
    if option.required:
        sentences.append("Required.")
    return " ".join(sentences)


def _explained(pairs: Sequence[tuple[str, str]]) -> list[str]:
    """Names and their meanings, in two columns."""
    width = max(len(name) for name, _ in pairs)
    return [_filled(meaning, f"  {name:<{width}}  ", " " * (width + 4)) for name, meaning in pairs]


def _filled(text: str, first: str = "", later: str = "") -> str:
    """`text`, wrapped to the terminal's width (at most 100 letters), with these indentations."""
    return textwrap.fill(
        " ".join(text.split()),
        width=min(shutil.get_terminal_size((100, 24)).columns, 100),
        break_on_hyphens=False,
        initial_indent=first,
        subsequent_indent=later,
    )


def _the_commands() -> str:
    return f"the commands are {', '.join(COMMANDS)}"


def _did_you_mean(name: str, candidates: Iterable[str], prefix: str = "") -> str:
    nearest = difflib.get_close_matches(name, list(candidates), n=1, cutoff=0.5)
    return f" (did you mean {prefix}{nearest[0]}?)" if nearest else ""


def _original(error: Exception) -> BaseException:
    """`error` without gin's additions."""
    if "gin" not in sys.modules:
        return error
    from dopamine_lite import configuration

    return configuration.original(error)


def _refuse(sentence: str) -> int:
    _say(sentence)
    return _USER_ERROR


def _say(sentence: str) -> None:
    """Writes to standard error, if that is possible."""
    if sys.stderr is None:
        return
    try:
        print(
            f"dopamine-lite: {printable(' '.join(sentence.split()))}", file=sys.stderr, flush=True
        )
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())
