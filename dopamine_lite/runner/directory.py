"""A run's directory: whether it holds a run, and whether a run can be made there."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dopamine_lite.common.errors import UserError

CONFIG = "config.gin"


def is_run(directory: Path) -> bool:
    return (directory / CONFIG).is_file()


def find_runs(path: Path) -> Iterator[Path]:
    """The run directories at or below `path`, sorted; links and hidden directories are skipped."""
    for parent, directories, _ in os.walk(path, onerror=_refuse):
        if is_run(Path(parent)):
            directories.clear()
            yield Path(parent)
        directories[:] = sorted(
            name
            for name in directories
            if not name.startswith(".") and not Path(parent, name).is_symlink()
        )


def _refuse(error: OSError) -> None:
    if isinstance(error, FileNotFoundError):
        return  # no run there
    raise error


@dataclass(frozen=True)
class Progress:
    """A run's progress up to its newest checkpoint. Later steps in its logs will be run again.

    Attributes:
      iterations: the number of iterations that have ended.
      planned: the number of iterations of the whole run; None if its config does not set it.
      agent_steps: the agent steps at the newest checkpoint.
      records: the records of the iterations that have ended, as in iterations.jsonl.
      stopped: a sentence that says why a callback ended the run early; None if no callback did.
    """

    iterations: int
    planned: int | None
    agent_steps: int
    records: list[dict[str, Any]]
    stopped: str | None

    @property
    def finished(self) -> bool:
        """Whether the run has ended and its last checkpoint is saved, so `train` has nothing to add."""
        return self.stopped is not None or (
            self.planned is not None and self.iterations >= self.planned
        )


def _say_nothing(sentence: str) -> None:
    pass


def progress(directory: Path, report: Callable[[str], None] = _say_nothing) -> Progress:
    """The progress of the run in `directory`. Imports no TensorFlow.

    Args:
      report: called with a sentence if the log's last line is incomplete.

    Raises:
      UserError: the run's config, logs or checkpoints cannot be read.
    """
    from dopamine_lite import configuration
    from dopamine_lite.checkpointing import Checkpointer
    from dopamine_lite.reporting.log_reader import read_iterations

    if not is_run(directory):
        return Progress(0, None, 0, [], None)
    config = configuration.statements(configuration.config_text(directory / CONFIG))
    planned = config.get("Runner.num_iterations", "")
    newest = max(Checkpointer(directory / "checkpoints").numbers(), default=0)
    records = [
        record for record in read_iterations(directory, report) if record["agent_steps"] <= newest
    ]
    stopped = records[-1].get("stopped") if records else None
    return Progress(
        len(records),
        int(planned) if planned.isdecimal() else None,
        newest,
        records,
        None if stopped is None else str(stopped),
    )


def is_in_use(directory: Path) -> bool:
    """Whether a process is training in `directory` at this moment."""
    from dopamine_lite.checkpointing.storage import is_locked

    return is_locked(directory / "checkpoints")


def check_place_for_run(directory: Path) -> None:
    """Raises UserError if no run can be made or resumed in `directory`. Leaves nothing behind."""
    if directory.is_dir() and not is_run(directory):
        other = [
            path.name
            for path in directory.iterdir()
            if not path.name.startswith(".") and not _is_of_a_start(path)
        ]
        if other:
            raise UserError(
                f"{directory} holds other things ({min(other)}) and no run: name an empty or a new "
                "directory."
            )
    check_writable(directory, f"give another `base_dir` than {directory}")


def _is_of_a_start(path: Path) -> bool:
    """Whether a start that ended before it wrote its config may have left `path`."""
    if path.name != "checkpoints" or not path.is_dir():
        return False
    return all(child.name == ".lock" for child in path.iterdir())


def check_writable(directory: Path, remedy: str) -> None:
    """Raises UserError, which ends with `remedy`, if nothing can be written below `directory`."""
    place = next(path for path in (directory, *directory.absolute().parents) if path.is_dir())
    try:
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as error:
        raise UserError(
            f"Cannot write to {place} ({os.strerror(error.errno or 0)}): {remedy}."
        ) from error
