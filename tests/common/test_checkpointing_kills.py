"""A process that is killed, or a machine that loses power, at any instant loses no checkpoint.

The tests run this file as a program of their own, which forks: a child saves and is ended, at a
chosen filesystem operation or at a random moment, and the parent looks at what is left.
"""

from __future__ import annotations

import errno
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from dopamine_lite.common.checkpointing import Checkpointer, digest
from dopamine_lite.common.errors import UserError
from dopamine_lite.common.replay.ring import RingSlots

KEEP = 2
KILLED, REFUSED = 9, 3  # exit statuses of a child
IN_MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None  # where syncing costs nothing
MAIN = Path(__file__).resolve().parents[2]


def state_at(number: int) -> dict:
    """A state that is told by its number alone: arrays, and a ring of two columns that turns."""
    stop = np.array([5 * number, 3 * number])
    first = np.maximum(stop - 12, 0)

    def blocks(after: np.ndarray) -> Iterator[dict[str, np.ndarray]]:
        start = np.maximum(after, first)
        while (start < stop).any():
            end = np.minimum(start + 4, stop)
            slots = np.concatenate([np.arange(start[c], end[c]) + 1000 * c for c in (0, 1)])
            frames = np.random.default_rng(1).integers(0, 256, 1 << 14, np.uint8)
            yield {"start": start, "stop": end, "frames": frames ^ slots[:, None].astype(np.uint8)}
            start = end

    weights = np.random.default_rng(number).standard_normal(20_000)
    return {"number": number, "weights": weights, "replay": RingSlots(first, stop, blocks)}


def assert_whole(directory: Path, at_least: int) -> int:
    """Fails unless every visible checkpoint is intact and the newest is `at_least` that number."""

    def fail(sentence: str) -> None:
        raise AssertionError(sentence)

    reader = Checkpointer(directory, report=fail)
    for number in reader.numbers():
        assert digest(reader.load(number, rings=True).state) == digest(state_at(number)), number
    newest = max(reader.numbers(), default=0)
    assert newest >= at_least, (newest, at_least)
    return newest


def assert_tidy(directory: Path, most: int = KEEP) -> None:
    """Fails if anything lies about that no checkpoint needs, or more than `most` are there."""
    names = {path.name for path in directory.iterdir()}
    visible = {f"checkpoint-{number:012d}" for number in Checkpointer(directory).numbers()}
    assert len(visible) <= most, visible
    aside = {name for name in names if name.startswith("damaged-")}
    assert names == visible | aside | {".lock", "replay"}, names
    needed = "".join((directory / name / "manifest.json").read_text() for name in visible)
    for path in (directory / "replay").iterdir():
        assert path.name in needed, path


class Disk:
    """Counts this process's changes to a directory, and at one of them ends or hinders it.

    With `power_cut`, what was not synced is lost with the process: contents of files, new names of
    what was renamed, and new entries of directories. Removals are never lost, whatever the order.
    """

    def __init__(self, directory: Path, at: int, power_cut: bool):
        self.directory = directory
        self.at = at
        self.power_cut = power_cut
        self.count = 0
        self.new_files: set[str] = set()  # whose content is not synced
        self.new_names: list[tuple[str, str]] = []  # (old or "", new) whose directory is not synced
        self.code: int | None = None  # an error instead of an end

    def __enter__(self) -> Disk:
        fsync = os.fsync

        def counted_fsync(file: int) -> None:
            path = os.readlink(f"/proc/self/fd/{file}")
            self.step(path)
            fsync(file)
            self.new_files.discard(path)
            self.new_names = [pair for pair in self.new_names if os.path.dirname(pair[1]) != path]

        os.fsync = counted_fsync
        sys.addaudithook(self.hook)  # called before the operation; cannot be taken off again
        return self

    def __exit__(self, *_: object) -> None:
        self.at = -1

    def hook(self, event: str, arguments: tuple) -> None:
        if event == "open" and isinstance(arguments[0], str) and arguments[1] in ("wb", "w", "a+"):
            path = arguments[0]
            self.step(path)
            self.new_files.add(path)
            if not os.path.exists(path):
                self.new_names.append(("", path))
        elif event == "os.mkdir":
            self.step(str(arguments[0]))
            self.new_names.append(("", str(arguments[0])))
        elif event == "os.rename":
            self.step(str(arguments[0]))
            self.new_names.append((str(arguments[0]), str(arguments[1])))
        elif event in ("os.remove", "os.rmdir"):
            self.step("", removes=True)

    def step(self, path: str, removes: bool = False) -> None:
        if self.at < 0 or path and not path.startswith(str(self.directory)):
            return
        if self.code is None and self.count == self.at:
            self.at = -1
            if self.power_cut:
                self.cut()
            os._exit(KILLED)
        if self.code is not None and self.count >= self.at and not removes:
            raise OSError(self.code, os.strerror(self.code), path)
        self.count += 1

    def cut(self) -> None:
        for path in self.new_files:
            if os.path.exists(path):
                os.truncate(path, 0)
        for old, new in reversed(self.new_names):
            if os.path.exists(new) and old:
                os.rename(new, old)
            elif os.path.isdir(new):
                shutil.rmtree(new)
            elif os.path.exists(new):
                os.unlink(new)


def fork(action: Callable[[], int | None]) -> int:
    """Runs `action` in a child process; its exit status."""
    child = os.fork()
    if child == 0:
        try:
            os._exit(action() or 0)
        except BaseException:
            sys.excepthook(*sys.exc_info())  # type: ignore[arg-type]
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def prepare(directory: Path, last: int) -> None:
    checkpointer = Checkpointer(directory, KEEP)
    checkpointer.lock()
    for number in range(1, last + 1):
        checkpointer.save(number, state_at(number))
    checkpointer.close()


def restore_and_save(directory: Path, disk: Disk) -> int | None:
    """What a run does: goes on from the newest checkpoint and saves the next one."""
    checkpointer = Checkpointer(directory, KEEP, report=lambda _: None)
    with disk:
        restored = checkpointer.restore()
        number = restored.number + 1 if restored else 1
        checkpointer.save(number, state_at(number))
    return None


def every_operation(directory: Path, last: int, damaged: bool, power_cut: bool) -> int:
    """Ends a run at its first change to the disk, at its second ..., and goes on each time."""
    origin = directory / "origin"
    prepare(origin, last)
    if damaged:
        path = origin / f"checkpoint-{last:012d}" / "state.npz"
        path.write_bytes(path.read_bytes()[:-1])
    intact = last - damaged
    for at in range(1000):
        copy = directory / str(at)
        shutil.copytree(origin, copy)
        disk = Disk(copy, at, power_cut)
        status = fork(lambda copy=copy, disk=disk: restore_and_save(copy, disk))
        assert status in (0, KILLED), status
        if not damaged:  # else the newest is, and stays visible until it is set aside
            assert_whole(copy, intact)
        checkpointer = Checkpointer(copy, KEEP, report=lambda _: None)
        restored = checkpointer.restore()
        newest = restored.number if restored else 0
        assert newest in ((last + 1 - damaged,) if status == 0 else (intact, intact + 1)), newest
        assert_whole(copy, intact)
        if restored:
            assert digest(restored.state) == digest(state_at(newest))
            assert_tidy(copy, KEEP + 1)  # one too many until the next is saved
        checkpointer.save(newest + 1, state_at(newest + 1))
        assert assert_whole(copy, intact) == newest + 1
        assert_tidy(copy)
        shutil.rmtree(copy)
        if status == 0:
            return at
    raise AssertionError("a run does not end")


def save_on_full_disk(directory: Path, disk: Disk) -> int:
    """Saves 4; when that is refused, looks that nothing has changed, makes room and saves again."""
    checkpointer = Checkpointer(directory, KEEP)
    checkpointer.restore()
    before = {path: path.stat().st_mtime_ns for path in directory.rglob("*") if path.is_file()}
    try:
        with disk:
            checkpointer.save(4, state_at(4))
        return 0
    except UserError as error:
        assert disk.count == disk.at or "No space left on device" in str(error)
        if "could not be written" in str(error):
            assert "the checkpoint at step 3 is intact" in str(error)
    saved = 4 in checkpointer.numbers()  # refused after the rename
    if not saved:
        after = {path: path.stat().st_mtime_ns for path in directory.rglob("*") if path.is_file()}
        assert after == before
    number = 5 if saved else 4
    checkpointer.save(number, state_at(number))
    assert assert_whole(directory, number) == number
    assert_tidy(directory)
    return REFUSED


def every_operation_refused(directory: Path) -> int:
    """Lets the disk be full from the first operation on, from the second on ..."""
    origin = directory / "origin"
    prepare(origin, 3)
    for at in range(1000):
        copy = directory / str(at)
        shutil.copytree(origin, copy)
        disk = Disk(copy, at, power_cut=False)
        disk.code = errno.ENOSPC
        status = fork(lambda copy=copy, disk=disk: save_on_full_disk(copy, disk))
        assert status in (0, REFUSED), status
        shutil.rmtree(copy)
        if status == 0:
            return at
    raise AssertionError("a save does not end")


def train(directory: Path, pipe: int) -> None:
    """Saves one checkpoint after another and tells of each when it is saved."""
    checkpointer = Checkpointer(directory, KEEP)
    restored = checkpointer.restore()
    number = restored.number if restored else 0
    if restored:
        assert digest(restored.state) == digest(state_at(number))
    while True:
        number += 1
        checkpointer.save(number, state_at(number))
        os.write(pipe, number.to_bytes(4, "big"))


def random_moments(directory: Path, seconds: float) -> int:
    """Kills a training process again and again; returns how often.

    Goes on longer on a slow machine, until enough has been saved to prove something.
    """
    end = time.monotonic() + seconds
    newest = kills = 0
    while time.monotonic() < end or newest < 10 or kills < 10:
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                train(directory, writing)
            finally:
                os._exit(1)
        os.close(writing)
        time.sleep(random.uniform(0, 0.1))
        os.kill(child, signal.SIGKILL)
        assert os.WIFSIGNALED(os.waitpid(child, 0)[1]), "the child failed by itself"
        with open(reading, "rb") as pipe:
            told = pipe.read()
        if told:
            newest = max(newest, int.from_bytes(told[-4:], "big"))
        newest = assert_whole(directory, newest)
        kills += 1
    return kills


PROGRAMS: dict[str, Callable[[Path], int]] = {
    "killed": lambda d: every_operation(d, last=5, damaged=False, power_cut=False),
    "killed at first": lambda d: every_operation(d, last=0, damaged=False, power_cut=False),
    "killed after damage": lambda d: every_operation(d, last=5, damaged=True, power_cut=False),
    "power cut": lambda d: every_operation(d, last=5, damaged=False, power_cut=True),
    "power cut at first": lambda d: every_operation(d, last=0, damaged=False, power_cut=True),
    "power cut after damage": lambda d: every_operation(d, last=5, damaged=True, power_cut=True),
    "disk full": every_operation_refused,
    "killed at random": lambda d: random_moments(d, seconds=4),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_nothing_is_lost(tmp_path, name):
    if not Path("/proc/self/fd").exists():
        pytest.skip("needs /proc")
    at_random = name == "killed at random"  # waits for a real disk to be slow
    in_memory = IN_MEMORY if not at_random else None
    with tempfile.TemporaryDirectory(dir=in_memory or tmp_path) as directory:
        done = run(name, directory)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 10  # operations, or kills


def run(name: str, directory: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, __file__, name, directory],
        env=os.environ | {"PYTHONPATH": str(MAIN), "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )


if __name__ == "__main__":
    print(PROGRAMS[sys.argv[1]](Path(sys.argv[2])))
