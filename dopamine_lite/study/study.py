"""A study: a directory of trials, each an ordinary run, and a record of the trials.

D/study.json                 the commands that made the study, and its trials
D/dqn_cartpole/seed=0/       a trial: a run like any other
D/dqn_cartpole/seed=0.txt    its output D/.lock                      held by the process that runs the
study
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dopamine_lite.checkpointing.storage import (
    lock_directory,
    make_directory,
    replace_file,
    unlock,
)
from dopamine_lite.common.errors import UserError
from dopamine_lite.configuration.comparison import compared, may_change
from dopamine_lite.files import strict_json
from dopamine_lite.files.plain_files import check_directory, check_regular
from dopamine_lite.runner.directory import check_writable, is_run
from dopamine_lite.study import naming
from dopamine_lite.study.grid import Values, crossed

FILE = "study.json"
_SCHEMA = 1


@dataclass(frozen=True)
class Variant:
    """One configuration of a study. With each seed, it forms one trial.

    Attributes:
      name: its directory within the study's directory, such as "dqn_cartpole/gamma=0.9".
      gin_files: the files that make the experiment together, loaded one after another.
      bindings: the bindings that are loaded after these files.
    """

    name: str
    gin_files: tuple[str, ...]
    bindings: tuple[str, ...]


@dataclass(frozen=True)
class Trial:
    """One run of a study.

    Attributes:
      iterations: the number of iterations of the finished run.
      agent_steps: the number of agent steps of the finished run.
    """

    variant: Variant
    seed: int
    iterations: int
    agent_steps: int

    @property
    def name(self) -> str:
        return f"{self.variant.name}/seed={self.seed}"

    def directory(self, study: Path) -> Path:
        return study / self.variant.name / f"seed={self.seed}"

    def output(self, study: Path) -> Path:
        """The file with the trial's output."""
        return study / self.variant.name / f"seed={self.seed}.txt"

    def arguments(self, study: Path) -> list[str]:
        """The command line that begins this run or resumes it."""
        return [
            *("train", "--base_dir", str(self.directory(study))),
            *(word for name in self.variant.gin_files for word in ("--gin_files", name)),
            *(word for binding in self.variant.bindings for word in ("--gin_bindings", binding)),
            *("--seed", str(self.seed)),
        ]


def variants(
    gin_files: Sequence[str], axes: Sequence[Values], bindings: Sequence[str]
) -> list[Variant]:
    """Every experiment with every combination of the axes' values.

    Args:
      gin_files: one text for each experiment; files joined by commas make one experiment together.
      axes: the parameters and their values.
      bindings: the bindings of every variant.

    Raises:
      UserError: there is no such file, or an experiment is named twice.
    """
    groups = [tuple(filter(None, map(str.strip, text.split(",")))) for text in gin_files]
    if not all(groups):
        raise UserError("`gin_files` names no file: give a path or a packaged name.")
    twice = [",".join(group) for group, times in Counter(groups).items() if times > 1]
    if twice:
        raise UserError(
            f"`gin_files` {twice[0]} is given more than once: repeat a run with `seeds`."
        )
    found = []
    for group, name in zip(groups, naming.experiments(groups), strict=True):
        for bound in crossed(axes):
            found.append(
                Variant(
                    f"{name}/{naming.values(bound)}" if bound else name,
                    group,
                    (*bindings, *(f"{parameter} = {text}" for parameter, text in bound.items())),
                )
            )
    return _with_names_of_their_own(found)


def _with_names_of_their_own(found: list[Variant]) -> list[Variant]:
    """The variants. Those that would share a directory get a digest in their names."""
    times = Counter(variant.name for variant in found)
    return [
        variant
        if times[variant.name] == 1
        else Variant(f"{variant.name}-{_digest(variant)}", variant.gin_files, variant.bindings)
        for variant in found
    ]


def _digest(variant: Variant) -> str:
    text = json.dumps([variant.gin_files, variant.bindings])
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def check_place(directory: Path) -> None:
    """Raises UserError if no study can be made or resumed in `directory`. Leaves nothing behind."""
    if is_run(directory):
        raise UserError(
            f"{directory} holds a run: give a study a directory of its own with `base_dir`."
        )
    if directory.is_dir() and not (directory / FILE).is_file():
        other = [path.name for path in directory.iterdir() if not path.name.startswith(".")]
        if other:
            raise UserError(
                f"{directory} holds other things ({min(other)}) and no study: name a new or an "
                "empty directory with `base_dir`."
            )
    check_writable(directory, f"give another `base_dir` than {directory}")


def record(directory: Path, command: str, trials: Sequence[Trial]) -> None:
    """Writes study.json, or adds trials and a command that it does not have yet.

    Raises:
      UserError: the file is damaged, it has a trial of the same name with other settings, or something
        else is in a trial's place.
    """
    for trial in trials:
        _check_way(directory, trial)
    known = read(directory) or {"schema": _SCHEMA, "commands": [], "trials": []}
    commands, entries = known["commands"], {entry["name"]: entry for entry in known["trials"]}
    for trial in trials:
        entry = _entry(trial)
        before = entries.setdefault(trial.name, entry)
        if _compared(before) != _compared(entry):
            raise UserError(
                f"The trial {trial.name} of the study in {directory} has {_said(before)}, but this "
                f"command gives it {_said(entry)}: give another `base_dir`, or the same bindings."
            )
        entries[trial.name] = entry  # the run may be longer now
    if command not in commands:
        commands.append(command)
    content = known | {"trials": list(entries.values())}
    make_directory(directory)
    replace_file(directory / FILE, json.dumps(content, indent=1).encode() + b"\n")


def _check_way(directory: Path, trial: Trial) -> None:
    """Raises UserError if a trial would write through a link, or to something that is not a file."""
    output = trial.output(directory)
    for name in Path(trial.variant.name).parents[:-1]:
        check_directory(directory / name)
    check_directory(output.parent)
    with contextlib.suppress(FileNotFoundError):
        check_regular(output, os.lstat(output))


def read(directory: Path) -> dict[str, Any] | None:
    """The content of study.json; None if there is no such file.

    Raises:
      UserError: the file is damaged, or another version of dopamine_lite wrote it.
    """
    path = directory / FILE
    try:
        known = strict_json.expect(dict, strict_json.read(path))
        if known.get("schema") != _SCHEMA:
            raise UserError(
                f"{path} has schema {known.get('schema')}, but this dopamine_lite reads {_SCHEMA}: "
                "use the version that the study was begun with."
            )
        for command in strict_json.expect(list, known["commands"]):
            strict_json.expect(str, command)
        for entry in strict_json.expect(list, known["trials"]):
            strict_json.expect(str, strict_json.expect(dict, entry)["name"])
            for texts in strict_json.expect(dict, entry["experiment"]).values():
                for text in strict_json.expect(list, texts):
                    strict_json.expect(str, text)
    except FileNotFoundError:
        return None
    except (KeyError, ValueError) as error:
        problem = f"it lacks {error}" if isinstance(error, KeyError) else error
        raise UserError(
            f"{path} is damaged ({problem}): restore it from a copy, or move it away. The runs are "
            "not touched, and the same command goes on with them."
        ) from error
    return dict(known)


def _entry(trial: Trial) -> dict[str, Any]:
    bindings = trial.variant.bindings
    return {
        "name": trial.name,
        "seed": trial.seed,
        "experiment": {
            "gin_files": list(trial.variant.gin_files),
            "bindings": [each for each in bindings if not _may_change(each)],
        },
        "iterations": trial.iterations,
        "agent_steps": trial.agent_steps,
    }


def _may_change(binding: str) -> bool:
    return may_change(binding.partition("=")[0].strip())


def _compared(entry: dict[str, Any]) -> tuple[list[str], list[str]]:
    """The contents that must be the same in two entries of one trial."""
    experiment = entry["experiment"]
    pairs = ((part.strip() for part in each.partition("=")) for each in experiment["bindings"])
    bindings = [f"{name}={compared(name, value)}" for name, _, value in pairs]
    return experiment["gin_files"], bindings


def _said(entry: dict[str, Any]) -> str:
    experiment = entry["experiment"]
    return ", ".join([*experiment["gin_files"], *experiment["bindings"]])


@contextlib.contextmanager
def in_one_process(directory: Path) -> Iterator[None]:
    """Raises UserError if another process is running the study in `directory`."""
    make_directory(directory)
    try:
        lock = lock_directory(directory, lambda _: None)
    except UserError as error:
        raise UserError(
            f"Another process is running the study in {directory}: wait until it has ended, or "
            "stop it, and run this command again."
        ) from error
    try:
        yield
    finally:
        unlock(lock)
