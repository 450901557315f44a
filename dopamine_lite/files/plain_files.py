"""Regular files and real directories only: nothing waits for a pipe or writes through a link.

A run's directory may come from a stranger. Links in it are followed when files are read, because their
contents are checked. They are never followed when files are written. The run's directory itself, and the
directories above it, may be links.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO

from dopamine_lite.common.errors import UserError


class NotRegular(UserError):
    """There is something else in the place of a regular file."""


def open_to_read(path: Path) -> BufferedReader:
    """Opens a regular file.

    Raises:
      NotRegular: there is a pipe, a device, a socket or a directory.
      OSError: as `open`.
    """
    check_regular(path, os.stat(path))

    def opener(name: str, flags: int) -> int:
        return os.open(name, flags | os.O_NONBLOCK)  # a pipe may have appeared meanwhile

    return open(path, "rb", opener=opener)


def open_to_append(path: Path) -> BinaryIO:
    """Opens a regular file to read and to write at its end. Creates it if it does not exist.

    Raises:
      NotRegular: there is a link, a pipe, a device, a socket or a directory.
      OSError: as `open`.
    """
    with contextlib.suppress(FileNotFoundError):
        check_regular(path, os.lstat(path))

    def opener(name: str, flags: int) -> int:
        return os.open(name, flags | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)

    return open(path, "a+b", opener=opener)


def separate(path: Path) -> None:
    """Gives the regular file `path` its own copy of its content if the file has other names.

    Backups by hard links are such names: they keep their content when `path` changes.
    """
    status = os.lstat(path)
    check_regular(path, status)
    if status.st_nlink == 1:
        return
    aside = path.with_name(f".{path.name}")
    aside.unlink(missing_ok=True)
    with open_to_read(path) as file, open(aside, "xb") as copy:
        shutil.copyfileobj(file, copy)
        shutil.copymode(path, aside)
        copy.flush()
        os.fsync(copy.fileno())
    aside.replace(path)


def check_regular(path: Path, status: os.stat_result) -> None:
    """Raises NotRegular unless `status`, the status of `path`, says that it is a regular file."""
    if not stat.S_ISREG(status.st_mode):
        raise NotRegular(f"{path} is {_kind(status)}, but has to be a regular file: remove it.")


def check_directory(path: Path) -> None:
    """Raises UserError if there is something at `path` that is not a directory, such as a link."""
    try:
        status = os.lstat(path)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            return
        raise
    if stat.S_ISLNK(status.st_mode):
        raise UserError(
            f"{path} is a link, and inside a run's directory nothing is written through links: put "
            "the directory itself here. The run's directory as a whole may be a link."
        )
    if not stat.S_ISDIR(status.st_mode):
        raise UserError(f"{path} is {_kind(status)}, but has to be a directory: move it away.")


def remove(path: Path) -> None:
    """Removes anything at `path`. If it is a link, only the link is removed."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _kind(status: os.stat_result) -> str:
    return _KINDS.get(stat.S_IFMT(status.st_mode), "a special file")


_KINDS = {
    stat.S_IFREG: "a file",
    stat.S_IFDIR: "a directory",
    stat.S_IFLNK: "a link",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
