"""The Checkpointer: saves states so that a kill at any instant loses none, and restores them."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from dopamine_lite.checkpointing.checkpoint import (
    read_checkpoint,
    verify_checkpoint,
    write_checkpoint,
)
from dopamine_lite.checkpointing.manifest import Manifest
from dopamine_lite.checkpointing.reader import KEPT, CheckpointReader, Restored, reason, to_stderr
from dopamine_lite.checkpointing.segments import (
    SavedRing,
    copy_of,
    mend_segment,
    new_blocks,
    still_needed,
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

_SET_ASIDE = "damaged-"
_PRUNED = ".pruned-"
_LEFTOVERS = (".checkpoint-", _PRUNED)
_SEGMENTS = ("segment-*.zst", "segment-*.zst.copy", ".segment-*")  # the last: half-written files
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


class Checkpointer(CheckpointReader):
    """The checkpoints in one directory, numbered upwards in the order they were taken.

    A training run calls `restore` once and `save` after that. Both take the directory's lock, which this
    object holds until `close` or the end of the process. `load` and `numbers` neither lock nor change
    anything, so they can be used during a training run.

    One rename makes a checkpoint visible, after all of its files are on the disk, and one rename makes
    it invisible, before any of its files is removed. The next `restore` or `save` clears away all files
    that no visible checkpoint needs.

    Args:
      directory: the directory of the checkpoints; `restore`, `save` and `lock` create it.
      keep: how many checkpoints stay; if it is 1, there is none to fall back on when the disk fails.
      report: called with a sentence for everything that the user should know.
    """

    def __init__(self, directory: Path, keep: int = 2, report: Callable[[str], None] = to_stderr):
        if keep < 1:
            raise ValueError(f"keep={keep}: at least one checkpoint has to stay.")
        super().__init__(directory, report)
        self._keep = keep
        self._rings: dict[str, SavedRing] = {}  # of the checkpoint that this run continues
        self._lock: BinaryIO | None = None

    def lock(self) -> None:
        """Makes this Checkpointer the only one that may write here; creates the directory.

        Raises:
          UserError: another Checkpointer is writing here, or nothing can be written here at all.
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
                    f"No checkpoints can be written to {self.directory}: {reason(error)}."
                ) from error

    def close(self) -> None:
        """Releases the lock, if this object holds it."""
        if self._lock is not None:
            unlock(self._lock)
            self._lock = None

    def keep(self, name: str, number: int, state: State, replace: bool) -> None:
        """Keeps `state`, without its replay, under a name. `save` never removes it.

        Call it before `save`: a run that is killed between the two then keeps the same state again.

        Args:
          name: lower-case letters and underscores.
          number: the number of the checkpoint.
          state: the state, as for `save`.
          replace: whether to remove the checkpoint that was kept under this name before.

        Raises:
          UserError: the disk is full or refuses to write. Checkpoints that were kept before are
            unchanged.
          ValueError: `name` is not such a name.
        """
        directory = f"{name}-{number:012d}"
        if not KEPT.fullmatch(directory):
            raise ValueError(f"{name!r} is not a name of lower-case letters and underscores.")
        self.lock()
        aside = self._kept / f".{directory}"
        try:
            make_directory(self._kept)
            remove(aside)
            write_checkpoint(aside, number, take_apart(without_rings(state)), {})
            remove(self._kept / directory)  # this run kept it before it was killed
            aside.rename(self._kept / directory)
            sync_directory(self._kept)
            for other in self._kept.iterdir():
                match = KEPT.fullmatch(other.name)
                replaced = replace and match and match[1] == name and other.name != directory
                if replaced or other.name.startswith("."):
                    remove(other)
        except OSError as error:
            raise UserError(
                f"Checkpoint {number} could not be kept as {name}: {reason(error)}. Once this is "
                "fixed, the same command resumes from the previous checkpoint."
            ) from error

    def save(self, number: int, state: State) -> Path:
        """Saves `state` as the checkpoint `number`, and removes the oldest ones beyond `keep`.

        It writes only those slots of a ring that the previous checkpoint does not have.

        Returns:
          The checkpoint's directory.

        Raises:
          UserError: the disk is full or refuses to write. Earlier checkpoints are unchanged.
          TypeError: something in the tree cannot be saved; the message says what and where.
          ValueError: `number` is not higher than the number of every checkpoint here.
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
                f"{reason(error)}. Once this is fixed, the same command resumes from step {number}."
            ) from error
        return self._path(number)

    def restore(self) -> Restored | None:
        """Reads the newest intact checkpoint. The run then goes on from there.

        Every byte is verified before it is used. Damaged checkpoints that are newer than the intact
        one are reported and renamed to `damaged-checkpoint-...`. A damaged segment is reported and
        replaced by its copy.

        Returns:
          The checkpoint; None if there has never been one.

        Raises:
          UserError: there are checkpoints but none is intact, or the newest has another schema version.
            Nothing has been changed in these cases.
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

    def _write(self, number: int, parts: Parts) -> None:
        """Puts a new checkpoint in place, or leaves the earlier ones as they are."""
        path = self._path(number)
        aside = self.directory / f".{path.name}"
        try:
            saved = self._write_rings(number, parts.rings)
            remove(aside)
            write_checkpoint(aside, number, parts, saved)
            aside.rename(path)
        except BaseException:
            # This checks the disk, because an interrupt may also come just after the rename.
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
                # No checkpoint has this number yet, so none can need a file with this name.
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
        """Removes files that no visible checkpoint needs.

        This includes the segments of checkpoints that were set aside. Such a checkpoint can no longer be
        restored, and the run writes those slots again.
        """
        leftovers = [p for p in self.directory.iterdir() if p.name.startswith(_LEFTOVERS)]
        if any(path.name.startswith(_PRUNED) for path in leftovers):
            sync_directory(self.directory)  # or a power cut could bring back a part
        for path in leftovers:
            remove(path)
        try:
            manifests = [Manifest.read(self._path(number)) for number in self.numbers()]
        except (Damaged, UserError):  # its needs are unknown, so all segments stay for now
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
        """Replaces damaged segments by their copies, and makes missing copies."""
        for segment in manifest.segments():
            try:
                problem = mend_segment(self._replay, segment)
            except OSError as error:  # the disk is full: the intact file can still be read
                self._report(
                    f"{self._replay / segment.name} exists once instead of twice, and could not be "
                    f"copied: {reason(error)}. The run goes on."
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


def _not_saved(number: int, before: list[int], error: OSError) -> str:
    once = "there is room" if error.errno in _NO_ROOM else "this is fixed"
    if before:
        then = f"the same command resumes from the checkpoint at step {before[-1]}, which is intact"
    else:
        then = "the same command starts from the beginning, because there is no earlier checkpoint"
    return f"Checkpoint {number} could not be written: {reason(error)}. Once {once}, {then}."
