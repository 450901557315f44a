"""Reads the checkpoints in a directory, even while another process writes there."""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from dopamine_lite.checkpointing.checkpoint import read_checkpoint, verify_checkpoint
from dopamine_lite.checkpointing.segments import verify_segment
from dopamine_lite.checkpointing.storage import Damaged
from dopamine_lite.common.errors import UserError
from dopamine_lite.common.types import State

_COMPLETE = re.compile(r"checkpoint-(\d{12,})")
KEPT = re.compile(r"([a-z][a-z_]*)-(\d{12,})")  # its name and number


@dataclass(frozen=True)
class Restored:
    """A checkpoint that has been read.

    Its RingSlots read their segments only on demand. This must happen before the next `save`.
    """

    number: int
    state: State
    path: Path


def to_stderr(sentence: str) -> None:
    print(sentence, file=sys.stderr)


class CheckpointReader:
    """The checkpoints in one directory. A reader neither locks nor changes them.

    Args:
      directory: the directory of the checkpoints.
      report: called with a sentence for everything that the user should know.
    """

    def __init__(self, directory: Path, report: Callable[[str], None] = to_stderr):
        self.directory = Path(directory)
        self._replay = self.directory / "replay"
        self._kept = self.directory / "kept"
        self._report = report

    def numbers(self) -> list[int]:
        """The numbers of the checkpoints here, in ascending order. They need not be intact.

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
        """The numbers of the kept checkpoints, in ascending order, by the name of each.

        Raises:
          UserError: the directory cannot be read.
        """
        with self._readable():
            try:
                names = os.listdir(self._kept)
            except FileNotFoundError:
                return {}
        found: dict[str, list[int]] = {}
        for match in filter(None, map(KEPT.fullmatch, names)):
            found.setdefault(match[1], []).append(int(match[2]))
        return {name: sorted(numbers) for name, numbers in sorted(found.items())}

    def verify(self, number: int) -> list[str]:
        """Raises Damaged if a byte of a checkpoint is not as it was written and no copy is intact.

        Returns:
          A description of each damaged segment that has an intact copy.
        """
        path = self._path(number)
        manifest = verify_checkpoint(path, number, None)
        read_checkpoint(path, manifest, None)
        problems = [verify_segment(self._replay, segment) for segment in manifest.segments()]
        return [problem for problem in problems if problem is not None]

    def load(self, number: int | str | None = None, rings: bool = False) -> Restored:
        """Reads a checkpoint without locking or changing anything. A training run may go on meanwhile.

        Args:
          number: the checkpoint's number, or the name under which it is kept (if there are several, the
            newest); None: the newest intact checkpoint, not counting kept ones.
          rings: False: RingSlots become None, and their segments are neither read nor verified.

        Raises:
          UserError: there is no such checkpoint, it is damaged, or it has another schema version.
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
        """Reads the checkpoint kept under a name, or a kept one whose number no other has."""
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

    def _path(self, number: int) -> Path:
        return self.directory / f"checkpoint-{number:012d}"

    def _damage(self, number: int, problem: str) -> str:
        return f"Checkpoint {number} in {self.directory} is damaged ({problem})"

    def _none_intact(self, damaged: dict[int, str]) -> str:
        problems = "; ".join(f"checkpoint {n}: {problem}" for n, problem in damaged.items())
        without_replay = any(self._is_loadable(number) for number in damaged)
        return (
            f"No checkpoint in {self.directory} is intact "
            f"({problems or 'all have been set aside as damaged'}): restore the damaged files from "
            "an intact copy, or train in another directory."
            + " Commands that need no replay memory (evaluate, record, export) still work."
            * without_replay
        )

    def _is_loadable(self, number: int) -> bool:
        """Whether a checkpoint is intact, apart from its segments."""
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
        """The message if no checkpoint has this number, or none is kept under this name."""
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
        """Turns the operating system's errors into a sentence."""
        try:
            yield
        except OSError as error:
            raise UserError(
                f"The checkpoints in {self.directory} cannot be read: {reason(error)}."
            ) from error


def reason(error: OSError) -> str:
    where = f" ({error.filename})" if error.filename else ""
    return f"{error.strerror or error}{where}"
