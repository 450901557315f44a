"""Files that a user names for results: whether they can be made, and that they are made whole."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from dopamine_lite.common.errors import UserError


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


def in_the_way(*paths: Path) -> Path | None:
    """The first path that exists and is not a directory, but a file, a device or a pipe."""
    return next((path for path in paths if path.exists() and not path.is_dir()), None)


def check_output(path: Path) -> None:
    """Raises UserError if the file `path` cannot be made. Leaves nothing behind.

    Links are neither followed nor replaced, because a device or another person's file may be behind
    them.
    """
    if path.is_symlink():
        raise UserError(f"{path} is a link, and links are not followed: name another file.")
    if path.is_dir():
        raise UserError(f"{path} is a directory: name a file.")
    if path.exists() and not path.is_file():
        raise UserError(f"{path} is not a regular file but a device or a pipe: name another file.")
    file = in_the_way(*path.parents)
    if file is not None:
        raise UserError(f"Cannot write {path}: {file} is a file, not a directory.")
    check_writable(path.parent, f"choose another place than {path}")


@contextlib.contextmanager
def written_aside(output: Path) -> Iterator[Path]:
    """A path next to `output` to write to. It replaces `output` once the block ends without an error.

    Both may be a file or a directory. An existing directory makes way for the new one.
    """
    with (
        _directory(output.parent),
        tempfile.TemporaryDirectory(dir=output.parent, prefix=f".{output.name}.") as own,
    ):
        aside = Path(own, output.name)  # nobody can have put a link there
        yield aside
        former = Path(own, f"{output.name}.former")
        if output.is_dir():
            output.replace(former)
        try:
            aside.replace(output)
        except BaseException:
            if former.is_dir():
                former.replace(output)
            raise


@contextlib.contextmanager
def _directory(path: Path) -> Iterator[None]:
    """Makes `path` and its parents. If the block fails, removes the new ones that are empty."""
    made = [directory for directory in (path, *path.parents) if not directory.exists()]
    path.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError):  # it is not empty
            for directory in made:
                directory.rmdir()
        raise
