"""The Checkpointer: saves a state so that a kill at any instant loses none, and restores it."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from dopamine_lite.checkpointing.checkpoint import (
    read_checkpoint,
    verify_checkpoint,
    write_checkpoint,
)
from dopamine_lite.checkpointing.manifest import Manifest
from dopamine_lite.checkpointing.segments import (
    SavedRing,
    copy_of,
    mend_segment,
    new_blocks,
    still_needed,
    verify_segment,
    write_segment,
)
from dopamine_lite.checkpointing.storage import (
    Damaged,
    lock_directory,
    make_directory,
    sync_directory,
    unlock,
)
from dopamine_lite.checkpointing.tree import Parts, take_apart, without_rings
from dopamine_lite.common.errors import UserError
from dopamine_lite.common.types import RingSlots, State
from dopamine_lite.files.plain_files import check_directory, remove

_COMPLETE = re.compile(r"checkpoint-(\d{12,})")
_KEPT = re.compile(r"([a-z][a-z_]*)-(\d{12,})")  # its name and number
_SET_ASIDE = "damaged-"
_PRUNED = ".pruned-"
_LEFTOVERS = (".checkpoint-", _PRUNED)
_SEGMENTS = ("segment-*.zst", "segment-*.zst.copy", ".segment-*")  # the last: half written
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True)
class Restored:
    """A checkpoint that has been read.

    Its RingSlots read their segments only when asked to, which has to be before the next `save`.
    """

    number: int
    state: State
    path: Path


def _to_stderr(sentence: str) -> None:
    print(sentence, file=sys.stderr)


class Checkpointer:
    """The checkpoints in one directory, numbered upwards in the order they were taken.

    A training run calls `restore` once and `save` from then on; both take the directory's lock,
    which this object then holds until `close` or the end of the process. `load` and `numbers`
    neither lock nor change anything and may be used beside a training run.

    A checkpoint becomes visible by one rename, after everything it consists of is on the disk, and
    stops being visible by one rename, before any of it is removed. What is neither visible nor needed
    by something visible is cleared away by the next `restore` or `save`.

    Args:
      directory: the directory of the checkpoints; `restore`, `save` and `lock` create it.
      keep: how many checkpoints stay; with 1 there is none to fall back on when the disk fails.
      report: called with a sentence for everything that the user should know of.
    """

    def __init__(self, directory: Path, keep: int = 2, report: Callable[[str], None] = _to_stderr):
        if keep < 1:
            raise ValueError(f"keep={keep}: at least one checkpoint has to stay.")
        self.directory = Path(directory)
        self._replay = self.directory / "replay"
        self._kept = self.directory / "kept"
        self._keep = keep
        self._report = report
        self._rings: dict[str, SavedRing] = {}  # of the checkpoint that this run goes on from
        self._lock: BinaryIO | None = None

    def lock(self) -> None:
        """Makes this the one Checkpointer that may write here; creates the directory.

        Raises:
          UserError: another one is writing here, or nothing can be written here at all.
        """
        if self._lock is None:
            check_directory(self.directory)
            check_directory(self._replay)
            check_directory(self._kept)
            try:
                make_directory(self.directory)
                self._lock = lock_directory(self.directory, self._report)
            except OSError as error:
                raise UserError(
                    f"No checkpoints can be written to {self.directory}: {_reason(error)}."
                ) from error

    def close(self) -> None:
        """Gives the lock back, if it is held."""
        if self._lock is not None:
            unlock(self._lock)
            self._lock = None

    def numbers(self) -> list[int]:
        """The numbers of the checkpoints here, ascending; whether they are intact is not examined.

        Raises:
          UserError: the directory cannot be read, for example because it is a file.
        """
        with self._readable():
            try:
                names = os.listdir(self.directory)
            except FileNotFoundError:
                return []
        return sorted(int(match[1]) for match in map(_COMPLETE.fullmatch, names) if match)

    def kept(self) -> dict[str, list[int]]:
        """The numbers of the checkpoints that are kept, ascending, by the name they are kept under.

        Raises:
          UserError: the directory cannot be read.
        """
        with self._readable():
            try:
                names = os.listdir(self._kept)
            except FileNotFoundError:
                return {}
        found: dict[str, list[int]] = {}
        for match in filter(None, map(_KEPT.fullmatch, names)):
            found.setdefault(match[1], []).append(int(match[2]))
        return {name: sorted(numbers) for name, numbers in sorted(found.items())}

    def keep(self, name: str, number: int, state: State, replace: bool) -> None:
        """Keeps `state`, without its replay, under a name, whatever `save` removes later.

        Call it before `save`: a run that is killed between the two then keeps the same state again.

        Args:
          name: lower-case letters and underscores.
          number: the number of the checkpoint.
          state: as `save` takes it.
          replace: whether to remove what was kept under the name before.

        Raises:
          UserError: the disk is full or refuses to write; what was kept before is as it was.
          ValueError: `name` is not such a name.
        """
        directory = f"{name}-{number:012d}"
        if not _KEPT.fullmatch(directory):
            raise ValueError(f"{name!r} is not a name of lower-case letters and underscores.")
        self.lock()
        aside = self._kept / f".{directory}"
        try:
            make_directory(self._kept)
            remove(aside)
            write_checkpoint(aside, number, take_apart(without_rings(state)), {})
            remove(self._kept / directory)  # the same, by this run before it was killed
            aside.rename(self._kept / directory)
            sync_directory(self._kept)
            for other in self._kept.iterdir():
                match = _KEPT.fullmatch(other.name)
                replaced = replace and match and match[1] == name and other.name != directory
                if replaced or other.name.startswith("."):
                    remove(other)
        except OSError as error:
            raise UserError(
                f"Checkpoint {number} could not be kept as {name}: {_reason(error)}. Once this is "
                "fixed, the same command resumes from the checkpoint before."
            ) from error

    def verify(self, number: int) -> list[str]:
        """Raises Damaged if a byte of a checkpoint, and of its copy, is not as it was written.

        Returns:
          What is wrong with the segments of which only the copies are intact.
        """
        path = self._path(number)
        manifest = verify_checkpoint(path, number, None)
        read_checkpoint(path, manifest, None)
        problems = [verify_segment(self._replay, segment) for segment in manifest.segments()]
        return [problem for problem in problems if problem is not None]

    def save(self, number: int, state: State) -> Path:
        """Saves `state` as the checkpoint `number`, and removes the checkpoints that are too many.

        Only those slots of a ring are written that the checkpoint before does not have.

        Returns:
          The checkpoint's directory.

        Raises:
          UserError: the disk is full or refuses to write; the checkpoints before are as they were.
          TypeError: something in the tree cannot be saved; the message says what and where.
          ValueError: `number` is not higher than that of every checkpoint here.
        """
        self.lock()
        before = self.numbers()
        newest = before[-1] if before else -1
        if number <= newest:
            raise ValueError(f"Checkpoint {number} cannot follow checkpoint {newest}.")
        parts = take_apart(state)
        try:
            self._write(number, parts)
        except OSError as error:
            raise UserError(_not_saved(number, before, error)) from error
        try:
            self._prune()
        except OSError as error:
            raise UserError(
                f"Checkpoint {number} is saved, but older ones could not be removed: "
                f"{_reason(error)}. Once this is fixed, the same command resumes from step {number}."
            ) from error
        return self._path(number)

    def restore(self) -> Restored | None:
        """Reads the newest intact checkpoint, from which the run then goes on.

        Every byte is verified before it is used. Damaged checkpoints that are newer than the intact
        one are reported and renamed to `damaged-checkpoint-...`. A damaged segment is reported and
        replaced by its copy.

        Returns:
          The checkpoint; None if there has never been one.

        Raises:
          UserError: there are checkpoints but none is intact, or the newest is of another schema
            version. Nothing has been changed then.
        """
        self.lock()
        with self._readable():
            damaged: dict[int, str] = {}
            for number in reversed(self.numbers()):
                path = self._path(number)
                try:
                    manifest = verify_checkpoint(path, number, self._replay)
                    restored = Restored(number, read_checkpoint(path, manifest, self._replay), path)
                except Damaged as damage:
                    damaged[number] = str(damage)
                    continue
                self._set_aside(damaged, number)
                self._sweep()
                self._mend(manifest)
                self._rings = manifest.rings
                return restored
            if damaged or list(self.directory.glob(f"{_SET_ASIDE}*")):
                raise UserError(self._none_intact(damaged))
            self._sweep()
            return None

    def load(self, number: int | str | None = None, rings: bool = False) -> Restored:
        """Reads a checkpoint without locking or changing anything, also beside a training run.

        Args:
          number: the checkpoint's number, or the name that it is kept under (if several are, the
            newest); None: the newest intact checkpoint, apart from kept ones.
          rings: False: RingSlots become None, and their segments are neither read nor verified.

        Raises:
          UserError: there is no such checkpoint, or it is damaged or of another schema version.
        """
        if isinstance(number, str) or (number is not None and number not in self.numbers()):
            return self._load_kept(number)
        replay = self._replay if rings else None
        damaged: dict[int, str] = {}
        with self._readable():
            while True:
                there = self.numbers()
                wanted = [n for n in there if n not in damaged and number in (None, n)]
                if not wanted:
                    raise UserError(self._not_loaded(number, there, damaged))
                newest = wanted[-1]
                path = self._path(newest)
                try:
                    manifest = verify_checkpoint(path, newest, replay)
                    restored = Restored(newest, read_checkpoint(path, manifest, replay), path)
                except (Damaged, FileNotFoundError) as problem:
                    # A training run may have pruned it while it was being read: look again.
                    if os.path.lexists(path):
                        damaged[newest] = str(problem)
                    continue
                for other, what in damaged.items():
                    self._report(f"{self._damage(other, what)}; checkpoint {newest} is used.")
                return restored

    def _load_kept(self, wanted: int | str) -> Restored:
        """Reads the checkpoint that is kept under a name, or has a number that no other has."""
        damaged: dict[str, str] = {}
        with self._readable():
            while True:
                paths = {
                    self._kept / f"{name}-{number:012d}": number
                    for name, numbers in self.kept().items()
                    for number in numbers
                    if wanted in (name, number)
                }
                path = max(paths, key=lambda path: (paths[path], path.name), default=None)
                if path is None:
                    raise UserError(self._not_kept(wanted))
                if path.name in damaged:
                    raise UserError(
                        f"{path} is damaged ({damaged[path.name]}): name another checkpoint."
                    )
                try:
                    manifest = verify_checkpoint(path, paths[path], None)
                    return Restored(paths[path], read_checkpoint(path, manifest, None), path)
                except (Damaged, FileNotFoundError) as problem:
                    # A training run may have put another in its place meanwhile: look again.
                    if os.path.lexists(path):
                        damaged[path.name] = str(problem)

    def _write(self, number: int, parts: Parts) -> None:
        """Puts a new checkpoint in place, or leaves those before as they are."""
        path = self._path(number)
        aside = self.directory / f".{path.name}"
        try:
            saved = self._write_rings(number, parts.rings)
            remove(aside)
            write_checkpoint(aside, number, parts, saved)
            aside.rename(path)
        except BaseException:
            # Looks at what is there: an interrupt may also come just after the rename.
            with contextlib.suppress(OSError):
                self._sweep()
            raise
        sync_directory(self.directory)
        self._rings = saved

    def _write_rings(self, number: int, rings: dict[str, RingSlots]) -> dict[str, SavedRing]:
        """Writes the new slots of every ring durably to segments."""
        saved = {}
        written = 0
        for path, ring in rings.items():
            make_directory(self._replay)
            before = self._rings.get(path)
            segments = still_needed(before, ring, self._replay) if before else []
            for block in new_blocks(ring, list(segments), path):
                # No checkpoint has this number yet, so that none can need a file of this name.
                name = f"segment-{number:012d}-{written:06d}.zst"
                segments.append(write_segment(self._replay / name, block))
                written += 1
            saved[path] = SavedRing(ring.first.tolist(), ring.stop.tolist(), segments)
        if written:
            sync_directory(self._replay)
        return saved

    def _prune(self) -> None:
        """Removes all but the newest checkpoints."""
        for number in self.numbers()[: -self._keep]:
            path = self._path(number)
            path.rename(self.directory / f"{_PRUNED}{path.name}")
        self._sweep()

    def _sweep(self) -> None:
        """Removes what no visible checkpoint needs.

        The segments of checkpoints that were set aside go too: what can be restored no more needs
        no replay memory, and the run writes those slots again.
        """
        leftovers = [p for p in self.directory.iterdir() if p.name.startswith(_LEFTOVERS)]
        if any(path.name.startswith(_PRUNED) for path in leftovers):
            sync_directory(self.directory)  # else a power cut could bring it back half removed
        for path in leftovers:
            remove(path)
        try:
            manifests = [Manifest.read(self._path(number)) for number in self.numbers()]
        except (Damaged, UserError):  # what that one needs is unknown: all segments stay for now
            return
        needed = {
            path.name
            for manifest in manifests
            for segment in manifest.segments()
            for path in (Path(segment.name), copy_of(Path(segment.name)))
        }
        for pattern in _SEGMENTS:
            for path in self._replay.glob(pattern):
                if path.name not in needed:
                    remove(path)

    def _mend(self, manifest: Manifest) -> None:
        """Puts the copies of damaged segments in their places, and makes missing copies."""
        for segment in manifest.segments():
            try:
                problem = mend_segment(self._replay, segment)
            except OSError as error:  # the disk is full: what is intact of it can still be read
                self._report(
                    f"{self._replay / segment.name} exists once instead of twice, and could not be "
                    f"copied: {_reason(error)}. The run goes on."
                )
                return
            if problem is not None:
                self._report(
                    f"In {self._replay}, {problem}; it is written anew from its intact copy, and the "
                    "run goes on as if nothing had happened."
                )

    def _set_aside(self, damaged: dict[int, str], used: int) -> None:
        """Reports damaged checkpoints and renames them, so that their numbers are free again."""
        for number, problem in damaged.items():
            path = self._path(number)
            aside = self.directory / f"{_SET_ASIDE}{path.name}"
            again = 2
            while os.path.lexists(aside):
                aside = aside.with_name(f"{_SET_ASIDE}{path.name}-{again}")
                again += 1
            self._report(
                f"{self._damage(number, problem)}; it is set aside as {aside.name}, and the run "
                f"goes on from checkpoint {used}."
            )
            path.rename(aside)

    def _path(self, number: int) -> Path:
        return self.directory / f"checkpoint-{number:012d}"

    def _damage(self, number: int, problem: str) -> str:
        return f"Checkpoint {number} in {self.directory} is damaged ({problem})"

    def _none_intact(self, damaged: dict[int, str]) -> str:
        problems = "; ".join(f"checkpoint {n}: {problem}" for n, problem in damaged.items())
        without_replay = any(self._is_loadable(number) for number in damaged)
        return (
            f"No checkpoint in {self.directory} is intact "
            f"({problems or 'all have been set aside as damaged'}): restore what is damaged from an "
            "intact copy, or train in another directory."
            + " Commands that need no replay memory (evaluate, record, export) still work."
            * without_replay
        )

    def _is_loadable(self, number: int) -> bool:
        """Whether a checkpoint is intact but for its segments."""
        try:
            verify_checkpoint(self._path(number), number, None)
        except (Damaged, UserError):
            return False
        return True

    def _not_loaded(self, number: int | None, there: list[int], damaged: dict[int, str]) -> str:
        if number is None:
            if damaged:
                return self._none_intact(damaged)
            return f"There is no checkpoint in {self.directory}."
        if number in damaged:
            others = ", ".join(str(other) for other in there if other != number) or "none"
            return f"{self._damage(number, damaged[number])}. Other checkpoints there: {others}."
        return self._not_kept(number)

    def _not_kept(self, wanted: int | str) -> str:
        """What to say where there is no checkpoint of this number, or none kept under this name."""
        there = ", ".join(map(str, self.numbers())) or "none"
        kept = self.kept()
        also = "".join(f"; kept as {name}: {', '.join(map(str, kept[name]))}" for name in kept)
        what = f"kept as {wanted}" if isinstance(wanted, str) else str(wanted)
        remedy = (
            "" if kept or isinstance(wanted, int) else " KeepBest in Runner.callbacks keeps some."
        )
        sentence = f"There is no checkpoint {what} in {self.directory}."
        return f"{sentence} Checkpoints there: {there}{also}.{remedy}"

    @contextlib.contextmanager
    def _readable(self) -> Iterator[None]:
        """Turns the operating system's refusals into a sentence."""
        try:
            yield
        except OSError as error:
            raise UserError(
                f"The checkpoints in {self.directory} cannot be read: {_reason(error)}."
            ) from error


def _reason(error: OSError) -> str:
    where = f" ({error.filename})" if error.filename else ""
    return f"{error.strerror or error}{where}"


def _not_saved(number: int, before: list[int], error: OSError) -> str:
    once = "there is room" if error.errno in _NO_ROOM else "this is fixed"
    if before:
        then = f"the same command resumes from the checkpoint at step {before[-1]}, which is intact"
    else:
        then = "the same command starts again, for there is no checkpoint before"
    return f"Checkpoint {number} could not be written: {_reason(error)}. Once {once}, {then}."
