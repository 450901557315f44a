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
import stat
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

import numpy as np
import pytest

from dopamine_lite.checkpointing import Checkpointer, digest
from dopamine_lite.common.errors import UserError
from dopamine_lite.common.types import RingSlots

pytestmark = pytest.mark.exhaustive

KEEP = 2
RUN = Path("run", "checkpoints")
KILLED, REFUSED = 9, 3  # exit statuses of a child
IN_MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None  # where syncing costs nothing
MAIN = Path(__file__).resolve().parents[2]


def state_at(number: int) -> dict:
    """A state that is told by its number alone: arrays, and a ring of two environments that turns."""
    stop = np.array([5 * number, 3 * number])
    first = np.maximum(stop - 12, 0)

    def blocks(after: np.ndarray) -> Iterator[dict[str, np.ndarray]]:
        start = np.maximum(after, first)
        while (start < stop).any():
            end = np.minimum(start + 4, stop)
            slots = np.concatenate([np.arange(start[c], end[c]) + 1000 * c for c in (0, 1)])
            frames = np.random.default_rng(1).integers(0, 256, 1 << 11, np.uint8)
            yield {"start": start, "stop": end, "frames": frames ^ slots[:, None].astype(np.uint8)}
            start = end

    weights = np.random.default_rng(number).standard_normal(2_000)
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
        assert path.name.removesuffix(".copy") in needed, path


class Disk:
    """Counts this process's changes below a directory, and at one of them ends or hinders it.

    `cut` is a power cut: what was not synced is lost, namely contents of files, entries of
    directories and renames. Removals are never lost, as nobody may count on that either.
    """

    def __init__(self, directory: Path, at: int, error: int | None = None, power_cut: bool = False):
        self.directory = str(directory)
        self.at = at
        self.error = error  # what operations from the `at`-th on fail with; None: the process ends
        self.power_cut = power_cut
        self.count = 0
        self.before: dict[int, Path] = {}  # by inode: the files that are as they were
        self.sizes: dict[int, int] = {}  # by inode: what has been synced of the others
        self.names: list[tuple[str, str]] = []  # (old or "", new) whose directory is not synced

    def files(self) -> dict[int, Path]:
        return {p.stat().st_ino: p for p in Path(self.directory).rglob("*") if p.is_file()}

    def __enter__(self) -> Self:
        self.before = self.files()
        fsync = os.fsync

        def counted_fsync(file: int) -> None:
            path = os.readlink(f"/proc/self/fd/{file}")
            self.step(path)
            fsync(file)
            status = os.fstat(file)
            if stat.S_ISDIR(status.st_mode):
                self.sync_names(path)
            else:
                self.sizes[status.st_ino] = status.st_size

        os.fsync = counted_fsync
        sys.addaudithook(self.hook)  # called before the operation; cannot be taken off again
        return self

    def __exit__(self, *_: object) -> None:
        self.at = -1

    def hook(self, event: str, arguments: tuple) -> None:
        if self.at < 0:
            return
        paths = [str(argument) for argument in arguments[:2]]
        if event == "open" and paths[1][0] in "wax":
            self.step(paths[0])
            if not os.path.exists(paths[0]):
                self.names.append(("", paths[0]))
        elif event == "os.mkdir":
            self.step(paths[0])
            self.names.append(("", paths[0]))
        elif event == "os.rename":
            self.step(paths[0])
            self.names.append((paths[0], paths[1]))
        elif event in ("os.remove", "os.rmdir"):
            self.step(self.directory, removes=True)  # the path may be relative to a descriptor

    def step(self, path: str, removes: bool = False) -> None:
        if self.at < 0 or not path.startswith(self.directory):
            return
        if self.error is not None and self.count >= self.at and not removes:
            raise OSError(self.error, os.strerror(self.error), path)
        if self.error is None and self.count == self.at:
            self.end(KILLED)
        self.count += 1

    def end(self, status: int) -> None:
        self.at = -1
        if self.power_cut:
            self.cut()
        os._exit(status)

    def sync_names(self, directory: str) -> None:
        for old, new in [pair for pair in self.names if os.path.dirname(pair[1]) == directory]:
            self.names.remove((old, new))
            if old:  # what lies in it is found there from now on
                self.names = [
                    (o.replace(f"{old}/", f"{new}/"), n.replace(f"{old}/", f"{new}/"))
                    for o, n in self.names
                ]

    def cut(self) -> None:
        for inode, path in self.files().items():
            if inode not in self.before:
                os.truncate(path, self.sizes.get(inode, 0))
        for old, new in reversed(self.names):
            if not os.path.exists(new):
                continue
            if old:
                os.rename(new, old)
            elif os.path.isdir(new):
                shutil.rmtree(new)
            else:
                os.unlink(new)


def fork(action: Callable[[], int | None]) -> int:
    """Runs `action` in a child process; its exit status."""
    child = os.fork()
    if child == 0:
        try:
            os._exit(action() or 0)
        finally:  # an exception: the line above does not come back
            traceback.print_exc()
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def prepare(directory: Path, last: int) -> None:
    checkpointer = Checkpointer(directory, KEEP)
    checkpointer.lock()
    for number in range(1, last + 1):
        checkpointer.save(number, state_at(number))
    checkpointer.close()


def restore_and_save(directory: Path, disk: Disk) -> None:
    """What a run does: goes on from the newest checkpoint and saves the next one."""
    checkpointer = Checkpointer(directory, KEEP, report=lambda _: None)
    with disk:
        restored = checkpointer.restore()
        number = restored.number + 1 if restored else 1
        checkpointer.save(number, state_at(number))
        disk.end(0)


def every_operation(
    directory: Path, last: int, power_cut: bool, damaged: bool = False, segment: bool = False
) -> int:
    """Ends a run at its first change to the disk, at its second ..., and goes on each time.

    Before, the newest checkpoint is `damaged`, or a `segment` that all checkpoints need.
    """
    origin = directory / "origin" / RUN
    if last:
        prepare(origin, last)
    else:
        (directory / "origin").mkdir()
    if damaged:
        path = origin / f"checkpoint-{last:012d}" / "state.npz"
        path.write_bytes(path.read_bytes()[:-1])
    if segment:
        path = max((origin / "replay").glob(f"segment-{last - 1:012d}-*.zst"))
        path.write_bytes(path.read_bytes()[:-1])
    intact = last - damaged
    for at in range(1000):
        base = directory / str(at)
        shutil.copytree(directory / "origin", base)
        copy = base / RUN
        disk = Disk(base, at, power_cut=power_cut)
        status = fork(lambda copy=copy, disk=disk: restore_and_save(copy, disk))
        assert status in (0, KILLED), status
        goes_on_from(copy, intact, at_least=intact + (status == 0), damaged=damaged)
        shutil.rmtree(base)
        if status == 0:
            return at
    raise AssertionError("a run does not end")


def goes_on_from(directory: Path, intact: int, at_least: int, damaged: bool) -> None:
    """Fails unless the next run finds `at_least` that checkpoint and can save the one after it."""
    if not damaged:  # else the newest is, and stays visible until it is set aside
        assert_whole(directory, at_least)
    checkpointer = Checkpointer(directory, KEEP, report=lambda _: None)
    restored = checkpointer.restore()
    newest = restored.number if restored else 0
    assert at_least <= newest <= intact + 1, newest
    if restored:
        assert digest(restored.state) == digest(state_at(newest))
        assert_whole(directory, newest)
        assert_tidy(directory, KEEP + 1)  # one too many until the next is saved
    checkpointer.save(newest + 1, state_at(newest + 1))
    assert assert_whole(directory, newest) == newest + 1
    assert_tidy(directory)


def save_on_full_disk(directory: Path, disk: Disk) -> int:
    """Saves 4; when that is refused, looks that nothing has changed, makes room and saves again."""
    checkpointer = Checkpointer(directory, KEEP)
    checkpointer.restore()
    before = times(directory)
    try:
        with disk:
            checkpointer.save(4, state_at(4))
        return 0
    except UserError as error:
        sentence = str(error)
    assert "No space left on device" in sentence
    if 4 in checkpointer.numbers():  # refused after the rename
        saved = 4
    else:
        assert "could not be written" in sentence and "step 3, which is intact" in sentence
        assert times(directory) == before
        saved = 3
    checkpointer.save(saved + 1, state_at(saved + 1))
    assert assert_whole(directory, saved) == saved + 1
    assert_tidy(directory)
    return REFUSED


def times(directory: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in directory.rglob("*") if path.is_file()}


def every_operation_refused(directory: Path) -> int:
    """Lets the disk be full from the first operation on, from the second on ..."""
    origin = directory / "origin"
    prepare(origin, 3)
    for at in range(1000):
        copy = directory / str(at)
        shutil.copytree(origin, copy)
        disk = Disk(copy, at, error=errno.ENOSPC)
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
    generator, longest = random.Random(1), 0.1  # seconds before a kill
    newest = kills = 0
    while time.monotonic() < end or newest < 10 or kills < 10:
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                train(directory, writing)
            finally:
                traceback.print_exc()
                os._exit(1)
        os.close(writing)
        time.sleep(generator.uniform(0, longest))
        os.kill(child, signal.SIGKILL)
        assert os.WIFSIGNALED(os.waitpid(child, 0)[1]), "the child failed by itself"
        with open(reading, "rb") as pipe:
            told = pipe.read()
        if told:
            newest = max(newest, int.from_bytes(told[-4:], "big"))
            longest = max(longest / 1.2, 0.1)
        else:  # on a slow disk the next child gets more time
            longest = min(longest * 1.2, 5.0)
        newest = assert_whole(directory, newest)
        kills += 1
    return kills


PROGRAMS: dict[str, Callable[[Path], int]] = {
    "killed": lambda d: every_operation(d, last=5, power_cut=False),
    "killed at first": lambda d: every_operation(d, last=0, power_cut=False),
    "killed after damage": lambda d: every_operation(d, last=5, power_cut=False, damaged=True),
    "killed while mending": lambda d: every_operation(d, last=5, power_cut=False, segment=True),
    "power cut": lambda d: every_operation(d, last=5, power_cut=True),
    "power cut at first": lambda d: every_operation(d, last=0, power_cut=True),
    "power cut after damage": lambda d: every_operation(d, last=5, power_cut=True, damaged=True),
    "power cut while mending": lambda d: every_operation(d, last=5, power_cut=True, segment=True),
    "disk full": every_operation_refused,
    "killed at random": lambda d: random_moments(d, seconds=4),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_nothing_is_lost(tmp_path, name):
    if not Path("/proc/self/fd").exists():
        pytest.skip("needs /proc")
    on_disk = name == "killed at random"
    with tempfile.TemporaryDirectory(dir=tmp_path if on_disk else IN_MEMORY) as directory:
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
        check=False,
    )


if __name__ == "__main__":
    print(PROGRAMS[sys.argv[1]](Path(sys.argv[2])))
