"""The place of a run: whether a directory holds one, and whether one can be made there."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from dopamine_lite.common.errors import UserError

CONFIG = "config.gin"


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
    check_writable(directory, f"give another --base_dir than {directory}")


def _is_of_a_start(path: Path) -> bool:
    """Whether `path` is what a start leaves that ends before its config is written."""
    if path.name != "checkpoints" or not path.is_dir():
        return False
    return all(child.name == ".lock" for child in path.iterdir())


def check_writable(directory: Path, remedy: str) -> None:
    """Raises UserError, its end `remedy`, where nothing can be written below `directory`."""
    place = next(path for path in (directory, *directory.absolute().parents) if path.is_dir())
    try:
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as error:
        raise UserError(
            f"Cannot write to {place} ({os.strerror(error.errno or 0)}): {remedy}."
        ) from error
