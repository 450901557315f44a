"""What the commands that read or make a run's directory share."""

from __future__ import annotations

import contextlib
import os
import shlex
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from absl import flags

from dopamine_lite.common.errors import UserError
from dopamine_lite.common.memory import require_memory
from dopamine_lite.common.plain_files import open_to_read

if TYPE_CHECKING:
    from dopamine_lite.runner.runner import Runner

CONFIG = "config.gin"


def define_base_dir(flag_values: flags.FlagValues) -> None:
    flags.DEFINE_string("base_dir", None, "the run's directory (required)", flag_values=flag_values)


def define_checkpoint(flag_values: flags.FlagValues) -> None:
    flags.DEFINE_integer(
        "checkpoint",
        None,
        "the checkpoint's agent steps; 0: the agent before it learned (default: the newest)",
        lower_bound=0,
        flag_values=flag_values,
    )


def define_seed(flag_values: flags.FlagValues) -> None:
    flags.DEFINE_integer(
        "seed",
        0,
        "of the environments; the same seed gives the same episodes",
        lower_bound=0,
        flag_values=flag_values,
    )


def base_dir(flag_values: flags.FlagValues) -> Path:
    """The directory that was named; says so where none was, or where it is a file."""
    if not flag_values.base_dir:
        raise UserError("--base_dir is missing: name the run's directory.")
    directory = Path(flag_values.base_dir).expanduser()
    file = next((path for path in (directory, *directory.parents) if path.is_file()), None)
    if file is not None:
        raise UserError(f"--base_dir {directory} is no directory: {file} is a file.")
    return directory


def existing_run(flag_values: flags.FlagValues) -> Path:
    """The directory that was named, which holds a run."""
    directory = base_dir(flag_values)
    check_run(directory)
    return directory


def check_run(directory: Path) -> None:
    """Raises UserError where `directory` holds no run."""
    if not is_run(directory):
        raise UserError(
            f"There is no run in {directory} (no {CONFIG}): "
            f"`dopamine-lite train --base_dir {shlex.quote(str(directory))} --gin_files ...` makes one."
        )


def is_run(directory: Path) -> bool:
    return (directory / CONFIG).is_file()


def check_place_for_run(directory: Path) -> None:
    """Raises UserError where no run can be made or resumed. Leaves nothing behind."""
    if directory.is_dir() and not is_run(directory):
        other = [
            path.name
            for path in directory.iterdir()
            if not path.name.startswith(".") and not _is_of_a_start(path)
        ]
        if other:
            raise UserError(
                f"{directory} holds other things ({min(other)}) and no run: "
                "give an empty or a new directory."
            )
    _check_writable(directory, f"give another --base_dir than {directory}")


def _is_of_a_start(path: Path) -> bool:
    """Whether `path` is what a start leaves that ends before its config is written."""
    return path.name == "checkpoints" and all(child.name == ".lock" for child in path.iterdir())


def check_output(path: Path) -> None:
    """Raises UserError where no file `path` can be made. Leaves nothing behind.

    A link is not followed, nor is it replaced: a device or another person's file may be behind it.
    """
    if path.is_symlink():
        raise UserError(
            f"{path} is a link, which is not written through: name a file with --output."
        )
    if path.is_dir():
        raise UserError(f"{path} is a directory: name a file with --output.")
    if path.exists() and not path.is_file():
        raise UserError(
            f"{path} is no regular file but a device or a pipe: name a file with --output."
        )
    file = next((parent for parent in path.parents if parent.exists()), Path())
    if not file.is_dir():
        raise UserError(f"Cannot write {path}: {file} is a file.")
    _check_writable(path.parent, f"choose another place than {path} with --output")


def output_file(output: str | None, suffixes: Sequence[str], example: str) -> Path:
    """The file that --output names, which can be made and ends in one of `suffixes`."""
    if not output:
        raise UserError(f"--output is missing: name the file, such as --output {example}.")
    path = Path(output).expanduser()
    if path.suffix.lower() not in suffixes:
        raise UserError(f"--output {path} does not end in {' or '.join(suffixes)}.")
    check_output(path)
    return path


@contextlib.contextmanager
def written_aside(output: Path) -> Iterator[Path]:
    """A path beside `output` to write to, which takes its place once the body has ended well."""
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=f".{output.name}.") as own:
        aside = Path(own, output.name)  # nobody can have put a link there
        yield aside
        aside.replace(output)


def _check_writable(directory: Path, remedy: str) -> None:
    """Tries to write where `directory` is or will be."""
    place = next(path for path in (directory, *directory.absolute().parents) if path.is_dir())
    try:
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as error:
        raise UserError(
            f"Cannot write to {place} ({os.strerror(error.errno or 0)}): {remedy}."
        ) from error


def load_run(directory: Path, checkpoint: int | None) -> tuple[Runner, int]:
    """The run in `directory`, its agent as in `checkpoint` (the newest), and that one's number."""
    from dopamine_lite import configuration
    from dopamine_lite.runner.runner import Runner

    configuration.load([directory / CONFIG])
    runner = configuration.construct(Runner, directory)
    return runner, runner.load(checkpoint)


def config_text(directory: Path) -> str:
    """The text of the config of the run in `directory`; raises UserError where it is damaged."""
    path = directory / CONFIG
    with open_to_read(path) as file:
        size = os.fstat(file.fileno()).st_size
        require_memory(size, f"reading {path}", "it is too large for this machine")
        content = file.read()
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path} is damaged, it is not UTF-8 text ({error}): restore it from a copy."
        ) from error
