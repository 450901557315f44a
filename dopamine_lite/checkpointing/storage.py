"""Files that survive a power cut, checks that files are intact, and one writer per directory."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import io
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from dopamine_lite.common.errors import UserError
from dopamine_lite.common.memory import require_memory
from dopamine_lite.files.plain_files import NotRegular, open_to_append, open_to_read

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_LOCKS_UNSUPPORTED = (errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK)


class Damaged(Exception):
    """A file is not as it was written; `str(error)` says which file, and what is wrong with it."""


@dataclass(frozen=True)
class FileRecord:
    """The size and digest by which a manifest recognizes a file."""

    size: int
    sha256: str


class DurableWriter(io.RawIOBase):
    """Writes to all of `files` from front to back, and counts and hashes the bytes."""

    def __init__(self, files: Sequence[BinaryIO]):
        self._files = files
        self._size = 0
        self._sha256 = hashlib.sha256()

    def write(self, data: ReadableBuffer) -> int:
        self._sha256.update(data)
        (written,) = {file.write(data) for file in self._files}
        self._size += written
        return written

    def record(self) -> FileRecord:
        """The record of the bytes written so far."""
        return FileRecord(self._size, self._sha256.hexdigest())


@contextlib.contextmanager
def durable_file(*paths: Path) -> Iterator[DurableWriter]:
    """Opens new files that get the same content and are on the disk when the block ends.

    Anything that has these names is removed first, so that nothing is written through a link. An OSError
    that leaves the block names the first file; the errors of `write` alone name none.
    """
    try:
        with contextlib.ExitStack() as stack:
            files = []
            for path in paths:
                path.unlink(missing_ok=True)
                files.append(stack.enter_context(open(path, "xb")))
            yield DurableWriter(files)
            for file in files:
                file.flush()
                os.fsync(file.fileno())
    except OSError as error:
        error.filename = error.filename or str(paths[0])
        raise


def sync_directory(path: Path) -> None:
    """Makes the directory's entries (new, renamed and removed ones) durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # a file system that cannot sync directories
            error.filename = str(path)
            raise
    finally:
        os.close(descriptor)


def replace_file(path: Path, content: bytes) -> None:
    """Replaces the content of `path` durably: at any instant, the old or the new content is there."""
    aside = path.with_name(f".{path.name}")
    with durable_file(aside) as file:
        file.write(content)
    aside.replace(path)
    sync_directory(path.parent)


def make_directory(path: Path) -> None:
    """Creates `path` and its missing parents durably."""
    if not path.is_dir():
        make_directory(path.parent)
        path.mkdir(exist_ok=True)
        sync_directory(path.parent)


@contextlib.contextmanager
def finding_damage(name: str) -> Iterator[None]:
    """Turns the errors that a missing or unreadable file `name` raises into `Damaged`."""
    try:
        yield
    except (FileNotFoundError, NotADirectoryError) as error:
        raise Damaged(f"{name} is missing") from error
    except NotRegular as error:
        raise Damaged(f"{name} is not a regular file") from error
    except OSError as error:
        if error.errno != errno.EIO:  # such as missing permissions: the file is not damaged
            raise
        raise Damaged(f"{name} cannot be read from the disk") from error


def verify(path: Path, record: FileRecord) -> None:
    """Raises Damaged unless the file at `path` is, byte for byte, the recorded file.

    Raises UserError if it would not fit into memory, so that no file takes hours to verify.
    """
    with finding_damage(path.name), open_to_read(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size != record.size:
            raise Damaged(f"{path.name} has {size} bytes instead of {record.size}")
        require_memory(size, f"reading {path}", "it is too large for this machine")
        if hashlib.file_digest(file, "sha256").hexdigest() != record.sha256:
            raise Damaged(f"{path.name} does not have the content that was written")


def lock_directory(directory: Path, report: Callable[[str], None]) -> BinaryIO:
    """Locks `directory` against other writers, until `unlock` gets the returned file.

    The kernel frees the lock when the process ends, however it ends. On a file system without locks, it
    only calls `report` with a warning.

    Raises:
      UserError: another process (or another Checkpointer of this one) holds the lock.
    """
    file = open_to_append(directory / ".lock")  # it stays open while the lock is held
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _LOCKS_UNSUPPORTED:
            report(
                f"The file system of {directory} has no locks: make sure that only one process "
                "trains there."
            )
            return file
        file.seek(0)
        holder = file.read(20).strip().decode(errors="replace")
        file.close()
        if not isinstance(error, BlockingIOError):
            raise
        raise UserError(
            f"{directory} is in use by another training process"
            f"{f' (process {holder})' if holder.isdecimal() else ''}: wait until it has ended, or "
            "train in another directory."
        ) from None
    if os.fstat(file.fileno()).st_nlink == 1:  # otherwise another name would get this content, too
        file.truncate(0)
        file.write(f"{os.getpid()}\n".encode())
        file.flush()
    return file


def is_locked(directory: Path) -> bool:
    """Whether a process holds the lock of `directory`. The test takes the lock for an instant."""
    try:
        file = open_to_read(directory / ".lock")
    except (FileNotFoundError, NotADirectoryError):
        return False
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError as error:
            if error.errno not in _LOCKS_UNSUPPORTED:
                raise
    return False


def unlock(file: BinaryIO) -> None:
    """Releases the lock, even if a forked child still has the file open."""
    with contextlib.suppress(OSError):  # on a file system without locks
        fcntl.flock(file, fcntl.LOCK_UN)
    file.close()
