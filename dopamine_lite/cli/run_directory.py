"""Shared code of the commands that read or make a run's directory."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from absl import flags

from dopamine_lite.common.errors import UserError
from dopamine_lite.files.outputs import check_output, in_the_way
from dopamine_lite.files.paths import user_path
from dopamine_lite.runner.directory import CONFIG, find_runs, is_run

if TYPE_CHECKING:
    from dopamine_lite.experiment.run import Run

_KEPT_AS = re.compile(r"[a-z][a-z_]*")
_MOST = 1_000_000_000  # of anything counted: NumPy's arrays hold at most 64 bits


def define_base_dir(flag_values: flags.FlagValues) -> None:
    flags.DEFINE_string("base_dir", None, "The run's directory. Required.", flag_values=flag_values)


class _CheckpointParser(flags.ArgumentParser):
    """A number of agent steps, or a name such as "best", under which a callback keeps checkpoints."""

    syntactic_help = "a whole number, 0 or more, or a name such as best"

    def parse(self, argument: str | int) -> str | int:
        if str(argument).isdecimal() and str(argument).isascii():
            return int(argument)
        if _KEPT_AS.fullmatch(str(argument)):
            return str(argument)
        raise ValueError(f"{argument} is neither a number of agent steps nor a name such as best")


def define_checkpoint(flag_values: flags.FlagValues) -> None:
    flags.DEFINE(
        _CheckpointParser(),
        "checkpoint",
        None,
        "The checkpoint to use, by its agent steps. 0 is the agent before it learned, and best is "
        "the checkpoint that the callback KeepBest keeps. Default: the newest.",
        flag_values=flag_values,
    )


def define_count(flag_values: flags.FlagValues, name: str, default: int | None, text: str) -> None:
    flags.DEFINE_integer(
        name, default, text, lower_bound=1, upper_bound=_MOST, flag_values=flag_values
    )


def define_seed(flag_values: flags.FlagValues) -> None:
    flags.DEFINE_integer(
        "seed",
        0,
        "The seed of the environments. The same seed gives the same episodes.",
        lower_bound=0,
        flag_values=flag_values,
    )


def define_import(flag_values: flags.FlagValues) -> None:
    flags.DEFINE_multi_string(
        "import",
        [],
        "A module, yours or an installed one, that the run's config may import. Its code is "
        "executed.",
        flag_values=flag_values,
    )


def define_device(flag_values: flags.FlagValues, default: str) -> None:
    flags.DEFINE_string(
        "device",
        None,
        "The device that TensorFlow uses: cpu, gpu, gpu:1, gpu:0,1 (both learn together) or tpu. "
        f"The same as the binding tensorflow_devices.device. Default: {default}.",
        flag_values=flag_values,
    )


def device_bindings(flag_values: flags.FlagValues) -> list[str]:
    """The binding that --device stands for, if the flag is given."""
    device = flag_values.device
    return [] if device is None else [f"tensorflow_devices.device = {device!r}"]


def base_dir(flag_values: flags.FlagValues) -> Path:
    """The directory in --base_dir; raises UserError if there is none, or if it is a file."""
    if not flag_values.base_dir:
        raise UserError("--base_dir is missing: name the run's directory.")
    directory = user_path(flag_values.base_dir)
    file = in_the_way(directory, *directory.parents)
    if file is not None:
        raise UserError(f"--base_dir {directory} is not a directory: {file} is a file.")
    return directory


def existing_run(flag_values: flags.FlagValues) -> Path:
    """The directory in --base_dir, which must hold a run."""
    directory = base_dir(flag_values)
    check_run(directory)
    return directory


def check_run(directory: Path) -> None:
    """Raises UserError if `directory` holds no run."""
    if is_run(directory):
        return
    if _holds_runs(directory):
        raise UserError(
            f"{directory} is not a run itself (no {CONFIG}), but has runs below it: name one of "
            f"them, such as {next(find_runs(directory))}."
        )
    raise UserError(
        f"There is no run in {directory} (no {CONFIG}): "
        f"`dopamine-lite train --base_dir {shlex.quote(str(directory))} --gin_files ...` makes one."
    )


def _holds_runs(directory: Path) -> bool:
    """Whether `directory` is a study with a run, or a directory of runs. The search is shallow."""
    from dopamine_lite.study import study

    if (directory / study.FILE).is_file():
        return any(find_runs(directory))
    return any(directory.glob(f"*/{CONFIG}"))


def output_file(output: str | None, suffixes: Sequence[str], example: str) -> Path:
    """The file that --output names; checks that it can be made and ends in one of `suffixes`."""
    if not output:
        raise UserError(f"--output is missing: name the file, such as --output {example}.")
    path = user_path(output)
    if path.suffix.lower() not in suffixes:
        raise UserError(f"--output {path} does not end in {' or '.join(suffixes)}.")
    check_output(path)
    return path


def open_run(
    flag_values: flags.FlagValues, directory: Path, gin_bindings: Sequence[str] = ()
) -> Run:
    """The run in `directory`, opened with the flags --checkpoint and --import."""
    from dopamine_lite.experiment.run import Run

    if "device" in flag_values:
        gin_bindings = [*gin_bindings, *device_bindings(flag_values)]
    return Run.open(
        directory, flag_values.checkpoint, gin_bindings, imports=flag_values["import"].value
    )
