"""The stopwatch that the environments of each framework carry while its training loop is measured.

It is imported in the virtual environment of each framework, so it needs only the standard library.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from workloads import WORKLOADS, Workload, holding

MORE_FRAMES = 10_000  # between two saves


class Learned(Protocol):
    """What a framework has learned so far."""

    def count(self) -> int:
        """The gradient steps that have been taken, all of them done."""

    def parameters(self) -> int:
        """The number of parameters that are trained, once there has been a gradient step."""


class NothingLearned:
    """What a random agent learns."""

    def count(self) -> int:
        return 0

    parameters = count


class Clock:
    """Counts agent steps and, between two of them, measures the windows that are asked for.

    It talks with `measure.py` in lines: each line that it reads from stdin is the length of a window in
    seconds, and the answer to it is a line of JSON on stdout. Between two windows the process stands
    still. After the last line, the process ends. What the framework prints goes to stderr.

    With `--frames` it measures instead what a replay of so many frames takes, and what it takes to save
    it. With `--resume` it measures how long a process takes to go on from there.

    Args:
      framework: the name of the framework.
      distribution: the package whose version is its version.
      version: its version, if no package has it.
    """

    def __init__(self, framework: str, distribution: str = "", *, version: str = ""):
        parser = argparse.ArgumentParser(description=f"Measures {framework}.")
        parser.add_argument("workload", choices=WORKLOADS)
        parser.add_argument("--variant", default="", help="what differs from the workload")
        parser.add_argument("--threads", type=int, default=0, help="0: as the framework has it")
        parser.add_argument("--started", type=float, default=time.time(), help="Unix time")
        parser.add_argument("--frames", type=int, default=0, help="of a replay to fill and save")
        parser.add_argument("--resume", action="store_true", help="from what was saved")
        parser.add_argument("--directory", type=Path, default=Path(), help="of what is saved")
        arguments = parser.parse_args()
        self.workload: Workload = WORKLOADS[arguments.workload]
        self.variant: str = arguments.variant
        self.threads: int = arguments.threads
        self.resumes: bool = arguments.resume
        self.directory: Path = arguments.directory.absolute()
        self.frames: int = arguments.frames
        if self.frames:
            self.workload = holding(self.workload, self.frames)
        self._started: float = arguments.started
        self._answers = os.fdopen(os.dup(1), "w")
        os.dup2(2, 1)
        version = version or importlib.metadata.version(distribution)
        self._facts: dict[str, Any] = {"framework": framework, "version": version}
        self._steps = 0
        self._next = 1  # the step at which to look up
        self._window: tuple[float, float, int, int] | None = None  # seconds, start, steps, updates
        self._save: Callable[[], object] | None = None

    def limit_xla_threads(self) -> None:
        """Has XLA on the CPU use one thread if one is asked for; call it before JAX is imported.

        It takes no other number: without this, it takes all cores.
        """
        if self.threads == 1:
            flags = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
            os.environ["XLA_FLAGS"] = flags

    def watch(
        self,
        environments: Any,
        method: str,
        learned: Learned,
        save: Callable[[], object] | None = None,
        *,
        saves_itself: bool = False,
    ) -> None:
        """Counts a step of each environment whenever `environments.method` has returned.

        Args:
          environments: all environments of the workload, stepped together.
          method: the name of the method that steps them.
          learned: counts gradient steps.
          save: saves all that training can be resumed from, replay included, in `directory`; None: the
            framework cannot.
          saves_itself: the framework decides when to save, and then calls `timed`.
        """
        step, num_envs = getattr(environments, method), self.workload.num_envs
        self._learned, self._save, self._saves_itself = learned, save, saves_itself

        def counted(*args: Any, **kwargs: Any) -> Any:
            result = step(*args, **kwargs)
            self._steps += num_envs
            if self._steps >= self._next:
                self._look_up()
            return result

        setattr(environments, method, counted)

    def _look_up(self) -> None:
        if self._steps == self.workload.num_envs:  # the first
            self._facts["first_step_seconds"] = round(time.time() - self._started, 3)
            self._facts["resident_at_first"] = resident()
            if self.resumes:
                self._end(self._facts)
            self._next = self.frames or self.workload.warmup
            return
        if self.frames:
            self._look_at_replay()
        elif self._window is None:
            warm = {"warm_seconds": round(time.time() - self._started, 3)}
            facts = {"threads": self.threads, "parameters": self._learned.parameters()}
            self._answer(self._facts | warm | facts)
            self._wait()
        else:
            length, start, steps, updates = self._window
            if time.perf_counter() - start >= length:
                done = {"steps": self._steps - steps, "updates": self._learned.count() - updates}
                self._answer(done | {"seconds": round(time.perf_counter() - start, 4)})
                self._wait()
        self._next += self.workload.cycle

    def _look_at_replay(self) -> None:
        """Notes what the full replay takes; saves it, and again after some more frames."""
        if "resident" not in self._facts:
            self._facts |= {"frames": self._steps, "resident": resident()}
        if self._save is None:
            self._end(self._facts)
        elif not self._saves_itself:
            self.timed(self._save)
        self._next = self._steps + MORE_FRAMES - self.workload.cycle

    def timed(self, save: Callable[[], object]) -> None:
        """Measures `save` once the replay is full, and ends the process after the second time."""
        if "resident" not in self._facts:
            return
        which = "second" if "first_saved" in self._facts else "first"
        start = time.perf_counter()
        save()
        self._facts[f"{which}_save_seconds"] = round(time.perf_counter() - start, 3)
        self._facts[f"{which}_saved"] = size_of(self.directory)
        if which == "second":
            self._end(self._facts)

    def _answer(self, answer: dict[str, Any]) -> None:
        print(json.dumps(answer), file=self._answers, flush=True)

    def _end(self, answer: dict[str, Any]) -> None:
        self._answer(answer)
        os._exit(0)  # whatever threads the framework has

    def _wait(self) -> None:
        """Waits for the next window and begins it; ends the process if there is none."""
        line = sys.stdin.readline()
        if not line:
            os._exit(0)
        updates = self._learned.count()  # waits for them
        self._window = float(line), time.perf_counter(), self._steps, updates


def resident() -> int:
    """Bytes of this process that are in memory (Linux)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def size_of(directory: Path) -> int:
    """Bytes of all files in it."""
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())
